/* ctl.h - what the commands of restantectl share: their kind, exit codes, output.
 *
 * Exit codes are those of sysexits.h, for mail servers run "deliver" and read them. Messages go to standard
 * error as "restantectl: what is wrong; what to do".
 */
#ifndef RESTANTE_ADMIN_CTL_H
#define RESTANTE_ADMIN_CTL_H

#include "base/verbs.h"
#include "server/conf.h"

#include <sysexits.h>

struct cli {
    const char *conf_path;
    struct args args;
    bool json;
};

int cmd_config_check(struct cli *ctl);
int cmd_config_show(struct cli *ctl);
int cmd_config_describe(struct cli *ctl);
int cmd_user_add(struct cli *ctl);
int cmd_user_passwd(struct cli *ctl);
int cmd_user_disable(struct cli *ctl);
int cmd_user_enable(struct cli *ctl);
int cmd_user_delete(struct cli *ctl);
int cmd_user_list(struct cli *ctl);
int cmd_deliver(struct cli *ctl);
int cmd_maildrop_list(struct cli *ctl);
int cmd_maildrop_show(struct cli *ctl);
int cmd_uidl_import(struct cli *ctl);

/* Prints a message and returns code, so that "return ctl_fail(EX_USAGE, …)" reads well. */
__attribute__((format(printf, 2, 3))) int ctl_fail(int code, const char *fmt, ...);

/* The same for an error of a lower layer, with the exit code of its fault class. */
int ctl_fail_err(const struct err *e);
int ctl_code(enum fault fault);

/* Reads the configuration; prints its faults and returns EX_CONFIG, or EX_OK. */
int ctl_conf(const struct cli *ctl, struct conf **conf);

/* Writes the buffer to standard output and frees it; ok is the verdict on filling it. */
int ctl_print(struct buf *out, bool ok);

#endif
