/* ui_text.h - the lines that a run shows, as pure functions of its numbers: progress, summary, sizes, times.
 * Does not know: terminals, clocks, streams.
 */
#ifndef RESTANTE_CLIENT_UI_TEXT_H
#define RESTANTE_CLIENT_UI_TEXT_H

#include "client/ui.h"

/* One account's line. */
struct ui_row {
    const char *account;
    const char *stage; /* "" once messages arrive */
    struct ui_totals totals;
    uint64_t elapsed_ms; /* since the first octet of a message */
    size_t name_columns; /* the widest name beside this one */
    bool color;
};

/* "812 B", "1.2 kB", "34 MB": powers of 1000. */
bool ui_put_octets(struct buf *out, uint64_t octets);

/* "work  [####----]  3/5  1.2 MB/3.4 MB  800 kB/s  0:12", cut to so many columns; without a line end. */
bool ui_put_progress(struct buf *out, const struct ui_row *row, size_t columns);

/* "work   5 new (1.2 MB), 37 deleted, 12 kept", "work   failed: …", "work   would fetch 5 (1.2 MB), delete 37". */
struct ui_end {
    int exit_code;
    const char *why;
    bool dry;
};
bool ui_put_summary(struct buf *out, const struct ui_row *row, const struct ui_end *end);

/* The numbers of totals as members of a JSON object that is open. */
bool ui_put_totals(struct buf *out, bool *first, const struct ui_totals *totals);

#endif
