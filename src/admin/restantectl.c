/* restantectl.c - the administrator's program: users, configuration, delivery, maildrops.
 *
 * One row per command: dispatch, help and the manual page come from it.
 * Does not know: how commands do their work (cmd_*.c).
 */
#include "admin/ctl.h"

#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
#define HELP   { 'h', "help", NULL, "this text" }
#define CONFIG { 'c', "config", "FILE", "configuration (or $RESTANTE_CONF)" }, HELP
#define JSON   { 0, "json", NULL, "for programs" }
#define END    { 0, NULL, NULL, NULL }
#define SECRET                                                                                     \
    { 0, "password-stdin", NULL, "take the password from the first line of standard input" },      \
        { 0, "generate", NULL, "make a random password and print it" },                            \
        { 's', "scheme", "SCHEME", "how it is stored (default SCRAM-SHA-256)" },                   \
        { 0, "with-sha1", NULL, "keys for SCRAM-SHA-1 too, for older clients" }

static const struct option_row plain_options[] = { CONFIG, END };
static const struct option_row check_options[] = {
    { 'q', "quiet", NULL, "say nothing when there is no fault" }, CONFIG, END
};
static const struct option_row show_options[] = {
    { 0, "changed", NULL, "only what differs from the defaults" },
    { 0, "defaults", NULL, "the defaults; no file is read" },
    JSON,
    CONFIG,
    END
};
static const struct option_row describe_options[] = {
    { 0, "man", NULL, "as source for the manual page" },
    { 0, "sample", NULL, "as a configuration file to start from" },
    CONFIG,
    END
};
static const struct option_row add_options[] = {
    SECRET,
    { 0, "uid", "N", "system uid that owns the mail (default: mail.user)" },
    { 0, "gid", "N", "system gid likewise" },
    { 0, "home", "DIR", "home folder, for {home} in mail.maildrop" },
    { 0, "mail", "DIR", "this user's Maildir, instead of mail.maildrop" },
    { 0, "expire", "DAYS", "remove older messages, instead of mail.expire" },
    { 0, "require-tls", NULL, "no login without TLS" },
    CONFIG,
    END
};
static const struct option_row passwd_options[] = { SECRET, CONFIG, END };
static const struct option_row delete_options[] = {
    { 'y', "yes", NULL, "do not ask" }, CONFIG, END
};
static const struct option_row list_options[] = { JSON, CONFIG, END };
static const struct option_row deliver_options[] = {
    { 'f', "from", "SENDER", "add a Return-Path: line with this envelope sender" },
    { 'd', "delivered-to", NULL, "add a Delivered-To: line with the user's name" },
    { 0, "strip-from", NULL, "drop a first line that begins with \"From \" (mbox)" },
    { 0, "defer", NULL, "exit 75 for all that an administrator can mend" },
    CONFIG,
    END
};
static const struct option_row message_options[] = {
    { 0, "crlf", NULL, "line ends as on the wire, CRLF" }, CONFIG, END
};
static const struct option_row top_options[] = {
    { 'V', "version", NULL, "print the version" }, CONFIG, END
};

