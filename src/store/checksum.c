/* checksum.c - a 64-bit checksum for our own files: see checksum.h. */
#include "store/checksum.h"

static uint64_t step(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u; /* odd: a bijection */
    return sum ^ (sum >> 32);
}

void checksum_init(struct checksum *c)
{
    *c = (struct checksum){ 0x243f6a8885a308d3u, 0, 0 };
}

void checksum_feed(struct checksum *c, struct span in)
{
    while (in.n) {
        if (c->octets % 8 == 0 && in.n >= 8) {
            uint64_t word = 0;

            for (unsigned i = 0; i < 8; i++) /* little-endian everywhere; compilers make it one load */
                word |= (uint64_t)in.p[i] << (8 * i);
            c->sum = step(c->sum, word);
            c->octets += 8;
            span_take(&in, 8);
            continue;
        }
        c->word |= (uint64_t)in.p[0] << (8 * (c->octets % 8));
        if (++c->octets % 8 == 0) {
            c->sum = step(c->sum, c->word);
            c->word = 0;
        }
        span_take(&in, 1);
    }
}

uint64_t checksum_end(const struct checksum *c)
{
    return step(step(c->sum, c->word), c->octets);
}

uint64_t checksum_of(struct span in)
{
    struct checksum c;

    checksum_init(&c);
    checksum_feed(&c, in);
    return checksum_end(&c);
}
