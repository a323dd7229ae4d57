/* cli.c - messages, settings and accounts for the commands: see cli.h. */
#include "client/cli.h"

#include "base/text.h"
#include "conf/conf_near.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MESSAGE_MAX = 2048, MESSAGE_COLUMNS = 1000 };

int cli_fail(int code, const char *fmt, ...)
{
    struct buf clean = BUF(MESSAGE_MAX * 4);
    char text[MESSAGE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    text_put_clean(&clean, span_str(text), MESSAGE_COLUMNS);
    fprintf(stderr, "restante: %.*s\n", (int)clean.n, (const char *)clean.p);
    buf_free(&clean);
    return code;
}

int cli_fail_err(const struct err *e)
{
    static const int codes[FAULT_N] = {
        [FAULT_NONE] = EX_SOFTWARE,   [FAULT_TEMP] = EX_TEMPFAIL, [FAULT_PERM] = EX_NOPERM,
        [FAULT_IN_USE] = EX_TEMPFAIL, [FAULT_GONE] = EX_NOINPUT,  [FAULT_BAD] = EX_DATAERR,
    };

    return cli_fail(codes[e->fault], "%s", e->text);
}

int cli_print(struct buf *out, bool ok)
{
    int code = EX_OK;

    if (!ok)
        code = cli_fail(EX_SOFTWARE, "the output is too large");
    else if (out->n && fwrite(out->p, 1, out->n, stdout) != out->n)
        code = cli_fail(EX_IOERR, "standard output cannot be written");
    buf_free(out);
    return code;
}

/* Journals and spool files stay where they are whatever becomes of the working directory. */
static char *absolute(const char *dir)
{
    char *here = *dir == '/' ? NULL : realpath(".", NULL), *path = NULL;

    if (!here || asprintf(&path, "%s/%s", here, dir) < 0)
        path = mem_str(dir);
    free(here);
    return path;
}

int cli_settings(struct cli *cli, bool may_miss)
{
    const char *dir = args_get(&cli->args, "state-dir");
    struct buf report = BUF(CLI_OUTPUT_MAX);
    bool ok = true, none = access(cli->conf_path, F_OK) != 0;

    if (none && may_miss && !cli->conf_given)
        cli->settings = settings_new();
    else
        ok = settings_read(cli->conf_path, &cli->settings, &report);
    if (report.n && (!ok || !cli->quiet))
        (void)fwrite(report.p, 1, report.n, stderr);
    buf_free(&report);
    if (!ok && none)
        return cli_fail(EX_CONFIG, "\"restante config example\" prints a configuration to begin with");
    if (ok) {
        char *path = absolute(dir ? dir : cli->settings->state_dir);

        free(cli->settings->state_dir);
        cli->settings->state_dir = path;
    }
    return ok ? EX_OK : EX_CONFIG;
}

/* The account or command whose name is near. */
static const char *near_of(const struct cli *cli, const char *name)
{
    struct near near = near_begin(name);

    for (uint32_t i = 0; i < cli->settings->naccount; i++)
        near_try(&near, cli->settings->account[i].name);
    for (const struct verb *c = cli_commands; c->group; c++)
        near_try(&near, c->group);
    return near.best;
}

const struct account *cli_account(struct cli *cli, const char *name)
{
    const struct account *a = settings_find(cli->settings, name);
    const char *near = a ? NULL : near_of(cli, name);

    if (!a && near)
        cli_fail(EX_USAGE, "no account or command \"%.80s\"; did you mean \"%s\"?", name, near);
    else if (!a)
        cli_fail(EX_USAGE, "no account \"%.80s\" in %s; see --help for commands", name, cli->conf_path);
    return a;
}

int cli_accounts(struct cli *cli, const struct account ***v, uint32_t *n)
{
    const struct settings *s = cli->settings;
    uint32_t room = s->naccount + (uint32_t)cli->args.nwords;

    *v = mem_zero(room ? room : 1, sizeof **v);
    *n = 0;
    for (uint32_t i = 0; i < s->naccount && cli->args.nwords == 0; i++)
        if (s->account[i].enabled)
            (*v)[(*n)++] = &s->account[i];
    for (int i = 0; i < cli->args.nwords; i++) {
        const struct account *a = cli_account(cli, cli->args.words[i]);
        bool twice = false;

        if (!a) {
            free(*v);
            *v = NULL;
            return EX_USAGE;
        }
        for (uint32_t k = 0; k < *n; k++)
            twice = twice || (*v)[k] == a;
        if (!twice)
            (*v)[(*n)++] = a;
    }
    if (*n)
        return EX_OK;
    free(*v);
    *v = NULL;
    return cli_fail(EX_CONFIG, "no account is enabled in %s; \"restante config example\" shows one",
                    cli->conf_path);
}
