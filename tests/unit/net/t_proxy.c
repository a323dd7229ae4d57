/* t_proxy.c - PROXY headers, version 1 and 2: every prefix, every limit, every refusal.
 *
 * Proves: PP-05, PP-06, PP-07, PP-08, PP-09, PP-10, PP-11, PP-12, PP-17
 */
#include "net/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static enum proxy_result parse(const void *p, size_t n, struct proxy_header *h)
{
    uint8_t *copy = malloc(n ? n : 1); /* exact size: the address sanitizer sees any step past it */
    enum proxy_result r;

    memcpy(copy, p, n);
    r = proxy_parse(span_of(copy, n), h);
    free(copy);
    return r;
}

static enum proxy_result text(const char *s, struct proxy_header *h)
{
    return parse(s, strlen(s), h);
}

static void expect_addr(const struct net_addr *a, const char *want, unsigned port)
{
    char got[NET_ADDR_TEXT];

    net_addr_text(a, got);
    assert_string_equal(got, want);
    assert_int_equal(a->port, port);
}

static void v1_good(void **state)
{
    static const char head[] = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 110\r\n";
    struct proxy_header h;

    (void)state;
    for (size_t n = 1; n < sizeof head - 1; n++)
        assert_int_equal(parse(head, n, &h), PROXY_MORE);
    assert_int_equal(text(head, &h), PROXY_OK);
    assert_true(h.has_addr);
    assert_int_equal(h.octets, sizeof head - 1);
    expect_addr(&h.src, "192.0.2.1", 50000);
    expect_addr(&h.dst, "192.0.2.2", 110);
    assert_int_equal(text("PROXY TCP6 2001:db8::1 ::1 1 65535\r\nUSER x\r\n", &h), PROXY_OK);
    expect_addr(&h.src, "2001:db8::1", 1);
    assert_int_equal(h.octets, 36);
    assert_int_equal(text("PROXY UNKNOWN\r\n", &h), PROXY_OK);
    assert_false(h.has_addr);
    assert_int_equal(text("PROXY UNKNOWN ffff::1 junk 77 x\r\n", &h), PROXY_OK);
    assert_false(h.has_addr);
}

static void v1_bad(void **state)
{
    static const char *const bad[] = {
        "HELO x\r\n", "PROXZ", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4\t1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "PROXY TCP4 010.0.0.1 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 0080 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
        "PROXY TCP4 1.2.3.4.5 1.2.3.4 1 2\r\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX\r\n", "PROXY TCP4 256.2.3.4 1.2.3.4 1 2\r\n",
    };
    struct proxy_header h;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(text(bad[i], &h), PROXY_BAD);
}

/* 107 octets with their CRLF are taken, 108 are not; 107 without CRLF are refused at once. */
static void v1_length(void **state)
{
    char line[128];
    struct proxy_header h;

    (void)state;
    for (size_t n = 100; n <= 112; n++) {
        memset(line, 'x', sizeof line);
        memcpy(line, "PROXY UNKNOWN ", 14);
        assert_int_equal(parse(line, n, &h), n < 107 ? PROXY_MORE : PROXY_BAD);
        memcpy(line + n - 2, "\r\n", 2);
        assert_int_equal(parse(line, n, &h), n <= 107 ? PROXY_OK : PROXY_BAD);
    }
}

static size_t v2(uint8_t *dst, uint8_t command, uint8_t family, const void *body, size_t n)
{
    memcpy(dst, "\r\n\r\n\0\r\nQUIT\n", 12);
    dst[12] = command;
    dst[13] = family;
    dst[14] = (uint8_t)(n >> 8);
    dst[15] = (uint8_t)n;
    if (n)
        memcpy(dst + 16, body, n);
    return 16 + n;
}

static const uint8_t tcp4[12] = { 192, 0, 2, 1, 192, 0, 2, 2, 0xc3, 0x50, 0, 110 };

