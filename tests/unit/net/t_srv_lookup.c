/* t_srv_lookup.c - both services of a domain asked of a name server: a thread of this test, on loopback.
 *
 * Proves: R6186-01, R6186-03, R6186-04
 * Does not know: how an answer is taken apart in all its ways (t_socks_srv.c).
 */
#include "net/srv.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* What the name server says of one service: targets ("" is the root), or an rcode. */
struct service {
    const char *targets[3];
    uint8_t rcode;
};

struct server {
    int fd, stop[2];
    struct service implicit, plain;
    unsigned asked_implicit, asked_plain, other;
};

static void put_name(struct buf *out, const char *name)
{
    while (*name) {
        uint8_t n = (uint8_t)strcspn(name, ".");

        assert_true(buf_put(out, &n, 1) && buf_put(out, name, n));
        name += n + (name[n] == '.');
    }
    assert_true(buf_put(out, "", 1));
}

/* Priority 10, weight 0, port 995. */
static void put_target(struct buf *out, const char *target)
{
    struct buf name = BUF(300);

    put_name(&name, target);
    assert_true(buf_put(out, "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0", 11));
    assert_true(buf_put(out, &(uint8_t){ (uint8_t)(6 + name.n) }, 1) && buf_put(out, "\0\x0a\0\0\x03\xe3", 6));
    assert_true(buf_put_span(out, buf_span(&name)));
    buf_free(&name);
}

/* The question comes back as it was, up to its end; additional records (EDNS) are not repeated. */
static void answer(struct server *s, const uint8_t *q, size_t n, const struct sockaddr *to, socklen_t to_n)
{
    bool implicit = n > 18 && memcmp(q + 12, "\6_pop3s\4_tcp\1d\4test", 19) == 0;
    bool plain = n > 17 && memcmp(q + 12, "\5_pop3\4_tcp\1d\4test", 18) == 0;
    const struct service *service = implicit ? &s->implicit : &s->plain;
    struct buf out = BUF(2000);
    size_t end = 12;

    while (end < n && q[end])
        end += q[end] + 1u;
    s->asked_implicit += implicit;
    s->asked_plain += plain;
    s->other += !implicit && !plain;
    assert_true(buf_put(&out, q, end + 5));
    memset(out.p + 6, 0, 6);
    out.p[2] = 0x85;
    out.p[3] = (uint8_t)(0x80 | service->rcode);
    for (size_t i = 0; i < 3 && service->targets[i]; i++) {
        put_target(&out, service->targets[i]);
        out.p[7]++;
    }
    assert_int_equal(sendto(s->fd, out.p, out.n, 0, to, to_n), out.n);
    buf_free(&out);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    struct pollfd polls[2] = { { s->fd, POLLIN, 0 }, { s->stop[0], POLLIN, 0 } };

    while (poll(polls, 2, -1) > 0 && !polls[1].revents) {
        struct sockaddr_in from;
        socklen_t from_n = sizeof from;
        uint8_t q[600];
        ssize_t n = recvfrom(s->fd, q, sizeof q, 0, (struct sockaddr *)&from, &from_n);

        if (n > 12)
            answer(s, q, (size_t)n, (struct sockaddr *)&from, from_n);
    }
    return NULL;
}

/* One lookup of "d.test" with such a server. */
static bool looked_up(struct server *s, struct srv_target *targets, size_t *n, struct err *e)
{
    struct sockaddr_in sin = { .sin_family = AF_INET };
    socklen_t sin_n = sizeof sin;
    char nameserver[40];
    pthread_t thread;
    bool ok;

    inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sin, &sin_n), 0);
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
    snprintf(nameserver, sizeof nameserver, "127.0.0.1:%u", ntohs(sin.sin_port));
    ok = srv_lookup("d.test", nameserver, targets, n, e);
    assert_int_equal(write(s->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(s->fd);
    close(s->stop[0]);
    close(s->stop[1]);
    assert_int_equal(s->other, 0);
    return ok;
}

static void both_services(void **state)
{
    struct server s = { .implicit = { { "in.d.test", NULL }, 0 }, .plain = { { "old.d.test", "far.other.test" }, 0 } };
    struct srv_target targets[SRV_MAX];
    struct err e = { FAULT_NONE, "" };
    size_t n;

    (void)state;
    if (!looked_up(&s, targets, &n, &e))
        fail_msg("%s", e.text);
    assert_true(s.asked_implicit && s.asked_plain);
    assert_int_equal(n, 3);
    assert_string_equal(targets[0].host, "in.d.test");
    assert_int_equal(targets[0].port, 995);
    assert_true(targets[0].implicit_tls && targets[0].in_domain);
    for (int i = 1; i < 3; i++) {
        assert_false(targets[i].implicit_tls);
        assert_int_equal(targets[i].in_domain, strcmp(targets[i].host, "old.d.test") == 0);
    }
}

/* Not there, "." and SERVFAIL are three things. */
static void none(void **state)
{
    static const struct { struct service implicit, plain; enum fault fault; size_t n; } rows[] = {
        { { { NULL }, 3 }, { { NULL }, 3 }, FAULT_GONE, 0 },
        { { { NULL }, 0 }, { { NULL }, 0 }, FAULT_GONE, 0 },
        { { { "" }, 0 }, { { "" }, 0 }, FAULT_GONE, 0 },
        { { { "" }, 0 }, { { "a.d.test" }, 0 }, FAULT_NONE, 1 },
        { { { NULL }, 3 }, { { "a.d.test" }, 0 }, FAULT_NONE, 1 },
        { { { NULL }, 2 }, { { NULL }, 2 }, FAULT_TEMP, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server s = { .implicit = rows[i].implicit, .plain = rows[i].plain };
        struct srv_target targets[SRV_MAX];
        struct err e = { FAULT_NONE, "" };
        size_t n = 7;
        bool ok = looked_up(&s, targets, &n, &e);

        if (ok != (rows[i].fault == FAULT_NONE) || e.fault != rows[i].fault || (ok && n != rows[i].n))
            fail_msg("row %zu: %s \"%s\", %zu targets", i, fault_name(e.fault), e.text, n);
    }
}

static void no_question(void **state)
{
    struct srv_target targets[SRV_MAX];
    struct err e = { FAULT_NONE, "" };
    char long_name[400];
    size_t n;

    (void)state;
    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_false(srv_lookup(long_name, "127.0.0.1:9", targets, &n, &e));
    assert_int_equal(e.fault, FAULT_BAD);
    assert_false(srv_lookup("", "127.0.0.1:9", targets, &n, &e));
    assert_int_equal(e.fault, FAULT_BAD);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_services), cmocka_unit_test(none), cmocka_unit_test(no_question),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