static const struct verb rows[] = {
    { "config", "check", "[FILE]", 0, 1, check_options, cmd_config_check,
      "find all faults of a configuration",
      "Looks at certificates, keys and system users too: run it as the server's user.\n"
      "Exit code 0: no faults (there may be warnings); 78: faults." },
    { "config", "show", "", 0, 0, show_options, cmd_config_show,
      "show every setting with its value", NULL },
    { "config", "describe", "", 0, 0, describe_options, cmd_config_describe,
      "list all settings: type, default, meaning", NULL },
    { "user", "add", "NAME", 1, 1, add_options, cmd_user_add, "add a user",
      "Without an option for the password it is asked for twice. It never stands in arguments." },
    { "user", "passwd", "NAME", 1, 1, passwd_options, cmd_user_passwd, "change a password", NULL },
    { "user", "disable", "NAME", 1, 1, plain_options, cmd_user_disable,
      "refuse logins, keep everything", NULL },
    { "user", "enable", "NAME", 1, 1, plain_options, cmd_user_enable, "allow logins again", NULL },
    { "user", "delete", "NAME", 1, 1, delete_options, cmd_user_delete,
      "remove a user; the mail stays", NULL },
    { "user", "list", "", 0, 0, list_options, cmd_user_list, "list users", NULL },
    { "deliver", "", "USER", 1, 1, deliver_options, cmd_deliver,
      "put a message from standard input into a maildrop",
      "Exit codes for mail servers: 0 delivered and on disk, 64 usage, 67 no such user,\n"
      "73 maildrop cannot be made, 75 try again, 77 no permission, 78 configuration.\n"
      "The message is stored octet for octet unless an option above adds a line." },
    { "maildrop", "list", "USER", 1, 1, list_options, cmd_maildrop_list, "list messages",
      "No message is moved or flagged. POP3 sessions wait for moments at most." },
    { "maildrop", "show", "USER N|UIDL", 2, 2, message_options, cmd_maildrop_show,
      "print a message, octet for octet",
      "N counts as \"maildrop list\" does." },
    { "uidl", "import", "USER FILE", 2, 2, plain_options, cmd_uidl_import,
      "take over UIDLs that another server gave",
      "FILE (- for standard input) has lines \"FILENAME UIDL\": the name of a file in new or cur, and\n"
      "the UIDL that clients know it by. After a move they do not fetch everything again." },
    { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL },
};
/* clang-format on */

static const struct verb_set commands = { "restantectl", rows, top_options };

static int help_top(void)
{
    struct buf out = BUF(65536);
    bool ok = buf_put_str(&out, "Usage: restantectl [-c FILE] COMMAND …\n\n") && verb_put_list(&commands, &out) &&
              buf_put_str(&out, "\nOptions, before or behind the command:\n") && args_help(top_options, &out) &&
              buf_put_str(&out, "\n\"restantectl COMMAND --help\" tells more. Configuration: " SYSCONFDIR
                                "/restante/restante.conf\n");

    return ctl_print(&out, ok);
}

static int help_command(const struct verb *c)
{
    struct buf out = BUF(65536);

    return ctl_print(&out, verb_put_help(&commands, c, &out));
}

static int unknown_command(const struct args *args)
{
    struct buf names = BUF(400);

    if (!args->nwords)
        ctl_fail(EX_USAGE, "no command; see --help");
    else if (verb_put_names(&commands, args->words[0], &names) && names.n)
        ctl_fail(EX_USAGE, "%s: choose %.*s; see --help", args->words[0], (int)names.n, (const char *)names.p);
    else
        ctl_fail(EX_USAGE, "unknown command \"%.60s\"; see --help", args->words[0]);
    buf_free(&names);
    return EX_USAGE;
}

static int run(struct cli *ctl, char **argv)
{
    struct option_row all[ARGS_OPTIONS + 1];
    const struct verb *c;
    struct err e;

    if (!verb_scan(&commands, argv, &ctl->args, all, &e))
        return ctl_fail(EX_USAGE, "%s", e.text);
    if (args_get(&ctl->args, "version")) {
        printf("restantectl %s\n", RESTANTE_VERSION);
        return EX_OK;
    }
    c = verb_find(&commands, &ctl->args);
    if (args_get(&ctl->args, "help"))
        return c ? help_command(c) : help_top();
    if (!c)
        return unknown_command(&ctl->args);
    if (!verb_take(&commands, c, argv, &ctl->args, &e))
        return ctl_fail(EX_USAGE, "%s", e.text);
    if (args_get(&ctl->args, "config"))
        ctl->conf_path = args_get(&ctl->args, "config");
    ctl->json = args_get(&ctl->args, "json") != NULL;
    return c->run(ctl);
}

int main(int argc, char **argv)
{
    const char *env = getenv("RESTANTE_CONF");
    struct cli ctl = { .conf_path = env && *env ? env : SYSCONFDIR "/restante/restante.conf" };
    int code;

    (void)argc;
    sys_fill_descriptors();
    code = argv[0] ? run(&ctl, argv + 1) : EX_USAGE;
    if (fflush(stdout) != 0 && code == EX_OK)
        code = ctl_fail(EX_IOERR, "standard output cannot be written");
    return code;
}
