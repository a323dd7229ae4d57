/* t_msg.c - messages between workers: round trips, caps, permissions, malformed packets, descriptors.
 *
 * A malformed packet must never decode into something else: every truncation is refused, every mutated packet
 * either is refused or decodes into spans that lie inside the packet.
 */
#include "ipc/msg.h"

#include "base/secret.h"
#include "ipc/channel.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static void fill(struct msg *m, enum msg_type type)
{
    static const uint8_t blob[300] = "some octets \0 with a NUL in them";

    msg_init(m, type, 0x0001234500000007u);
    m->id = 1;
    m->number = 0xfffffffe;
    m->uid = 2;
    m->gid = 3;
    m->count = 4;
    m->flags = 5;
    m->fault = 1;
    m->expire_days = 0xffffffff;
    m->login_delay_s = 9;
    m->octets = 1ull << 40;
    m->legacy_octets = 77;
    m->role = 1;
    m->mech = 2;
    m->code = 3;
    memset(m->grant, 0xaa, sizeof m->grant);
    memset(m->addr, 0xbb, sizeof m->addr);
    m->user = m->path = span_of(blob, 31);
    m->secret = span_of(blob, 16);
    m->data = m->certificate = span_of(blob, 40);
    m->binding_unique = span_of(blob, 12);
    m->binding_exporter = span_of(blob, 32);
}

static size_t encode(enum msg_type type, uint8_t *packet)
{
    struct msg m;

    fill(&m, type);
    return msg_encode(&m, packet, IPC_MAX_PACKET);
}

static void round_trip(void **state)
{
    static uint8_t a[IPC_MAX_PACKET], b[IPC_MAX_PACKET];

    (void)state;
    for (unsigned t = MSG_NONE + 1; t < MSG_TYPES; t++) {
        struct msg m;
        size_t n = encode((enum msg_type)t, a);

        assert_int_not_equal(n, 0);
        assert_true(msg_decode(span_of(a, n), &m));
        assert_int_equal(m.type, t);
        assert_int_equal(m.sid, 0x0001234500000007u);
        assert_int_equal(msg_encode(&m, b, sizeof b), n);
        assert_memory_equal(a, b, n);
        assert_string_not_equal(msg_name((enum msg_type)t), "unknown");
    }
}

static void every_truncation(void **state)
{
    static uint8_t a[IPC_MAX_PACKET];
    struct msg m;

    (void)state;
    for (unsigned t = MSG_NONE + 1; t < MSG_TYPES; t++) {
        size_t n = encode((enum msg_type)t, a);

        for (size_t cut = 0; cut < n; cut++) {
            uint8_t *copy = malloc(cut ? cut : 1);

            memcpy(copy, a, cut);
            assert_false(msg_decode(span_of(copy, cut), &m));
            free(copy);
        }
        a[n] = 0; /* nor may anything follow */
        assert_false(msg_decode(span_of(a, n + 1), &m));
    }
}

static void inside(struct span s, const uint8_t *p, size_t n)
{
    assert_true(s.n == 0 || (s.p >= p && s.p + s.n <= p + n));
}

static void mutations(void **state)
{
    static uint8_t a[IPC_MAX_PACKET];
    struct msg m;
    uint32_t seed = 12345;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        size_t n = encode((enum msg_type)(1 + round % (MSG_TYPES - 1)), a);

        for (int k = 0; k < 3; k++) {
            seed = seed * 1664525u + 1013904223u;
            a[(seed >> 8) % (n < 60 ? n : 60)] = (uint8_t)(seed >> 24);
        }
        if (!msg_decode(span_of(a, n), &m))
            continue;
        inside(m.user, a, n);
        inside(m.secret, a, n);
        inside(m.data, a, n);
        inside(m.path, a, n);
        inside(m.certificate, a, n);
        inside(m.binding_unique, a, n);
    }
}

static void caps(void **state)
{
    static uint8_t big[200000], a[IPC_MAX_PACKET];
    struct msg m;

    (void)state;
    msg_init(&m, MSG_LOGIN_PASS, 1);
    m.user = span_of(big, 1024);
    assert_int_not_equal(msg_encode(&m, a, sizeof a), 0);
    m.user = span_of(big, 1025);
    assert_int_equal(msg_encode(&m, a, sizeof a), 0);
    msg_init(&m, MSG_SASL_MORE, 1);
    m.data = span_of(big, 65536);
    assert_int_not_equal(msg_encode(&m, a, sizeof a), 0);
    m.data = span_of(big, 65537);
    assert_int_equal(msg_encode(&m, a, sizeof a), 0);
    m.data = span_of(big, 10);
    assert_int_equal(msg_encode(&m, a, 20), 0);
}

