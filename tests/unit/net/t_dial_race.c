/* t_dial_race.c - names to sockets on a real loop: several addresses, a resolver that fails or hangs, too late, given up.
 *
 * Everything on loopback. A listener whose queue is full answers no SYN: that is our host that stays silent. The test of
 * memory is ASan's: each case runs its loop to the end and closes it.
 * It has no requirement row of its own (XCL-06 is the whole client's). Does not know: TLS, POP3.
 */
#include "net/dial.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { LONG_MS = 20000 };

struct outcome {
    unsigned calls;
    int fd;
    struct net_addr peer;
    bool has_peer;
    struct err why;
    int gate; /* lookup_hangs: where the octet goes that lets the resolver return */
};

static void on_done(void *ctx, int fd, const struct net_addr *peer, const struct err *why)
{
    struct outcome *o = ctx;

    o->calls++;
    o->fd = fd;
    o->has_peer = peer != NULL;
    if (peer)
        o->peer = *peer;
    o->why = *why;
}

/* A listener on 127.0.0.1 (or the given other address of 127/8) and some port, or the given one. */
static int listener(const char *address, uint16_t *port, int backlog)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(*port) };
    socklen_t n = sizeof sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, address, &sin.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
    *port = ntohs(sin.sin_port);
    return fd;
}

