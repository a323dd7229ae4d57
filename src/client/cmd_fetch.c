/* cmd_fetch.c - restante fetch, check, probe and mark-seen: accounts, options, and a run.
 * Does not know: how a run goes (run.h).
 */
#include "client/cli.h"
#include "client/credentials.h"
#include "client/run.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    NAME_MOST = 64,
    NAME_PLAIN = NAME_MOST - 17, /* what a name keeps beside "-" and 16 digits */
    PAIRS = 32,
    PROBE_MAX = 1024 * 1024,
    LINE_COLUMNS = 2000,
    SECRET_MAX = 64 * 1024
};

/* Options that are settings of an account that a URL makes. */
static const char *const pair_options[] = { "deliver",       "keep",  "user", "password-command",
                                            "password-file", "auth",  "tls",  "ca-file",
                                            "pin",           "verify" };

static bool may_stand_in_name(uint8_t c)
{
    return ascii_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c && strchr("._-", c));
}

/* FNV-1a: tells texts apart that look alike once they are cut to a name. */
static uint64_t fold(const char *text)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (; *text; text++)
        sum = (sum ^ (uint8_t)*text) * 0x100000001b3;
    return sum;
}

/* A name for the journal of a URL's account: USER_HOST, with the port when it is neither 995 nor 110. The same mailbox
 * has the same one, and no other has it: what a journal calls stored may be deleted on the server. */
static void name_of_url(const char *url, const char *user, char name[NAME_MOST + 1])
{
    struct pop_url parsed;
    char text[600], port[8] = "";
    bool exact;
    size_t n = 0;

    if (!pop_url_parse(url, &parsed, NULL))
        parsed = (struct pop_url){ .host = "url" };
    exact = !strchr(parsed.host, '_'); /* it stands between user and host */
    if (parsed.has_port && parsed.port != 995 && parsed.port != 110)
        snprintf(port, sizeof port, "_%u", parsed.port);
    snprintf(text, sizeof text, "%s_%s%s", parsed.has_user ? parsed.user : user ? user : "", parsed.host, port);
    for (const char *c = text; *c && n < NAME_MOST; c++) {
        bool good = may_stand_in_name((uint8_t)*c) && (n || *c != '.');

        exact = exact && good;
        name[n++] = good ? *c : '_';
    }
    name[n] = '\0';
    if (!exact || strlen(text) > NAME_MOST)
        snprintf(name + (n < NAME_PLAIN ? n : NAME_PLAIN), NAME_MOST + 1 - NAME_PLAIN, "-%016llx",
                 (unsigned long long)fold(text));
}

/* Adds an account for a URL. forced: pairs of this command, before the options. */
static int add_url(struct cli *cli, const char *url, const char *const *forced, const char **name)
{
    const char *pairs[PAIRS * 2 + 1], *user = args_get(&cli->args, "user");
    struct buf report = BUF(CLI_OUTPUT_MAX);
    char made[NAME_MOST + 1];
    size_t n = 0;
    bool ok;

    pairs[n++] = "server";
    pairs[n++] = url;
    for (; *forced; forced++)
        pairs[n++] = *forced;
    for (size_t i = 0; i < sizeof pair_options / sizeof *pair_options; i++) {
        const char *value = args_get(&cli->args, pair_options[i]);

        if (value) {
            pairs[n++] = pair_options[i];
            pairs[n++] = value;
        }
    }
    if (args_get(&cli->args, "plaintext-auth")) {
        pairs[n++] = "plaintext-auth";
        pairs[n++] = "yes";
    }
    pairs[n] = NULL;
    name_of_url(url, user, made);
    ok = settings_add(cli->settings, made, pairs, &report);
    if (report.n && (!ok || !cli->quiet))
        fprintf(stderr, "restante: %.*s", (int)report.n, (const char *)report.p);
    buf_free(&report);
    if (ok)
        *name = cli->settings->account[cli->settings->naccount - 1].name;
    return ok ? EX_OK : EX_CONFIG;
}

static bool has_url(const struct cli *cli)
{
    for (int i = 0; i < cli->args.nwords; i++)
        if (strstr(cli->args.words[i], "://"))
            return true;
    return false;
}

/* Settings, with an account for each URL among the words, whose place its name takes. */
static int prepare(struct cli *cli)
{
    static const char *const nothing[] = { NULL };
    bool url = has_url(cli);
    int code = cli_settings(cli, url);

    for (size_t i = 0; code == EX_OK && !url && i < sizeof pair_options / sizeof *pair_options; i++)
        if (args_get(&cli->args, pair_options[i]))
            code = cli_fail(EX_USAGE, "--%s goes with a URL; accounts have it in %s", pair_options[i],
                            cli->conf_path);
    for (int i = 0; i < cli->args.nwords && code == EX_OK; i++)
        if (strstr(cli->args.words[i], "://"))
            code = add_url(cli, cli->args.words[i], nothing, &cli->args.words[i]);
    return code;
}

