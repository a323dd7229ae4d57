/* session_pump.c - what can be done next in a session: orders out, batches to the disk, QUIT at the end.
 *
 * Called after everything that happens; does one thing if one can be done. Does not know: packets' layout.
 */
#include "client/session.h"

/* Storing failed: the exit code of a full disk, or of somebody else who said "later". */
int sink_code(const struct session *s)
{
    return s->account->sink == SINK_MAILDIR || s->account->sink == SINK_MBOX ? 74 : 75;
}

static void tell_order(struct session *s, enum dialog_order order, uint32_t number)
{
    struct link_msg m;

    link_init(&m, LINK_ORDER);
    m.order = (uint8_t)order;
    m.number = number;
    m.octets = s->listing.v[number].size;
    session_tell(s, &m);
}

static void ask(struct session *s, enum dialog_order order, uint32_t number)
{
    s->fifo[(s->fifo_head + s->fifo_n) % SESSION_ORDERS] = number;
    s->fifo_n++;
    tell_order(s, order, number);
}

/* The state is DELE_SENT in the journal: give_orders will say DELE when there is room. */
static void want_delete(struct session *s, uint32_t number)
{
    s->listing.v[number].action = ACT_DELETE;
    s->listing.v[number].flags &= (uint8_t)~L_DONE;
    s->next = number < s->next ? number : s->next;
    s->unconfirmed++;
}

static bool checkpoint(const struct session *s)
{
    return s->account->checkpoint_messages && s->fetched_here + s->fifo_n >= s->account->checkpoint_messages;
}

/* Gives orders while there is room; true when none is left to give. */
static bool give_orders(struct session *s)
{
    while (s->next <= s->listing.count && s->phase == SESSION_TALKING) {
        struct listed *m = &s->listing.v[s->next];
        bool fetch = (m->action == ACT_FETCH || m->action == ACT_FILTER) && !s->stop_fetching && !s->interrupted;

        if (m->flags & L_DONE) {
            s->next++;
            continue;
        }
        if (fetch && checkpoint(s)) {
            s->next = s->listing.count + 1;
            s->retry_now = true;
            break;
        }
        if ((fetch || m->action == ACT_DELETE) && s->fifo_n + s->deletes_out >= SESSION_ORDERS)
            return false;
        if (fetch && (s->done_parcels.n >= SESSION_WAITING || s->filter_number))
            return false;
        if (m->action == ACT_DELETE) {
            m->flags |= L_DONE;
            s->deletes_out++;
            tell_order(s, ORDER_DELE, s->next);
        } else if (fetch && m->action == ACT_FILTER) {
            s->filter_number = s->next;
            s->top.n = 0;
            ask(s, ORDER_TOP, s->next);
            return false;
        } else if (fetch) {
            m->flags |= L_DONE;
            ask(s, ORDER_RETR, s->next);
        }
        s->next++;
    }
    return true;
}

static bool sink_exact(const struct session *s)
{
    return s->sink && sink_is_exact(s->sink);
}

/* Group commit: a batch starts when the one before is durable and enough has come, or no more is coming. */
static bool batch_due(const struct session *s)
{
    uint32_t n = s->done_parcels.n;

    return n > 0 && (n >= SESSION_BATCH_MIN || s->fifo_n == 0 || s->phase != SESSION_TALKING || !sink_exact(s));
}

/* What became of one message, for totals and people. */
static void settle(struct session *s, const struct parcel *p)
{
    const struct entry *entry = &p->item.entry;

    if (p->same) {
        s->totals.kept += p->remove ? 0 : 1;
        return;
    }
    if (!p->refused && p->item.result == SINK_DELIVERED && !s->work_err.text[0]) {
        s->totals.fetched++;
        s->totals.fetched_octets += entry->octets;
        s->fetched_here++;
        ui_message(s->ui, s->index, "stored", entry->uid, entry->octets, entry->name);
        return;
    }
    s->totals.failed++;
    if (entry->id)
        bits_add(&s->failed_ids, (uint64_t)entry->id);
    else
        bits_add(&s->failed_numbers, p->number);
    if (entry->state == ENTRY_QUARANTINED)
        s->totals.quarantined++;
    ui_message(s->ui, s->index, entry->state == ENTRY_QUARANTINED ? "quarantined" : "failed", entry->uid, entry->size,
               p->item.err.text);
    if (!p->refused)
        s->tainted = true; /* retrieved and not durable */
    if (!p->refused && p->item.result != SINK_REFUSED) {
        s->stop_fetching = true;
        session_fail(s, sink_code(s), p->item.err.text);
    }
}

