/* t_warm.c - what a process remembers of a maildrop: what it saves, and everything in which it must not be believed.
 *
 * Proves: MD-11, MD-18, R1939-UIDL-05, R1939-SIZE-07, R1939-AUTHZ-03.
 * Does not know: long histories (t_warm_model.c).
 */
#include "store_help.h"

#include "base/sys.h"
#include "store/warm.h"
#include "store_shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct store_policy warm_policy(struct warm *w)
{
    struct store_policy policy = plain_policy;

    policy.durable = false;
    policy.warm = w;
    return policy;
}

static struct warm *table(uint32_t maildrops, uint32_t names)
{
    struct warm *w = warm_new((struct warm_limits){ maildrops, names });

    assert_non_null(w);
    return w;
}

static void put_many(const struct box *box, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        char name[64];

        snprintf(name, sizeof name, "new/%u.M%u.host", 1000 + i, i);
        box_put_str(box, name, "Subject: x\n\nbody\n");
    }
}

/* Opens at once; NULL when that cannot be. */
static struct drop *at_once(const struct box *box, const struct store_policy *policy)
{
    struct drop *drop = NULL;
    struct err e = { FAULT_NONE, "" };
    enum store_warm answer = store_maildir.open_warm(box->path, policy, &drop, &e);

    if (answer == STORE_FAILED)
        fail_msg("%s", e.text);
    assert_true((answer == STORE_OPENED) == (drop != NULL));
    return drop;
}

static bool is_warm(const struct box *box, const struct store_policy *policy)
{
    struct drop *drop = at_once(box, policy);
    bool is = drop != NULL;

    store_maildir.close(&drop);
    return is;
}

/* Opens, at once or not, and returns how many messages there are. */
static uint32_t visit(const struct box *box, const struct store_policy *policy)
{
    struct drop *drop = at_once(box, policy);
    struct view v;
    uint32_t n;

    if (!drop)
        drop = must_open(&store_maildir, box->path, policy);
    v = view_of(&store_maildir, drop);
    n = v.n;
    view_free(&v);
    store_maildir.close(&drop);
    return n;
}

static uint64_t octets_of(const struct box *box, const struct store_policy *policy)
{
    struct drop *drop = at_once(box, policy);
    struct view v;
    uint64_t octets;

    if (!drop)
        drop = must_open(&store_maildir, box->path, policy);
    v = view_of(&store_maildir, drop);
    octets = v.octets;
    view_free(&v);
    store_maildir.close(&drop);
    return octets;
}

static unsigned called(const char *call)
{
    const struct buf *trace = shim_trace();
    struct span rest = buf_span(trace);
    size_t n = strlen(call);
    unsigned count = 0;

    while (rest.n) {
        struct span line = span_until(&rest, '\n');

        count += line.n > n && memcmp(line.p, call, n) == 0 && line.p[n] == ' ';
    }
    return count;
}

/* An untouched maildrop costs the same whatever it holds: no directory is read, no message is asked for. */
static void an_untouched_maildrop_is_not_looked_through(void **state)
{
    static const unsigned sizes[] = { 1, 10, 200, 1000 };
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    unsigned have = 0, calls[4];

    for (size_t i = 0; i < 4; i++) {
        put_many(*state, have, sizes[i] - have);
        have = sizes[i];
        assert_int_equal(visit(*state, &policy), have);
        shim_count();
        assert_true(is_warm(*state, &policy));
        shim_end();
        calls[i] = shim_calls();
        assert_int_equal(called("getdents"), 0);
        assert_int_equal(called("fstatat"), 5); /* new, cur, two files of ours, the lock */
        assert_int_equal(called("open"), 1);
    }
    assert_int_equal(calls[0], calls[1]);
    assert_int_equal(calls[2], calls[3]);
    assert_true(calls[3] <= 20);
    warm_free(&w);
}

/* One new message among many: its name is looked at, the others' are not. */
static void a_new_message_costs_one_look(void **state)
{
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);

    put_many(*state, 0, 500);
    assert_int_equal(visit(*state, &policy), 500);
    put_many(*state, 500, 1);
    assert_null(at_once(*state, &policy));
    shim_count();
    assert_int_equal(visit(*state, &policy), 501);
    shim_end();
    assert_int_equal(called("getdents"), 0);
    assert_true(called("fstatat") < 20);
    assert_true(is_warm(*state, &policy));
    warm_free(&w);
}

