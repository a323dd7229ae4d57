/* plan.c - the rules: see plan.h. Pure. Does not know: how anything is carried out. */
#include "client/plan.h"

enum { DAY = 86400, RENUMBERED_MIN = 10 };

static bool has_copy(uint8_t state)
{
    return state == ENTRY_STORED || state == ENTRY_DELE_SENT || state == ENTRY_GONE;
}

void plan_known(const struct plan_rules *rules, struct listed *m, const struct entry *entry)
{
    m->action = ACT_NONE;
    if (!entry) {
        m->action = rules->filter ? ACT_FILTER : ACT_FETCH;
        if (rules->renumbered || rules->by_content || !(m->flags & L_UID))
            m->flags |= L_CHECK;
        if (rules->by_content || !(m->flags & L_UID))
            m->action = ACT_FETCH;
        return;
    }
    m->id = entry->id;
    m->state = (uint8_t)entry->state;
    if (entry->state == ENTRY_INTENT || (entry->state == ENTRY_QUARANTINED && rules->retry))
        m->action = ACT_FETCH;
    else if (has_copy(m->state) && entry->has_size && (m->flags & L_SIZE) && entry->size != m->size && entry->has_digest) {
        m->action = ACT_FETCH; /* the same unique-id with another size: is it still the same message? */
        m->flags |= L_CHECK;
    }
    else if (!entry->has_digest && (entry->state == ENTRY_DELE_SENT || entry->state == ENTRY_GONE))
        m->action = ACT_DELETE; /* a filter wanted it gone unread: whatever "keep" says */
    if (rules->keep.kind == KEEP_DAYS && rules->now - entry->first_seen >= (int64_t)rules->keep.days * DAY)
        m->flags |= L_DELETE;
}

/* Messages beyond the newest N, by number: servers list by arrival. */
static void newest(struct listing *l, uint32_t n)
{
    for (uint32_t i = l->count; i >= 1; i--) {
        if (!(l->v[i].flags & L_LISTED))
            continue;
        if (n > 0)
            n--;
        else
            l->v[i].flags |= L_DELETE;
    }
}

/* The oldest go until the rest is below the target. */
static void until(struct listing *l, uint64_t target)
{
    uint64_t total = 0;

    for (uint32_t i = 1; i <= l->count; i++)
        total = total + l->v[i].size < total ? UINT64_MAX : total + l->v[i].size;
    for (uint32_t i = 1; i <= l->count && total > target; i++) {
        if (!(l->v[i].flags & L_LISTED) || (l->v[i].state && !has_copy(l->v[i].state) && l->v[i].state != ENTRY_INTENT))
            continue;
        l->v[i].flags |= L_DELETE;
        total -= l->v[i].size;
    }
}

static void whole(const struct plan_rules *rules, struct listing *l)
{
    const struct keep *keep = &rules->keep;

    if (keep->kind == KEEP_NEWEST)
        newest(l, keep->newest);
    else if (keep->kind == KEEP_UNTIL)
        until(l, keep->octets / 100 * keep->percent + keep->octets % 100 * keep->percent / 100);
    for (uint32_t i = 1; i <= l->count; i++) {
        struct listed *m = &l->v[i];

        if (keep->kind == KEEP_NONE || (keep->kind == KEEP_DAYS && keep->days == 0))
            m->flags |= L_DELETE;
        if (keep->kind == KEEP_ALL)
            m->flags &= (uint8_t)~L_DELETE;
    }
}

static void settle(const struct plan_rules *rules, struct listed *m, struct plan_sums *sums)
{
    bool fetch = m->action == ACT_FETCH || m->action == ACT_FILTER;

    if (fetch && rules->skip_larger && (m->flags & L_SIZE) && m->size > rules->skip_larger && !has_copy(m->state))
        m->action = ACT_SKIP;
    else if (m->action == ACT_NONE && (m->flags & L_DELETE) && has_copy(m->state)) {
        m->action = ACT_DELETE;
        if (m->flags & L_AMBIGUOUS) { /* the number is certain only for what this session retrieved (R1939-UIDL-09) */
            m->action = ACT_FETCH;
            m->flags |= L_CHECK;
        }
    }
    if (m->action == ACT_FETCH || m->action == ACT_FILTER) {
        sums->fetch++;
        sums->fetch_octets += m->size;
    }
    sums->remove_now += m->action == ACT_DELETE;
    if (m->action == ACT_DELETE)
        sums->remove++;
    else if (m->action == ACT_SKIP)
        sums->skip++;
    else if (m->state == ENTRY_QUARANTINED && m->action == ACT_NONE)
        sums->quarantined++;
    else if (m->action == ACT_NONE)
        sums->keep++;
    else if (m->flags & L_DELETE)
        sums->remove++;
}

void plan_finish(const struct plan_rules *rules, struct listing *l, struct plan_sums *sums)
{
    memset(sums, 0, sizeof *sums);
    whole(rules, l);
    for (uint32_t i = 1; i <= l->count; i++) {
        if (l->v[i].flags & L_LISTED)
            settle(rules, &l->v[i], sums);
        else
            l->v[i].action = ACT_NONE;
    }
}

bool plan_renumbered(uint64_t known, uint64_t vanished, uint64_t unknown)
{
    return known >= RENUMBERED_MIN && vanished * 2 > known && unknown * 2 >= vanished;
}
