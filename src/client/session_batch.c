/* session_batch.c - a batch of complete messages becomes durable: the heart of exactly-once.
 *
 *   1  content compared with the journal where identity is in doubt
 *   2  journal: INTENT with the final name of each message; commit
 *   3  sink: fsync, final place, fsync of directories
 *   4  journal: STORED, or DELE_SENT for those that are to be deleted; commit
 *
 * Only after step 4 does the loop ask for DELE. A crash before 2 leaves spool files that the next run removes; between 2
 * and 4 the next run looks for the name (sink_recover); after 4 nothing is open. Runs on a worker thread, which alone
 * has the journal then. Does not know: the connection.
 */
#include "client/session.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

enum { DAY = 86400 };

static int64_t now_s(void)
{
    return clock_real_ns() / 1000000000;
}

static void content_uid(struct parcel *p, const uint8_t digest[JOURNAL_DIGEST])
{
    memcpy(p->content_uid, "sha256:", 7);
    hex_put((uint8_t *)p->content_uid + 7, span_of(digest, JOURNAL_DIGEST));
    p->content_uid[7 + 2 * JOURNAL_DIGEST] = '\0';
}

/* The entry with this content that no other message of this listing is: the message is known. */
static bool find_same(struct session *s, struct parcel *p, struct entry *known, bool *found, struct err *e)
{
    int64_t after = 0;

    if (p->item.entry.id) { /* the very entry first: the unique-id was right, only the size was not */
        if (!journal_find_id(s->journal, p->item.entry.id, known, found, e))
            return false;
        if (*found && known->has_digest &&
            memcmp(known->wire_digest, p->item.entry.wire_digest, JOURNAL_DIGEST) == 0)
            return true;
    }
    do {
        if (!journal_find_digest(s->journal, p->item.entry.wire_digest, after, known, found, e))
            return false;
        after = *found ? known->id : 0;
    } while (*found && bits_has(&s->taken, (uint64_t)known->id));
    return true;
}

/* Known by its content: the journal follows the server's new name for it. */
static bool adopt(struct session *s, struct parcel *p, struct entry *known, struct err *e)
{
    struct entry *fresh = &p->item.entry;
    struct entry kept = *known;
    uint64_t age = (uint64_t)(now_s() - known->first_seen);
    const struct keep *keep = &s->account->keep;

    if (keep->kind == KEEP_DAYS && age >= (uint64_t)keep->days * DAY)
        p->remove = true;
    if (fresh->uid.n && known->id != fresh->id) {
        if (fresh->id && !journal_drop(s->journal, fresh->id, e))
            return false;
        kept.uid = fresh->uid;
        kept.nth = fresh->nth;
    }
    if (p->remove)
        kept.state = ENTRY_DELE_SENT;
    else if (kept.state == ENTRY_GONE || kept.state == ENTRY_DELE_SENT)
        kept.state = ENTRY_STORED;
    kept.has_size = fresh->has_size;
    kept.size = fresh->size;
    kept.absent_since = 0;
    kept.absent_listings = 0;
    p->same = true;
    bits_add(&s->taken, (uint64_t)kept.id);
    sink_discard(s->sink, &p->item);
    return journal_put(s->journal, &kept, e);
}

/* The old entry of this unique-id was another message: it keeps its memory under its content's name. */
static bool set_aside(struct session *s, struct parcel *p, struct err *e)
{
    struct entry old;
    bool found;

    if (!p->item.entry.id || !journal_find_id(s->journal, p->item.entry.id, &old, &found, e))
        return p->item.entry.id == 0;
    if (!found || !old.has_digest)
        return true;
    content_uid(p, old.wire_digest);
    p->item.entry.id = 0;
    return journal_rekey(s->journal, old.id, span_str(p->content_uid), (uint32_t)old.id, e);
}

static bool identify(struct session *s, struct parcel *p, struct err *e)
{
    struct entry known = { 0 };
    bool found = false;

    if (!find_same(s, p, &known, &found, e))
        return false;
    if (found)
        return adopt(s, p, &known, e);
    if (!set_aside(s, p, e))
        return false;
    if (p->item.entry.uid.n == 0) {
        content_uid(p, p->item.entry.wire_digest);
        p->item.entry.uid = span_str(p->content_uid);
        do { /* the same content once more in this maildrop */
            if (!journal_find(s->journal, p->item.entry.uid, p->item.entry.nth, &known, &found, e))
                return false;
            p->item.entry.nth += found ? 1 : 0;
        } while (found);
    }
    return true;
}

