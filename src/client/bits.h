/* bits.h - a set of small numbers that grows as needed: journal ids, message numbers. Does not know: what they name. */
#ifndef RESTANTE_CLIENT_BITS_H
#define RESTANTE_CLIENT_BITS_H

#include "base/buf.h"

struct bits {
    uint8_t *v;
    size_t octets;
};

static inline bool bits_has(const struct bits *b, uint64_t i)
{
    return i / 8 < b->octets && (b->v[i / 8] >> (i % 8) & 1);
}

static inline void bits_add(struct bits *b, uint64_t i)
{
    size_t at = (size_t)(i / 8), octets = (at + 1) * 2;

    if (at >= b->octets) {
        b->v = mem_grow(b->v, octets, 1);
        memset(b->v + b->octets, 0, octets - b->octets);
        b->octets = octets;
    }
    b->v[at] |= (uint8_t)(1u << (i % 8));
}

#endif
