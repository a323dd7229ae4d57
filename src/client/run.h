/* run.h - runs accounts: the engine behind fetch, check, probe and --dry-run.
 *
 * One loop, up to settings->parallel accounts at a time, each with a child for the network (restante-fetch: no files)
 * and its journal and sink here. Returns a sysexits code: 0 when nothing was left undone, the account's own code
 * when one failed, EX_TEMPFAIL when several did. Does not know: command lines, output (ui.h).
 */
#ifndef RESTANTE_CLIENT_RUN_H
#define RESTANTE_CLIENT_RUN_H

#include "client/settings.h"
#include "client/ui.h"

enum run_mode {
    RUN_FETCH,
    RUN_DRY,        /* plan only: logs in, lists, prints what it would do; changes nothing */
    RUN_CHECK,      /* is there new mail? like DRY, ui_done's totals carry it */
    RUN_PROBE,      /* greeting, capabilities before and after TLS and login, certificate, quirks -> probe text */
    RUN_MARK_SEEN   /* lists, and journals everything unknown as SEEN */
};

struct run_options {
    enum run_mode mode;
    bool daemon;            /* loop with intervals until SIGTERM; sd_notify */
    bool retry_quarantined; /* fetch --retry: quarantined messages get another chance */
    bool trace;             /* -vv: the dialog, secrets masked */
    struct buf *probe;      /* RUN_PROBE appends its report: a line with the stage, its facts, an empty line; else NULL */
    bool login;             /* PROBE: log in too (account given) */
};

/* accounts: which; n of them. */
int run_accounts(const struct settings *settings, const struct account *const *accounts, uint32_t n,
                 const struct run_options *options, struct ui *ui);

#endif
