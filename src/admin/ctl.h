/* ctl.h - what the commands of restantectl share: their kind, exit codes, output.
 *
 * Exit codes are those of sysexits.h, for mail servers run "deliver" and read them. Messages go to standard
 * error as "restantectl: what is wrong; what to do".
 */
#ifndef RESTANTE_ADMIN_CTL_H
#define RESTANTE_ADMIN_CTL_H

#include "base/args.h"
#include "server/conf.h"

#include <sysexits.h>

struct ctl {
    const char *conf_path;
    struct args args;
    bool json;
};

struct command {
    const char *group, *name; /* name "" = the group is the command */
    const char *words;        /* placeholders of its arguments */
    int min, max;             /* how many */
    const struct option_row *options;
    int (*run)(struct ctl *ctl);
    const char *sentence;
    const char *more; /* further lines of its help, or NULL */
};

int cmd_config_check(struct ctl *ctl);
int cmd_config_show(struct ctl *ctl);
int cmd_config_describe(struct ctl *ctl);
int cmd_user_add(struct ctl *ctl);
int cmd_user_passwd(struct ctl *ctl);
int cmd_user_disable(struct ctl *ctl);
int cmd_user_enable(struct ctl *ctl);
int cmd_user_delete(struct ctl *ctl);
int cmd_user_list(struct ctl *ctl);
int cmd_deliver(struct ctl *ctl);
int cmd_maildrop_list(struct ctl *ctl);
int cmd_maildrop_show(struct ctl *ctl);
int cmd_uidl_import(struct ctl *ctl);

/* Prints a message and returns code, so that "return ctl_fail(EX_USAGE, …)" reads well. */
__attribute__((format(printf, 2, 3))) int ctl_fail(int code, const char *fmt, ...);

/* The same for an error of a lower layer, with the exit code of its fault class. */
int ctl_fail_err(const struct err *e);
int ctl_code(enum fault fault);

/* Reads the configuration; prints its faults and returns EX_CONFIG, or EX_OK. */
int ctl_conf(const struct ctl *ctl, struct conf **conf);

/* Writes the buffer to standard output and frees it; ok is the verdict on filling it. */
int ctl_print(struct buf *out, bool ok);

#endif
