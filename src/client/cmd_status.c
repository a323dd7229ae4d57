/* cmd_status.c - restante status: how the last runs of accounts went, from their journals. No connection is made.
 * Does not know: how journals are kept.
 */
#include "client/cli.h"
#include "client/journal.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

enum { FACT_MAX = 4096, CELL = 60, ERROR_CELL = 40, NS = 1000000000 };

struct account_status {
    int64_t last_success, last_try, last_new, last_code, failures;
    uint64_t counts[ENTRY_QUARANTINED + 1], octets;
    struct buf error;
    bool never;
};

/* "3 min ago" */
static void ago(int64_t at, char *text, size_t room)
{
    int64_t s = clock_real_ns() / NS - at;

    if (at == 0)
        snprintf(text, room, "never");
    else if (s < 120)
        snprintf(text, room, "%lld s ago", (long long)(s < 0 ? 0 : s));
    else if (s < 7200)
        snprintf(text, room, "%lld min ago", (long long)s / 60);
    else if (s < 172800)
        snprintf(text, room, "%lld h ago", (long long)s / 3600);
    else
        snprintf(text, room, "%lld days ago", (long long)s / 86400);
}

static bool look(struct cli *cli, const struct account *a, struct account_status *st, struct err *e)
{
    struct journal *j;
    bool ok;

    *st = (struct account_status){ .error = BUF(FACT_MAX) };
    if (!journal_open(cli->settings->state_dir, a->name, true, &j, e)) {
        st->never = e->fault == FAULT_GONE;
        return st->never;
    }
    st->last_success = journal_fact_number(j, "last_success");
    st->last_try = journal_fact_number(j, "last_try");
    st->last_new = journal_fact_number(j, "last_new");
    st->last_code = journal_fact_number(j, "last_code");
    st->failures = journal_fact_number(j, "failures");
    st->never = st->last_try == 0;
    ok = journal_fact(j, "last_error", &st->error, e) && journal_count(j, st->counts, &st->octets, e);
    journal_close(&j);
    return ok;
}

static void add_number(struct grid *t, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    grid_add(t, span_str(text), CELL);
}

static void add_row(struct grid *t, const struct account *a, const struct account_status *st)
{
    char text[64];

    grid_add(t, span_str(a->name), CELL);
    ago(st->last_success, text, sizeof text);
    grid_add(t, span_str(text), CELL);
    add_number(t, (uint64_t)st->last_new);
    add_number(t, st->counts[ENTRY_STORED] + st->counts[ENTRY_SEEN]);
    add_number(t, st->counts[ENTRY_DELE_SENT]);
    add_number(t, st->counts[ENTRY_QUARANTINED]);
    grid_add(t, st->last_code ? buf_span(&st->error) : span_str("-"), ERROR_CELL);
}

static bool put_time(struct buf *out, bool *first, const char *name, int64_t at)
{
    return json_key(out, first, name) && (at ? buf_printf(out, "%lld", (long long)at) : buf_put_str(out, "null"));
}

static bool put_number(struct buf *out, bool *first, const char *name, uint64_t n)
{
    return json_key(out, first, name) && buf_printf(out, "%llu", (unsigned long long)n);
}

static bool put_json(struct buf *out, const struct account *a, const struct account_status *st)
{
    bool first = true;

    return buf_put_str(out, "{") && json_key(out, &first, "account") && json_put(out, span_str(a->name)) &&
           put_time(out, &first, "last_success", st->last_success) &&
           put_time(out, &first, "last_try", st->last_try) &&
           put_number(out, &first, "last_exit", (uint64_t)st->last_code) &&
           put_number(out, &first, "failures", (uint64_t)st->failures) &&
           put_number(out, &first, "last_new", (uint64_t)st->last_new) &&
           put_number(out, &first, "stored", st->counts[ENTRY_STORED]) &&
           put_number(out, &first, "seen", st->counts[ENTRY_SEEN]) &&
           put_number(out, &first, "pending_deletes", st->counts[ENTRY_DELE_SENT]) &&
           put_number(out, &first, "quarantined", st->counts[ENTRY_QUARANTINED]) &&
           put_number(out, &first, "octets", st->octets) && json_key(out, &first, "last_error") &&
           json_put(out, buf_span(&st->error)) && buf_put_str(out, "}\n");
}

int cmd_status(struct cli *cli)
{
    static const char *const heads[] = { "ACCOUNT",  "LAST SUCCESS", ">NEW",       ">KNOWN",
                                         ">PENDING", ">QUARANTINED", "LAST ERROR", NULL };
    struct grid table = { heads, NULL, 0 };
    struct buf out = BUF(CLI_OUTPUT_MAX);
    const struct account **v = NULL;
    bool ok = true, healthy = true;
    uint32_t n = 0;
    int code = cli_settings(cli, false);

    if (code == EX_OK)
        code = cli_accounts(cli, &v, &n);
    if (code != EX_OK)
        return code;
    for (uint32_t i = 0; i < n && ok; i++) {
        struct account_status st;
        struct err e = { 0 };

        if (!look(cli, v[i], &st, &e)) {
            cli_fail_err(&e);
            healthy = false;
            buf_free(&st.error);
            continue;
        }
        healthy = healthy && st.last_code == 0;
        if (cli->json)
            ok = put_json(&out, v[i], &st);
        else
            add_row(&table, v[i], &st);
        buf_free(&st.error);
    }
    ok = ok && (cli->json || grid_put(&table, &out));
    grid_free(&table);
    free(v);
    code = cli_print(&out, ok);
    return code ? code : healthy ? EX_OK : CLI_EMPTY;
}
