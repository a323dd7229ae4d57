/* keyed.h - SipHash-2-4: a short keyed hash for tables whose keys strangers choose.
 *
 * With a random key nobody can make names that fall into one bucket, and a digest kept in memory tells nothing
 * about what it was made from to who does not hold the key. Pure. Does not know: tables.
 */
#ifndef RESTANTE_AUTH_KEYED_H
#define RESTANTE_AUTH_KEYED_H

#include "base/span.h"

struct keyed {
    uint64_t k0, k1;
};

/* A random key of this process. */
struct keyed keyed_new(void);

uint64_t keyed_hash(const struct keyed *key, struct span s);

#endif
