/* cli.h - what the commands of restante share: their kind, settings, exit codes, output.
 *
 * Exit codes are those of sysexits.h. Messages go to standard error as "restante: what is wrong; what to do".
 * Does not know: what commands do.
 */
#ifndef RESTANTE_CLIENT_CLI_H
#define RESTANTE_CLIENT_CLI_H

#include "base/verbs.h"
#include "client/settings.h"
#include "client/ui.h"

#include <sysexits.h>

enum { CLI_OUTPUT_MAX = 64 * 1024 * 1024, CLI_EMPTY = 1 /* --fail-if-empty, and "status" of what failed */ };

struct cli {
    struct args args;
    char *conf_path; /* default or --config */
    bool conf_given;
    struct settings *settings; /* after cli_settings */
    bool json, quiet;
    int verbose;
};

extern const struct verb cli_commands[]; /* up to a row without group; the first is the one without a name */

int cmd_fetch(struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_probe(struct cli *cli);
int cmd_mark_seen(struct cli *cli);
int cmd_status(struct cli *cli);
int cmd_verify(struct cli *cli);
int cmd_state_export(struct cli *cli);
int cmd_state_import(struct cli *cli);
int cmd_state_show(struct cli *cli);
int cmd_state_forget(struct cli *cli);
int cmd_state_salvage(struct cli *cli);
int cmd_config_check(struct cli *cli);
int cmd_config_show(struct cli *cli);
int cmd_config_example(struct cli *cli);
int cmd_config_describe(struct cli *cli);

/* Prints a message and returns code, so that "return cli_fail(EX_USAGE, …)" reads well. */
__attribute__((format(printf, 2, 3))) int cli_fail(int code, const char *fmt, ...);

/* The same for an error of a lower layer, with the exit code of its fault class. */
int cli_fail_err(const struct err *e);

/* Reads the configuration into cli->settings; prints its faults and warnings. may_miss: without a file all defaults
 * hold, unless the file was named. */
int cli_settings(struct cli *cli, bool may_miss);

/* Writes the buffer to standard output and frees it; ok is the verdict on filling it. */
int cli_print(struct buf *out, bool ok);

/* The accounts that the words name, or all that are enabled. v is the caller's to free. A name that is not known is
 * told with the one that is near; EX_USAGE then. */
int cli_accounts(struct cli *cli, const struct account ***v, uint32_t *n);
const struct account *cli_account(struct cli *cli, const char *name);

#endif
