/* mdopen.c - the snapshot that an open maildrop shows: see mdopen.h. */
#include "store/mdopen.h"

#include "base/clock.h"
#include "base/sys.h"
#include "store/mdcommit.h"
#include "store/mdmerge.h"
#include "store/mdrecall.h"
#include "store/mdsnap.h"
#include "store/mdtidy.h"
#include "store/mduid.h"

#include <stdlib.h>

enum {
    DAY_S = 86400,
    LOOK_MS = 86400000, /* every message is looked at once a day, whatever is remembered */
    ROUNDS = 4          /* names touched while touched names are looked at, until a scan is better */
};

static bool expires(const struct store_policy *policy)
{
    return policy->expire_days != 0 && policy->expire_days != UINT32_MAX;
}

/* Has opening something to do but to show: messages to move or to remove. */
static bool has_chores(const struct warm_facts *facts, const struct store_policy *policy)
{
    uint64_t now_s = (uint64_t)(clock_real_ns() / 1000000000), age_s = (uint64_t)policy->expire_days * DAY_S;

    return (policy->move_to_cur && facts->in_new) ||
           (expires(policy) && now_s >= age_s && facts->oldest < now_s - age_s);
}

static bool is_fresh(const struct warm_facts *facts, const struct store_policy *policy)
{
    return facts->legacy == policy->need_legacy && clock_mono_ms() - facts->looked_ms < LOOK_MS &&
           mdview_is_intact(facts->view);
}

static bool assign_uids(const struct mddir *d, struct mdlist *l, struct err *e)
{
    struct uidmap map;
    bool ok = uidmap_load(&map, d, e);

    if (ok && !mduid_assign(l, &map))
        ok = err_set(e, FAULT_PERM, "%s holds more messages than can be listed", d->path);
    uidmap_free(&map);
    return ok;
}

static void tidy(const struct mddir *d, struct mdlist *l, const struct store_policy *policy)
{
    if (expires(policy))
        mdtidy_expire(l, d, policy);
    if (policy->move_to_cur)
        mdtidy_move(l, d);
}

/* What is to be remembered of a list and of the listing made from it. Returns whether it may be. */
static bool learn(struct warm_facts *facts, const struct mdlist *l, const struct store_policy *policy)
{
    facts->legacy = policy->need_legacy;
    facts->oldest = l->n ? l->v[0].when : UINT64_MAX;
    facts->in_new = 0;
    for (uint32_t i = 0; i < l->n; i++)
        facts->in_new += l->v[i].sub == MD_NEW;
    return !l->unsure;
}

/* Messages with several names, with what they were seen to be. False when they are too many to be looked at. */
static bool learn_linked(struct warm_names *linked, const struct mdlist *l)
{
    for (uint32_t i = 0; i < l->n && !linked->lost; i++) {
        const struct md_msg *m = &l->v[i];
        struct warm_name *name;

        if (m->links < 2)
            continue;
        name = warm_name_add(linked, (enum md_sub)m->sub, mdlist_name(l, m), WARM_NAMES);
        if (name) {
            name->size = m->size;
            name->mtime_ns = m->mtime_ns;
        }
    }
    return !linked->lost;
}

static bool is_as_seen(const struct mddir *d, const struct warm_names *linked)
{
    struct stat st;

    for (uint32_t i = 0; i < linked->n; i++)
        if (sys->fstatat(d->sub[linked->v[i].sub], warm_name(linked, i), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode) || (uint64_t)st.st_size != linked->v[i].size ||
            md_mtime_ns(&st) != linked->v[i].mtime_ns)
            return false;
    return true;
}

/* Drops names whose touching the listing shows already: those of our own changes. */
static void settle(struct warm *w, struct warm_visit *v, const struct mddir *d)
{
    struct warm_facts *facts = warm_facts(v);

    for (int i = 0; i < ROUNDS; i++) {
        struct warm_names names = { 0 };
        struct mddelta delta;
        struct md_state now;
        bool any = false, same = true, ok = mdstate_take(d, &now) && warm_take(w, v, &names, &any);

        if (ok && any) {
            same = mdrecall(&delta, d, facts->view, &names) == MDRECALL_SAME;
            mddelta_free(&delta);
        }
        if (ok && same)
            facts->state = now;
        else if (ok)
            warm_give(w, v, &names);
        if (!ok || !same || !any)
            i = ROUNDS; /* lost ones are found lost by the next visit */
        warm_names_free(&names);
    }
}