static unsigned count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void an_idle_session_holds_its_lock_and_nothing_else(void **state)
{
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);

    for (unsigned n = 3; n <= 300; n += 297) {
        struct drop *drop;
        unsigned before;

        put_many(*state, 0, n);
        visit(*state, &policy);
        before = count_fds();
        drop = at_once(*state, &policy);
        assert_non_null(drop);
        assert_int_equal(count_fds(), before + 1);
        store_maildir.close(&drop);
        assert_int_equal(count_fds(), before);
    }
    warm_free(&w);
}

/* A line more in a stored message, in every way a program can write it. */
static void changed_in_place(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    char path[512];
    int fd;

    for (unsigned n = 3; n <= 100; n += 97) {
        uint64_t octets;

        put_many(box, 0, n);
        octets = octets_of(box, &policy);
        assert_true(is_warm(box, &policy));
        fd = open(box_join(box, "new/1001.M1.host", path), O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_int_equal(write(fd, "X: y\n", 5), 5);
        assert_int_equal(octets_of(box, &policy), octets + 6); /* while it is open */
        assert_int_equal(write(fd, "X: y\n", 5), 5);
        close(fd);
        assert_int_equal(octets_of(box, &policy), octets + 12);
        assert_true(is_warm(box, &policy));
        assert_int_equal(truncate(path, 5), 0);
        assert_true(octets_of(box, &policy) < octets);
    }
    warm_free(&w);
}

/* Nobody watches what is behind another name: such messages are looked at each time. */
static void a_second_name_elsewhere(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    char a[512], b[512];
    uint64_t octets;

    put_many(box, 0, 2);
    box_put_str(box, "elsewhere", "z\n");
    assert_int_equal(link(box_join(box, "elsewhere", a), box_join(box, "cur/1.linked:2,", b)), 0);
    octets = octets_of(box, &policy);
    assert_false(is_warm(box, &policy));
    box_put_str(box, "elsewhere", "z\nzz\n");
    assert_int_equal(octets_of(box, &policy), octets + 4);
    warm_free(&w);
}

/* What no watch tells (a mapping, a name given later) gives no wrong reply, and the next session is right. */
static void an_unseen_change_is_not_sent(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    struct drop *drop;
    struct err e;
    char a[512], b[512];
    uint64_t octets;
    int fd;

    put_many(box, 0, 100);
    octets = octets_of(box, &policy);
    assert_int_equal(link(box_join(box, "new/1001.M1.host", a), box_join(box, "elsewhere", b)), 0);
    box_put_str(box, "elsewhere", "short\n");
    drop = at_once(box, &policy);
    assert_non_null(drop);
    assert_false(store_maildir.fetch(drop, 1, &fd, &e));
    assert_int_equal(e.fault, FAULT_TEMP);
    store_maildir.close(&drop);
    assert_true(octets_of(box, &policy) < octets);
    warm_free(&w);
}

static void more_names_than_are_kept(void **state)
{
    struct warm *w = table(0, 4);
    struct store_policy policy = warm_policy(w);

    put_many(*state, 0, 20);
    assert_int_equal(visit(*state, &policy), 20);
    put_many(*state, 20, 5);
    assert_int_equal(visit(*state, &policy), 25);
    assert_true(is_warm(*state, &policy));
    warm_free(&w);
}

/* More events than the kernel keeps. */
static void the_queue_overflows(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    unsigned limit = 16384;
    char a[512], b[512];
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

    if (f) {
        assert_int_equal(fscanf(f, "%u", &limit), 1);
        fclose(f);
    }
    if (limit > 100000)
        skip();
    put_many(box, 0, 3);
    assert_int_equal(visit(box, &policy), 3);
    box_join(box, "new/1000.M0.host", a);
    box_join(box, "cur/1000.M0.host:2,", b);
    for (unsigned i = 0; i < limit / 4 + 10; i++) {
        assert_int_equal(rename(a, b), 0);
        assert_int_equal(rename(b, a), 0);
    }
    put_many(box, 3, 1); /* its event is lost */
    assert_int_equal(visit(box, &policy), 4);
    assert_int_equal(events_named("watch-queue-overflow"), 1);
    assert_true(is_warm(box, &policy));
    warm_free(&w);
}

static void the_oldest_makes_room(void **state)
{
    struct warm *w = table(2, 0);
    struct store_policy policy = warm_policy(w);
    struct box boxes[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        box_new(&boxes[i]);
        put_many(&boxes[i], 0, i + 1);
    }
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(visit(&boxes[i], &policy), i + 1 + round);
            assert_true(is_warm(&boxes[i], &policy));
            assert_false(is_warm(&boxes[(i + 2) % 4], &policy));
            put_many(&boxes[i], 10 + round, 1);
        }
    warm_free(&w);
    for (unsigned i = 0; i < 4; i++)
        box_free(&boxes[i]);
}

