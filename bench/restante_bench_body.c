/* restante_bench_body.c - message bodies: see restante_bench_body.h. Pure. */
#include "restante_bench_body.h"

#define PRIME1 0x9E3779B185EBCA87ull
#define PRIME2 0xC2B2AE3D27D4EB4Full
#define PRIME3 0x165667B19E3779F9ull
#define PRIME4 0x85EBCA77C2B2AE63ull
#define PRIME5 0x27D4EB2F165667C5ull

static inline uint64_t rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline uint64_t load(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t mix(uint64_t lane, uint64_t v)
{
    return rotate(lane + v * PRIME2, 31) * PRIME1;
}

void digest_start(struct digest *d)
{
    *d = (struct digest){
        .lane = {PRIME1 + PRIME2, PRIME2, 0, 0 - PRIME1}
    };
}

/* Whole stripes of 32 octets. */
static const uint8_t *stripes(struct digest *d, const uint8_t *p, size_t n)
{
    uint64_t a = d->lane[0], b = d->lane[1], c = d->lane[2], e = d->lane[3];

    for (; n >= 32; n -= 32, p += 32) {
        a = mix(a, load(p));
        b = mix(b, load(p + 8));
        c = mix(c, load(p + 16));
        e = mix(e, load(p + 24));
    }
    d->lane[0] = a;
    d->lane[1] = b;
    d->lane[2] = c;
    d->lane[3] = e;
    return p;
}

void digest_put(struct digest *d, struct span s)
{
    const uint8_t *end = s.p + s.n;

    d->total += s.n;
    if (d->rest_n) {
        size_t n = sizeof d->rest - d->rest_n;

        if (n > s.n)
            n = s.n;
        memcpy(d->rest + d->rest_n, s.p, n);
        d->rest_n += (unsigned)n;
        s.p += n;
        if (d->rest_n < sizeof d->rest)
            return;
        stripes(d, d->rest, sizeof d->rest);
        d->rest_n = 0;
    }
    s.p = stripes(d, s.p, (size_t)(end - s.p));
    d->rest_n = (unsigned)(end - s.p);
    memcpy(d->rest, s.p, d->rest_n);
}

static uint64_t tail(uint64_t h, const uint8_t *p, unsigned n)
{
    for (; n >= 8; n -= 8, p += 8)
        h = rotate(h ^ mix(0, load(p)), 27) * PRIME1 + PRIME4;
    if (n >= 4) {
        uint32_t v;

        memcpy(&v, p, sizeof v);
        h = rotate(h ^ v * PRIME1, 23) * PRIME2 + PRIME3;
        n -= 4;
        p += 4;
    }
    for (; n; n--, p++)
        h = rotate(h ^ *p * PRIME5, 11) * PRIME1;
    h = (h ^ h >> 33) * PRIME2;
    h = (h ^ h >> 29) * PRIME3;
    return h ^ h >> 32;
}

uint64_t digest_end(const struct digest *d)
{
    const uint64_t *l = d->lane;
    uint64_t h = PRIME5;

    if (d->total >= 32) {
        h = rotate(l[0], 1) + rotate(l[1], 7) + rotate(l[2], 12) + rotate(l[3], 18);
        for (int i = 0; i < 4; i++)
            h = (h ^ mix(0, l[i])) * PRIME1 + PRIME4;
    }
    return tail(h + d->total, d->rest, d->rest_n);
}

void body_start(struct body *b, bool digested)
{
    b->at = BODY_LINE_START;
    b->digested = digested;
    b->cr = false;
    b->octets = 0;
    digest_start(&b->digest);
}

static void keep(struct body *b, struct span s)
{
    if (!s.n)
        return;
    b->octets += s.n;
    b->cr = s.p[s.n - 1] == '\r';
    if (b->digested)
        digest_put(&b->digest, s);
}

/* The octets up to the next dot that begins a line, which is consumed but not kept. Dots are rarer than lines. */
static void run(struct body *b, struct span *in)
{
    const uint8_t *from = in->p, *end = in->p + in->n, *dot = in->p;

    if (b->at == BODY_LINE_START && *in->p == '.') {
        span_take(in, 1);
        b->at = BODY_DOT;
        return;
    }
    while ((dot = memchr(dot, '.', (size_t)(end - dot)))) {
        bool starts = dot > from && dot[-1] == '\n' && (dot - 1 > from ? dot[-2] == '\r' : b->cr);

        if (starts) {
            keep(b, span_of(from, (size_t)(dot - from)));
            *in = span_of(dot + 1, (size_t)(end - dot - 1));
            b->at = BODY_DOT;
            return;
        }
        dot++;
    }
    bool cr = end - from > 1 ? end[-2] == '\r' : b->cr;

    keep(b, *in);
    b->at = end[-1] == '\n' && cr ? BODY_LINE_START : BODY_INSIDE;
    span_take(in, in->n);
}

void body_feed(struct body *b, struct span *in)
{
    while (in->n && b->at != BODY_DONE && b->at != BODY_BROKEN) {
        if (b->at == BODY_DOT && *in->p == '\r') {
            span_take(in, 1);
            b->at = BODY_DOT_CR;
        } else if (b->at == BODY_DOT) {
            b->at = BODY_INSIDE; /* the dot was stuffed */
        } else if (b->at == BODY_DOT_CR) {
            b->at = span_take(in, 1).p[0] == '\n' ? BODY_DONE : BODY_BROKEN;
        } else {
            run(b, in);
        }
    }
}
