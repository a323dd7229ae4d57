/* t_dial.c - dialling on the loopback network, and the SRV question to a name server of our own.
 * Does not know: TLS, what is said on a connection.
 */
#include "net/dial.h"
#include "net/srv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct outcome {
    unsigned calls;
    int fd;
    struct net_addr peer;
    struct err why;
};

static void on_done(void *ctx, int fd, const struct net_addr *peer, const struct err *why)
{
    struct outcome *o = ctx;

    o->calls++;
    o->fd = fd;
    if (peer)
        o->peer = *peer;
    o->why = *why;
}

/* A socket on a free port of 127.0.0.1. */
static int local(int type, uint16_t *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, type, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static struct outcome dial(const char *host, uint16_t port, int family, bool cancel)
{
    struct outcome o = { .fd = -1 };
    struct dial *d;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    d = dial_start(&loop, host, port, family, 60000, on_done, &o);
    assert_int_equal(o.calls, 0);
    if (cancel) {
        dial_cancel(&d);
        assert_null(d);
        dial_cancel(&d);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0); /* nothing of it is left */
    assert_int_equal(o.calls, !cancel);
    return o;
}

static void connects(void **state)
{
    uint16_t port;
    int listener = local(SOCK_STREAM, &port), accepted;
    struct outcome o;
    char text[NET_ADDR_TEXT], octet;

    (void)state;
    assert_int_equal(listen(listener, 5), 0);
    o = dial("127.0.0.1", port, AF_UNSPEC, false);
    assert_true(o.fd >= 0);
    assert_true(fcntl(o.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(o.fd, F_GETFD) & FD_CLOEXEC);
    net_addr_text(&o.peer, text);
    assert_string_equal(text, "127.0.0.1");
    assert_int_equal(o.peer.port, port);
    accepted = accept(listener, NULL, NULL);
    assert_int_equal(recv(accepted, &octet, 1, MSG_DONTWAIT), -1); /* no octet of ours */
    assert_int_equal(write(o.fd, "x", 1), 1);
    assert_int_equal(read(accepted, &octet, 1), 1);
    close(o.fd);
    close(accepted);
    o = dial("localhost", port, AF_UNSPEC, false); /* where that is ::1 too, only the second family answers */
    assert_true(o.fd >= 0);
    close(o.fd);
    dial("127.0.0.1", port, AF_UNSPEC, true);
    close(listener);
}

static void fails(void **state)
{
    uint16_t port;
    int bound = local(SOCK_STREAM, &port); /* not listening: refused */
    char long_name[300];
    struct outcome o = dial("127.0.0.1", port, AF_INET, false);

    (void)state;
    assert_int_equal(o.fd, -1);
    assert_int_equal(o.why.fault, FAULT_TEMP);
    assert_non_null(strstr(o.why.text, "refused"));
    o = dial("999.1.1.1", port, AF_UNSPEC, false);
    assert_int_equal(o.fd, -1);
    assert_int_equal(o.why.fault, FAULT_GONE);
    o = dial("127.0.0.1", port, AF_INET6, false);
    assert_int_equal(o.why.fault, FAULT_GONE);
    o = dial("", port, AF_UNSPEC, false);
    assert_int_equal(o.fd, -1);
    memset(long_name, '1', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    o = dial(long_name, port, AF_UNSPEC, false);
    assert_int_equal(o.fd, -1);
    assert_int_equal(o.why.fault, FAULT_GONE);
    close(bound);
}

struct name_server {
    int fd, questions;
    int rcode;  /* 0: one target for each of the two services */
    bool asked[2]; /* _pop3s, _pop3 */
};

/* Answers as many questions as it was told, then ends. */
static void serve(void *arg)
{
    struct name_server *s = arg;

    while (s->questions--) {
        struct sockaddr_in from;
        socklen_t n = sizeof from;
        uint8_t m[600];
        ssize_t got = recvfrom(s->fd, m, 512, 0, (struct sockaddr *)&from, &n);
        static const uint8_t target[] = "\xc0\x0c\0\41\0\1\0\0\1\0\0\17\0\0\0\0\3\343\2mx\4test";
        bool implicit = got > 18 && memcmp(m + 12, "\6_pop3s", 7) == 0;
        size_t end = 12;

        if (got < 17)
            return;
        s->asked[implicit ? 0 : 1] = true;
        while (m[end])
            end += m[end] + 1u;
        end += 5;
        m[2] = 0x84;
        m[3] = (uint8_t)(0x80 | s->rcode);
        memset(m + 6, 0, 6);
        m[7] = s->rcode ? 0 : 1;
        if (!s->rcode)
            memcpy(m + end, target, sizeof target);
        sendto(s->fd, m, end + (s->rcode ? 0 : sizeof target), 0, (struct sockaddr *)&from, n);
    }
}

static void srv_question(void **state)
{
    static const struct { int rcode; bool ok; enum fault fault; } rows[] = {
        { 0, true, FAULT_NONE }, { 3, false, FAULT_GONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct name_server s = { .questions = 2, .rcode = rows[i].rcode };
        struct srv_target t[SRV_MAX];
        struct err e = { FAULT_NONE, "" };
        char where[40];
        uv_thread_t thread;
        uint16_t port;
        size_t n = 99;

        s.fd = local(SOCK_DGRAM, &port);
        snprintf(where, sizeof where, "127.0.0.1:%u", port);
        assert_int_equal(uv_thread_create(&thread, serve, &s), 0);
        assert_int_equal(srv_lookup("a.test", where, t, &n, &e), rows[i].ok);
        uv_thread_join(&thread);
        close(s.fd);
        assert_true(s.asked[0] && s.asked[1]);
        assert_int_equal(e.fault, rows[i].fault);
        assert_int_equal(n, rows[i].ok ? 2 : 0);
        if (!rows[i].ok)
            continue;
        assert_true(t[0].implicit_tls && !t[1].implicit_tls);
        assert_string_equal(t[0].host, "mx.test");
        assert_int_equal(t[0].port, 995);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),
        cmocka_unit_test(fails),
        cmocka_unit_test(srv_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