static long fs_type;

static int other_fs(int fd, struct statfs *fs)
{
    int done = sys_real.fstatfs(fd, fs);

    fs->f_type = fs_type;
    return done;
}

static int no_watch(int fd, const char *path, uint32_t mask)
{
    (void)fd, (void)path, (void)mask;
    errno = ENOSPC;
    return -1;
}

static int no_queue(int flags)
{
    (void)flags;
    errno = EMFILE;
    return -1;
}

/* On file systems that other hosts change, and where the kernel gives no watch, every open looks. */
static void where_nothing_can_be_watched(void **state)
{
    struct sys_ops ops = sys_real;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);

    put_many(*state, 0, 3);
    fs_type = NFS_SUPER_MAGIC;
    ops.fstatfs = other_fs;
    sys = &ops;
    assert_int_equal(visit(*state, &policy), 3);
    assert_false(is_warm(*state, &policy));
    ops = sys_real;
    ops.inotify_add = no_watch;
    assert_int_equal(visit(*state, &policy), 3);
    assert_false(is_warm(*state, &policy));
    ops.inotify_init = no_queue;
    assert_null(warm_new((struct warm_limits){ 0, 0 }));
    sys = &sys_real;
    assert_int_equal(visit(*state, &policy), 3);
    assert_true(is_warm(*state, &policy));
    warm_free(&w);
}

static void one_session_at_a_time(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    struct drop *first, *second = NULL;
    struct err e;

    put_many(box, 0, 3);
    visit(box, &policy);
    first = at_once(box, &policy);
    assert_non_null(first);
    assert_int_equal(store_maildir.open_warm(box->path, &policy, &second, &e), STORE_FAILED);
    assert_int_equal(e.fault, FAULT_IN_USE);
    assert_null(second);
    store_maildir.close(&first);
    assert_true(is_warm(box, &policy));
    warm_free(&w);
}

/* Our own commit leaves what the next open can show at once. */
static void after_our_own_commit(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);

    for (unsigned n = 10; n <= 110; n += 100) {
        uint8_t deleted[20] = { 0x05 }, retrieved[20] = { 0xff };
        struct store_commit c = { deleted, retrieved, 0, 0 };
        struct drop *drop;
        struct err e;
        uint32_t had;

        put_many(box, 0, n);
        had = visit(box, &policy);
        policy.mark_seen = true;
        drop = at_once(box, &policy);
        assert_non_null(drop);
        assert_true(store_maildir.commit(drop, &c, &e));
        assert_int_equal(c.removed, 2);
        store_maildir.close(&drop);
        assert_true(is_warm(box, &policy));
        assert_int_equal(visit(box, &policy), had - 2);
        assert_int_equal(box_files(box, "new") + box_files(box, "cur"), had - 2);
    }
    warm_free(&w);
}

/* A copy of a message under its own base, made by hand: it gets a base of its own, as a scan gives it. */
static void a_copy_made_by_hand(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);

    put_many(box, 0, 3);
    assert_int_equal(visit(box, &policy), 3);
    box_put_str(box, "cur/1001.M1.host:2,S", "a copy\n");
    assert_int_equal(visit(box, &policy), 4);
    assert_int_equal(events_named("message-twin"), 1);
    assert_int_equal(visit(box, &policy), 4);
    assert_true(is_warm(box, &policy));
    warm_free(&w);
}

/* The UIDLs are those that a scan by somebody who remembers nothing gives. */
static void check_uids(const struct box *box, const struct store_policy *policy)
{
    static const struct store_policy looking = { .sessions = STORE_LOOK, .expire_days = UINT32_MAX };
    struct drop *drop = must_open(&store_maildir, box->path, policy);
    struct drop *scan = must_open(&store_maildir, box->path, &looking);
    struct view v = view_of(&store_maildir, drop), want = view_of(&store_maildir, scan);

    assert_int_equal(v.n, want.n);
    for (uint32_t i = 0; i < v.n; i++)
        assert_string_equal(v.rows[i].uid, want.rows[i].uid);
    store_maildir.close(&drop);
    store_maildir.close(&scan);
    view_free(&v);
    view_free(&want);
}

