/* session_mail.c - the fetcher's packets become listings, spool files and orders. Does not know: disks that wait.
 *
 * The fetcher is not believed: a packet that does not fit what was asked ends the session (session_fail).
 */
#include "client/session.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

static void broken(struct session *s, const char *what)
{
    session_fail(s, 70, what);
    session_hang_up(s);
}

static void rows(struct session *s, struct span data)
{
    struct err e = { 0 };
    struct link_row row;

    while (data.n) {
        if (!link_row_take(&data, &row)) {
            broken(s, "the fetcher sent a malformed listing");
            return;
        }
        if (!(row.is_uid ? listing_uid(&s->listing, row.number, row.uid, &e)
                         : listing_size(&s->listing, row.number, row.has_size, row.size, &e))) {
            session_fail(s, 76, e.text);
            session_hang_up(s);
            return;
        }
    }
}

static struct parcel *parcel_new(struct session *s, uint32_t number)
{
    struct parcel *p = mem_zero(1, sizeof *p);
    struct listed *m = &s->listing.v[number];

    p->number = number;
    p->check = m->flags & L_CHECK;
    p->remove = m->flags & L_DELETE;
    p->item.fd = -1;
    p->item.entry.id = m->id;
    p->item.entry.uid = listing_uid_of(&s->listing, m);
    p->item.entry.first_seen = clock_real_ns() / 1000000000;
    p->item.entry.nth = m->nth;
    p->item.entry.has_size = m->flags & L_SIZE;
    p->item.entry.size = m->size;
    return p;
}

void session_drop_current(struct session *s)
{
    if (!s->current)
        return;
    if (s->sink)
        sink_discard(s->sink, &s->current->item);
    parcel_free(&s->current);
}

/* A message that was not received: counted against it when the work is done. */
static void refused_parcel(struct session *s, uint32_t number, struct span why)
{
    struct parcel *p = parcel_new(s, number);
    struct buf clean = BUF(sizeof p->item.err.text - 1);

    p->refused = true;
    p->item.result = SINK_REFUSED;
    p->item.err.fault = FAULT_BAD;
    text_put_clean(&clean, why, 160);
    if (clean.n)
        memcpy(p->item.err.text, clean.p, clean.n);
    buf_free(&clean);
    parcels_add(&s->done_parcels, p);
}

/* Storing is impossible now: nothing more is retrieved in this run; what is complete stays complete. */
static void sink_failed(struct session *s, const struct err *e)
{
    s->stop_fetching = s->tainted = true;
    session_fail(s, sink_code(s), e->text);
    session_drop_current(s);
    session_hang_up(s);
}

static bool open_parcel(struct session *s, uint32_t number)
{
    struct err e = { 0 };

    if (s->current)
        return s->current->number == number;
    s->current = parcel_new(s, number);
    sink_name(s->current->item.entry.name, s->account->name, &s->current->item.entry, ++s->name_seed);
    if (sink_spool(s->sink, &s->current->item, &e))
        return true;
    sink_failed(s, &e);
    return false;
}

static bool expected(struct session *s, uint32_t number)
{
    if (s->fifo_n && s->fifo[s->fifo_head] == number && s->sink)
        return true;
    broken(s, "the fetcher sent a message that was not asked for");
    return false;
}

static void answered(struct session *s)
{
    s->fifo_head = (s->fifo_head + 1) % SESSION_ORDERS;
    s->fifo_n--;
}

static void body(struct session *s, const struct link_msg *m)
{
    struct err e = { 0 };

    if (!expected(s, m->number))
        return;
    if (s->filter_number == m->number) { /* TOP: a filter looks at the beginning */
        if (m->data.n <= s->top.cap - s->top.n && !buf_put_span(&s->top, m->data))
            s->top.n = 0;
        return;
    }
    if (!open_parcel(s, m->number))
        return;
    s->totals.octets_now += m->data.n;
    ui_progress(s->ui, s->index, &s->totals);
    if (sink_write(s->sink, &s->current->item, m->data, &e))
        return;
    if (s->current->item.result == SINK_REFUSED) {
        refused_parcel(s, m->number, span_str(e.text));
        session_drop_current(s);
        s->retry_now = true; /* the rest of it is still on the line */
        session_hang_up(s);
    } else {
        sink_failed(s, &e);
    }
}

static void body_end(struct session *s, const struct link_msg *m)
{
    struct err e = { 0 };
    struct parcel *p;

    if (!expected(s, m->number))
        return;
    answered(s);
    if (s->filter_number == m->number) {
        s->filter_due = true;
        return;
    }
    if (!open_parcel(s, m->number))
        return;
    if (!sink_finish(s->sink, &s->current->item, &e)) {
        sink_failed(s, &e);
        return;
    }
    p = s->current;
    s->current = NULL;
    parcels_add(&s->done_parcels, p);
}

static void refused(struct session *s, const struct link_msg *m)
{
    if (m->number == 0 || m->number > s->listing.count) {
        broken(s, "the fetcher speaks of a message that is not there");
        return;
    }
    if (m->order == ORDER_DELE) {
        if (s->deletes_out)
            s->deletes_out--;
        session_note(s, false, "the server refused to delete a message; it is tried again next time");
        s->pending_code = 75;
        return;
    }
    if (!expected(s, m->number))
        return;
    answered(s);
    if (m->code == CODE_UTF8 && !s->asks_utf8) { /* in a session of its own, which says UTF8 */
        s->needs_utf8 = s->retry_now = true;
        s->listing.v[m->number].flags |= L_DONE;
        s->filter_number = s->filter_number == m->number ? 0 : s->filter_number;
        session_drop_current(s);
        return;
    }
    if (s->filter_number == m->number) { /* no TOP: fetch it */
        s->filter_number = 0;
        s->listing.v[m->number].action = ACT_FETCH;
        s->next = m->number < s->next ? m->number : s->next;
        return;
    }
    session_drop_current(s);
    refused_parcel(s, m->number, m->text);
    if (m->code == UINT8_MAX)
        s->retry_now = true;
}

