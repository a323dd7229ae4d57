/* cmd_state.c - restante state: journals shown, exported, imported, mended.
 * Does not know: formats (import.h), how journals are kept.
 */
#include "client/cli.h"
#include "client/import.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A unique-id is shown whole: "state forget" takes it. The longest has 70 octets (RFC 1939), our own 71. */
enum { CELL = 70, UID_CELL = 80, LIST_FLUSH = 65536, LIST_ROOM = 2 * LIST_FLUSH };

static bool account_journal(struct cli *cli, bool read_only, const struct account **a, struct journal **j,
                            int *code)
{
    struct err e;

    *code = cli_settings(cli, false);
    if (*code != EX_OK)
        return false;
    *a = cli_account(cli, cli->args.words[0]);
    if (!*a) {
        *code = EX_USAGE;
        return false;
    }
    if (journal_open(cli->settings->state_dir, (*a)->name, read_only, j, &e))
        return true;
    *code = e.fault == FAULT_GONE ? cli_fail(EX_NOINPUT, "account \"%s\" was never fetched", (*a)->name)
                                  : cli_fail_err(&e);
    return false;
}

int cmd_state_export(struct cli *cli)
{
    const struct account *a;
    struct journal *j;
    struct err e;
    int code;

    if (!account_journal(cli, true, &a, &j, &code))
        return code;
    if (!export_journal(j, a->name, STDOUT_FILENO, &e)) {
        code = cli_fail_err(&e);
        code = code == EX_TEMPFAIL ? EX_IOERR : code;
    }
    journal_close(&j);
    return code;
}

int cmd_state_import(struct cli *cli)
{
    const char *format = args_get(&cli->args, "format"), *file = cli->args.words[1];
    struct import_want want = { .format = IMPORT_GUESS, .file = file };
    struct buf report = BUF(CLI_OUTPUT_MAX);
    uint64_t added = 0, known = 0;
    const struct account *a;
    struct journal *j;
    int code;

    if (format && !import_format_find(format, &want.format))
        return cli_fail(EX_USAGE,
                        "unknown format \"%.40s\"; choose fetchmail, getmail, mpop, thunderbird or restante",
                        format);
    if (access(file, R_OK) != 0) /* no journal is begun for nothing */
        return cli_fail(EX_NOINPUT, "%s: %s", file, strerror(errno));
    if (!account_journal(cli, false, &a, &j, &code))
        return code;
    if (!args_get(&cli->args, "all-accounts")) {
        want.user = a->user;
        want.host = *a->host ? a->host : NULL;
    }
    if (import_file(j, file, &want, &added, &known, &report))
        printf("%s: %llu messages are known now, %llu were before\n", a->name, (unsigned long long)added,
               (unsigned long long)known);
    else
        code = want.fault == FAULT_TEMP ? EX_IOERR : want.fault == FAULT_PERM ? EX_NOPERM : EX_DATAERR;
    if (report.n)
        (void)fwrite(report.p, 1, report.n, stderr);
    buf_free(&report);
    journal_close(&j);
    return code;
}

struct list {
    struct grid table;
    struct buf *out; /* JSON */
    bool ok;
};

static bool list_flush(struct buf *out)
{
    bool ok = fwrite(out->p, 1, out->n, stdout) == out->n;

    out->n = 0;
    return ok;
}

static void add_number(struct grid *t, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    grid_add(t, span_str(text), CELL);
}

static bool list_json(struct buf *out, const struct entry *entry)
{
    bool first = true;

    return buf_put_str(out, "{") && json_key(out, &first, "state") &&
           json_put(out, span_str(entry_state_name(entry->state))) && json_key(out, &first, "uid") &&
           json_put(out, entry->uid) && json_key(out, &first, "nth") && buf_printf(out, "%u", entry->nth) &&
           json_key(out, &first, "octets") && buf_printf(out, "%llu", (unsigned long long)entry->octets) &&
           json_key(out, &first, "first_seen") && buf_printf(out, "%lld", (long long)entry->first_seen) &&
           json_key(out, &first, "stored_at") && buf_printf(out, "%lld", (long long)entry->stored_at) &&
           json_key(out, &first, "tries") && buf_printf(out, "%u", entry->tries) &&
           json_key(out, &first, "name") && json_put(out, span_str(entry->name)) && json_key(out, &first, "why") &&
           json_put(out, span_str(entry->why)) && buf_put_str(out, "}\n");
}