static struct outcome dialled(const char *host, uint16_t port, int family, uint32_t deadline_ms)
{
    struct outcome o = { .fd = -2 };
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_non_null(dial_start(&loop, host, port, family, deadline_ms, on_done, &o));
    assert_int_equal(o.calls, 0); /* never from dial_start */
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(o.calls, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    return o;
}

static void expect_connected(struct outcome o, const char *address, uint16_t port)
{
    char text[NET_ADDR_TEXT];

    if (o.fd < 0)
        fail_msg("%s", o.why.text);
    assert_true(o.has_peer);
    net_addr_text(&o.peer, text);
    assert_string_equal(text, address);
    assert_int_equal(o.peer.port, port);
    assert_true(fcntl(o.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(o.fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(write(o.fd, "x", 1), 1);
    close(o.fd);
}

static void expect_failed(struct outcome o, enum fault fault, const char *part)
{
    assert_int_equal(o.fd, -1);
    assert_false(o.has_peer);
    if (o.why.fault != fault || !strstr(o.why.text, part))
        fail_msg("%s: \"%s\", want %s: \"%s\"", fault_name(o.why.fault), o.why.text, fault_name(fault), part);
}

static void found(void **state)
{
    uint16_t port = 0;
    int fd = listener("127.0.0.1", &port, 5);

    (void)state;
    expect_connected(dialled("127.0.0.1", port, AF_UNSPEC, LONG_MS), "127.0.0.1", port);
    expect_connected(dialled("localhost", port, AF_INET, LONG_MS), "127.0.0.1", port);
    /* Where "localhost" is ::1 too, nobody listens there: the next address is tried. */
    expect_connected(dialled("localhost", port, AF_UNSPEC, LONG_MS), "127.0.0.1", port);
    close(fd);
}

static void refused(void **state)
{
    uint16_t port = 0;

    (void)state;
    close(listener("127.0.0.1", &port, 1));
    expect_failed(dialled("127.0.0.1", port, AF_UNSPEC, LONG_MS), FAULT_TEMP, "onnection refused");
    expect_failed(dialled("localhost", port, AF_UNSPEC, LONG_MS), FAULT_TEMP, "localhost");
}

static void no_such_name(void **state)
{
    char long_name[300];

    (void)state;
    memset(long_name, '1', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    expect_failed(dialled("", 110, AF_UNSPEC, LONG_MS), FAULT_GONE, "");
    expect_failed(dialled("1.2.3.4.5", 110, AF_UNSPEC, LONG_MS), FAULT_GONE, "1.2.3.4.5");
    expect_failed(dialled("12:34", 110, AF_UNSPEC, LONG_MS), FAULT_GONE, "12:34");
    expect_failed(dialled(long_name, 110, AF_UNSPEC, LONG_MS), FAULT_GONE, "name too long");
    memcpy(long_name, "127.0.0.1", 9); /* would be an address if it were cut */
    expect_failed(dialled(long_name, 110, AF_UNSPEC, LONG_MS), FAULT_GONE, "name too long");
    expect_failed(dialled("127.0.0.1", 110, AF_INET6, LONG_MS), FAULT_GONE, "127.0.0.1");
}

/* A listener with a full queue; the connections that fill it are in fill. */
static int silent(uint16_t *port, int fill[8])
{
    struct sockaddr_in sin = { .sin_family = AF_INET };
    int fd = listener("127.0.0.1", port, 0);

    inet_pton(AF_INET, "127.0.0.1", &sin.sin_addr);
    sin.sin_port = htons(*port);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fill[i], (struct sockaddr *)&sin, sizeof sin);
    }
    return fd;
}

static void too_late(void **state)
{
    uint16_t port = 0;
    int fill[8], fd = silent(&port, fill);

    (void)state;
    expect_failed(dialled("127.0.0.1", port, AF_UNSPEC, 50), FAULT_TEMP, "no answer in time");
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
}

static void on_cancel_time(uv_timer_t *timer)
{
    dial_cancel(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}

/* Given up at once, in the lookup, in the connect: done is not called and nothing leaks. */
static void cancelled(void **state)
{
    uint16_t port = 0;
    int fill[8], fd = silent(&port, fill);
    struct dial *none = NULL;

    (void)state;
    dial_cancel(&none);
    for (int ms = -1; ms < 60; ms += 30) {
        struct outcome o = { .fd = -2 };
        struct dial *d;
        uv_timer_t timer;
        uv_loop_t loop;

        assert_int_equal(uv_loop_init(&loop), 0);
        d = dial_start(&loop, ms == -1 ? "localhost" : "127.0.0.1", port, AF_UNSPEC, LONG_MS, on_done, &o);
        if (ms == -1) {
            dial_cancel(&d);
        } else {
            uv_timer_init(&loop, &timer);
            timer.data = &d;
            uv_timer_start(&timer, on_cancel_time, (uint64_t)ms, 0);
        }
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_null(d);
        assert_int_equal(o.calls, 0);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
}

/* --- the resolver as this test wants it: libuv's thread calls this getaddrinfo --- */

static struct {
    bool ours; /* false: the real one answers */
    const char *addresses[4];
    int code;
    int gate; /* an octet must come from here first; -1 = none */
} resolver;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list);
void freeaddrinfo(struct addrinfo *list);

static struct addrinfo *entry(const char *address, uint16_t port)
{
    struct addrinfo *ai = calloc(1, sizeof *ai);
    struct sockaddr_in6 *six = calloc(1, sizeof *six);
    struct sockaddr_in *four = (struct sockaddr_in *)six;

    assert_true(ai && six);
    ai->ai_family = strchr(address, ':') ? AF_INET6 : AF_INET;
    ai->ai_addr = (struct sockaddr *)six;
    if (ai->ai_family == AF_INET6) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        inet_pton(AF_INET6, address, &six->sin6_addr);
        ai->ai_addrlen = sizeof *six;
    } else {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        inet_pton(AF_INET, address, &four->sin_addr);
        ai->ai_addrlen = sizeof *four;
    }
    return ai;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    char c;

    *list = NULL;
    if (!resolver.ours) {
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(node, service, hints, list);
    }
    if (resolver.gate >= 0 && read(resolver.gate, &c, 1) != 1)
        return EAI_FAIL;
    for (size_t i = 0; !resolver.code && i < 4 && resolver.addresses[i]; i++) {
        *list = entry(resolver.addresses[i], (uint16_t)atoi(service));
        list = &(*list)->ai_next;
    }
    return resolver.code;
}

void freeaddrinfo(struct addrinfo *list)
{
    void (*real)(struct addrinfo *);

    if (!resolver.ours) {
        *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
        real(list);
        return;
    }
    while (list) {
        struct addrinfo *next = list->ai_next;

        free(list->ai_addr);
        free(list);
        list = next;
    }
}
/* ::1 has no listener, the silent host answers never: the second and the third family's turn come by themselves. */
static void raced(void **state)
{
    uint16_t port = 0;
    int fill[8], mute = silent(&port, fill), fd = listener("127.0.0.2", &port, 5);

    (void)state;
    memset(&resolver, 0, sizeof resolver);
    resolver.ours = true;
    resolver.gate = -1;
    resolver.addresses[0] = "::1";
    resolver.addresses[1] = "127.0.0.1";
    resolver.addresses[2] = "127.0.0.2";
    expect_connected(dialled("many.test", port, AF_UNSPEC, LONG_MS), "127.0.0.2", port);
    resolver.addresses[0] = "127.0.0.1";
    resolver.addresses[1] = "127.0.0.2";
    resolver.addresses[2] = "::1";
    expect_connected(dialled("many.test", port, AF_UNSPEC, LONG_MS), "127.0.0.2", port);
    resolver.ours = false;
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(mute);
    close(fd);
}

static void resolver_says(void **state)
{
    static const struct { int code; enum fault fault; } rows[] = {
        { EAI_NONAME, FAULT_GONE }, { EAI_AGAIN, FAULT_TEMP }, { EAI_FAIL, FAULT_TEMP }, { EAI_MEMORY, FAULT_TEMP },
        { 0, FAULT_GONE },
    };

    (void)state;
    memset(&resolver, 0, sizeof resolver);
    resolver.ours = true;
    resolver.gate = -1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        resolver.code = rows[i].code;
        expect_failed(dialled("x.test", 110, AF_UNSPEC, LONG_MS), rows[i].fault, "x.test");
    }
    resolver.ours = false;
}

static void open_gate(void *ctx, int fd, const struct net_addr *peer, const struct err *why)
{
    on_done(ctx, fd, peer, why);
    assert_int_equal(write(((struct outcome *)ctx)->gate, "x", 1), 1);
}

/* The name server hangs: the deadline's answer comes while it still does; nothing is left when it returns. */
static void lookup_hangs(void **state)
{
    struct outcome o = { .fd = -2 };
    uv_loop_t loop;
    int pipe_fds[2];

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    memset(&resolver, 0, sizeof resolver);
    resolver.ours = true;
    resolver.gate = pipe_fds[0];
    resolver.addresses[0] = "127.0.0.1";
    o.gate = pipe_fds[1];
    assert_int_equal(uv_loop_init(&loop), 0);
    dial_start(&loop, "slow.test", 110, AF_UNSPEC, 100, open_gate, &o);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0); /* would never end if the answer waited for the lookup */
    assert_int_equal(o.calls, 1);
    expect_failed(o, FAULT_TEMP, "name server");
    assert_int_equal(uv_loop_close(&loop), 0);
    resolver.ours = false;
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found),    cmocka_unit_test(refused),   cmocka_unit_test(no_such_name),
        cmocka_unit_test(too_late), cmocka_unit_test(cancelled), cmocka_unit_test(raced),
        cmocka_unit_test(resolver_says), cmocka_unit_test(lookup_hangs),
    };

    alarm(60); /* a dial that never answers fails the test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