/* The pipeline behind the list of messages, sorted by arrival. */
static struct mdview *show(struct mdfind *f, struct mdlist *l, const struct store_policy *policy, bool scanned,
                           struct err *e)
{
    struct mdsnap snap = { .legacy = policy->need_legacy };
    struct mdview *view = NULL;
    bool ok = scanned ? mdsnap_measure(&snap, l, f, e) : mdsnap_count(&snap, l, f, e);

    if (ok) {
        mdlist_sort(l); /* without what turned out unreadable */
        if (assign_uids(f->dir_ref, l, e))
            view = mdsnap_publish(&snap, l, f->dir_ref, e);
    }
    mdsnap_abandon(&snap);
    return view;
}

/* What is there now: looks at the touched names until none was touched meanwhile, for a message may be given another
 * name between the event that told of one and our look at it (MD-11). */
static enum mdrecall look_again(struct mddelta *delta, const struct mddir *d, struct warm *w,
                                struct warm_visit *v, struct warm_names *names)
{
    struct warm_facts *facts = warm_facts(v);
    struct md_state now;
    bool any = true;

    for (int i = 0; i < ROUNDS && any; i++) {
        enum mdrecall how = mdrecall(delta, d, facts->view, names);

        if (how == MDRECALL_ODD || !mdstate_take(d, &now) || !mdstate_has_uids(&now, &facts->state) ||
            !warm_take(w, v, names, &any))
            return MDRECALL_ODD;
        facts->state = now;
        if (!any)
            return how;
        if (i + 1 < ROUNDS)
            mddelta_free(delta);
    }
    return MDRECALL_ODD;
}

/* The listing anew, from the old one and what differs. */
static struct mdview *renew(struct mdfind *f, const struct store_policy *policy, struct mddelta *delta,
                            struct warm_facts *facts)
{
    struct mdview *view = NULL;
    struct mdlist l;

    mdlist_init(&l);
    if (mdrecall_all(&l, delta, facts->view)) {
        tidy(f->dir_ref, &l, policy);
        mdlist_sort(&l);
        view = show(f, &l, policy, false, NULL);
    }
    if (view && !learn(facts, &l, policy))
        mdview_leave(&view);
    mdlist_free(&l);
    return view;
}

/* The same by copying what stays. NULL where that cannot be done; then the fresh messages are as they were, but for
 * what tidying did. */
static struct mdview *merge(struct mdfind *f, const struct store_policy *policy, struct mddelta *delta,
                            struct warm_facts *facts)
{
    struct mdsnap snap = { .legacy = policy->need_legacy };
    struct uidmap none = { 0 };
    struct mdmerged merged = { 0 };
    struct mdview *view = NULL;

    if (facts->state.uidl || !delta->plain)
        return NULL;
    if (policy->move_to_cur)
        mdtidy_move(&delta->fresh, f->dir_ref);
    mdlist_sort(&delta->fresh);
    if (mdsnap_count(&snap, &delta->fresh, f, NULL)) {
        mdlist_sort(&delta->fresh);
        if (!delta->fresh.unsure && mduid_assign(&delta->fresh, &none) && mdmerge(&merged, facts->view, delta))
            view = mdsnap_publish_octets(&snap, merged.listing, f->dir_ref, NULL);
    }
    if (view) {
        facts->in_new = merged.in_new;
        facts->oldest = merged.oldest;
    }
    free(merged.memory);
    return view;
}

/* What is remembered is shown as it is, or after the changes that the touched names tell. False: scan. */
static bool recall(struct mdfind *f, const struct store_policy *policy, struct warm_visit *v,
                   struct warm_names *names)
{
    struct warm_facts *facts = warm_facts(v);
    bool chores = has_chores(facts, policy), ok = true;
    struct mdview *view = NULL;
    struct mddelta delta;
    enum mdrecall how;

