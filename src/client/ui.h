/* ui.h - what a run shows: live progress on a terminal, one calm line per account, --json events, -v trace.
 *
 * A run reports through these calls, from the loop's thread; nothing else prints. On a terminal (stderr) each running
 * account has a line (bar, messages, MB/s, ETA), repainted at most 10 times a second; elsewhere silence unless
 * asked (-v), and one summary line per account on standard output when there is something to say or it failed. Server
 * text is cleaned here (base/text.h text_put_clean): no control octet of a server reaches a terminal (XCL-08).
 * Does not know: sessions, journals.
 */
#ifndef RESTANTE_CLIENT_UI_H
#define RESTANTE_CLIENT_UI_H

#include "base/buf.h"
#include "base/err.h"

struct ui_options {
    bool json, quiet, color, progress; /* progress: stderr is a terminal and nobody said --no-progress */
    int verbose;                       /* 1: stages, 2: protocol trace with secrets masked */
};

struct ui_totals {
    uint64_t listed, new_messages, new_octets; /* planned */
    uint64_t fetched, fetched_octets;          /* durable */
    uint64_t octets_now;                       /* received, for the bar */
    uint64_t deleted;                          /* committed by QUIT's "+OK" */
    uint64_t kept, skipped, quarantined, failed, pending_deletes;
};

struct ui;

struct ui *ui_new(const struct ui_options *options, uint32_t accounts);
void ui_free(struct ui **ui);

/* index: place of the account in the run. */
void ui_begin(struct ui *ui, uint32_t index, const char *account, const char *user, const char *host);
void ui_stage(struct ui *ui, uint32_t index, const char *stage); /* "connecting", "logging in", "listing" … */
/* When there are more messages or octets than before, numbers stand in place of the stage until the next stage. */
void ui_progress(struct ui *ui, uint32_t index, const struct ui_totals *totals);
void ui_trace(struct ui *ui, uint32_t index, bool sent, struct span line); /* -vv; already masked */
/* A message stored, skipped, quarantined, deleted…: JSON event, or a line with -v. verb is one word. */
void ui_message(struct ui *ui, uint32_t index, const char *verb, struct span uid, uint64_t octets,
                const char *detail);
/* warning or error that people should see at once: "restante: work: …" on stderr. */
void ui_notice(struct ui *ui, uint32_t index, bool is_error, struct span text);
/* The account is done. exit_code 0 = nothing left undone. why: for people, "" = fine. dry: "would fetch 5, delete 37". */
void ui_done(struct ui *ui, uint32_t index, const struct ui_totals *totals, int exit_code, const char *why,
             bool dry);
/* Repaints what runs. The run calls it on a timer if ui_wants_tick says, before any account begins, that there will be
 * lines to repaint. */
void ui_tick(struct ui *ui);
bool ui_wants_tick(const struct ui *ui);

/* Messages that were new in all accounts: fetched, or in a dry run to be fetched. */
uint64_t ui_news(const struct ui *ui);

#endif
