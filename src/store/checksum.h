/* checksum.h - a 64-bit checksum for our own files: finds torn and damaged ones.
 *
 * Every single changed word changes the sum (each step is a bijection); it is no protection against people
 * who want to deceive, and none is needed: the owner of a maildrop owns these files too.
 * Correct for any split. Does not know: files.
 */
#ifndef RESTANTE_STORE_CHECKSUM_H
#define RESTANTE_STORE_CHECKSUM_H

#include "base/span.h"

struct checksum {
    uint64_t sum, word, octets;
};

void checksum_init(struct checksum *c);
void checksum_feed(struct checksum *c, struct span in);
uint64_t checksum_end(const struct checksum *c);

uint64_t checksum_of(struct span in);

#endif
