/* base64.c - strict Base64: see base64.h. Pure. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_put(uint8_t *dst, struct span in)
{
    uint8_t *start = dst;

    while (in.n) {
        size_t take = in.n < 3 ? in.n : 3;
        uint32_t v = (uint32_t)in.p[0] << 16;

        if (take > 1)
            v |= (uint32_t)in.p[1] << 8;
        if (take > 2)
            v |= in.p[2];
        dst[0] = (uint8_t)alphabet[v >> 18];
        dst[1] = (uint8_t)alphabet[v >> 12 & 63];
        dst[2] = take > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=';
        dst[3] = take > 2 ? (uint8_t)alphabet[v & 63] : '=';
        dst += 4;
        span_take(&in, take);
    }
    return (size_t)(dst - start);
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_get(struct span in, uint8_t *dst, size_t *n)
{
    size_t out = 0, pad = 0;

    if (in.n % 4)
        return false;
    if (in.n && in.p[in.n - 1] == '=')
        pad = in.p[in.n - 2] == '=' ? 2 : 1;
    for (size_t i = 0; i < in.n; i += 4) {
        size_t have = i + 4 == in.n ? 4 - pad : 4;
        uint32_t v = 0;

        for (size_t k = 0; k < 4; k++) {
            int d = k < have ? value_of(in.p[i + k]) : 0;

            if (d < 0)
                return false;
            v = v << 6 | (uint32_t)d;
        }
        for (size_t k = 0; k + 1 < have; k++)
            dst[out++] = (uint8_t)(v >> (16 - 8 * k));
    }
    *n = out;
    return true;
}
