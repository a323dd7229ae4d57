/* session_work.c - the pieces of work that wait: opening, planning, closing. Run on a worker thread, one at a time.
 * Does not know: the connection.
 */
#include "client/session.h"

#include "base/clock.h"
#include "base/num.h"
#include "client/credentials.h"
#include "client/destination.h"

#include <stdio.h>
#include <stdlib.h>

static void run_work(uv_work_t *work)
{
    struct session *s = work->data;

    s->work_do(s);
}

static void work_over(uv_work_t *work, int status)
{
    struct session *s = work->data;

    (void)status;
    s->working = false;
    s->work_after(s);
}

void session_work(struct session *s, session_step *work, session_step *after)
{
    s->work_do = work;
    s->work_after = after;
    s->work_err = (struct err){ 0 };
    s->work_code = 0;
    s->working = true;
    s->work.data = s;
    if (uv_queue_work(s->loop, &s->work, run_work, work_over) != 0)
        abort(); /* only for a NULL callback */
}

static bool failed(struct session *s, int code)
{
    s->work_code = code;
    return false;
}

static int code_of(const struct err *e)
{
    switch (e->fault) {
    case FAULT_IN_USE:
    case FAULT_TEMP:
        return 75;
    case FAULT_BAD:
        return 65;
    case FAULT_PERM:
        return 77;
    default:
        return 73;
    }
}

/* Persists what a sink must know after a crash before it goes on (mbox: where it begins to write). */
static bool note(void *ctx, struct sink_item *items, struct err *e)
{
    struct session *s = ctx;

    if (!journal_begin(s->journal, e))
        return false;
    for (struct sink_item *i = items; i; i = i->next)
        if (!journal_set_note(s->journal, i->entry.id, i->entry.note, e)) {
            journal_rollback(s->journal);
            return false;
        }
    return journal_commit(s->journal, e);
}

struct intents {
    struct entry *v;
    size_t n;
};

static bool collect(void *ctx, const struct entry *entry)
{
    struct intents *all = ctx;

    if (entry->name[0] == '\0' && entry->note[0] == '\0')
        return true; /* a failed try, nothing was begun */
    all->v = mem_grow(all->v, all->n + 1, sizeof *all->v);
    all->v[all->n] = *entry;
    all->v[all->n++].uid = span_of(NULL, 0); /* not needed, and not ours */
    return true;
}

/* Did this INTENT reach its place before the crash? Another destination by now: it is fetched again. */
static bool recover_one(struct session *s, struct entry *entry, struct err *e)
{
    struct entry row;
    bool known, stored = false;

    if (strcmp(entry->dest, s->account->deliver) == 0 && !sink_recover(s->sink, entry, &stored, e))
        return false;
    if (!journal_find_id(s->journal, entry->id, &row, &known, e) || !known)
        return known;
    if (!stored && row.tries == 0)
        return journal_drop(s->journal, row.id, e);
    if (!stored) {
        row.name[0] = row.note[0] = '\0';
        return journal_put(s->journal, &row, e);
    }
    entry->uid = row.uid;
    entry->state = ENTRY_STORED;
    entry->has_digest = true;
    entry->stored_at = clock_real_ns() / 1000000000;
    return journal_put(s->journal, entry, e);
}

static bool recover(struct session *s, struct err *e)
{
    struct intents all = { NULL, 0 };
    bool ok = journal_each(s->journal, ENTRY_BIT(ENTRY_INTENT), collect, &all, e);

    ok = ok && journal_begin(s->journal, e);
    for (size_t i = 0; ok && i < all.n; i++)
        ok = recover_one(s, &all.v[i], e);
    if (ok)
        ok = journal_commit(s->journal, e);
    else
        journal_rollback(s->journal);
    free(all.v);
    return ok && sink_sweep(s->sink, e);
}

static bool open_sink(struct session *s, struct err *e)
{
    struct destination d = { s->account, s->host, s->settings->state_dir, note, s };

    return destination_open(&d, &s->sink, e) || failed(s, e->fault == FAULT_PERM ? 77 : 73);
}

static bool credentials(struct session *s, struct err *e)
{
    const struct account *a = s->account;
    bool probe_only = s->options->mode == RUN_PROBE && !s->options->login;

    if (probe_only)
        return true;
    if (a->token_command && *a->token_command) {
        buf_wipe(&s->token);
        return credentials_token(a, s->fresh_token, &s->token, e) || failed(s, 77);
    }
    if (s->password.n || (a->auth && span_iis(span_str(a->auth), "EXTERNAL")))
        return true;
    return credentials_password(a, &s->password, e) || failed(s, 77);
}

void session_do_prepare(struct session *s)
{
    struct err *e = &s->work_err;

    if (!s->journal && s->options->mode != RUN_PROBE &&
        !journal_open(s->settings->state_dir, s->account->name, false, &s->journal, e)) {
        failed(s, code_of(e));
        return;
    }
    if (session_is_discovered(s) && !session_discover(s, e)) {
        s->work_code = s->work_code ? s->work_code : code_of(e);
        return;
    }
    session_recall_name(s);
    if (!credentials(s, e))
        return;
    if (s->options->mode == RUN_FETCH && !s->sink) {
        if (!open_sink(s, e))
            return;
        if (!recover(s, e))
            failed(s, 74);
    }
}

static void put_number_fact(struct session *s, const char *key, int64_t value)
{
    uint8_t digits[20];
    struct err e;

    journal_set_fact(s->journal, key, span_of(digits, num_put_u64(digits, (uint64_t)(value < 0 ? 0 : value))), &e);
}

/* The end of a run: facts for "status". */
void session_do_close(struct session *s)
{
    struct err e;
    int64_t now = clock_real_ns() / 1000000000;

    session_remember_name(s);
    if (s->journal && s->options->mode == RUN_FETCH && journal_begin(s->journal, &e)) {
        put_number_fact(s, "last_try", now);
        if (s->exit_code == 0)
            put_number_fact(s, "last_success", now);
        put_number_fact(s, "last_new", (int64_t)s->totals.fetched);
        put_number_fact(s, "last_code", s->exit_code);
        put_number_fact(s, "failures", s->exit_code ? journal_fact_number(s->journal, "failures") + 1 : 0);
        if (s->has_login_delay)
            put_number_fact(s, "login_delay", s->login_delay_s);
        journal_set_fact(s->journal, "last_error", span_str(s->why), &e);
        if (!journal_commit(s->journal, &e))
            journal_rollback(s->journal);
    }
    sink_close(&s->sink);
    journal_close(&s->journal);
}