/* UIDLs that differ in case only are told apart, whoever comes and goes. */
static void bases_that_differ_in_case(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    char path[512];

    put_many(box, 0, 70);
    assert_int_equal(visit(box, &policy), 70);
    box_put_str(box, "new/1001.m1.HOST", "x\n");
    box_put_str(box, "new/2000.no UIDL", "x\n");
    check_uids(box, &policy);
    box_put_str(box, "new/999.M1", "x\n");
    check_uids(box, &policy);
    assert_int_equal(unlink(box_join(box, "new/1001.M1.host", path)), 0);
    check_uids(box, &policy);
    assert_true(is_warm(box, &policy));
    warm_free(&w);
}

/* What opening has to do is done although nothing was touched: moving to cur/, removing what is old. */
static void chores_are_not_forgotten(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w), moving = policy, expiring = policy;
    char name[64];

    moving.move_to_cur = true;
    expiring.expire_days = 30;
    put_many(box, 0, 3);
    snprintf(name, sizeof name, "new/%lld.M1.host", (long long)time(NULL));
    box_put_str(box, name, "young\n");
    assert_int_equal(visit(box, &policy), 4);
    assert_false(is_warm(box, &moving));
    assert_int_equal(visit(box, &moving), 4);
    assert_int_equal(box_files(box, "new"), 0);
    assert_true(is_warm(box, &moving));
    assert_false(is_warm(box, &expiring));
    assert_int_equal(visit(box, &expiring), 1);
    assert_int_equal(box_files(box, "cur"), 1);
    assert_true(is_warm(box, &expiring));
    warm_free(&w);
}

/* Messages that size and mtime do not tell apart. */
static void put_alike(const struct box *box, unsigned n)
{
    struct timespec times[2] = { { 1600000000, 0 }, { 1600000000, 0 } };
    char name[64], path[512];

    put_many(box, 0, n);
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "new/%u.M%u.host", 1000 + i, i);
        assert_int_equal(utimensat(AT_FDCWD, box_join(box, name, path), times, 0), 0);
    }
}

/* Another maildrop in the place of an open one: nothing of it is sent or removed. */
static void replaced_under_a_session(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    static const char *const subs[] = { "", "tmp", "new", "cur" };
    uint8_t deleted[1] = { 0x07 };
    struct store_commit c = { .deleted = deleted };
    struct drop *drop;
    struct err e = { FAULT_NONE, "" };
    char aside[200], path[512];
    int fd;

    put_alike(box, 3);
    visit(box, &policy);
    drop = at_once(box, &policy);
    snprintf(aside, sizeof aside, "%s/aside", box->root);
    assert_int_equal(rename(box->path, aside), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(mkdir(box_join(box, subs[i], path), 0700), 0);
    put_alike(box, 3);
    assert_false(store_maildir.fetch(drop, 0, &fd, &e));
    assert_false(store_maildir.commit(drop, &c, &e));
    assert_int_equal(e.fault, FAULT_TEMP);
    assert_int_equal(c.failed, 3);
    store_maildir.close(&drop);
    assert_int_equal(visit(box, &policy), 3);
    warm_free(&w);
}

/* The index file is its owner's: one who writes to it gets no wrong listing from it. */
static void the_index_is_overwritten(void **state)
{
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    struct buf index;

    put_many(box, 0, 100);
    visit(box, &policy);
    assert_true(is_warm(box, &policy));
    index = box_read(box, "restante-index");
    memset(index.p + INDEX_HEADER_OCTETS, 0xff, index.n - INDEX_HEADER_OCTETS);
    box_put(box, "restante-index", buf_span(&index));
    buf_free(&index);
    assert_false(is_warm(box, &policy));
    assert_int_equal(visit(box, &policy), 100);
    warm_free(&w);
}

/* Each call of a refresh fails in turn: whatever that open says, the next one is right. */
static void a_refresh_with_a_failing_call(void **state)
{
    static const int codes[] = { EIO, ENOENT, EMFILE, ENOSPC };
    bool reached = true;

    (void)state;
    for (unsigned n = 1; reached; n++)
        for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
            struct warm *w = table(0, 0);
            struct store_policy policy = warm_policy(w);
            struct drop *drop = NULL;
            struct box box;
            struct err e;

            box_new(&box);
            put_many(&box, 0, 5);
            assert_int_equal(visit(&box, &policy), 5);
            put_many(&box, 5, 1);
            box_put_str(&box, "new/1001.M1.host", "other\n");
            shim_fail_at(n, codes[k], SHIM_ANY, false);
            if (store_maildir.open_warm(box.path, &policy, &drop, &e) == STORE_COLD)
                store_maildir.open(box.path, &policy, &drop, &e);
            store_maildir.close(&drop);
            reached = shim_end();
            assert_int_equal(octets_of(&box, &policy), 5 * 20 + 7);
            assert_int_equal(visit(&box, &policy), 6);
            warm_free(&w);
            box_free(&box);
        }
}

