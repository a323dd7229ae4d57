/* session_plan.c - listing and journal become a plan; what the journal must know before the first order is committed.
 *
 * Vanished unique-ids are counted only against complete listings, and forgotten after days and listings both
 * (R1939-UIDL-12, XCL-11). A clock that leaps ahead makes mail older by two days at most in the run that meets it first.
 * On a worker thread. Does not know: the connection.
 */
#include "client/session.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { LEAP_S = 2 * 86400 };

struct absent {
    struct session *s;
    int64_t now;
    int64_t *ids;
    size_t n;
    uint64_t known, vanished;
};

/* Fills in ids of what is known; counts what is not. */
static bool match(struct session *s, const struct plan_rules *rules, uint64_t *unknown, struct err *e)
{
    struct entry entry;
    bool found;

    *unknown = 0;
    for (uint32_t i = 1; i <= s->listing.count; i++) {
        struct listed *m = &s->listing.v[i];

        if (!(m->flags & L_LISTED))
            continue;
        found = false;
        if ((m->flags & L_UID) && !journal_find(s->journal, listing_uid_of(&s->listing, m), m->nth, &entry, &found, e))
            return false;
        plan_known(rules, m, found ? &entry : NULL);
        if (found) {
            bits_add(&s->taken, (uint64_t)entry.id);
        } else {
            ++*unknown;
        }
        if (bits_has(&s->failed_numbers, i) || (found && bits_has(&s->failed_ids, (uint64_t)entry.id)))
            m->action = ACT_NONE;
    }
    return true;
}

static bool count_absent(void *ctx, const struct entry_brief *entry)
{
    struct absent *a = ctx;

    if (entry->state == ENTRY_GONE || entry->absent_since)
        return true;
    a->known++;
    if (!bits_has(&a->s->taken, (uint64_t)entry->id))
        a->vanished++;
    return true;
}

static bool collect_absent(void *ctx, const struct entry_brief *entry)
{
    struct absent *a = ctx;
    bool listed = bits_has(&a->s->taken, (uint64_t)entry->id);

    if (listed ? entry->absent_since == 0 && entry->state != ENTRY_GONE : false)
        return true;
    if (!listed && entry->absent_since && entry->absent_listings >= a->s->account->forget_listings &&
        a->now - entry->absent_since < (int64_t)a->s->account->forget_days * 86400 && entry->state != ENTRY_DELE_SENT)
        return true; /* nothing new to write down */
    a->ids = mem_grow(a->ids, a->n + 1, sizeof *a->ids);
    a->ids[a->n++] = entry->id;
    return true;
}

/* One entry whose presence changed, or whose absence goes on. */
static bool update_absent(struct absent *a, int64_t id, struct err *e)
{
    struct session *s = a->s;
    struct entry entry;
    bool found;

    if (!journal_find_id(s->journal, id, &entry, &found, e) || !found)
        return !found && !e->text[0];
    if (bits_has(&s->taken, (uint64_t)id))
        return entry.absent_since == 0 || journal_set_absent(s->journal, id, 0, 0, e);
    if (entry.absent_since && entry.absent_listings + 1 >= s->account->forget_listings &&
        a->now - entry.absent_since >= (int64_t)s->account->forget_days * 86400)
        return journal_drop(s->journal, id, e);
    if (entry.state == ENTRY_DELE_SENT && !journal_set_state(s->journal, id, ENTRY_GONE, e))
        return false;
    return journal_set_absent(s->journal, id, entry.absent_since ? entry.absent_since : a->now,
                              entry.absent_listings + 1, e);
}

static bool absences(struct session *s, int64_t now, struct err *e)
{
    struct absent a = { .s = s, .now = now };
    bool ok = true;

    if (!listing_complete(&s->listing) || s->content_only)
        return true;
    ok = journal_each_brief(s->journal, ~0u, collect_absent, &a, e);
    for (size_t i = 0; ok && i < a.n; i++)
        ok = update_absent(&a, a.ids[i], e);
    free(a.ids);
    return ok;
}

/* What this session will delete, or has been told to forget about, before the first DELE (write-ahead). */
static bool commit_plan(struct session *s, int64_t now, struct err *e)
{
    bool seen = s->options->mode == RUN_MARK_SEEN;

    for (uint32_t i = 1; i <= s->listing.count; i++) {
        struct listed *m = &s->listing.v[i];
        struct entry entry = { .state = ENTRY_SEEN, .nth = m->nth, .has_size = m->flags & L_SIZE, .size = m->size,
                               .first_seen = now };

        if (seen && m->id == 0 && (m->flags & L_UID)) {
            entry.uid = listing_uid_of(&s->listing, m);
            if (!journal_put(s->journal, &entry, e))
                return false;
            s->totals.kept++;
        }
        if (!seen && m->action == ACT_DELETE && m->state != ENTRY_DELE_SENT &&
            !journal_set_state(s->journal, m->id, ENTRY_DELE_SENT, e))
            return false;
    }
    if (!seen && !absences(s, now, e))
        return false;
    return journal_commit(s->journal, e);
}

static void notice_renumbered(struct session *s, const struct absent *a, uint64_t unknown)
{
    snprintf(s->plan_note, sizeof s->plan_note,
             "%llu of %llu known unique-ids vanished and %llu new ones came: the server seems to have changed them; "
             "what seems new is compared by content and stored only if it is new",
             (unsigned long long)a->vanished, (unsigned long long)a->known, (unsigned long long)unknown);
}

/* The time by which ages count: one that is far ahead of the last run's is believed by the run after this one. */
static int64_t age_clock(struct session *s, int64_t now)
{
    int64_t last = journal_fact_number(s->journal, "last_try");

    return last > 0 && now - last > LEAP_S ? last + LEAP_S : now;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a && (!b || a < b) ? a : b;
}

/* Inside one transaction: 100,000 look-ups take half the time in it. */
static bool make(struct session *s, struct err *e)
{
    const struct account *a = s->account;
    int64_t now = clock_real_ns() / 1000000000;
    struct plan_rules rules = {
        .keep = a->keep, .skip_larger = smaller(a->skip_larger, a->max_message),
        .filter = a->filter_command && *a->filter_command, .retry = s->options->retry_quarantined,
        .now = age_clock(s, now),
    };
    struct absent absent = { .s = s };
    uint64_t unknown;

    s->content_only = s->listing.count > 0 && !s->listing.has_uids;
    rules.by_content = s->content_only;
    listing_finish(&s->listing);
    if (!match(s, &rules, &unknown, e))
        return false;
    if (listing_complete(&s->listing)) {
        if (!journal_each_brief(s->journal, ~0u, count_absent, &absent, e))
            return false;
        rules.renumbered = plan_renumbered(absent.known, absent.vanished, unknown);
        if (rules.renumbered) {
            notice_renumbered(s, &absent, unknown);
            if (!match(s, &rules, &unknown, e))
                return false;
        }
    }
    plan_finish(&rules, &s->listing, &s->sums);
    if (s->options->mode == RUN_DRY || s->options->mode == RUN_CHECK) {
        journal_rollback(s->journal);
        return true;
    }
    return commit_plan(s, now, e);
}

void session_do_plan(struct session *s)
{
    if (!journal_begin(s->journal, &s->work_err) || !make(s, &s->work_err)) {
        journal_rollback(s->journal);
        s->work_code = s->work_err.fault == FAULT_BAD ? 65 : 74;
        if (!s->work_err.text[0])
            err_set(&s->work_err, FAULT_TEMP, "the journal could not be read");
    }
}
