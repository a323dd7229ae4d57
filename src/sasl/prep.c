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

/* The prepared form in allocated memory, NULL when refused. */
static char *prepare(const char *text, Gsasl_saslprep_flags flags)
{
    char *done = NULL;

    return gsasl_saslprep(text, flags, &done, NULL) == GSASL_OK ? done : NULL;
}

static void wipe(char *text)
{
    if (!text)
        return;
    explicit_bzero(text, strlen(text));
    gsasl_free(text);
}

/* GNU SASL 2.2.0 has the flag the wrong way round: with GSASL_ALLOW_UNASSIGNED it refuses unassigned code
 * points, without it takes them (tests/unit/auth/t_prep.c, U+0221). So nothing is built on its meaning: a
 * stored string must pass both ways, a query string one of them. */
static char *prepare_as(const char *text, enum prep kind)
{
    char *plain = prepare(text, 0), *flagged;

    if (plain && kind == PREP_QUERY)
        return plain;
    flagged = prepare(text, GSASL_ALLOW_UNASSIGNED);
    if (kind == PREP_QUERY)
        return flagged;
    if (!plain || !flagged) {
        wipe(plain);
        plain = NULL;
    }
    wipe(flagged);
    return plain;
}

bool sasl_prep(struct span in, enum prep kind, struct buf *out)
{
    char text[PREP_MAX + 1], *done;
    bool ok;

    if (in.n == 0 || in.n > PREP_MAX)
        return false;
    if (printable_ascii(in))
        return buf_put_span(out, in);
    if (memchr(in.p, '\0', in.n) || !utf8_valid(in))
        return false;
    memcpy(text, in.p, in.n);
    text[in.n] = '\0';
    done = prepare_as(text, kind);
    explicit_bzero(text, in.n);
    ok = done && done[0] && buf_put_str(out, done);
    wipe(done);
    return ok;
}
