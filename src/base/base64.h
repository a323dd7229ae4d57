/* base64.h - strict Base64 (RFC 4648 §4), as RFC 5034 §4 demands it of SASL lines.
 *
 * Rejects every octet outside the alphabet, a length that is no multiple of four and "=" anywhere but at
 * the end. Unused bits in the last character may be set (R5034-13). Pure.
 */
#ifndef RESTANTE_BASE_BASE64_H
#define RESTANTE_BASE_BASE64_H

#include "base/span.h"

#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4) /* octets that n raw octets take */
#define BASE64_DECODED(n) ((n) / 4 * 3)       /* upper bound of what n octets hold */

/* Returns the number of octets written, BASE64_ENCODED(in.n). */
size_t base64_put(uint8_t *dst, struct span in);

/* Decodes all of in; dst holds at least BASE64_DECODED(in.n) and may be in.p itself. False when malformed. */
bool base64_get(struct span in, uint8_t *dst, size_t *n);

#endif