static bool list_one(void *ctx, const struct entry *entry)
{
    struct list *l = ctx;
    char day[32] = "-";
    time_t at = (time_t)(entry->stored_at ? entry->stored_at : entry->first_seen);
    struct tm tm;

    if (l->out)
        return l->ok = list_json(l->out, entry) && (l->out->n < LIST_FLUSH || list_flush(l->out));
    if (at && localtime_r(&at, &tm))
        strftime(day, sizeof day, "%Y-%m-%d %H:%M", &tm);
    grid_add(&l->table, span_str(entry_state_name(entry->state)), CELL);
    add_number(&l->table, entry->octets ? entry->octets : entry->size);
    grid_add(&l->table, span_str(day), CELL);
    grid_add(&l->table, entry->uid, UID_CELL);
    grid_add(&l->table, span_str(entry->why[0] ? entry->why : entry->name), CELL);
    return true;
}

int cmd_state_show(struct cli *cli)
{
    static const char *const heads[] = { "STATE", ">OCTETS", "SINCE", "UID", "FILE OR REASON", NULL };
    struct buf out = BUF(cli->json ? LIST_ROOM : CLI_OUTPUT_MAX);
    struct list l = {
        {heads, NULL, 0},
        cli->json ? &out : NULL, true
    };
    const struct account *a;
    struct journal *j;
    struct err e;
    int code;
    bool ok;

    if (!account_journal(cli, true, &a, &j, &code))
        return code;
    ok = journal_each(j, ~0u, list_one, &l, &e);
    journal_close(&j);
    if (!ok)
        code = cli_fail_err(&e);
    else if (!l.ok)
        code = cli_fail(EX_IOERR, "standard output cannot be written");
    else
        code = cli_print(&out, cli->json || grid_put(&l.table, &out));
    buf_free(&out);
    grid_free(&l.table);
    return code;
}

/* Entries with one of these unique-ids, whatever their occurrence. */
struct wanted {
    const char *const *uids;
    bool *is_known;
    int n;
    int64_t *ids;
    size_t found;
};

static bool collect(void *ctx, const struct entry *entry)
{
    struct wanted *w = ctx;

    for (int i = 0; i < w->n; i++) {
        if (!span_is(entry->uid, w->uids[i]))
            continue;
        w->is_known[i] = true;
        w->ids = mem_grow(w->ids, w->found + 1, sizeof *w->ids);
        w->ids[w->found++] = entry->id;
        break;
    }
    return true;
}

/* All of them or, when one is not known, none. */
static bool forget(struct journal *j, struct wanted *w, struct err *e)
{
    if (!journal_each(j, ~0u, collect, w, e))
        return false;
    for (int i = 0; i < w->n; i++)
        if (!w->is_known[i])
            return err_set(e, FAULT_GONE, "no message \"%.70s\" is known; \"restante state show\" lists them",
                           w->uids[i]);
    if (!journal_begin(j, e))
        return false;
    for (size_t i = 0; i < w->found; i++)
        if (!journal_drop(j, w->ids[i], e))
            return false;
    return journal_commit(j, e);
}

int cmd_state_forget(struct cli *cli)
{
    struct wanted w = { .uids = cli->args.words + 1, .n = cli->args.nwords - 1 };
    const struct account *a;
    struct journal *j;
    struct err e;
    int code;

    if (!account_journal(cli, false, &a, &j, &code))
        return code;
    w.is_known = mem_zero((size_t)w.n, sizeof *w.is_known);
    if (forget(j, &w, &e)) {
        printf("%s: %zu forgotten\n", a->name, w.found);
    } else {
        journal_rollback(j);
        code = cli_fail_err(&e);
    }
    free(w.is_known);
    free(w.ids);
    journal_close(&j);
    return code;
}

int cmd_state_salvage(struct cli *cli)
{
    const struct account *a;
    uint64_t rows = 0;
    struct err e;
    int code = cli_settings(cli, false);

    if (code != EX_OK)
        return code;
    a = cli_account(cli, cli->args.words[0]);
    if (!a)
        return EX_USAGE;
    if (!journal_salvage(cli->settings->state_dir, a->name, &rows, &e))
        return cli_fail_err(&e);
    printf("%s: %llu messages are known; the damaged journal lies beside the new one\n", a->name,
           (unsigned long long)rows);
    return EX_OK;
}
