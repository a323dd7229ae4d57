/* t_channel.c - batching channels between workers: order, departures, descriptors in between, a peer that does not read,
 * what must be there first, the end.
 *
 * Does not know: what messages mean.
 */
#include "ipc/channel.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static uint8_t room[IPC_MAX_PACKET];

struct ends {
    uv_loop_t loop;
    struct channel *channel;
    int peer;
    unsigned before, gone;
};

static void on_msg(void *ctx, struct channel *c, struct msg *m)
{
    (void)ctx, (void)c, (void)m;
}

static void on_gone(void *ctx, struct channel *c, const struct err *why)
{
    struct ends *s = ctx;

    (void)c, (void)why;
    s->gone++;
    s->channel = NULL;
}

static void before(void *ctx)
{
    ((struct ends *)ctx)->before++;
}

static void begin(struct ends *s)
{
    static const struct channel_ops ops = { on_msg, on_gone };
    struct err e;
    int pair[2];

    *s = (struct ends){ .peer = -1 };
    assert_int_equal(uv_loop_init(&s->loop), 0);
    assert_true(channel_pair(pair, &e));
    s->peer = pair[1];
    assert_int_equal(fcntl(s->peer, F_SETFL, O_NONBLOCK), 0);
    s->channel = channel_open(&s->loop, pair[0], ROLE_STORE, ROLE_FRONT, 3, &ops, s);
    channel_batch(s->channel, before);
}

static void end(struct ends *s)
{
    channel_close(&s->channel);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0);
    if (s->peer >= 0)
        close(s->peer);
}

static bool say(struct ends *s, uint64_t sid, int fd)
{
    struct msg m;

    msg_init(&m, fd < 0 ? MSG_COMMITTED : MSG_MESSAGE, sid);
    if (fd >= 0) {
        m.fds[0] = fd;
        m.nfds = 1;
    }
    return channel_send(s->channel, &m);
}

/* The sid of the next packet; 0 = none there. Descriptors are closed. */
static uint64_t hear(struct ends *s, unsigned *nfds)
{
    struct msg m;
    struct err e;
    int got = msg_recv(s->peer, room, sizeof room, &m, &e);

    if (got <= 0)
        return 0;
    if (nfds)
        *nfds = m.nfds;
    msg_close_fds(&m);
    return m.sid;
}

static void leaves_before_the_loop_waits(void **state)
{
    struct ends s;

    (void)state;
    begin(&s);
    for (uint64_t sid = 1; sid <= 3; sid++)
        assert_true(say(&s, sid, -1));
    assert_int_equal(hear(&s, NULL), 0); /* gathered */
    assert_int_equal(s.before, 0);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    for (uint64_t sid = 1; sid <= 3; sid++)
        assert_int_equal(hear(&s, NULL), sid);
    assert_int_equal(hear(&s, NULL), 0);
    assert_int_equal(s.before, 1); /* once for all three */
    uv_run(&s.loop, UV_RUN_NOWAIT);
    assert_int_equal(s.before, 1);
    end(&s);
}

static void order_stays_with_descriptors(void **state)
{
    unsigned nfds = 0;
    struct ends s;

    (void)state;
    begin(&s);
    assert_true(say(&s, 1, -1));
    assert_true(say(&s, 2, s.peer)); /* carries a descriptor: everything leaves */
    assert_true(say(&s, 3, -1));
    assert_int_equal(hear(&s, &nfds), 1);
    assert_int_equal(nfds, 0);
    assert_int_equal(hear(&s, &nfds), 2);
    assert_int_equal(nfds, 1);
    assert_int_equal(hear(&s, NULL), 0);
    channel_flush(s.channel);
    assert_int_equal(hear(&s, &nfds), 3);
    assert_int_equal(nfds, 0);
    end(&s);
}

static void a_large_message_keeps_its_place(void **state)
{
    static uint8_t listing[16384];
    struct ends s;
    struct msg m;

    (void)state;
    begin(&s);
    for (uint64_t sid = 1; sid <= 5; sid++) {
        msg_init(&m, MSG_OPENED, sid);
        m.data = span_of(listing, sid % 2 ? sizeof listing : 1);
        assert_true(channel_send(s.channel, &m));
    }
    channel_flush(s.channel);
    for (uint64_t sid = 1; sid <= 5; sid++)
        assert_int_equal(hear(&s, NULL), sid);
    end(&s);
}

static void a_peer_that_does_not_read_loses_nothing(void **state)
{
    enum { MANY = 20000 };
    unsigned nfds;
    struct ends s;

    (void)state;
    begin(&s);
    for (uint64_t sid = 1; sid <= MANY; sid++)
        assert_true(say(&s, sid, sid % 1000 ? -1 : s.peer));
    channel_flush(s.channel);
    assert_true(channel_backlog(s.channel) > 0);
    for (uint64_t sid = 1; sid <= MANY; sid++) {
        uint64_t got = hear(&s, &nfds);

        for (int i = 0; i < 10 && !got; i++) {
            uv_run(&s.loop, UV_RUN_NOWAIT);
            got = hear(&s, &nfds);
        }
        assert_int_equal(got, sid);
        assert_int_equal(nfds, sid % 1000 ? 0 : 1);
    }
    assert_int_equal(channel_backlog(s.channel), 0);
    assert_int_equal(s.gone, 0);
    end(&s);
}

static void a_closed_channel_has_said_all(void **state)
{
    struct ends s;

    (void)state;
    begin(&s);
    assert_true(say(&s, 1, -1));
    assert_true(say(&s, 2, -1));
    channel_close(&s.channel);
    assert_int_equal(hear(&s, NULL), 1);
    assert_int_equal(hear(&s, NULL), 2);
    channel_flush(NULL);
    end(&s);
}

static void a_dead_peer_is_told_by_the_loop(void **state)
{
    struct ends s;

    (void)state;
    begin(&s);
    close(s.peer);
    s.peer = -1;
    assert_true(say(&s, 1, -1));
    for (int i = 0; i < 10 && !s.gone; i++)
        uv_run(&s.loop, UV_RUN_NOWAIT);
    assert_int_equal(s.gone, 1);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_before_the_loop_waits),
        cmocka_unit_test(order_stays_with_descriptors),
        cmocka_unit_test(a_large_message_keeps_its_place),
        cmocka_unit_test(a_peer_that_does_not_read_loses_nothing),
        cmocka_unit_test(a_closed_channel_has_said_all),
        cmocka_unit_test(a_dead_peer_is_told_by_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