static bool may_color(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static struct ui *make_ui(const struct cli *cli, uint32_t accounts)
{
    const char *term = getenv("TERM");
    struct ui_options options = {
        .json = cli->json,
        .quiet = cli->quiet,
        .verbose = cli->verbose,
        .color = may_color(STDOUT_FILENO),
        .progress = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0) &&
                    !args_get(&cli->args, "no-progress"),
    };

    return ui_new(&options, accounts);
}

/* Passwords from the keyboard, before the run paints lines and while no server waits; a daemon has them from then on.
 * Where there is no terminal the run itself tells it, account by account. */
static int ask_passwords(struct cli *cli, const struct account *const *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct account *a = &cli->settings->account[v[i] - cli->settings->account];
        struct buf secret = BUF(SECRET_MAX);
        struct err e = { 0 };

        if (!credentials_asks(a))
            continue;
        if (credentials_password(a, &secret, &e)) {
            free(a->password);
            a->password = mem_strn(buf_span(&secret));
        }
        buf_wipe(&secret);
        if (e.fault == FAULT_BAD)
            return cli_fail(EX_NOPERM, "%s: %s", a->name, e.text);
    }
    return EX_OK;
}

/* Runs the accounts that the words name; settings are there. */
static int go(struct cli *cli, struct run_options *options)
{
    const struct account **v = NULL;
    uint32_t n = 0;
    struct ui *ui;
    int code = cli_accounts(cli, &v, &n);

    if (code != EX_OK)
        return code;
    if (options->mode != RUN_PROBE || options->login)
        code = ask_passwords(cli, v, n);
    if (code != EX_OK) {
        free(v);
        return code;
    }
    options->trace = cli->verbose >= 2;
    ui = make_ui(cli, n);
    code = run_accounts(cli->settings, v, n, options, ui);
    if (code == EX_OK && args_get(&cli->args, "fail-if-empty") && ui_news(ui) == 0)
        code = CLI_EMPTY;
    ui_free(&ui);
    free(v);
    return code;
}

int cmd_fetch(struct cli *cli)
{
    struct run_options options = {
        .mode = args_get(&cli->args, "dry-run") ? RUN_DRY : RUN_FETCH,
        .daemon = args_get(&cli->args, "daemon") != NULL,
        .retry_quarantined = args_get(&cli->args, "retry") != NULL,
    };
    int code;

    if (options.daemon && options.mode == RUN_DRY)
        return cli_fail(EX_USAGE, "--dry-run and --daemon contradict each other");
    code = prepare(cli);
    if (code != EX_OK)
        return code;
    for (uint32_t i = 0; i < cli->settings->naccount && args_get(&cli->args, "keep-all"); i++)
        cli->settings->account[i].keep = (struct keep){ .kind = KEEP_ALL };
    return go(cli, &options);
}

int cmd_check(struct cli *cli)
{
    struct run_options options = { .mode = RUN_CHECK };
    int code = prepare(cli);

    return code == EX_OK ? go(cli, &options) : code;
}

int cmd_mark_seen(struct cli *cli)
{
    struct run_options options = { .mode = RUN_MARK_SEEN };
    int code = prepare(cli);

    return code == EX_OK ? go(cli, &options) : code;
}

/* The report of a server is cleaned line by line. */
static int print_probe(struct buf *text)
{
    struct buf out = BUF(CLI_OUTPUT_MAX);
    struct span rest = buf_span(text);
    bool ok = true;

    while (rest.n && ok) {
        struct span line = span_until(&rest, '\n');

        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        text_put_clean(&out, line, LINE_COLUMNS);
        ok = buf_put_str(&out, "\n");
    }
    buf_free(text);
    return cli_print(&out, ok);
}

int cmd_probe(struct cli *cli)
{
    /* Nobody logs in and nothing is stored, but an account has a user and a destination. */
    static const char *const stranger[] = { "user", "nobody", "deliver", "command:false", NULL };
    static const char *const nameless[] = { "deliver", "command:false", NULL };
    struct buf text = BUF(PROBE_MAX);
    struct run_options options = { .mode = RUN_PROBE, .probe = &text };
    const char **word = &cli->args.words[0];
    struct pop_url url;
    int code = cli_settings(cli, true), printed;

    if (code != EX_OK)
        return code;
    options.login = settings_find(cli->settings, *word) != NULL;
    if (!options.login) {
        bool has_user = pop_url_parse(*word, &url, NULL) && url.has_user;

        code = add_url(cli, *word, has_user ? nameless : stranger, word);
    }
    if (code != EX_OK)
        return code;
    code = go(cli, &options);
    printed = print_probe(&text);
    return code ? code : printed;
}
