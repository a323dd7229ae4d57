/* t_auth_life.c - the auth worker as a process: peers that die, hang or cheat, changed files, and its own end.
 *
 * Proves: R3206-01, R3206-04, R5034-11
 * Does not know: what credentials look like (t_auth_login.c, t_auth_sasl.c).
 */
#include "auth_process.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOB "bob:{PLAIN}pencil:2000:2001\n"

static void short_timeout(struct conf *conf)
{
    conf->auth.timeout_s = 1;
}

/* A login of bob up to its check. */
static void ask(struct world *w, uint64_t sid)
{
    login_pass(w, sid, "bob", "pencil");
    expect_hash(w, "pencil");
}

static void log_in(struct world *w, uint64_t sid, bool first)
{
    ask(w, sid);
    answer_hash(w, true);
    if (first)
        give_store(w);
    expect_ok(w, sid, "bob");
}

static void hash_worker_dies(void **state)
{
    struct world *w = world_new(BOB, NULL);

    (void)state;
    ask(w, SID(0, 1));
    close(w->hash);
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    login_pass(w, SID(0, 2), "bob", "pencil"); /* waits for the next worker */
    w->hash = world_peer(w, ROLE_HASH, 0);
    expect_hash(w, "pencil");
    answer_hash(w, true);
    give_store(w);
    expect_ok(w, SID(0, 2), "bob");
    world_free(&w);
}

static void hash_worker_hangs(void **state)
{
    struct world *w = world_new(BOB, short_timeout);
    uint64_t began = clock_mono_ms();

    (void)state;
    ask(w, SID(0, 1));
    login_pass(w, SID(0, 2), "bob", "pencil"); /* in the queue behind it */
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    assert_true(clock_mono_ms() - began >= 900 && clock_mono_ms() - began < 5000);
    expect_closed(w, w->hash); /* given up */
    close(w->hash);
    w->hash = world_peer(w, ROLE_HASH, 0);
    log_in(w, SID(0, 3), true);
    assert_true(world_logged(w, "event=hasher-hangs"));
    world_free(&w);
}

static void hash_worker_answers_what_nobody_asked(void **state)
{
    struct world *w = world_new(BOB, short_timeout);
    struct msg m;

    (void)state;
    msg_init(&m, MSG_HASH_RESULT, 1);
    m.code = 1;
    tell(w->hash, &m);
    expect_closed(w, w->hash);
    login_pass(w, SID(0, 1), "bob", "pencil");
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    close(w->hash);
    w->hash = world_peer(w, ROLE_HASH, 0);
    ask(w, SID(0, 2));
    w->m.sid += 1; /* another request than the one it has */
    answer_hash(w, true);
    expect_closed(w, w->hash);
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    world_free(&w);
}

static void a_cancelled_login(void **state)
{
    struct world *w = world_new(BOB, NULL);
    struct msg cancel;

    (void)state;
    ask(w, SID(0, 1));
    msg_init(&cancel, MSG_LOGIN_CANCEL, SID(0, 1));
    tell(w->front[0], &cancel);
    login_pass(w, SID(0, 1), "bob", "other"); /* the same session, another password */
    answer_hash(w, true);                     /* to the first: it must not count for the second */
    expect_hash(w, "other");
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    login_pass(w, SID(0, 1), "bob", "one");
    login_pass(w, SID(0, 1), "bob", "two"); /* replaces the one before */
    expect_hash(w, "one");
    answer_hash(w, true);
    expect_hash(w, "two");
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    tell(w->front[0], &cancel); /* nothing to cancel */
    expect_nothing(w, w->front[0], 50);
    world_free(&w);
}

static void a_store_goes_and_comes(void **state)
{
    struct world *w = world_new(BOB, NULL);
    struct msg m, *need;

    (void)state;
    log_in(w, SID(0, 1), true);
    close(w->store);
    w->store = -1;
    while (!world_logged(w, "peer=store"))
        usleep(10000);
    log_in(w, SID(0, 2), true); /* asked for anew */
    close(w->store);
    w->store = -1;
    usleep(100000);
    ask(w, SID(0, 3));
    answer_hash(w, true);
    need = expect_msg(w, w->super, MSG_NEED_STORE);
    msg_init(&m, MSG_STORE_IS, 0);
    m.uid = need->uid;
    m.gid = need->gid;
    tell(w->super, &m); /* number 0: there is none to be had */
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    world_free(&w);
}

