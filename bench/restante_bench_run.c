/* restante_bench_run.c - the loop of the generator: see restante_bench_run.h. */
#include "restante_bench_run.h"

#include "restante_bench_session.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

enum { EVENTS = 256, TICK_MS = 100 };

struct slot {
    struct session session; /* first: it is the owner of its descriptor's events */
    bool used, lent;
};

/* Slots and users that are free. */
struct run {
    const struct plan *plan;
    struct wire wire;
    struct desk desk;
    struct post post;
    struct slot *slots;
    uint32_t slots_n, *free_slots, free_n;
    uint32_t *users, users_from, users_n; /* a ring: who was used longest ago comes first */
    uint32_t next_user, resting;
    uint32_t posted;                 /* deliveries so far */
    uint64_t post_next, swept, stop; /* ns; stop: the whole run ends */
};

/* What one batch of sessions is. */
struct batch {
    uint32_t side_by_side, left; /* left: to be started */
    uint64_t until;              /* ns; 0 = by left */
};

static void doze(uint64_t ns)
{
    struct timespec t = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

static uint64_t own_cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void settle(struct run *r, struct slot *slot)
{
    struct session *s = &slot->session;

    if (s->step != STEP_OVER)
        return;
    session_free(s);
    if (slot->lent)
        r->users[(r->users_from + r->users_n++) % r->plan->users] = s->user - r->plan->first;
    slot->used = false;
    r->free_slots[r->free_n++] = (uint32_t)(slot - r->slots);
}

static void start(struct run *r)
{
    struct slot *slot = &r->slots[r->free_slots[--r->free_n]];
    uint32_t user;

    slot->used = true;
    slot->lent = r->users_n > 0;
    if (slot->lent) {
        user = r->users[r->users_from];
        r->users_from = (r->users_from + 1) % r->plan->users;
        r->users_n--;
    } else {
        user = r->next_user++ % r->plan->users;
    }
    session_start(&slot->session, &r->desk, r->plan->first + user);
    settle(r, slot);
}

/* Sessions that have been silent for too long, or all when the run is over. */
static void sweep(struct run *r, uint64_t now)
{
    bool all = now >= r->stop;

    if (!all && now - r->swept < 5 * TICK_MS * 1000000ull)
        return;
    r->swept = now;
    for (uint32_t i = 0; i < r->slots_n; i++) {
        struct session *s = &r->slots[i].session;

        if (!r->slots[i].used || (s->step == STEP_REST && !all))
            continue;
        if (all || now - s->heard > r->plan->timeout_ns) {
            r->resting -= s->step == STEP_REST;
            session_fail(s, &r->desk, s->step == STEP_END ? KIND_LEFT : KIND_TIMEOUT,
                         all ? "the run took longer than it may" : "no answer in time");
            settle(r, &r->slots[i]);
        }
    }
}

/* Drops what is due. */
static void deliver(struct run *r, uint64_t now)
{
    const struct plan *plan = r->plan;
    char path[PATH_MAX];
    struct err e;

    while (r->desk.post && now >= r->post_next) {
        uint32_t at = r->posted % plan->users;

        r->post_next += NS_PER_S / plan->per_second;
        if (!pattern_put(plan->maildir, plan->first + at, path, sizeof path) ||
            !mail_deliver(plan, path, plan->first + at, r->posted, &e)) {
            tally_error(r->desk.tally, KIND_MISSING, "%s", e.text);
            r->desk.post = NULL;
            return;
        }
        if (r->post.seen[at] == r->post.delivered[at])
            r->post.since[at] = now_ns();
        r->post.delivered[at]++;
        r->posted++;
    }
}

static void wait_events(struct run *r, int ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(r->wire.epoll, events, EVENTS, ms);
    uint64_t now = now_ns();

    for (int i = 0; i < n; i++) {
        struct slot *slot = events[i].data.ptr;
        enum step was = slot->session.step;

        slot->session.heard = now;
        session_event(&slot->session, &r->desk);
        r->resting += slot->session.step == STEP_REST && was != STEP_REST;
        r->resting -= slot->session.step != STEP_REST && was == STEP_REST;
        settle(r, slot);
    }
    sweep(r, now);
}

static uint32_t busy(const struct run *r)
{
    return r->slots_n - r->free_n - r->resting;
}

/* Starts and serves sessions until the batch is done and none is busy. */
static void serve(struct run *r, struct batch b)
{
    for (;;) {
        uint64_t now = now_ns();

        if (now >= r->stop)
            b.left = 0;
        if (b.until && now >= b.until)
            b.left = 0;
        while (b.left && busy(r) < b.side_by_side && r->free_n) {
            start(r);
            b.left -= !b.until;
        }
        if (!b.left && !busy(r))
            return;
        deliver(r, now);
        wait_events(r, r->desk.post ? 1 : TICK_MS);
    }
}

static bool open_post(struct run *r, struct err *e)
{
    const struct plan *plan = r->plan;
    char path[PATH_MAX];

    r->post.delivered = mem_zero(plan->users, sizeof *r->post.delivered);
    r->post.seen = mem_zero(plan->users, sizeof *r->post.seen);
    r->post.since = mem_zero(plan->users, sizeof *r->post.since);
    r->desk.post = &r->post;
    r->post_next = now_ns();
    for (uint32_t i = 0; i < plan->users; i++) {
        if (!pattern_put(plan->maildir, plan->first + i, path, sizeof path))
            return err_set(e, FAULT_BAD, "%.60s…: too long a path", plan->maildir);
        if (!mail_count(path, &r->post.delivered[i], e))
            return false;
        r->post.seen[i] = r->post.delivered[i];
    }
    return true;
}

static bool open_run(struct run *r, const struct plan *plan, uint32_t concurrency, struct err *e)
{
    uint32_t users = plan->users;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    *r = (struct run){ .plan = plan, .users_n = users, .stop = now_ns() + plan->limit_ns };
    r->slots_n = plan->mode == MODE_IDLE ? plan->sessions : concurrency;
    r->slots = mem_zero(r->slots_n, sizeof *r->slots);
    r->free_slots = mem_zero(r->slots_n, sizeof *r->free_slots);
    r->users = mem_zero(users, sizeof *r->users);
    for (uint32_t i = 0; i < users; i++)
        r->users[i] = i;
    for (uint32_t i = 0; i < r->slots_n; i++)
        r->free_slots[r->free_n++] = r->slots_n - 1 - i;
    r->desk = (struct desk){ .plan = plan, .wire = &r->wire };
    return wire_open(&r->wire, plan, e) && (plan->mode != MODE_DELIVERY || open_post(r, e));
}

static void close_run(struct run *r)
{
    for (uint32_t i = 0; i < r->slots_n; i++)
        if (r->slots[i].used)
            session_free(&r->slots[i].session);
    wire_close(&r->wire);
    free(r->slots);
    free(r->free_slots);
    free(r->users);
    free(r->post.delivered);
    free(r->post.seen);
    free(r->post.since);
}

static bool look(const struct plan *plan, bool memory, struct usage *u, struct err *e)
{
    if (!plan->server_pid)
        return true;
    doze(NS_PER_S / 10); /* what the server does after the last answer belongs to it */
    return usage_read((pid_t)plan->server_pid, memory, u, e);
}

/* Nothing happens for a while; connections that the server ends meanwhile are noticed. */
static void hold(struct run *r, uint64_t ns)
{
    uint64_t end = now_ns() + ns;

    for (uint64_t now = now_ns(); now < end && now < r->stop; now = now_ns())
        wait_events(r, (int)((end - now) / 1000000 < TICK_MS ? (end - now) / 1000000 + 1 : TICK_MS));
}

/* Ends the sessions that rest, a few at a time. */
static void leave(struct run *r, uint32_t side_by_side)
{
    for (uint32_t i = 0; i < r->slots_n; i++) {
        struct session *s = &r->slots[i].session;

        if (!r->slots[i].used || s->step != STEP_REST)
            continue;
        r->resting--;
        if (r->plan->until == UNTIL_CONNECT) {
            s->step = STEP_OVER;
            r->desk.tally->sessions++;
        } else {
            session_quit(s, &r->desk);
        }
        settle(r, &r->slots[i]);
        while (busy(r) >= side_by_side)
            wait_events(r, TICK_MS);
    }
    serve(r, (struct batch){ .side_by_side = side_by_side });
}

static bool measure_idle(struct run *r, struct result *out, struct err *e)
{
    uint64_t from = now_ns();
    struct usage u;

    serve(r, (struct batch){ .side_by_side = out->concurrency, .left = r->plan->sessions });
    out->ns = now_ns() - from;
    if (!look(r->plan, true, &out->held, e))
        return false;
    out->open = r->resting;
    from = now_ns();
    hold(r, r->plan->hold_ns);
    out->held_ns = now_ns() - from;
    if (r->plan->server_pid && !usage_read((pid_t)r->plan->server_pid, false, &u, e))
        return false;
    if (r->plan->server_pid)
        out->held_cpu_ns = u.cpu_ns > out->held.cpu_ns ? u.cpu_ns - out->held.cpu_ns : 0;
    leave(r, out->concurrency);
    return true;
}

static bool measure(struct run *r, struct result *out, struct err *e)
{
    const struct plan *plan = r->plan;
    struct tally warm = { 0 };
    uint64_t cpu, from;
    bool idle = plan->mode == MODE_IDLE;

    r->desk.tally = &warm;
    if (!idle)
        serve(r, (struct batch){ .side_by_side = out->concurrency, .left = plan->warmup });
    for (size_t i = 0; i < KIND_N; i++) { /* faults count whenever they are met */
        out->tally.errors[i] = warm.errors[i];
        memcpy(out->tally.first[i], warm.first[i], sizeof warm.first[i]);
    }
    tally_free(&warm);
    r->desk.tally = &out->tally;
    if (!look(plan, idle, &out->before, e))
        return false;
    cpu = own_cpu();
    from = now_ns();
    if (idle) {
        if (!measure_idle(r, out, e))
            return false;
    } else {
        serve(r, (struct batch){ .side_by_side = out->concurrency,
                                 .left = plan->seconds_ns ? 1 : plan->sessions,
                                 .until = plan->seconds_ns ? from + plan->seconds_ns : 0 });
        out->ns = now_ns() - from;
    }
    out->own_cpu_ns = own_cpu() - cpu;
    return look(plan, idle, &out->after, e);
}

bool run_plan(const struct plan *plan, uint32_t concurrency, const struct manifest *manifest, struct result *out,
              struct err *e)
{
    struct run r;
    bool good;

    *out = (struct result){ .concurrency = concurrency };
    good = open_run(&r, plan, concurrency, e);
    r.desk.manifest = manifest;
    good = good && measure(&r, out, e);
    close_run(&r);
    for (size_t i = 0; i < PHASE_N; i++)
        samples_sort(&out->tally.phase[i]);
    return good;
}
