/* restante_bench_body.h - a multi-line answer to RETR: un-stuffed, counted and digested as it comes.
 *
 * The digest is XXH64 with seed 0 (a public algorithm): 64 bits, faster than memory, and no defence against malice,
 * which a benchmark does not meet. Correct for every split of the input.
 * Does not know: connections, what a message should be.
 */
#ifndef RESTANTE_BENCH_BODY_H
#define RESTANTE_BENCH_BODY_H

#include "base/span.h"

struct digest {
    uint64_t lane[4], total;
    uint8_t rest[32];
    unsigned rest_n;
};

void digest_start(struct digest *d);
void digest_put(struct digest *d, struct span s);
uint64_t digest_end(const struct digest *d);

enum body_at { BODY_LINE_START, BODY_INSIDE, BODY_DOT, BODY_DOT_CR, BODY_BROKEN, BODY_DONE };

struct body {
    struct digest digest;
    enum body_at at;
    bool digested, cr; /* cr: the last octet was CR */
    uint64_t octets;
};

void body_start(struct body *b, bool digested);

/* Consumes what belongs to the body; at == BODY_DONE when its end was met, BODY_BROKEN when ".\r" is followed by
 * something else. */
void body_feed(struct body *b, struct span *in);

#endif