    if (!names->n && !chores)
        return true;
    how = look_again(&delta, f->dir_ref, policy->warm, v, names);
    if (how == MDRECALL_ODD || (how != MDRECALL_SAME && facts->linked.n) || (chores && facts->linked.n)) {
        ok = false;
    } else if (how == MDRECALL_CHANGED || chores) {
        view = chores ? NULL : merge(f, policy, &delta, facts);
        if (!view)
            view = renew(f, policy, &delta, facts);
        ok = view != NULL;
    }
    if (view) {
        mdview_leave(&facts->view);
        facts->view = view;
    }
    mddelta_free(&delta);
    return ok;
}

/* Brings what is remembered up to date, in a visit. False: scan. */
static bool refresh_in(struct mdfind *f, const struct store_policy *policy, struct warm_visit *v)
{
    struct warm_facts *facts = warm_facts(v);
    struct warm_names names = { 0 };
    struct md_state was = facts->state;
    bool any, ok;

    ok = mdstate_take(f->dir_ref, &facts->state) && mdstate_has_uids(&facts->state, &was) &&
         is_fresh(facts, policy) && warm_take(policy->warm, v, &names, &any) &&
         /* names changed, and no watch told which */
         (any || mdstate_is_settled(&facts->state, &was)) && is_as_seen(f->dir_ref, &facts->linked) &&
         recall(f, policy, v, &names);
    if (ok)
        settle(policy->warm, v, f->dir_ref);
    warm_names_free(&names);
    return ok;
}

static struct mdview *refresh(struct mdfind *f, const struct store_policy *policy)
{
    struct warm_visit *v = policy->warm ? warm_enter(policy->warm, f->dir_ref->path) : NULL;
    struct mdview *view;
    bool ok;

    if (!v)
        return NULL;
    ok = refresh_in(f, policy, v);
    view = ok ? mdview_share(warm_facts(v)->view) : NULL;
    warm_end(policy->warm, v, ok);
    return view;
}

/* Every message is looked at. */
static struct mdview *scan(struct mdfind *f, const struct store_policy *policy, struct err *e)
{
    const struct mddir *d = f->dir_ref;
    bool look_only = policy->sessions == STORE_LOOK;
    struct warm_visit *v = policy->warm && !look_only ? warm_begin(policy->warm, d) : NULL;
    struct warm_facts *facts = v ? warm_facts(v) : NULL;
    bool keep = v && mdstate_take(d, &facts->state);
    struct mdview *view = NULL;
    struct mdlist l;

    mdlist_init(&l);
    if (mdlist_load(&l, d, e)) {
        if (!look_only) {
            mdtidy_twins(&l, d);
            tidy(d, &l, policy);
        }
        mdlist_sort(&l);
        view = show(f, &l, policy, true, e);
    }
    keep = keep && view && learn(facts, &l, policy) && learn_linked(&facts->linked, &l);
    mdlist_free(&l);
    if (keep) {
        facts->view = mdview_share(view);
        facts->looked_ms = clock_mono_ms();
        settle(policy->warm, v, d);
    }
    if (v)
        warm_end(policy->warm, v, keep);
    return view;
}

struct mdview *mdopen_warm(const struct mddir *d, const struct store_policy *policy, struct md_state *place)
{
    struct warm_facts facts;
    struct mdview *view;

    if (!mdstate_take(d, place) || !warm_look(policy->warm, d->path, &facts))
        return NULL;
    view = facts.view;
    if (!mdstate_is_settled(place, &facts.state) || !is_fresh(&facts, policy) || has_chores(&facts, policy))
        mdview_leave(&view);
    return view;
}

struct mdview *mdopen(struct mdfind *f, const struct store_policy *policy, struct err *e)
{
    struct mdview *view = policy->sessions == STORE_LOOK ? NULL : refresh(f, policy);

    if (!view && policy->sessions != STORE_LOOK) {
        mdcommit_replay(f, policy->durable);
        mdtidy_tmp(f->dir_ref);
    }
    if (!view)
        view = scan(f, policy, e);
    mdfind_free(f); /* the names read while opening are old by the time they are asked for */
    return view;
}

bool mdopen_after_commit(struct mdfind *f, const struct store_policy *policy)
{
    struct store_policy quiet = *policy;
    struct mdview *view;

    quiet.move_to_cur = false;
    quiet.expire_days = UINT32_MAX;
    view = refresh(f, &quiet);
    if (!view)
        return false;
    mdview_leave(&view);
    return true;
}