static void v2_good(void **state)
{
    uint8_t buf[600], body[216] = { 0 };
    struct proxy_header h;
    size_t n = v2(buf, 0x21, 0x11, tcp4, sizeof tcp4);

    (void)state;
    for (size_t cut = 1; cut < n; cut++)
        assert_int_equal(parse(buf, cut, &h), PROXY_MORE);
    assert_int_equal(parse(buf, n, &h), PROXY_OK);
    expect_addr(&h.src, "192.0.2.1", 50000);
    assert_int_equal(h.octets, 28);
    memcpy(body, "\x20\x01\x0d\xb8", 4);
    body[15] = 7;
    body[32] = 1;
    n = v2(buf, 0x21, 0x21, body, 36);
    assert_int_equal(parse(buf, n, &h), PROXY_OK);
    expect_addr(&h.src, "2001:db8::7", 256);
    n = v2(buf, 0x21, 0x31, body, 216);
    assert_int_equal(parse(buf, n, &h), PROXY_OK);
    assert_false(h.has_addr); /* UNIX: real addresses */
    n = v2(buf, 0x20, 0, body, 20); /* LOCAL, its length honoured */
    assert_int_equal(parse(buf, n, &h), PROXY_OK);
    assert_int_equal(h.octets, 36);
    assert_false(h.has_addr);
    n = v2(buf, 0x21, 0x00, body, 0);
    assert_int_equal(parse(buf, n, &h), PROXY_OK);
    n = v2(buf, 0x21, 0x12, tcp4, 12); /* datagram: real addresses */
    assert_int_equal(parse(buf, n, &h), PROXY_OK);
    assert_false(h.has_addr);
}

static void v2_bad(void **state)
{
    uint8_t buf[600], body[64] = { 0 };
    struct proxy_header h;

    (void)state;
    assert_int_equal(parse(buf, v2(buf, 0x11, 0x11, tcp4, 12), &h), PROXY_BAD);
    assert_int_equal(parse(buf, v2(buf, 0x22, 0x11, tcp4, 12), &h), PROXY_BAD);
    assert_int_equal(parse(buf, v2(buf, 0x21, 0x41, body, 40), &h), PROXY_BAD);
    assert_int_equal(parse(buf, v2(buf, 0x21, 0x13, body, 40), &h), PROXY_BAD);
    assert_int_equal(parse(buf, v2(buf, 0x21, 0x11, tcp4, 11), &h), PROXY_BAD);
    assert_int_equal(parse(buf, v2(buf, 0x21, 0x21, body, 35), &h), PROXY_BAD);
    for (size_t i = 1; i < 12; i++) {
        size_t n = v2(buf, 0x21, 0x11, tcp4, 12);

        buf[i] ^= 1;
        assert_int_equal(parse(buf, n, &h), PROXY_BAD);
    }
}

static void v2_tlvs(void **state)
{
    uint8_t buf[600], body[64];
    struct proxy_header h;
    size_t n;

    (void)state;
    memcpy(body, tcp4, 12);
    memcpy(body + 12, "\x02\x00\x09" "b.example" "\xee\x00\x01" "?" "\x20\x00\x05" "\x01\0\0\0\0", 24);
    n = v2(buf, 0x21, 0x11, body, 36);
    assert_int_equal(proxy_parse(span_of(buf, n), &h), PROXY_OK);
    assert_true(span_is(h.authority, "b.example"));
    assert_true(h.tls);
    for (size_t cut = 13; cut < 36; cut++) { /* a TLV that runs past the end */
        if (cut == 24 || cut == 28)
            continue;
        n = v2(buf, 0x21, 0x11, body, cut);
        assert_int_equal(parse(buf, n, &h), PROXY_BAD);
    }
}

static uint32_t slow_crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint32_t in = (p[i] >> bit ^ crc) & 1;

            crc = crc >> 1 ^ (in ? 0x82f63b78u : 0);
        }
    return ~crc;
}

static void v2_checksum(void **state)
{
    uint8_t buf[64], body[19];
    struct proxy_header h;
    uint32_t crc;
    size_t n;

    (void)state;
    assert_int_equal(slow_crc32c((const uint8_t *)"123456789", 9), 0xe3069283u);
    memcpy(body, tcp4, 12);
    memcpy(body + 12, "\x03\x00\x04\0\0\0\0", 7);
    n = v2(buf, 0x21, 0x11, body, sizeof body);
    crc = slow_crc32c(buf, n);
    for (int i = 0; i < 4; i++)
        buf[n - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    assert_int_equal(parse(buf, n, &h), PROXY_OK);
    for (size_t i = 16; i < n; i++) {
        if (i == 28) /* the TLV's type: it would no longer be a checksum */
            continue;
        buf[i] ^= 0x10;
        assert_int_not_equal(parse(buf, n, &h), PROXY_OK);
        buf[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v1_good), cmocka_unit_test(v1_bad), cmocka_unit_test(v1_length),
        cmocka_unit_test(v2_good), cmocka_unit_test(v2_bad), cmocka_unit_test(v2_tlvs),
        cmocka_unit_test(v2_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