/* Step 2. What the journal knows already (an earlier failed try) is kept. */
static bool intend(struct session *s, struct parcel *p, struct err *e)
{
    struct entry *entry = &p->item.entry, old;
    bool found = false;

    if (entry->id && !journal_find_id(s->journal, entry->id, &old, &found, e))
        return false;
    if (found) {
        entry->first_seen = old.first_seen;
        entry->tries = old.tries;
    }
    entry->state = ENTRY_INTENT;
    snprintf(entry->dest, sizeof entry->dest, "%s", s->account->deliver);
    if (!journal_put(s->journal, entry, e))
        return false;
    bits_add(&s->taken, (uint64_t)entry->id);
    return true;
}

static bool steps_1_and_2(struct session *s, struct err *e)
{
    if (!journal_begin(s->journal, e))
        return false;
    for (struct parcel *p = s->batch.head; p; p = (struct parcel *)(void *)p->item.next) {
        if (!p->refused && p->check && !identify(s, p, e))
            return false;
        if (!p->refused && !p->same && !intend(s, p, e))
            return false;
    }
    return journal_commit(s->journal, e);
}

/* The sink gets a list of its own: those that are really new. */
static void step_3(struct session *s)
{
    struct sink_item *items = NULL, **tail = &items;
    struct parcel *all[SESSION_BATCH];
    size_t n = 0;

    for (struct parcel *p = s->batch.head; p && n < SESSION_BATCH; p = (struct parcel *)(void *)p->item.next)
        all[n++] = p;
    for (size_t i = 0; i < n; i++) {
        if (all[i]->refused || all[i]->same)
            continue;
        *tail = &all[i]->item;
        tail = &all[i]->item.next;
    }
    *tail = NULL;
    if (items)
        sink_commit(s->sink, items);
    parcels_init(&s->batch);
    for (size_t i = 0; i < n; i++)
        parcels_add(&s->batch, all[i]);
}

/* A try that failed counts against a message that is not stored yet. One that is stored (it was only to be compared)
 * keeps what the journal knows of it. */
static bool failed_try(struct session *s, struct parcel *p, struct err *e)
{
    struct entry *entry = &p->item.entry;
    struct entry old;
    bool found = false;

    if (entry->uid.n == 0) /* no name to remember it by */
        return true;
    if (entry->id && !journal_find_id(s->journal, entry->id, &old, &found, e))
        return false;
    if (found && !(ENTRY_BIT(old.state) & (ENTRY_BIT(ENTRY_INTENT) | ENTRY_BIT(ENTRY_QUARANTINED))))
        return true;
    if (found) {
        entry->tries = old.tries;
        entry->first_seen = old.first_seen;
    }
    if (p->item.result == SINK_REFUSED)
        entry->tries++;
    entry->name[0] = '\0';
    entry->note[0] = '\0';
    entry->state = entry->tries >= s->account->quarantine_after ? ENTRY_QUARANTINED : ENTRY_INTENT;
    snprintf(entry->why, sizeof entry->why, "%.*s", (int)sizeof entry->why - 1, p->item.err.text);
    return journal_put(s->journal, entry, e);
}

static bool outcome(struct session *s, struct parcel *p, struct err *e)
{
    struct entry *entry = &p->item.entry;

    if (p->same)
        return true;
    if (p->refused || p->item.result != SINK_DELIVERED)
        return failed_try(s, p, e);
    entry->state = p->remove ? ENTRY_DELE_SENT : ENTRY_STORED;
    entry->stored_at = now_s();
    entry->has_digest = true;
    entry->tries = 0;
    entry->why[0] = '\0';
    return journal_put(s->journal, entry, e);
}

static bool step_4(struct session *s, struct err *e)
{
    if (!journal_begin(s->journal, e))
        return false;
    for (struct parcel *p = s->batch.head; p; p = (struct parcel *)(void *)p->item.next)
        if (!outcome(s, p, e))
            return false;
    return journal_commit(s->journal, e);
}

void session_do_batch(struct session *s)
{
    struct err *e = &s->work_err;

    if (!steps_1_and_2(s, e)) {
        journal_rollback(s->journal);
        s->work_code = 74;
        for (struct parcel *p = s->batch.head; p; p = (struct parcel *)(void *)p->item.next)
            sink_discard(s->sink, &p->item);
        return;
    }
    step_3(s);
    if (!step_4(s, e)) {
        journal_rollback(s->journal);
        s->work_code = 74;
    }
}
