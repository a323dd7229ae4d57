/* text.h - text for people and programs: terminals, tables, JSON.
 * Does not know: what is shown.
 */
#ifndef RESTANTE_BASE_TEXT_H
#define RESTANTE_BASE_TEXT_H

#include "base/buf.h"

/* Appends at most columns characters of s for a terminal: controls and what is no UTF-8 become "?", so that
 * mail cannot steer the terminal; longer text ends in "…". Returns the number of columns used. */
size_t text_put_clean(struct buf *out, struct span s, size_t columns);

/* A table of cells; columns line up, numbers to the right. */
struct grid {
    const char *const *heads; /* NULL at the end; a head that starts with ">" is aligned to the right */
    char **cells;             /* clean text, row by row */
    size_t n;
};

void grid_add(struct grid *t, struct span cell, size_t columns);
bool grid_put(const struct grid *t, struct buf *out);
void grid_free(struct grid *t);

/* A string of JSON with its quotes; octets that are no UTF-8 become U+FFFD. */
bool json_put(struct buf *out, struct span s);

/* Appends "name": behind a comma when *first is not set. */
bool json_key(struct buf *out, bool *first, const char *name);

#endif