/* The border: who may say what to whom. A front must not be able to grant, nor a store to speak to auth. */
static void permissions(void **state)
{
    (void)state;
    assert_true(msg_permitted(ROLE_AUTH, ROLE_STORE, MSG_GRANT));
    assert_false(msg_permitted(ROLE_FRONT, ROLE_STORE, MSG_GRANT));
    assert_false(msg_permitted(ROLE_FRONT, ROLE_AUTH, MSG_GRANT));
    assert_true(msg_permitted(ROLE_FRONT, ROLE_STORE, MSG_COMMIT));
    assert_false(msg_permitted(ROLE_AUTH, ROLE_STORE, MSG_COMMIT));
    assert_false(msg_permitted(ROLE_FRONT, ROLE_SUPERVISOR, MSG_NEED_STORE));
    assert_true(msg_permitted(ROLE_AUTH, ROLE_SUPERVISOR, MSG_NEED_STORE));
    assert_false(msg_permitted(ROLE_FRONT, ROLE_FRONT, MSG_PEER));
    assert_false(msg_permitted(ROLE_STORE, ROLE_FRONT, MSG_LOGIN_OK));
    assert_false(msg_permitted(ROLE_FRONT, ROLE_AUTH, MSG_NONE));
    assert_false(msg_permitted(ROLE_FRONT, ROLE_AUTH, (enum msg_type)999));
    for (unsigned t = 0; t < MSG_TYPES; t++) { /* hash workers say one thing only */
        bool may = msg_permitted(ROLE_HASH, ROLE_AUTH, (enum msg_type)t);

        assert_int_equal(may, t == MSG_HASH_RESULT);
        assert_false(msg_permitted(ROLE_HASH, ROLE_STORE, (enum msg_type)t));
        assert_false(msg_permitted(ROLE_STORE, ROLE_AUTH, (enum msg_type)t));
    }
}

static void descriptors(void **state)
{
    static uint8_t room[IPC_MAX_PACKET];
    struct err e;
    struct msg m, got;
    int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_true(channel_pair(pair, &e));
    msg_init(&m, MSG_MESSAGE, 5);
    m.data = span_of((const uint8_t *)"\2\0\0\0", 4);
    m.fds[0] = null;
    m.nfds = 1;
    assert_true(msg_send(pair[0], &m, &e));
    assert_int_equal(msg_recv(pair[1], room, sizeof room, &got, &e), 1);
    assert_int_equal(got.nfds, 1);
    assert_int_not_equal(got.fds[0], null);
    assert_int_equal(got.data.n, 4);
    msg_close_fds(&got);
    m.type = MSG_CLOSE; /* a type that carries none */
    assert_false(msg_send(pair[0], &m, &e));
    assert_int_equal(write(pair[0], "garbage", 7), 7);
    assert_int_equal(msg_recv(pair[1], room, sizeof room, &got, &e), -1);
    assert_int_equal(e.fault, FAULT_BAD);
    close(pair[0]);
    assert_int_equal(msg_recv(pair[1], room, sizeof room, &got, &e), -1);
    assert_int_equal(e.fault, FAULT_GONE);
    close(pair[1]);
    close(null);
}

/* ---- channels on a loop ---- */
struct end {
    struct channel *c;
    unsigned msgs, gone;
    enum fault why;
};

static void on_msg(void *ctx, struct channel *c, struct msg *m)
{
    struct end *e = ctx;

    (void)c;
    (void)m;
    e->msgs++;
}

static void on_gone(void *ctx, struct channel *c, const struct err *why)
{
    struct end *e = ctx;

    (void)c;
    e->gone++;
    e->why = why->fault;
}

static void queue_and_close(void **state)
{
    static const struct channel_ops ops = { on_msg, on_gone };
    static uint8_t blob[60000];
    uv_loop_t loop;
    struct end a = { 0 }, b = { 0 };
    struct err e;
    struct msg m;
    int pair[2];

    (void)state;
    uv_loop_init(&loop);
    assert_true(channel_pair(pair, &e));
    a.c = channel_open(&loop, pair[0], ROLE_FRONT, ROLE_AUTH, 1, &ops, &a);
    b.c = channel_open(&loop, pair[1], ROLE_AUTH, ROLE_FRONT, 2, &ops, &b);
    msg_init(&m, MSG_SASL_MORE, 1);
    m.data = span_of(blob, sizeof blob);
    for (int i = 0; i < 50; i++) /* more than the socket holds: the rest waits in the queue */
        assert_true(channel_send(a.c, &m));
    for (int i = 0; i < 200 && b.msgs < 50; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(b.msgs, 50);
    assert_int_equal(channel_backlog(a.c), 0);
    msg_init(&m, MSG_MECHS, 0); /* a front may not say this: its channel ends, the other side's too */
    assert_true(channel_send(a.c, &m));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(b.gone, 1);
    assert_int_equal(b.why, FAULT_BAD);
    assert_int_equal(a.gone, 1);
    assert_int_equal(a.why, FAULT_GONE);
    assert_false(channel_send(NULL, &m));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(every_truncation), cmocka_unit_test(mutations),
        cmocka_unit_test(caps), cmocka_unit_test(permissions), cmocka_unit_test(descriptors),
        cmocka_unit_test(queue_and_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
