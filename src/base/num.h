/* num.h - the one number parser and the one number printer.
 *
 * Decimal digits only: no sign, no blanks, no base prefix; overflow is a failure, never a wrap
 * (RFC 1939 rows R1939-GEN-27). Leading zeros are allowed. Does not know: locales, ranges of meaning.
 */
#ifndef RESTANTE_BASE_NUM_H
#define RESTANTE_BASE_NUM_H

#include "base/span.h"

/* Consumes the digits at the front of *in. False (and *in untouched) when there is none or the value
 * does not fit. */
bool num_take_u64(struct span *in, uint64_t *out);
bool num_take_u32(struct span *in, uint32_t *out);

/* True when the whole span is one number. */
bool num_all_u64(struct span in, uint64_t *out);

/* True when the whole span is digits; a value past UINT64_MAX becomes UINT64_MAX. */
bool num_all_saturating(struct span in, uint64_t *out);

/* Writes v in decimal at dst (at least 20 octets) and returns the number of octets written. */
size_t num_put_u64(uint8_t *dst, uint64_t v);

/* Little-endian integers of 1..8 octets: formats on disk and between processes. */
static inline void le_put(uint8_t *dst, uint64_t v, unsigned octets) /* inline: one store where octets is fixed */
{
    for (unsigned i = 0; i < octets; i++)
        dst[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t le_get(const uint8_t *src, unsigned octets)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < octets; i++)
        v |= (uint64_t)src[i] << (8 * i);
    return v;
}

/* Two hexadecimal digits per byte, lower case; dst holds 2 * s.n octets. */
void hex_put(uint8_t *dst, struct span s);

/* Decodes hexadecimal of either case; false unless in.n == 2 * n and all are digits. */
bool hex_get(struct span in, uint8_t *dst, size_t n);

#endif
