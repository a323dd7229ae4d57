/* t_socks_srv.c - two pure machines of the client: SOCKS5, and SRV records out of a DNS answer.
 *
 * Proves: R6186-02, R6186-03, R6186-04, R6186-05
 * Does not know: sockets, a real name server.
 */
#include "net/socks.h"
#include "net/srv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define LIT(s) span_of((s), sizeof(s) - 1)

/* The proxy's octets one by one; sent: all that we said. */
static enum socks_next converse(const struct socks_conf *conf, struct span proxy, struct buf *sent, struct span *rest)
{
    enum socks_next next = SOCKS_MORE;
    struct err e = { FAULT_NONE, "" };
    struct socks s;

    socks_begin(&s, conf, sent);
    while (next == SOCKS_MORE && proxy.n) {
        struct span one = span_take(&proxy, 1);

        next = socks_input(&s, &one, sent, &e);
        assert_int_equal(one.n, 0);
    }
    assert_int_equal(next == SOCKS_FAILED, e.text[0] != '\0');
    *rest = proxy;
    return next;
}

static void socks_ways(void **state)
{
    const struct { const char *user, *password; struct span proxy, sent; enum socks_next next; size_t rest; } rows[] = {
        { NULL, NULL, LIT("\5\0" "\5\0\0\1\1\2\3\4\0\2+OK"),
          LIT("\5\1\0" "\5\1\0\3\12pop.a.test\3\343"), SOCKS_DONE, 3 },
        { "bob", "pw", LIT("\5\2" "\1\0" "\5\0\0\3\3abc\0\2"),
          LIT("\5\2\0\2" "\1\3bob\2pw" "\5\1\0\3\12pop.a.test\3\343"), SOCKS_DONE, 0 },
        { "bob", "pw", LIT("\5\0" "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\2x"),
          LIT("\5\2\0\2" "\5\1\0\3\12pop.a.test\3\343"), SOCKS_DONE, 1 },
        { "bob", "pw", LIT("\5\2" "\1\1" "x"), LIT("\5\2\0\2" "\1\3bob\2pw"), SOCKS_FAILED, 1 },
        { NULL, NULL, LIT("\5\2"), LIT("\5\1\0"), SOCKS_FAILED, 0 },
        { NULL, NULL, LIT("\5\377"), LIT("\5\1\0"), SOCKS_FAILED, 0 },
        { NULL, NULL, LIT("HTTP/1.1"), LIT("\5\1\0"), SOCKS_FAILED, 6 },
        { NULL, NULL, LIT("\5\0" "\5\5\0\1\0\0\0\0\0\0"), LIT("\5\1\0" "\5\1\0\3\12pop.a.test\3\343"), SOCKS_FAILED, 0 },
        { NULL, NULL, LIT("\5\0" "\5\0\0\7\0\0\0\0\0\0"), LIT("\5\1\0" "\5\1\0\3\12pop.a.test\3\343"), SOCKS_FAILED, 4 },
        { NULL, NULL, LIT("\5\0" "\5\0\0\1\0\0\0\0\0"), LIT("\5\1\0" "\5\1\0\3\12pop.a.test\3\343"), SOCKS_MORE, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct socks_conf conf = { "pop.a.test", 995, rows[i].user, rows[i].password };
        struct buf sent = BUF(1000);
        struct span rest;
        enum socks_next next = converse(&conf, rows[i].proxy, &sent, &rest);

        if (next != rows[i].next || !span_eq(buf_span(&sent), rows[i].sent))
            fail_msg("row %zu: %d, %zu octets sent", i, (int)next, sent.n);
        if (next == SOCKS_DONE)
            assert_int_equal(rest.n, rows[i].rest);
        buf_free(&sent);
    }
}

static void socks_reasons(void **state)
{
    static const char *const texts[] = { NULL, "general", "rules", "network", "host", "refused", "time to live", "command",
                                         "address type", "unknown error 9" };
    struct socks_conf conf = { "a.test", 110, NULL, NULL };

    (void)state;
    for (uint8_t code = 1; code < sizeof texts / sizeof *texts; code++) {
        uint8_t octets[] = { 5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0 };
        struct span in = span_of(octets, sizeof octets);
        struct buf out = BUF(600);
        struct err e = { FAULT_NONE, "" };
        struct socks s;

        socks_begin(&s, &conf, &out);
        assert_int_equal(socks_input(&s, &in, &out, &e), SOCKS_FAILED);
        assert_non_null(strstr(e.text, texts[code]));
        assert_int_equal(e.fault, code == 2 || code > 6 ? FAULT_PERM : FAULT_TEMP);
        buf_free(&out);
    }
}

static void socks_lengths(void **state)
{
    char host[300];
    struct socks_conf conf = { host, 110, NULL, NULL };
    struct span rest;

    (void)state;
    for (size_t n = 0; n < 300; n++) {
        struct buf sent = BUF(1000);

        memset(host, 'h', n);
        host[n] = '\0';
        if (n > 0 && n < 256) {
            assert_int_equal(converse(&conf, LIT("\5\0"), &sent, &rest), SOCKS_MORE);
            assert_int_equal(sent.n, 3 + 5 + n + 2);
        } else {
            assert_int_equal(converse(&conf, LIT("\5\0"), &sent, &rest), SOCKS_FAILED);
        }
        buf_free(&sent);
    }
}

#define HEAD(answers) "\x12\x34\x81\x80\0\1\0" answers "\0\0\0\0" "\6_pop3s\4_tcp\1a\4test\0\0\41\0\1"
#define RECORD(length) "\xc0\x0c\0\41\0\1\0\0\1\0\0" length

/* The octets in a block of their own size, so that the address sanitizer sees any step past them. */
static bool parse(struct span answer, struct srv_target *t, size_t *n, size_t room)
{
    uint8_t *copy = malloc(answer.n ? answer.n : 1);
    bool ok;

    memcpy(copy, answer.p, answer.n);
    ok = srv_parse(span_of(copy, answer.n), "a.test", true, t, n, room);
    free(copy);
    return ok;
}

static void srv_good(void **state)
{
    static const char answer[] = HEAD("\4") RECORD("\22") "\0\12\0\5\3\343\3pop\1a\4test\0"
        RECORD("\14") "\0\1\0\2\3\344\3mx\x31\xc0\x18" RECORD("\23") "\0\1\0\0\3\343\3pop\4evil\2xx\0"
        RECORD("\7") "\0\0\0\0\0\0\0";
    struct srv_target t[4];
    size_t n;

    (void)state;
    assert_true(parse(LIT(answer), t, &n, 4));
    assert_int_equal(n, 3); /* "." is no target */
    assert_string_equal(t[0].host, "pop.a.test");
    assert_true(t[0].priority == 10 && t[0].weight == 5 && t[0].port == 995 && t[0].implicit_tls && t[0].in_domain);
    assert_string_equal(t[1].host, "mx1.a.test");
    assert_true(t[1].priority == 1 && t[1].weight == 2 && t[1].port == 996 && t[1].in_domain);
    assert_string_equal(t[2].host, "pop.evil.xx");
    assert_false(t[2].in_domain);
    assert_true(parse(LIT(answer), t, &n, 1));
    assert_int_equal(n, 1);
    for (size_t cut = 0; cut < sizeof answer - 1; cut++)
        assert_false(parse(span_of(answer, cut), t, &n, 4));
}

static void srv_domains(void **state)
{
    static const struct { const char *domain; bool inside; } rows[] = {
        { "a.test", true }, { "A.Test", true }, { "test", true }, { "pop.a.test", true }, { "op.a.test", false },
        { "x.pop.a.test", false }, { "b.test", false },
    };
    static const char answer[] = HEAD("\1") RECORD("\22") "\0\12\0\5\3\343\3pop\1a\4test\0";
    struct srv_target t;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(srv_parse(LIT(answer), rows[i].domain, false, &t, &n, 1));
        assert_int_equal(t.in_domain, rows[i].inside);
        assert_false(t.implicit_tls);
    }
}