static void a_store_that_never_comes(void **state)
{
    struct world *w = world_new(BOB, short_timeout);

    (void)state;
    ask(w, SID(0, 1));
    answer_hash(w, true);
    expect_msg(w, w->super, MSG_NEED_STORE);
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    log_in(w, SID(0, 2), true); /* the next login asks again */
    world_free(&w);
}

/* Two logins wait for one store: it is asked for once. */
static void one_question_for_many(void **state)
{
    struct world *w = world_new(BOB, NULL);

    (void)state;
    ask(w, SID(0, 1));
    answer_hash(w, true);
    ask(w, SID(1, 1));
    answer_hash(w, true);
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    expect_ok(w, SID(1, 1), "bob");
    expect_nothing(w, w->super, 50);
    world_free(&w);
}

static void small_uid(void **state)
{
    struct world *w = world_new("root:{PLAIN}pencil:1:1\nbob:{PLAIN}pencil\n", NULL);

    (void)state;
    if (geteuid() != 0) { /* an ordinary user serves its own mail, whatever the file says */
        world_free(&w);
        return;
    }
    login_pass(w, SID(0, 1), "root", "pencil");
    expect_hash(w, "pencil");
    answer_hash(w, true);
    expect_fail(w, w->front[0], RC_SYS_PERM);
    ask(w, SID(0, 1)); /* no uid at all, and no mail.user */
    answer_hash(w, true);
    expect_fail(w, w->front[0], RC_SYS_PERM);
    assert_true(world_logged(w, "event=login-impossible"));
    world_free(&w);
}

static void a_front_that_speaks_for_others(void **state)
{
    struct world *w = world_new(BOB, NULL);
    struct msg m;

    (void)state;
    log_in(w, SID(0, 1), true);
    msg_init(&m, MSG_SESSION_END, SID(0, 1));
    tell(w->front[1], &m);
    expect_closed(w, w->front[1]);
    log_in(w, SID(0, 2), false); /* the other one has not felt it */
    assert_true(world_logged(w, "event=front-distrusted"));
    world_free(&w);
}

static void a_front_that_sends_rubbish(void **state)
{
    static const struct {
        const char *octets;
        size_t n;
    } table[] = {
#define ROW(s) { (s), sizeof(s) - 1 }
        ROW("x"),
        ROW("\0\0\0\0\0\0\0\0\0\0\0\0"),
        ROW("\1\377\0\0\0\0\0\0\0\0\0\0"),
        ROW("USER bob\r\nPASS pencil\r\n"),
    };
    struct world *w = world_new(BOB, NULL);
    struct msg m;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(send(w->front[1], table[i].octets, table[i].n, 0), table[i].n);
        expect_closed(w, w->front[1]);
        close(w->front[1]);
        w->front[1] = world_peer(w, ROLE_FRONT, 1);
        expect_msg(w, w->front[1], MSG_MECHS);
    }
    msg_init(&m, MSG_GRANT, SID(1, 1)); /* well-formed, and not for a front to send */
    tell(w->front[1], &m);
    expect_closed(w, w->front[1]);
    log_in(w, SID(0, 1), true);
    world_free(&w);
}

static void changed_users(void **state)
{
    struct world *w = world_new(BOB, NULL);
    struct msg *m;

    (void)state;
    log_in(w, SID(0, 1), true);
    ask(w, SID(0, 2)); /* disabled while its password is being checked */
    world_users(
        w, "bob:{PLAIN}pencil:2000:2001::::disabled\nann:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
           "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=:2000:2001"
           "::::expire=7\n");
    m = expect_msg(w, w->front[0], MSG_MECHS);
    assert_int_equal(m->expire_days, 7);
    assert_true(m->number & MECH_BIT(MECH_SCRAM_SHA_256));
    msg_init(&w->m, MSG_HASH_RESULT, 2);
    answer_hash(w, true);
    expect_fail(w, w->front[0], RC_AUTH);
    world_users(w, "this is no users file\n");
    expect_msg(w, w->front[0], MSG_MECHS);
    login_pass(w, SID(0, 3), "ann", "pencil"); /* the accounts of before stay */
    expect_hash(w, "pencil");
    answer_hash(w, true);
    expect_ok(w, SID(0, 3), "ann");
    assert_true(world_logged(w, "effect=old-accounts-stay"));
    world_free(&w);
}

