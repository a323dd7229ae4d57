/* t_hash_worker.c - the hash worker as a process, alone and behind a real auth worker.
 *
 * Proves: R1939-USER-02, R1939-USER-05, R1939-USER-09, R3206-01, R3206-09
 * Does not know: schemes in detail (t_password.c).
 */
#include "auth_process.h"

#include "auth/password.h"
#include "base/clock.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct hash {
    pid_t pid;
    int super, auth;
    uint8_t packet[IPC_MAX_PACKET];
    struct msg m;
};

static void give_auth(struct hash *h, int theirs)
{
    struct msg m;

    msg_init(&m, MSG_PEER, 0);
    m.role = ROLE_AUTH;
    m.fds[0] = theirs;
    m.nfds = 1;
    tell(h->super, &m);
    close(theirs);
}

static void connect_auth(struct hash *h)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    h->auth = fds[0];
    give_auth(h, fds[1]);
}

static void next(struct hash *h, int fd, enum msg_type type)
{
    struct err e = { FAULT_NONE, "" };

    if (msg_recv(fd, h->packet, sizeof h->packet, &h->m, &e) != 1)
        fail_msg("%s", e.text);
    assert_int_equal(h->m.type, type);
}

static void spawn(struct hash *h)
{
    const char *program = getenv("RESTANTE_HASH");
    int fds[2];

    if (!program)
        fail_msg("RESTANTE_HASH is not set: it names the program");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    h->super = fds[0];
    h->pid = fork();
    if (h->pid == 0) {
        int theirs = fcntl(fds[1], F_DUPFD, 10);

        dup2(theirs, 3);
        close(theirs);
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
}

/* auth: the end that the worker gets, or -1 for one that we hold the other end of. */
static struct hash *start(int auth)
{
    struct hash *h = mem_zero(1, sizeof *h);
    struct conf *conf = conf_defaults();
    struct buf text = BUF(1 << 20);
    struct msg m;

    conf->workers.chroot[0] = '\0'; /* the folder may not exist here */
    spawn(h);
    assert_true(conf_put_text(conf, &text));
    msg_init(&m, MSG_CONF, 0);
    m.data = buf_span(&text);
    tell(h->super, &m);
    buf_free(&text);
    conf_free(&conf);
    h->auth = -1;
    if (auth >= 0)
        give_auth(h, auth);
    else
        connect_auth(h);
    msg_init(&m, MSG_GO, 0);
    m.uid = geteuid() == 0 ? 0 : UINT32_MAX; /* as root: stay root, said plainly */
    m.gid = m.uid;
    tell(h->super, &m);
    next(h, h->super, MSG_READY);
    return h;
}

static void stop(struct hash **hp, bool by_word)
{
    struct hash *h = *hp;
    struct msg m;
    int status;

    msg_init(&m, MSG_STOP, 0);
    if (by_word)
        tell(h->super, &m);
    close(h->super);
    assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
    assert_int_equal(status, 0);
    if (h->auth >= 0)
        close(h->auth);
    free(h);
    *hp = NULL;
}

static void check(struct hash *h, const char *stored, const char *password)
{
    struct msg m;

    msg_init(&m, MSG_HASH_CHECK, 42);
    m.user = span_str(stored);
    m.secret = span_str(password);
    tell(h->auth, &m);
    next(h, h->auth, MSG_HASH_RESULT);
    assert_int_equal(h->m.sid, 42);
}

static void verdicts(void **state)
{
    struct hash *h = start(-1);
    struct buf made = BUF(1000);
    char long_one[201] = "";

    (void)state;
    memset(long_one, 'p', 200);
    assert_true(password_hash(PASSWORD_SHA512_CRYPT, span_str(long_one), 1000, &made, NULL));
    assert_true(buf_put(&made, "", 1));
    check(h, "{PLAIN}pencil", "pencil");
    assert_int_equal(h->m.code, 1);
    check(h, "{PLAIN}pencil", "pen");
    assert_int_equal(h->m.code, 0);
    assert_int_equal(h->m.fault, FAULT_NONE);
    check(h, (char *)made.p, long_one);
    assert_int_equal(h->m.code, 1);
    check(h, (char *)made.p, long_one + 1);
    assert_int_equal(h->m.code, 0);
    check(h, "{NOSUCH}x", "pencil");
    assert_int_equal(h->m.code, 0);
    assert_int_equal(h->m.fault, FAULT_BAD);
    check(h, "{BLF-CRYPT}$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U");
    assert_int_equal(h->m.fault, FAULT_BAD);
    buf_free(&made);
    stop(&h, true);
}

static void another_auth(void **state)
{
    struct hash *h = start(-1);
    struct msg m;
    struct err e;

    (void)state;
    check(h, "{PLAIN}a", "a");
    close(h->auth); /* auth has died; the supervisor brings the next */
    connect_auth(h);
    check(h, "{PLAIN}a", "a");
    assert_int_equal(h->m.code, 1);
    msg_init(&m, MSG_MECHS, 0); /* not for a hash worker: that peer is dropped */
    tell(h->auth, &m);
    assert_int_equal(msg_recv(h->auth, h->packet, sizeof h->packet, &h->m, &e), -1);
    close(h->auth);
    connect_auth(h);
    assert_int_equal(send(h->auth, "rubbish", 7, 0), 7);
    assert_int_equal(msg_recv(h->auth, h->packet, sizeof h->packet, &h->m, &e), -1);
    close(h->auth);
    connect_auth(h);
    check(h, "{PLAIN}a", "a");
    stop(&h, false); /* the supervisor has gone: so does the worker */
}

/* Both workers together: no test plays a part between password and verdict. */
static void behind_a_real_auth(void **state)
{
    struct buf users = BUF(2000);
    struct world *w;
    struct hash *h;

    (void)state;
    assert_true(buf_put_str(&users, "bob:"));
    assert_true(password_hash(PASSWORD_SCRAM_SHA_256, span_str("pencil"), 4096, &users, NULL));
    assert_true(buf_put_str(&users, ":2000:2001\nann:"));
    assert_true(password_hash(PASSWORD_BCRYPT, span_str("ivory"), 4, &users, NULL));
    assert_true(buf_put_str(&users, ":2000:2001\n") && buf_put(&users, "", 1));
    w = world_new((char *)users.p, NULL);
    h = start(w->hash); /* our end of auth's channel becomes the worker's */
    w->hash = -1;
    login_pass(w, SID(0, 1), "bob", "pencil");
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    login_pass(w, SID(0, 2), "ann", "ivory");
    expect_ok(w, SID(0, 2), "ann");
    login_pass(w, SID(0, 3), "ann", "pencil");
    expect_fail(w, w->front[0], RC_AUTH);
    login_pass(w, SID(0, 3), "nobody", "pencil");
    expect_fail(w, w->front[0], RC_AUTH);
    buf_free(&users);
    world_free(&w);
    stop(&h, true);
}

enum { SAMPLES = 41 };

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The least time, in microseconds, of a refusal: what else the machine does can only add to it. */
static int64_t refusal_us(struct world *w, const char *user, const char *password)
{
    int64_t took[SAMPLES];

    for (int i = 0; i < SAMPLES; i++) {
        int64_t began = clock_real_ns();

        login_pass(w, SID(0, 1), user, password);
        expect_fail(w, w->front[0], RC_AUTH);
        assert_int_equal(w->m.flags, 0);
        took[i] = (clock_real_ns() - began) / 1000;
    }
    qsort(took, SAMPLES, sizeof *took, by_size);
    return took[0];
}

/* Above 20 ms and a factor of 1.5 a difference tells who exists. */
static void refusals_take_equally_long(void **state)
{
    static const char *const others[][2] = {
        {"nobody", "pencil"},
        { "off",   "pencil"},
        { "off",   "wrong" },
        { "n\x01", "wrong" },
        { "bob",   "\xff"  }
    };
    struct buf users = BUF(2000);
    struct world *w;
    struct hash *h;
    int64_t known;

    (void)state;
    assert_true(buf_put_str(&users, "bob:"));
    assert_true(password_hash(PASSWORD_SHA512_CRYPT, span_str("pencil"), 50000, &users, NULL)); /* some 40 ms */
    assert_true(buf_put_str(&users, ":2000:2001\noff:"));
    assert_true(password_hash(PASSWORD_SHA512_CRYPT, span_str("pencil"), 50000, &users, NULL));
    assert_true(buf_put_str(&users, ":2000:2001::::disabled\n") && buf_put(&users, "", 1));
    w = world_new((char *)users.p, NULL);
    h = start(w->hash);
    w->hash = -1;
    known = refusal_us(w, "bob", "wrong");
    assert_true(known > 1000);
    for (size_t i = 0; i < COUNT(others); i++) {
        int64_t other = refusal_us(w, others[i][0], others[i][1]);
        int64_t less = known < other ? known : other, more = known < other ? other : known;

        if (more - less > 20000 && more * 2 > less * 3)
            fail_msg("%s: %lld us, known user: %lld us", others[i][0], (long long)other, (long long)known);
    }
    buf_free(&users);
    world_free(&w);
    stop(&h, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(another_auth),
        cmocka_unit_test(behind_a_real_auth),
        cmocka_unit_test(refusals_take_equally_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
