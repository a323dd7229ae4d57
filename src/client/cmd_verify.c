/* cmd_verify.c - restante verify: is what was stored still what was received?
 * Does not know: how a destination compares (sink.h).
 */
#include "client/cli.h"
#include "client/destination.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_COLUMNS = 200 };

struct verify {
    const struct account *a;
    struct sink *sink;
    uint64_t good, moved, differ, elsewhere, unread;
};

static bool verify_one(void *ctx, const struct entry *entry)
{
    struct verify *v = ctx;
    struct buf name = BUF(NAME_COLUMNS * 4);
    struct err e = { 0 };

    if (strcmp(entry->dest, v->a->deliver) != 0) {
        v->elsewhere++;
    } else if (sink_verify(v->sink, entry, &e)) {
        v->good++;
    } else if (e.fault == FAULT_GONE) {
        v->moved++;
    } else {
        v->differ += e.fault == FAULT_BAD;
        v->unread += e.fault != FAULT_BAD;
        text_put_clean(&name, span_str(entry->name), NAME_COLUMNS);
        cli_fail(0, "%s: %.*s: %s", v->a->name, (int)name.n, (const char *)name.p, e.text);
    }
    buf_free(&name);
    return true;
}

static bool open_sink(struct cli *cli, struct verify *v, struct err *e)
{
    struct destination d = { v->a, v->a->host, cli->settings->state_dir, NULL, NULL };

    return destination_open(&d, &v->sink, e);
}

static bool put_result(const struct cli *cli, const struct verify *v, struct buf *out)
{
    bool first = true;

    if (!cli->json)
        return buf_printf(out, "%s: %llu as received, %llu moved or deleted, %llu differ", v->a->name,
                          (unsigned long long)v->good, (unsigned long long)v->moved,
                          (unsigned long long)v->differ) &&
               (!v->elsewhere ||
                buf_printf(out, ", %llu at an earlier destination", (unsigned long long)v->elsewhere)) &&
               (!v->unread || buf_printf(out, ", %llu cannot be read", (unsigned long long)v->unread)) &&
               buf_put_str(out, "\n");
    return buf_put_str(out, "{") && json_key(out, &first, "account") && json_put(out, span_str(v->a->name)) &&
           json_key(out, &first, "good") && buf_printf(out, "%llu", (unsigned long long)v->good) &&
           json_key(out, &first, "moved") && buf_printf(out, "%llu", (unsigned long long)v->moved) &&
           json_key(out, &first, "differ") && buf_printf(out, "%llu", (unsigned long long)v->differ) &&
           json_key(out, &first, "unread") && buf_printf(out, "%llu", (unsigned long long)v->unread) &&
           json_key(out, &first, "elsewhere") && buf_printf(out, "%llu", (unsigned long long)v->elsewhere) &&
           buf_put_str(out, "}\n");
}

static int verify_account(struct cli *cli, const struct account *a, struct buf *out, bool *ok)
{
    struct verify v = { .a = a };
    struct journal *j;
    struct err e = { 0 };
    int code = EX_OK;

    if (a->sink != SINK_MAILDIR && a->sink != SINK_MBOX)
        return cli_fail(EX_OK, "%s: what went to %s cannot be looked at again", a->name, a->deliver);
    if (!journal_open(cli->settings->state_dir, a->name, true, &j, &e))
        return e.fault == FAULT_GONE ? cli_fail(EX_OK, "%s: was never fetched", a->name) : cli_fail_err(&e);
    if (!open_sink(cli, &v, &e) ||
        !journal_each(j, ENTRY_BIT(ENTRY_STORED) | ENTRY_BIT(ENTRY_DELE_SENT) | ENTRY_BIT(ENTRY_GONE), verify_one,
                      &v, &e))
        code = cli_fail_err(&e);
    else
        *ok = put_result(cli, &v, out);
    if (v.sink)
        sink_close(&v.sink);
    journal_close(&j);
    return code ? code : v.differ ? EX_DATAERR : v.unread ? EX_NOPERM : EX_OK;
}

int cmd_verify(struct cli *cli)
{
    struct buf out = BUF(CLI_OUTPUT_MAX);
    const struct account **v = NULL;
    uint32_t n = 0;
    bool ok = true;
    int code = cli_settings(cli, false), printed;

    if (code == EX_OK)
        code = cli_accounts(cli, &v, &n);
    for (uint32_t i = 0; i < n && ok; i++) {
        int one = verify_account(cli, v[i], &out, &ok);

        code = code ? code : one;
    }
    free(v);
    printed = cli_print(&out, ok);
    return code ? code : printed;
}
