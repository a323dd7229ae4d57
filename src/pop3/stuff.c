/* stuff.c - line end repair and dot-stuffing: see stuff.h. */
#include "pop3/stuff.h"

static const uint8_t one_dot[] = { '.' }, one_cr[] = { '\r' };

/* The end of the run at the front of in: goes on over lines that end CRLF, up to a bare LF or a leading dot. */
static const uint8_t *run_end(const struct stuff *f, struct span in)
{
    const uint8_t *p = in.p, *end = p + in.n, *lf;

    while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (lf == in.p ? !f->after_cr : lf[-1] != '\r')
            return lf;
        p = lf + 1;
        if (p == end || *p == '.')
            return p;
    }
    return end;
}

enum stuff_kind stuff_next(struct stuff *f, struct span *in, struct span *run)
{
    const uint8_t *end;

    if (f->at_bol && in->p[0] == '.') {
        f->at_bol = false;
        *run = span_of(one_dot, 1);
        return STUFF_DOT;
    }
    if (in->p[0] == '\n' && !f->after_cr) {
        f->at_bol = false;
        f->after_cr = true;
        *run = span_of(one_cr, 1);
        return STUFF_CR;
    }
    end = run_end(f, *in);
    f->at_bol = end[-1] == '\n';
    f->after_cr = end[-1] == '\r';
    *run = span_take(in, (size_t)(end - in->p));
    return STUFF_RUN;
}

#ifdef __SSE2__
#include <emmintrin.h>

enum { BLOCK = sizeof(__m128i), AT_MOST = BLOCK + 3 }; /* octets that one step may write: a CR and two dots more */

/* Blocks are copied as they are until one holds an LF; then its line end is put right, and the next block begins
 * behind it. */
size_t stuff_copy(struct stuff *f, struct span *in, uint8_t *dst, size_t room, size_t *dots)
{
    const uint8_t *p = in->p, *end = p + in->n;
    uint8_t *d = dst, *dst_end = dst + room;
    const __m128i lf = _mm_set1_epi8('\n');
    bool after_cr = f->after_cr;

    *dots = 0;
    if (f->at_bol && in->n && *p == '.')
        return 0;
    while (end - p > BLOCK && dst_end - d >= AT_MOST) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, lf)), k;

        _mm_storeu_si128((__m128i *)(void *)d, block);
        if (!hits) {
            p += BLOCK;
            d += BLOCK;
            after_cr = p[-1] == '\r';
            continue;
        }
        k = (unsigned)__builtin_ctz(hits);
        if (k ? p[k - 1] == '\r' : after_cr) {
            d += k + 1;
        } else {
            d[k] = '\r';
            d[k + 1] = '\n';
            d += k + 2;
        }
        p += k + 1;
        after_cr = false;
        if (*p == '.') { /* and its dot, so that the state is that behind any octet */
            *d++ = '.';
            *d++ = '.';
            p++;
            ++*dots;
        }
    }
    if (p != in->p) {
        f->at_bol = p[-1] == '\n';
        f->after_cr = p[-1] == '\r';
    }
    span_take(in, (size_t)(p - in->p));
    return (size_t)(d - dst);
}
#else
size_t stuff_copy(struct stuff *f, struct span *in, uint8_t *dst, size_t room, size_t *dots)
{
    (void)f, (void)in, (void)dst, (void)room;
    *dots = 0;
    return 0;
}
#endif