/* Others flag and move all messages all the time: none is ever missing, none is there twice. */
static void moved_all_the_time(void **state)
{
    static const char *const flags[] = { ":2,", ":2,S", ":2,FS", ":2,F" };
    enum { MESSAGES = 40 };
    struct box *box = *state;
    struct warm *w = table(0, 0);
    struct store_policy policy = warm_policy(w);
    pid_t pid;

    put_many(box, 0, MESSAGES);
    assert_int_equal(visit(box, &policy), MESSAGES);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
    for (unsigned round = 0; pid == 0; round++)
        for (unsigned i = 0; i < MESSAGES; i++) {
            char from[512], to[512], name[64];

            snprintf(name, sizeof name, round ? "cur/%u.M%u.host%s" : "new/%u.M%u.host", 1000 + i, i,
                     flags[(round + 3) % 4]);
            box_join(box, name, from);
            snprintf(name, sizeof name, "cur/%u.M%u.host%s", 1000 + i, i, flags[round % 4]);
            rename(from, box_join(box, name, to));
            if (i % 8 == 0)
                usleep(round % 300); /* sometimes a login finds it at rest */
        }
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(visit(box, &policy), MESSAGES);
        usleep(i % 7 * 300);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(visit(box, &policy), MESSAGES);
    warm_free(&w);
}

struct crowd {
    struct box *box;
    struct warm *warm;
    unsigned n;
};

static void *open_often(void *ctx)
{
    struct crowd *c = ctx;
    struct store_policy policy = warm_policy(c->warm);
    uint8_t marks[1024] = { 0x01 };
    uintptr_t bad = 0;

    policy.sessions = STORE_SHARED;
    for (int i = 0; i < 60; i++) {
        struct drop *drop = NULL;
        struct err e;
        struct store_commit commit = { .deleted = marks };

        if (store_maildir.open_warm(c->box->path, &policy, &drop, &e) == STORE_COLD &&
            !store_maildir.open(c->box->path, &policy, &drop, &e)) {
            bad++;
            continue;
        }
        if (drop && store_maildir.count(drop) > 80)
            bad += !store_maildir.commit(drop, &commit, &e);
        store_maildir.close(&drop);
        warm_drain(c->warm);
    }
    return (void *)bad;
}

static void *deliver_often(void *ctx)
{
    struct crowd *c = ctx;

    for (unsigned i = 0; i < 200; i++) {
        put_many(c->box, 1000 + i, 1);
        usleep(100);
    }
    return NULL;
}

/* Shared sessions come and go in several threads while mail arrives; in the end all is as it is on the disk. */
static void many_threads(void **state)
{
    struct crowd c = { *state, table(0, 0), 0 };
    struct store_policy policy = warm_policy(c.warm);
    pthread_t threads[4];
    void *bad;

    put_many(c.box, 0, 70);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i ? open_often : deliver_often, &c), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(visit(c.box, &policy), box_files(c.box, "new") + box_files(c.box, "cur"));
    assert_true(is_warm(c.box, &policy));
    warm_free(&c.warm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_start, box_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_untouched_maildrop_is_not_looked_through),
        T(a_new_message_costs_one_look),
        T(an_idle_session_holds_its_lock_and_nothing_else),
        T(changed_in_place),
        T(a_second_name_elsewhere),
        T(an_unseen_change_is_not_sent),
        T(more_names_than_are_kept),
        T(the_queue_overflows),
        T(the_oldest_makes_room),
        T(where_nothing_can_be_watched),
        T(one_session_at_a_time),
        T(after_our_own_commit),
        T(a_copy_made_by_hand),
        T(bases_that_differ_in_case),
        T(chores_are_not_forgotten),
        T(replaced_under_a_session),
        T(the_index_is_overwritten),
        T(a_refresh_with_a_failing_call),
        T(moved_all_the_time),
        T(many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
