/* secret.c - kernel randomness and constant-time comparison: see secret.h. */
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void secret_random(void *dst, size_t n)
{
    uint8_t *p = dst;

    while (n) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* no randomness: every nonce, grant and key would be guessable */
        p += got;
        n -= (size_t)got;
    }
}

bool secret_eq(struct span a, struct span b)
{
    volatile uint8_t diff = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
    return diff == 0;
}