/* Did the server refuse the name, or the password for it, of an account that is given by its mail address? */
static bool name_refused(const struct session *s, const struct link_msg *m)
{
    return s->account->user_guessed && (m->flags & LINKF_REPLY) &&
           (m->failure == FAILURE_AUTH || m->failure == FAILURE_NO_AUTH) &&
           !(s->account->token_command && *s->account->token_command);
}

static void why_of(struct session *s, const struct link_msg *m)
{
    const char *name = m->failure == FAILURE_CLIENT ? "" : dialog_failure_name((enum dialog_failure)m->failure);
    bool by_name = name_refused(s, m) && s->both_names;
    struct buf clean = BUF(sizeof s->why - 40);
    struct span text;
    int at = (int)strcspn(s->account->user, "@");
    size_t n;

    if (m->failure == FAILURE_NONE || s->why[0])
        return;
    text_put_clean(&clean, m->text, by_name ? 80 : 220);
    text = buf_span(&clean);
    snprintf(s->why, sizeof s->why, "%s%s%.*s", name, *name && text.n ? ": " : "", (int)text.n,
             text.n ? (const char *)text.p : "");
    n = strlen(s->why);
    if (by_name)
        snprintf(s->why + n, sizeof s->why - n, " (as \"%.60s\" and as \"%.*s\"; set user if it is another name)",
                 s->account->user, at < 60 ? at : 60, s->account->user);
    buf_free(&clean);
}

/* Ends that another attempt may mend at once: each way is tried once. */
static void another_way(struct session *s, const struct link_msg *m)
{
    bool is_absent = m->failure == FAILURE_CLOSED && !s->greeted, is_stranger = m->failure == FAILURE_TLS_POLICY;

    if (m->flags & LINKF_TOKEN_REJECTED && !s->fresh_token && s->account->token_command && *s->account->token_command)
        s->fresh_token = s->retry_now = true;
    if (m->failure == FAILURE_CLOSED && (m->flags & LINKF_AT_CAPA) && !s->without_capa && s->account->capa == CHOICE_AUTO)
        s->without_capa = s->retry_now = true; /* it hung up at CAPA: once more without */
    if (m->failure != FAILURE_NONE && m->code == CODE_UTF8 && !s->asks_utf8)
        s->needs_utf8 = s->retry_now = true;
    if ((is_absent || (is_stranger && s->remembered)) && session_other_server(s))
        s->retry_now = true;
    if (name_refused(s, m) && session_other_name(s))
        s->retry_now = true;
}

static void ended(struct session *s, const struct link_msg *m)
{
    s->quit_ok = m->flags & LINKF_OK;
    s->failure = m->failure;
    s->code = m->code;
    why_of(s, m);
    another_way(s, m);
    session_close_peer(s);
}

static void capabilities(struct session *s, const struct link_msg *m)
{
    uint8_t days[20];

    s->has_login_delay = m->flags & LINKC_LOGIN_DELAY;
    s->login_delay_s = m->number;
    if ((m->flags & LINKC_EXPIRE) && m->octets != UINT64_MAX && s->phase == SESSION_TALKING &&
        s->account->keep.kind != KEEP_NONE && (s->account->keep.kind != KEEP_DAYS || s->account->keep.days > m->octets) &&
        !s->probe && s->sessions == 1 && !s->expire_told) {
        char text[160];

        s->expire_told = true;
        snprintf(text, sizeof text, "the server removes mail by itself after %.*s days (EXPIRE); keep asks for longer",
                 (int)num_put_u64(days, m->octets), (const char *)days);
        session_note(s, false, text);
    }
    probe_line(s, "capabilities", m->text);
}

static void stat_came(struct session *s, const struct link_msg *m)
{
    struct err e = { 0 };

    ui_stage(s->ui, s->index, "listing");
    if (!listing_begin(&s->listing, m->number, m->octets, &e)) {
        session_fail(s, 76, e.text);
        session_hang_up(s);
    }
}

static void stages(struct session *s, const struct link_msg *m)
{
    switch (m->type) {
    case LINK_GREETING:
        s->greeted = true;
        ui_stage(s->ui, s->index, "logging in");
        probe_line(s, "greeting", m->text);
        break;
    case LINK_TLS:
        probe_line(s, "tls", m->text);
        probe_line(s, "certificate", m->data);
        break;
    case LINK_LOGGED_IN:
        s->name_worked = true;
        s->local_worked = s->local_name;
        s->listed = s->options->mode == RUN_PROBE;
        probe_line(s, "login", m->text);
        break;
    case LINK_TRACE:
        ui_trace(s->ui, s->index, m->flags & LINKF_SENT, m->text);
        break;
    default:
        break;
    }
}

void session_packet(struct session *s, const struct link_msg *m)
{
    if (s->phase != SESSION_TALKING)
        return;
    switch (m->type) {
    case LINK_CAPA:
        capabilities(s, m);
        return;
    case LINK_STAT:
        stat_came(s, m);
        return;
    case LINK_ROWS:
        rows(s, m->data);
        return;
    case LINK_READY:
        s->listed = true;
        return;
    case LINK_BODY:
        body(s, m);
        return;
    case LINK_BODY_END:
        body_end(s, m);
        return;
    case LINK_REFUSED:
        refused(s, m);
        return;
    case LINK_DELETED:
        if (s->deletes_out)
            s->deletes_out--;
        s->deleted_here++;
        return;
    case LINK_ENDED:
        ended(s, m);
        return;
    default:
        stages(s, m);
    }
}