static void srv_bad(void **state)
{
    const struct span bad[] = {
        LIT("\x12\x34\x01\x00\0\0\0\0\0\0\0\0"),                            /* a question */
        LIT("\x12\x34\x81\x83\0\0\0\0\0\0\0\0"),                            /* NXDOMAIN */
        LIT(HEAD("\1") RECORD("\11") "\0\1\0\1\3\343\xc0\x18\0"),           /* octets behind the target */
        LIT(HEAD("\1") RECORD("\10") "\0\1\0\1\3\343\xc0\x36"),             /* a pointer to itself */
        LIT(HEAD("\1") RECORD("\12") "\0\1\0\1\3\343\1x\xc0\x36"),          /* a loop that grows */
        LIT(HEAD("\1") RECORD("\10") "\0\1\0\1\3\343\xff\xff"),             /* a pointer past the end */
        LIT(HEAD("\1") RECORD("\11") "\0\1\0\1\3\343\x41" "aa"),            /* a label of 65 octets */
        LIT(HEAD("\1") RECORD("\13") "\0\1\0\1\3\343\3a\x1b" "b\0"),        /* a control in a name */
        LIT(HEAD("\1") RECORD("\13") "\0\1\0\1\3\343\3a.b\0"),              /* a dot inside a label */
        LIT(HEAD("\1") RECORD("\13") "\0\1\0\1\3\343\3a/b\0"),
        LIT(HEAD("\1") RECORD("\13") "\0\1\0\1\3\343\3a\0b\0"),
    };
    struct srv_target t[4];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(bad[i], t, &n, 4))
            fail_msg("row %zu was taken", i);
}

static struct srv_target target(const char *host, uint16_t priority, uint16_t weight, bool implicit)
{
    struct srv_target t = { .port = 1, .priority = priority, .weight = weight, .implicit_tls = implicit };

    snprintf(t.host, sizeof t.host, "%s", host);
    return t;
}

/* The draws are fixed by the numbers given: shares of RFC 2782, within a twentieth. */
static void srv_by_weight(void **state)
{
    unsigned first[3] = { 0, 0, 0 };

    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        struct srv_target t[] = { target("plain", 0, 9, false), target("late", 20, 65535, true), target("a", 10, 100, true),
                                  target("b", 10, 300, true), target("zero", 10, 0, true) };

        srv_order(t, 5, i * 0x9e3779b97f4a7c15u);
        assert_string_equal(t[4].host, "plain"); /* although its priority is the best */
        assert_string_equal(t[3].host, "late");
        first[strcmp(t[0].host, "a") == 0 ? 0 : strcmp(t[0].host, "b") == 0 ? 1 : 2]++;
    }
    assert_in_range(first[0], 4000, 6000);
    assert_in_range(first[1], 14000, 16000);
    assert_in_range(first[2], 1, 200); /* "a very small chance" */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socks_ways), cmocka_unit_test(socks_reasons), cmocka_unit_test(socks_lengths),
        cmocka_unit_test(srv_good),   cmocka_unit_test(srv_domains),   cmocka_unit_test(srv_bad),
        cmocka_unit_test(srv_by_weight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
