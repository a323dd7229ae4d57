/* keyed.c - SipHash-2-4 as published (Aumasson, Bernstein 2012), little-endian input: see keyed.h. */
#include "auth/keyed.h"

#include "base/secret.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(struct sip *s, unsigned n)
{
    while (n--) {
        s->v0 += s->v1;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v2 = rotl(s->v2, 32);
    }
}

static void absorb(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

struct keyed keyed_new(void)
{
    struct keyed key;

    secret_random(&key, sizeof key);
    return key;
}

uint64_t keyed_hash(const struct keyed *key, struct span s)
{
    struct sip sip = { key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                       key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u };
    uint64_t word = 0;
    size_t i;

    for (i = 0; i < s.n; i++) {
        word |= (uint64_t)s.p[i] << 8 * (i & 7);
        if ((i & 7) == 7) {
            absorb(&sip, word);
            word = 0;
        }
    }
    absorb(&sip, word | (uint64_t)(s.n & 255) << 56);
    sip.v2 ^= 255;
    rounds(&sip, 4);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}
