/* restante.c - the client's program: fetches mail, and tells about accounts and what was fetched.
 *
 * One row per command: dispatch, help and completion follow from it. Without a command mail is fetched.
 * Does not know: how commands do their work (cmd_*.c).
 */
#include "client/cli.h"

#include "base/sys.h"
#include "conf/conf_near.h"

#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
#define VERBOSE                                                                                     \
    { 'q', "quiet", NULL, "say nothing but errors" },                                               \
    { 'v', "verbose", NULL, "tell stages and messages; -vv: the dialog too, without secrets" },     \
    { 0, "trace", NULL, "the same as -vv" }
#define COMMON                                                                                      \
    { 'c', "config", "FILE", "configuration" },                                                     \
    { 0, "state-dir", "DIR", "folder of the journals" },                                            \
    { 'h', "help", NULL, "this text" }
#define JSON    { 0, "json", NULL, "for programs: one object a line" }
#define SERVER                                                                                      \
    { 0, "tls", "HOW", "for a URL: implicit, stls, auto or none" },                                 \
    { 0, "ca-file", "FILE", "for a URL: CA certificates in PEM" },                                  \
    { 0, "pin", "PIN", "for a URL: the server's public key, sha256//..." },                         \
    { 0, "verify", "HOW", "for a URL: full, pin or off" }
#define END     { 0, NULL, NULL, NULL }

static const struct option_row plain_options[] = { COMMON, END };
static const struct option_row json_options[] = { JSON, COMMON, END };
static const struct option_row fetch_options[] = {
    { 'n', "dry-run", NULL, "log in, list, tell what would be done; change nothing" },
    { 'k', "keep-all", NULL, "delete nothing on the server, whatever the configuration says" },
    { 0, "retry", NULL, "try messages in quarantine once more" },
    { 0, "fail-if-empty", NULL, "exit code 1 when there was no new mail" },
    { 'd', "daemon", NULL, "go on for ever, with pauses of \"interval\"" },
    { 0, "no-progress", NULL, "no lines that are repainted" },
    { 0, "deliver", "WHERE", "for a URL: destination, such as maildir:PATH" },
    { 0, "keep", "RULE", "for a URL: all, none, 14d, \"newest 500\" ..." },
    { 'u', "user", "NAME", "for a URL: who logs in" },
    { 0, "password-command", "LINE", "for a URL: prints the password" },
    { 0, "password-file", "FILE", "for a URL: holds the password" },
    { 0, "auth", "HOW", "for a URL: auto, user, apop or a SASL mechanism" },
    { 0, "plaintext-auth", NULL, "for a URL: permit the password without TLS" },
    SERVER, VERBOSE, JSON, COMMON, END
};
static const struct option_row check_options[] = {
    { 0, "fail-if-empty", NULL, "exit code 1 when there is no new mail" },
    { 0, "no-progress", NULL, "no lines that are repainted" },
    VERBOSE, JSON, COMMON, END
};
static const struct option_row probe_options[] = { SERVER, VERBOSE, COMMON, END };
static const struct option_row seen_options[] = { VERBOSE, JSON, COMMON, END };
static const struct option_row import_options[] = {
    { 'f', "format", "NAME", "fetchmail, getmail, mpop, thunderbird or restante; default: a guess" },
    { 'a', "all-accounts", NULL, "take entries of other users and hosts too" },
    COMMON, END
};
static const struct option_row show_options[] = {
    { 0, "changed", NULL, "only what differs from the defaults" },
    { 0, "defaults", NULL, "the defaults; no file is read" },
    COMMON, END
};
static const struct option_row describe_options[] = {
    { 0, "man", NULL, "as source for the manual page" }, COMMON, END
};
static const struct option_row confcheck_options[] = {
    { 'q', "quiet", NULL, "say nothing when there is no fault" }, COMMON, END
};
static const struct option_row cli_top_options[] = { { 'V', "version", NULL, "print the version" }, COMMON, END };

const struct verb cli_commands[] = {
    { "fetch", "", "[ACCOUNT|URL]...", 0, ARGS_WORDS, fetch_options, cmd_fetch,
      "fetch new mail; without a command too",
      "URL: pops://user@host, with --deliver. A password is asked for, or --password-command prints it.\n"
      "Exit codes: 0 nothing left undone, 64 usage, 69 no connection, 74 disk, 75 try again, 76 protocol,\n"
      "77 login or certificate refused, 78 configuration." },
    { "check", "", "[ACCOUNT]...", 0, ARGS_WORDS, check_options, cmd_check,
      "tell whether there is new mail; changes nothing", NULL },
    { "status", "", "[ACCOUNT]...", 0, ARGS_WORDS, json_options, cmd_status,
      "tell how the last runs went; no connection",
      "Exit code 1 when the last run of one of them failed." },
    { "verify", "", "[ACCOUNT]...", 0, ARGS_WORDS, json_options, cmd_verify,
      "compare stored mail with what was received",
      "Mail that was moved, changed by its reader or deleted counts as moved. Exit code 65: octets differ." },
    { "probe", "", "ACCOUNT|HOST|URL", 1, 1, probe_options, cmd_probe,
      "show what a server can do, and its certificate",
      "An account logs in; a host is only greeted." },
    { "mark-seen", "", "ACCOUNT...", 1, ARGS_WORDS, seen_options, cmd_mark_seen,
      "take what is there now for known; fetch nothing", NULL },
    { "state", "show", "ACCOUNT", 1, 1, json_options, cmd_state_show, "list what is known about messages", NULL },
    { "state", "export", "ACCOUNT", 1, 1, plain_options, cmd_state_export, "print the journal as text", NULL },
    { "state", "import", "ACCOUNT FILE", 2, 2, import_options, cmd_state_import,
      "take over what another program fetched",
      "FILE is .fetchids, an oldmail-... file, a uidls file, popstate.dat, or text of \"state export\"." },
    { "state", "forget", "ACCOUNT UID...", 2, ARGS_WORDS, plain_options, cmd_state_forget,
      "forget messages: they are fetched again", NULL },
    { "state", "salvage", "ACCOUNT", 1, 1, plain_options, cmd_state_salvage,
      "save what can be read of a damaged journal", NULL },
    { "config", "check", "[FILE]", 0, 1, confcheck_options, cmd_config_check, "find all faults of a configuration",
      NULL },
    { "config", "show", "", 0, 0, show_options, cmd_config_show, "show every setting with its value",
      "Secrets are not shown." },
    { "config", "example", "", 0, 0, plain_options, cmd_config_example, "print a file to begin with", NULL },
    { "config", "describe", "", 0, 0, describe_options, cmd_config_describe, "list all settings", NULL },
    { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL },
};
/* clang-format on */

