/* prep.c - SASLprep by GNU SASL's stringprep tables, and UTF-8 validation: see prep.h. */
#include "sasl/prep.h"

#include <gsasl.h>

enum { PREP_MAX = 4096 }; /* octets; longer names and passwords do not exist here */

/* The number of continuation octets behind lead octet c and the smallest code point they may spell. */
static bool lead(uint8_t c, unsigned *more, uint32_t *least, uint32_t *cp)
{
    if (c >= 0xc2 && c <= 0xdf) {
        *more = 1;
        *least = 0x80;
        *cp = c & 0x1fu;
    } else if (c >= 0xe0 && c <= 0xef) {
        *more = 2;
        *least = 0x800;
        *cp = c & 0x0fu;
    } else if (c >= 0xf0 && c <= 0xf4) {
        *more = 3;
        *least = 0x10000;
        *cp = c & 0x07u;
    } else {
        return false;
    }
    return true;
}

bool utf8_valid(struct span s)
{
    size_t i = 0;

    while (i < s.n) {
        uint32_t least, cp;
        unsigned more;

        if (s.p[i] < 0x80) {
            i++;
            continue;
        }
        if (!lead(s.p[i++], &more, &least, &cp) || s.n - i < more)
            return false;
        for (; more; more--, i++) {
            if ((s.p[i] & 0xc0) != 0x80)
                return false;
            cp = cp << 6 | (s.p[i] & 0x3fu);
        }
        if (cp < least || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
            return false;
    }
    return true;
}

/* SASLprep leaves printable ASCII as it is: mapping, NFKC, bidi and the prohibited tables do not touch it. So
 * nearly every password never enters the library, whose scratch memory nobody wipes. */
static bool printable_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    return true;
}

bool sasl_prep(struct span in, enum prep kind, struct buf *out)
{
    char text[PREP_MAX + 1], *done = NULL;
    size_t n;
    bool ok;

    if (in.n == 0 || in.n > PREP_MAX)
        return false;
    if (printable_ascii(in))
        return buf_put_span(out, in);
    if (memchr(in.p, '\0', in.n) || !utf8_valid(in))
        return false;
    memcpy(text, in.p, in.n);
    text[in.n] = '\0';
    ok = gsasl_saslprep(text, kind == PREP_QUERY ? GSASL_ALLOW_UNASSIGNED : 0, &done, NULL) == GSASL_OK;
    explicit_bzero(text, in.n);
    if (!ok || !done)
        return false;
    n = strlen(done);
    ok = n != 0 && buf_put(out, done, n);
    explicit_bzero(done, n);
    gsasl_free(done);
    return ok;
}
