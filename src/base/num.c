/* num.c - the one number parser and printer: see num.h. Pure. */
#include "base/num.h"

bool num_take_u64(struct span *in, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;

    for (; i < in->n && ascii_digit(in->p[i]); i++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(in->p[i] - '0'), &v))
            return false;
    if (i == 0)
        return false;
    span_take(in, i);
    *out = v;
    return true;
}

bool num_take_u32(struct span *in, uint32_t *out)
{
    struct span rest = *in;
    uint64_t v;

    if (!num_take_u64(&rest, &v) || v > UINT32_MAX)
        return false;
    *in = rest;
    *out = (uint32_t)v;
    return true;
}

bool num_all_u64(struct span in, uint64_t *out)
{
    return num_take_u64(&in, out) && in.n == 0;
}

bool num_all_saturating(struct span in, uint64_t *out)
{
    for (size_t i = 0; i < in.n; i++)
        if (!ascii_digit(in.p[i]))
            return false;
    if (in.n == 0)
        return false;
    if (!num_all_u64(in, out))
        *out = UINT64_MAX;
    return true;
}

size_t num_put_u64(uint8_t *dst, uint64_t v)
{
    uint8_t rev[20];
    size_t n = 0;

    do
        rev[n++] = (uint8_t)('0' + v % 10);
    while ((v /= 10) != 0);
    for (size_t i = 0; i < n; i++)
        dst[i] = rev[n - 1 - i];
    return n;
}

void le_put(uint8_t *dst, uint64_t v, unsigned octets)
{
    for (unsigned i = 0; i < octets; i++)
        dst[i] = (uint8_t)(v >> (8 * i));
}

uint64_t le_get(const uint8_t *src, unsigned octets)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < octets; i++)
        v |= (uint64_t)src[i] << (8 * i);
    return v;
}

void hex_put(uint8_t *dst, struct span s)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < s.n; i++) {
        dst[2 * i] = (uint8_t)digits[s.p[i] >> 4];
        dst[2 * i + 1] = (uint8_t)digits[s.p[i] & 15];
    }
}

static int hex_digit(uint8_t c)
{
    if (ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_get(struct span in, uint8_t *dst, size_t n)
{
    if (in.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(in.p[2 * i]), lo = hex_digit(in.p[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        dst[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}