static void changed_configuration(void **state)
{
    struct world *w = world_new(BOB, NULL);
    struct msg m;

    (void)state;
    world_list(&w->conf->auth.mechanisms, "PLAIN");
    world_set(&w->conf->mail.maildrop, "/elsewhere/{user}");
    world_conf(w);
    close(w->front[0]);
    w->front[0] = world_peer(w, ROLE_FRONT, 0);
    assert_int_equal(expect_msg(w, w->front[0], MSG_MECHS)->number, MECH_BIT(MECH_PLAIN));
    ask(w, SID(0, 1));
    answer_hash(w, true);
    give_store(w);
    expect_span(expect_msg(w, w->store, MSG_GRANT)->path, "/elsewhere/bob");
    expect_msg(w, w->front[0], MSG_LOGIN_OK);
    msg_init(&m, MSG_CONF, 0); /* not to be understood: the old one stays */
    m.data = span_str("nonsense\n");
    tell(w->super, &m);
    log_in(w, SID(0, 2), false);
    assert_true(world_logged(w, "event=conf-refused"));
    world_free(&w);
}

static void a_stop_finishes_what_runs(void **state)
{
    struct world *w = world_new(BOB, NULL);
    struct msg stop;

    (void)state;
    log_in(w, SID(0, 1), true);
    login_sasl(w, SID(0, 3), MECH_PLAIN, (struct span){ NULL, 0 }); /* waits for its client: nobody waits for it */
    expect_msg(w, w->front[0], MSG_CHALLENGE);
    ask(w, SID(0, 2));
    msg_init(&stop, MSG_STOP, 0);
    tell(w->super, &stop);
    usleep(50000);
    answer_hash(w, true);
    expect_ok(w, SID(0, 2), "bob");
    expect_closed(w, w->super);
    close(w->super);
    w->super = -1;
    world_free(&w);
}

static void without_a_supervisor(void **state)
{
    struct world *w = world_new(BOB, NULL);

    (void)state;
    ask(w, SID(0, 1));
    close(w->super);
    expect_closed(w, w->front[0]);
    w->super = -1;
    world_free(&w);
}

/* Nearly as many logins at once as the queue takes: each is answered. */
static void a_crowd(void **state)
{
    struct world *w = world_new(BOB, NULL);
    enum { MANY = 900 };

    (void)state;
    for (uint64_t i = 0; i < MANY; i++)
        login_pass(w, SID(i % 2, i), "bob", "pencil");
    for (uint64_t i = 0; i < MANY; i++) {
        expect_hash(w, "pencil");
        answer_hash(w, false);
    }
    for (uint64_t i = 0; i < MANY; i++)
        expect_fail(w, w->front[i % 2], RC_AUTH);
    log_in(w, SID(0, MANY), true);
    world_free(&w);
}

/* Many abandoned exchanges leave nothing behind: a thousand more take no more memory than the first. */
static long resident_kib(pid_t pid)
{
    char path[64], text[256] = "";
    long pages = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    for (const char *p = strchr(text, ' ') + 1; *p >= '0' && *p <= '9'; p++)
        pages = pages * 10 + (*p - '0');
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void abandon(struct world *w, int n)
{
    struct msg cancel;

    for (int i = 0; i < n; i++) {
        login_sasl(w, SID(0, 1), MECH_LOGIN, span_str("bob"));
        expect_msg(w, w->front[0], MSG_CHALLENGE);
        msg_init(&cancel, MSG_LOGIN_CANCEL, SID(0, 1));
        tell(w->front[0], &cancel);
    }
}

static void abandoned_exchanges(void **state)
{
    struct world *w = world_new(BOB, NULL);
    long before;

    (void)state;
    abandon(w, 3000);
    before = resident_kib(w->pid);
    abandon(w, 20000);
#ifndef __SANITIZE_ADDRESS__ /* its quarantine keeps freed memory */
    assert_true(resident_kib(w->pid) - before < 1024);
#endif
    (void)before;
    log_in(w, SID(0, 1), true);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_worker_dies),
        cmocka_unit_test(hash_worker_hangs),
        cmocka_unit_test(hash_worker_answers_what_nobody_asked),
        cmocka_unit_test(a_cancelled_login),
        cmocka_unit_test(a_store_goes_and_comes),
        cmocka_unit_test(a_store_that_never_comes),
        cmocka_unit_test(one_question_for_many),
        cmocka_unit_test(small_uid),
        cmocka_unit_test(a_front_that_speaks_for_others),
        cmocka_unit_test(a_front_that_sends_rubbish),
        cmocka_unit_test(changed_users),
        cmocka_unit_test(changed_configuration),
        cmocka_unit_test(a_stop_finishes_what_runs),
        cmocka_unit_test(without_a_supervisor),
        cmocka_unit_test(a_crowd),
        cmocka_unit_test(abandoned_exchanges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
