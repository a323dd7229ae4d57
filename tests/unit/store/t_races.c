/* t_races.c - other programs move and flag messages while a maildrop is opened and served.
 *
 * Proves: MD-11, MD-13, R1939-AUTHZ-03, R1939-UIDL-05.
 * Does not know: crashes.
 */
#include "store_help.h"

#include "base/sys.h"
#include "store_shim.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES = 60, LOGINS = 300 };

/* new/i → cur/i:2, → cur/i:2,S → … the flags go round and round, as fast as they can. */
static void move_for_ever(const struct box *box)
{
    static const char *const flags[] = { ":2,", ":2,S", ":2,FS", ":2,F" };
    char from[512], to[512], name[64];

    for (unsigned round = 0;; round++) {
        for (unsigned i = 0; i < MESSAGES; i++) {
            if (round == 0)
                snprintf(name, sizeof name, "new/%u.M%u.host", 1000 + i / 7, i);
            else
                snprintf(name, sizeof name, "cur/%u.M%u.host%s", 1000 + i / 7, i, flags[(round - 1) % 4]);
            box_join(box, name, from);
            snprintf(name, sizeof name, "cur/%u.M%u.host%s", 1000 + i / 7, i, flags[round % 4]);
            rename(from, box_join(box, name, to));
        }
    }
}

static pid_t start_mover(const struct box *box)
{
    pid_t pid;

    for (unsigned i = 0; i < MESSAGES; i++) {
        char name[64];

        snprintf(name, sizeof name, "new/%u.M%u.host", 1000 + i / 7, i);
        box_put_str(box, name, "Subject: x\n\nbody\n");
    }
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        move_for_ever(box);
    return pid;
}

static void stop_mover(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void count_is_always_right(void **state)
{
    struct box *box = *state;
    pid_t pid = start_mover(box);

    for (int i = 0; i < LOGINS; i++) {
        struct drop *drop = must_open(&store_maildir, box->path, &plain_policy);
        struct view v = view_of(&store_maildir, drop);

        assert_int_equal(v.n, MESSAGES);
        for (uint32_t k = 1; k < v.n; k++)
            assert_string_not_equal(v.rows[k - 1].uid, v.rows[k].uid);
        view_free(&v);
        store_maildir.close(&drop);
    }
    stop_mover(pid);
    assert_int_equal(events_named("message-twin"), 0);
    assert_int_equal(events_named("message-skipped"), 0);
}

static void served_and_deleted_under_way(void **state)
{
    struct box *box = *state;
    pid_t pid = start_mover(box);
    struct drop *drop = must_open(&store_maildir, box->path, &plain_policy);
    uint8_t marks[(MESSAGES + 7) / 8] = { 0 };
    struct store_commit c = { .deleted = marks };
    struct err e = { FAULT_NONE, "" };

    for (uint32_t i = 0; i < MESSAGES; i++) {
        int fd;

        if (store_maildir.fetch(drop, i, &fd, &e))
            close(fd);
        else
            assert_int_equal(e.fault, FAULT_TEMP); /* outrun by the mover: honest, and later it works */
    }
    for (uint32_t i = 0; i < MESSAGES; i += 2)
        marks[i / 8] = (uint8_t)(marks[i / 8] | 1u << (i % 8));
    if (!store_maildir.commit(drop, &c, &e))
        assert_true(c.failed > 0 && e.fault == FAULT_TEMP);
    assert_int_equal(c.removed + c.failed, MESSAGES / 2);
    store_maildir.close(&drop);
    stop_mover(pid);
    assert_int_equal(box_files(box, "new") + box_files(box, "cur"), MESSAGES - c.removed);
}

static void *open_and_commit(void *ctx)
{
    struct box *box = ctx;
    struct store_policy shared = plain_policy;
    uintptr_t bad = 0;

    shared.sessions = STORE_SHARED;
    for (int i = 0; i < 20; i++) {
        struct drop *drop;
        struct err e;
        uint8_t marks[8] = { (uint8_t)(1u << (i % 8)) };
        struct store_commit c = { .deleted = marks };

        if (!store_maildir.open(box->path, &shared, &drop, &e)) {
            bad++;
            continue;
        }
        if (store_maildir.count(drop) > 8)
            bad += !store_maildir.commit(drop, &c, &e);
        store_maildir.close(&drop);
    }
    return (void *)bad;
}

static void shared_sessions_in_threads(void **state)
{
    struct box *box = *state;
    pthread_t threads[3];

    for (unsigned i = 0; i < 40; i++) {
        char name[64];

        snprintf(name, sizeof name, "new/%u.M%u.host", 1000 + i, i);
        box_put_str(box, name, "x\n");
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_commit, box), 0);
    for (int i = 0; i < 3; i++) {
        void *bad;

        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    assert_false(box_has(box, "restante-commit"));
    struct view v = look(box->path);

    assert_int_equal(v.n, box_files(box, "new") + box_files(box, "cur"));
    view_free(&v);
}

static void *one_login(void *ctx)
{
    struct box *box = ctx;
    struct drop *drop;
    struct err e;

    if (store_maildir.open(box->path, &plain_policy, &drop, &e)) {
        usleep(100000);
        store_maildir.close(&drop);
        return (void *)1;
    }
    return (void *)(uintptr_t)(e.fault == FAULT_IN_USE ? 0 : 1000);
}

static void one_of_many_logins_wins(void **state)
{
    pthread_t threads[50];
    uintptr_t won = 0;

    for (int i = 0; i < 50; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_login, *state), 0);
    for (int i = 0; i < 50; i++) {
        void *result;

        pthread_join(threads[i], &result);
        won += (uintptr_t)result;
    }
    assert_true(won >= 1 && won < 50);
}

struct mover {
    const struct box *box;
    const char *from, *to;
};

static void move_once(void *ctx)
{
    struct mover *m = ctx;
    char from[512], to[512];

    rename(box_join(m->box, m->from, from), box_join(m->box, m->to, to));
}

/* A single move before each system call of an open in turn: no chance about it. */
static void moved_before_each_call(void **state)
{
    static const struct mover moves[] = {
        {NULL,  "new/1.a",     "cur/1.a:2,S" },
        { NULL, "cur/2.b:2,",  "cur/2.b:2,FS"},
        { NULL, "cur/3.c:2,S", "new/3.c"     },
    };

    (void)state;
    for (size_t k = 0; k < sizeof moves / sizeof *moves; k++) {
        bool reached = true;

        for (unsigned n = 1; reached; n++) {
            struct box box;
            struct mover m = moves[k];
            struct view v;

            box_new(&box);
            m.box = &box;
            box_put_str(&box, "new/1.a", "1\n");
            box_put_str(&box, "cur/2.b:2,", "22\n");
            box_put_str(&box, "cur/3.c:2,S", "333\n");
            shim_before(n, move_once, &m);
            v = look(box.path);
            reached = shim_end();
            assert_int_equal(v.n, 3);
            assert_int_equal(v.octets, 3 + 4 + 5);
            view_free(&v);
            box_free(&box);
        }
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_start, box_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(count_is_always_right),   T(served_and_deleted_under_way), T(shared_sessions_in_threads),
        T(one_of_many_logins_wins), T(moved_before_each_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