static void after_batch(struct session *s)
{
    struct parcel *p;

    if (s->work_err.text[0]) {
        s->tainted = s->stop_fetching = true;
        session_fail(s, s->work_code, s->work_err.text);
    }
    while ((p = parcels_take(&s->batch))) {
        bool safe = !s->work_err.text[0] && (p->same || p->item.result == SINK_DELIVERED);

        settle(s, p);
        if (safe && p->remove)
            want_delete(s, p->number);
        parcel_free(&p);
    }
    ui_progress(s->ui, s->index, &s->totals);
    if (s->tainted && s->stop_fetching) { /* whoever says "later" is not offered the rest (XCL-04) */
        while ((p = parcels_take(&s->done_parcels))) {
            sink_discard(s->sink, &p->item);
            parcel_free(&p);
        }
        session_hang_up(s);
    }
    session_pump(s);
}

static void start_batch(struct session *s)
{
    uint32_t most = sink_exact(s) ? SESSION_BATCH : 1;
    struct parcel *p;

    parcels_init(&s->batch);
    while (s->batch.n < most && (p = parcels_take(&s->done_parcels)))
        parcels_add(&s->batch, p);
    session_work(s, session_do_batch, after_batch);
}

static void after_plan(struct session *s)
{
    if (s->work_err.text[0]) {
        session_fail(s, s->work_code, s->work_err.text);
        session_hang_up(s);
    } else {
        s->ready = true;
        s->next = s->options->mode == RUN_FETCH ? 1 : s->listing.count + 1;
        s->unconfirmed = s->sums.remove_now; /* the listing shows all that is not gone */
        if (!s->stop_fetching) {
            s->totals.new_messages = s->totals.fetched + s->totals.failed + s->sums.fetch;
            s->totals.new_octets = s->totals.fetched_octets + s->sums.fetch_octets;
        }
        if (s->plan_note[0])
            session_note(s, false, s->plan_note);
        s->totals.listed = s->listing.count;
        ui_stage(s->ui, s->index, s->sums.fetch ? "retrieving" : "");
    }
    ui_progress(s->ui, s->index, &s->totals);
    session_pump(s);
}

static void quit(struct session *s)
{
    struct link_msg m;

    if (s->tainted) { /* something retrieved is not durable: some servers would hide it after QUIT */
        session_hang_up(s);
        return;
    }
    link_init(&m, LINK_QUIT);
    s->quitting = true;
    session_tell(s, &m);
}

static void after_filter(struct session *s)
{
    struct listed *m = &s->listing.v[s->filter_number];

    if (s->work_err.text[0])
        session_note(s, true, s->work_err.text);
    m->action = s->filter_verdict == FILTER_FETCH ? ACT_FETCH : ACT_NONE;
    if (s->filter_verdict == FILTER_FETCH)
        s->next = s->filter_number;
    else if (s->filter_verdict == FILTER_DELETE)
        want_delete(s, s->filter_number);
    else
        s->sums.skip++;
    s->filter_number = 0;
    s->filter_due = false;
    session_pump(s);
}

static void talk(struct session *s)
{
    bool all_asked;

    if (!s->ready) {
        if (s->listed && s->options->mode == RUN_PROBE) {
            s->ready = true;
            s->next = s->listing.count + 1;
        } else if (s->listed) {
            session_work(s, session_do_plan, after_plan);
        }
        if (!s->ready)
            return;
    }
    if (s->filter_due) {
        session_work(s, session_do_filter, after_filter);
        return;
    }
    all_asked = give_orders(s);
    if (batch_due(s)) {
        start_batch(s);
        return;
    }
    session_read(s, s->done_parcels.n < SESSION_WAITING);
    if (all_asked && !s->quitting && s->fifo_n == 0 && s->done_parcels.n == 0 && s->deletes_out == 0 && !s->filter_number)
        quit(s);
}

void session_pump(struct session *s)
{
    if (s->working) { /* the journal is in use; packets may come until enough of them wait */
        if (s->phase == SESSION_TALKING && s->ready && !s->quitting)
            give_orders(s);
        if (s->phase == SESSION_TALKING)
            session_read(s, s->done_parcels.n < SESSION_WAITING);
        return;
    }
    if (s->phase == SESSION_TALKING) {
        talk(s);
        return;
    }
    if (s->phase != SESSION_CLOSING)
        return;
    session_drop_current(s);
    if (batch_due(s)) {
        start_batch(s);
        return;
    }
    if (!s->child_alive && !s->poll_open)
        session_closed(s);
}
