/* t_base_net.c - addresses, networks, log lines, buffers, the shared counters, settings of sockets.
 *
 * Proves: R4422-05
 */
#include "base/buf.h"
#include "base/log.h"
#include "base/net_addr.h"
#include "base/secret.h"
#include "net/listener.h"
#include "server/counters.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static void addresses(void **state)
{
    static const struct { const char *block, *in, *out; } rows[] = {
        { "127.0.0.0/8", "127.255.1.2:1", "128.0.0.1:1" }, { "10.1.2.3", "10.1.2.3:9", "10.1.2.4:9" },
        { "::1", "[::1]:1", "[::2]:1" }, { "2001:db8::/33", "[2001:db8:7fff::1]:1", "[2001:db8:8000::1]:1" },
        { "0.0.0.0/0", "1.2.3.4:1", "[::1]:1" }, { "192.168.4.0/22", "192.168.7.255:1", "192.168.8.0:1" },
    };
    static const char *const bad[] = { "", "x", "1.2.3.4/33", "::1/129", "1.2.3/8", "1.2.3.4/", "1.2.3.4/-1" };
    struct net_block b;
    struct net_addr a;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(net_block_parse(rows[i].block, &b));
        assert_true(net_addr_parse(rows[i].in, &a));
        assert_true(net_block_has(&b, &a));
        assert_true(net_addr_parse(rows[i].out, &a));
        assert_false(net_block_has(&b, &a));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(net_block_parse(bad[i], &b));
    assert_false(net_addr_parse("1.2.3.4", &a));
    assert_false(net_addr_parse("[::1:5", &a));
    assert_false(net_addr_parse("1.2.3.4:65536", &a));
    assert_true(net_addr_parse("*:110", &a));
    assert_int_equal(a.port, 110);
}

static void log_lines(void **state)
{
    const struct field f[] = { F_STR("user", "a\"b\\c\n\x1b[31m\xc3\xa9"), F_U64("n", 7), F_STR("empty", ""),
                               F_STR("plain", "bob@example.org"), F_SID(0x12) };
    char line[LOG_LINE], long_value[1000];
    size_t n = event_format(line, sizeof line, "login", f, 5);

    (void)state;
    line[n] = '\0';
    assert_string_equal(line, "event=login user=\"a\\x22b\\x5cc\\x0a\\x1b[31m\\xc3\\xa9\" n=7 empty=\"\" "
                              "plain=bob@example.org sid=0000000000000012");
    memset(long_value, 'x', sizeof long_value);
    long_value[999] = '\0';
    n = event_format(line, sizeof line, "e", (struct field[]){ F_STR("v", long_value) }, 1);
    assert_true(n < 400);
    n = event_format(line, 20, "e", f, 5); /* a line that is too long is cut, never overrun */
    assert_int_equal(n, 20);
}

static void buffers(void **state)
{
    struct buf b = BUF(10);

    (void)state;
    assert_true(buf_put(&b, "12345", 5));
    assert_true(buf_put(&b, "67890", 5));
    assert_false(buf_put(&b, "x", 1));
    assert_int_equal(b.n, 10);
    buf_consume(&b, 4);
    assert_true(span_is(buf_span(&b), "567890"));
    assert_false(buf_reserve(&b, SIZE_MAX) != NULL);
    assert_false(buf_printf(&b, "%d", 123456));
    buf_wipe(&b);
    assert_int_equal(b.n, 0);
    assert_true(secret_eq(span_str("abc"), span_str("abc")));
    assert_false(secret_eq(span_str("abc"), span_str("abd")));
    assert_false(secret_eq(span_str("abc"), span_str("ab")));
}

static void counting(void **state)
{
    int fd = memfd_create("counters", MFD_CLOEXEC);
    struct counters *page;
    struct net_addr a, b;
    struct err e;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)counters_octets()), 0);
    assert_true(counters_map(fd, &page, &e));
    counters_add(page, 0, CNT_OPEN, 3);
    counters_add(page, 1, CNT_OPEN, 4);
    assert_int_equal(counters_sum(page, CNT_OPEN), 7);
    assert_true(net_addr_parse("[2001:db8::1]:1", &a));
    assert_true(net_addr_parse("[2001:db8::ffff]:1", &b)); /* the same /64 */
    counters_address_add(page, 0, &a, 1);
    counters_address_add(page, 1, &b, 1);
    assert_int_equal(counters_address(page, &a), 2);
    counters_clear_slot(page, 1);
    assert_int_equal(counters_address(page, &b), 1);
    assert_int_equal(counters_sum(page, CNT_OPEN), 3);
    counters_add(page, COUNTER_SLOTS - 1, CNT_OPEN, 5); /* the last slot counts as the first does */
    assert_int_equal(counters_sum(page, CNT_OPEN), 8);
    counters_add(NULL, 0, CNT_OPEN, 1);
    assert_int_equal(counters_address(NULL, &a), 0);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t n = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &n), 0);
    return value;
}

/* Nothing is set on an accepted socket: it must have it from the listening one. */
static void accepted_sockets_inherit(void **state)
{
    struct sockaddr_in at;
    socklen_t n = sizeof at;
    struct net_addr a;
    struct err e;
    int listener, client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    (void)state;
    assert_true(net_addr_parse("127.0.0.1:0", &a));
    listener = listener_open(&a, 8, &e);
    assert_true(listener >= 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at, n), 0);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 20);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 140000);
    close(fd);
    close(client);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses), cmocka_unit_test(log_lines), cmocka_unit_test(buffers),
        cmocka_unit_test(counting), cmocka_unit_test(accepted_sockets_inherit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
