/* proxy.c - PROXY protocol headers, v1 and v2: see proxy.h. Pure; fuzzed by tests/fuzz/fuzz_proxy.c.
 * Does not know: who may send a header, time-outs.
 */
#include "net/proxy.h"

#include "base/num.h"

#include <arpa/inet.h>

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* A decimal port without leading zeros, 0..65535. */
static bool take_port(struct span s, uint16_t *port)
{
    uint64_t v;

    if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[0] == '0') || !num_all_u64(s, &v) || v > 65535)
        return false;
    *port = (uint16_t)v;
    return true;
}

/* An address of the family announced; inet_pton refuses leading zeros and foreign octets itself. */
static bool take_host(struct span s, int family, struct net_addr *a)
{
    char text[NET_ADDR_TEXT];

    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 0, s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (family == AF_INET6)
        return inet_pton(AF_INET6, text, a->b) == 1;
    memset(a->b, 0, 10);
    memset(a->b + 10, 0xff, 2);
    return inet_pton(AF_INET, text, a->b + 12) == 1;
}

/* The line without its CRLF: "PROXY TCP4 src dst sport dport" or "PROXY UNKNOWN…". */
static enum proxy_result parse_v1_line(struct span line, struct proxy_header *h)
{
    struct span word = span_until(&line, ' '), part[5];
    int family;

    word = span_until(&line, ' ');
    if (span_is(word, "UNKNOWN"))
        return PROXY_OK;
    family = span_is(word, "TCP4") ? AF_INET : span_is(word, "TCP6") ? AF_INET6 : 0;
    for (int i = 0; i < 5; i++)
        part[i] = span_until(&line, ' ');
    if (!family || part[4].n || line.n || !take_host(part[0], family, &h->src) ||
        !take_host(part[1], family, &h->dst) || !take_port(part[2], &h->src.port) ||
        !take_port(part[3], &h->dst.port))
        return PROXY_BAD;
    h->has_addr = true;
    return PROXY_OK;
}

static enum proxy_result parse_v1(struct span in, struct proxy_header *h)
{
    static const char word[] = "PROXY ";
    size_t look = in.n < PROXY_V1_MAX ? in.n : PROXY_V1_MAX;
    size_t head = look < 6 ? look : 6;
    const uint8_t *lf;

    if (memcmp(in.p, word, head) != 0)
        return PROXY_BAD;
    lf = memchr(in.p, '\n', look);
    if (!lf)
        return look == PROXY_V1_MAX ? PROXY_BAD : PROXY_MORE;
    if (lf == in.p || lf[-1] != '\r')
        return PROXY_BAD;
    h->octets = (size_t)(lf - in.p) + 1;
    in.n = h->octets - 2;
    /* A trailing space would hide as an empty last part. */
    if (memchr(in.p, '\r', in.n) || memchr(in.p, '\t', in.n))
        return PROXY_BAD;
    if (in.p[in.n - 1] == ' ' && in.n > 5 && memcmp(in.p, "PROXY UNKNOWN", 13 < in.n ? 13 : in.n) != 0)
        return PROXY_BAD;
    return parse_v1_line(in, h);
}

/* CRC-32C (Castagnoli) as §2.2.3 wants it, over the header with the checksum field read as zeros. */
static uint32_t crc32c(struct span s, size_t zero_at)
{
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= i >= zero_at && i < zero_at + 4 ? 0 : s.p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* TLVs behind the addresses; whole is the complete header for the checksum. */
static bool parse_tlvs(struct span tlvs, struct span whole, struct proxy_header *h)
{
    enum { TLV_AUTHORITY = 0x02, TLV_CRC32C = 0x03, TLV_UNIQUE_ID = 0x05, TLV_SSL = 0x20 };

    while (tlvs.n) {
        struct span value;
        size_t n;

        if (tlvs.n < 3)
            return false;
        n = (size_t)tlvs.p[1] << 8 | tlvs.p[2];
        if (n > tlvs.n - 3)
            return false;
        value = span_of(tlvs.p + 3, n);
        if (tlvs.p[0] == TLV_AUTHORITY)
            h->authority = value;
        if (tlvs.p[0] == TLV_UNIQUE_ID && n <= 128)
            h->unique_id = value;
        if (tlvs.p[0] == TLV_SSL && (n < 5 || (h->tls = value.p[0] & 1, false)))
            return false;
        if (tlvs.p[0] == TLV_CRC32C &&
            (n != 4 || be32(value.p) != crc32c(whole, (size_t)(value.p - whole.p))))
            return false;
        span_take(&tlvs, 3 + n);
    }
    return true;
}

/* The address block of the family; returns its length, SIZE_MAX when undefined or too short. */
static size_t parse_addresses(uint8_t family, struct span block, struct proxy_header *h)
{
    static const uint8_t v4[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    size_t n = (family >> 4) == 1 ? 12 : (family >> 4) == 2 ? 36 : (family >> 4) == 3 ? 216 : 0;

    if ((family >> 4) > 3 || (family & 15) > 2 || block.n < n)
        return SIZE_MAX;
    if ((family & 15) != 1) /* not a stream: real addresses (PP-10) */
        return n;
    if (n == 12) {
        memcpy(h->src.b, v4, 12);
        memcpy(h->src.b + 12, block.p, 4);
        memcpy(h->dst.b, v4, 12);
        memcpy(h->dst.b + 12, block.p + 4, 4);
    } else if (n == 36) {
        memcpy(h->src.b, block.p, 16);
        memcpy(h->dst.b, block.p + 16, 16);
    }
    h->has_addr = n == 12 || n == 36;
    if (h->has_addr) {
        h->src.port = (uint16_t)(block.p[n - 4] << 8 | block.p[n - 3]);
        h->dst.port = (uint16_t)(block.p[n - 2] << 8 | block.p[n - 1]);
    }
    return n;
}

static enum proxy_result parse_v2(struct span in, struct proxy_header *h)
{
    struct span whole, block;
    size_t n;

    if (memcmp(in.p, signature, in.n < 12 ? in.n : 12) != 0)
        return PROXY_BAD;
    if (in.n >= 13 && in.p[12] != 0x20 && in.p[12] != 0x21)
        return PROXY_BAD;
    if (in.n < 16)
        return PROXY_MORE;
    n = (size_t)in.p[14] << 8 | in.p[15];
    if (in.n < 16 + n)
        return PROXY_MORE;
    h->octets = 16 + n;
    whole = span_of(in.p, h->octets);
    block = span_of(in.p + 16, n);
    if (in.p[12] == 0x20) /* LOCAL: the proxy's own health check */
        return PROXY_OK;
    n = parse_addresses(in.p[13], block, h);
    if (n == SIZE_MAX)
        return PROXY_BAD;
    span_take(&block, n);
    return parse_tlvs(block, whole, h) ? PROXY_OK : PROXY_BAD;
}

enum proxy_result proxy_parse(struct span in, struct proxy_header *h)
{
    memset(h, 0, sizeof *h);
    if (in.n == 0)
        return PROXY_MORE;
    return in.p[0] == 'P' ? parse_v1(in, h) : parse_v2(in, h);
}
