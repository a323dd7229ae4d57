/* span.h - borrowed bytes: a pointer and a length, never NUL-terminated.
 *
 * Every byte that comes from a peer or from a file is handled as a span. A span owns nothing; it is
 * valid as long as what it points into. Does not know: memory, encodings, locales.
 */
#ifndef RESTANTE_BASE_SPAN_H
#define RESTANTE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *p;
    size_t n;
};

static inline struct span span_of(const void *p, size_t n)
{
    return (struct span){ p, n };
}

static inline struct span span_str(const char *s)
{
    return (struct span){ (const uint8_t *)s, strlen(s) };
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_is(struct span a, const char *s)
{
    return span_eq(a, span_str(s));
}

/* The first n bytes leave the front of *s (n must not exceed s->n). */
static inline struct span span_take(struct span *s, size_t n)
{
    struct span head = { s->p, n };

    if (n) {
        s->p += n;
        s->n -= n;
    }
    return head;
}

static inline uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static inline uint8_t ascii_upper(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint8_t)(c & 0xdf) : c;
}

static inline bool ascii_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Equal but for the case of ASCII letters. */
static inline bool span_ieq(struct span a, struct span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

static inline bool span_iis(struct span a, const char *s)
{
    return span_ieq(a, span_str(s));
}

/* The bytes up to the first c, which is consumed with them and not returned; without a c, the whole rest. */
static inline struct span span_until(struct span *s, uint8_t c)
{
    /* The bound tells the compiler what a span cannot be. */
    const uint8_t *hit = s->n && s->n <= PTRDIFF_MAX ? memchr(s->p, c, s->n) : NULL;
    struct span head = *s;

    if (!hit) {
        span_take(s, s->n);
        return head;
    }
    head.n = (size_t)(hit - head.p);
    span_take(s, head.n + 1);
    return head;
}

#endif