static const struct verb_set commands = { "restante", cli_commands, cli_top_options };

static int help_top(const struct cli *cli)
{
    struct buf out = BUF(65536);
    bool ok = buf_put_str(&out, "Usage: restante [COMMAND] [OPTION]... [ACCOUNT|URL]...\n\n") &&
              verb_put_list(&commands, &out) &&
              buf_printf(&out,
                         "\n\"restante help COMMAND\" tells more. Manual: restante(1), restante-config(5).\n"
                         "Configuration: %.60s\n",
                         cli->conf_path);

    return cli_print(&out, ok);
}

static int help_command(const struct verb *c)
{
    struct buf out = BUF(65536);

    return cli_print(&out, verb_put_help(&commands, c, &out));
}

/* "state" or "config" with a wrong second word; 0 when the first word begins no such command. */
static int half_command(const struct args *args)
{
    const char *group = args->nwords ? args->words[0] : "", *second = args->nwords > 1 ? args->words[1] : "";
    struct near near = near_begin(second);
    struct buf names = BUF(400);
    int code = 0;

    for (const struct verb *c = cli_commands; c->group && *second; c++)
        if (*c->name && strcmp(c->group, group) == 0)
            near_try(&near, c->name);
    if (*second && near.best)
        code = cli_fail(EX_USAGE, "unknown command \"%s %.60s\"; did you mean \"%s\"?", group, second, near.best);
    else if (verb_put_names(&commands, group, &names) && names.n)
        code = cli_fail(EX_USAGE, "%s: choose %.*s; see --help", group, (int)names.n, (const char *)names.p);
    buf_free(&names);
    return code;
}

/* -vv and a second -v become --trace; the value of an option is no such thing. */
static void spell_out(char **argv)
{
    int verbose = 0;

    for (char **word = argv; *word && strcmp(*word, "--") != 0; word++) {
        verbose += strcmp(*word, "-v") == 0;
        if (strcmp(*word, "-vv") == 0 || (strcmp(*word, "-v") == 0 && verbose == 2))
            *word = (char *)(uintptr_t) "--trace";
    }
}

static int run_command(struct cli *cli, const struct verb *c, char **argv)
{
    struct args *args = &cli->args;
    struct err e;

    if (!verb_take(&commands, c, argv, args, &e))
        return cli_fail(EX_USAGE, "%s", e.text);
    if (args_get(args, "config")) {
        free(cli->conf_path);
        cli->conf_path = mem_str(args_get(args, "config"));
        cli->conf_given = true;
    }
    cli->json = args_get(args, "json") != NULL;
    cli->quiet = args_get(args, "quiet") != NULL;
    cli->verbose = args_get(args, "trace") ? 2 : args_get(args, "verbose") != NULL;
    return c->run(cli);
}

static int run(struct cli *cli, char **argv)
{
    struct option_row all[ARGS_OPTIONS + 1];
    const struct verb *c;
    struct args *args = &cli->args;
    struct err e;
    int code;
    bool help;

    spell_out(argv);
    if (!verb_scan(&commands, argv, args, all, &e))
        return cli_fail(EX_USAGE, "%s", e.text);
    if (args_get(args, "version")) {
        printf("restante %s\n", RESTANTE_VERSION);
        return EX_OK;
    }
    help = args_get(args, "help") != NULL;
    if (args->nwords && strcmp(args->words[0], "help") == 0) {
        help = true;
        args->nwords--;
        memmove(args->words, args->words + 1, (size_t)args->nwords * sizeof *args->words);
    }
    c = verb_find(&commands, args);
    if (!c && (code = half_command(args)) != 0)
        return code;
    if (help && c)
        return help_command(c);
    if (help)
        return help_top(cli);
    return run_command(cli, c ? c : cli_commands, argv); /* the first row: fetch */
}

int main(int argc, char **argv)
{
    const char *env = getenv("RESTANTE_CONFIG");
    struct cli cli = { 0 };
    int code;

    (void)argc;
    sys_fill_descriptors();
    cli.conf_path = env && *env ? mem_str(env) : settings_default_file();
    cli.conf_given = env && *env;
    code = argv[0] ? run(&cli, argv + 1) : EX_USAGE;
    settings_free(&cli.settings);
    free(cli.conf_path);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EX_OK)
        code = cli_fail(EX_IOERR, "standard output cannot be written");
    return code;
}
