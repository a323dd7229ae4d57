/* secret.h - random octets and comparison in constant time. */
#ifndef RESTANTE_BASE_SECRET_H
#define RESTANTE_BASE_SECRET_H

#include "base/span.h"

/* Fills dst with n octets of the kernel's randomness; aborts when there is none. */
void secret_random(void *dst, size_t n);

/* Equal, in time that depends on the lengths alone. */
bool secret_eq(struct span a, struct span b);

#endif
