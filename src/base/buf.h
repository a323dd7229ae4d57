/* buf.h - a byte buffer that grows up to a cap given at birth.
 *
 * Growth past the cap is an ordinary error (false), tested like any other. Running out of memory below
 * the cap aborts the process: sessions are admitted against a budget, so it cannot happen by a peer's doing.
 * A buffer that is empty may give its memory back (buf_free); a zeroed struct with a cap is a valid buffer.
 */
#ifndef RESTANTE_BASE_BUF_H
#define RESTANTE_BASE_BUF_H

#include "base/span.h"

struct buf {
    uint8_t *p;
    size_t n;    /* bytes in use */
    size_t room; /* bytes allocated */
    size_t cap;  /* never more than this */
};

#define BUF(limit) ((struct buf){ NULL, 0, 0, (limit) })

/* Appends n bytes; false, and nothing changed, when that would pass the cap. */
__attribute__((warn_unused_result)) bool buf_put(struct buf *b, const void *p, size_t n);

static inline bool buf_put_span(struct buf *b, struct span s)
{
    return buf_put(b, s.p, s.n);
}

static inline bool buf_put_str(struct buf *b, const char *s)
{
    return buf_put(b, s, strlen(s));
}

/* printf at the end of the buffer; false when that would pass the cap. No NUL is kept. */
__attribute__((format(printf, 2, 3), warn_unused_result)) bool buf_printf(struct buf *b, const char *fmt, ...);

/* At least n writable bytes at b->p + b->n, or NULL when that would pass the cap. Commit with b->n += used. */
uint8_t *buf_reserve(struct buf *b, size_t n);

/* Drops the first n bytes (n <= b->n). */
void buf_consume(struct buf *b, size_t n);

/* Frees the memory and leaves an empty buffer with the same cap. */
void buf_free(struct buf *b);

/* The same after wiping the bytes: for buffers that held secrets. */
void buf_wipe(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
    return span_of(b->p, b->n);
}

/* malloc, calloc, strdup that abort on failure (see above). Sizes are checked for overflow. */
void *mem_new(size_t n);
void *mem_zero(size_t count, size_t size);
void *mem_grow(void *p, size_t count, size_t size);
char *mem_str(const char *s);
char *mem_strn(struct span s); /* NUL-terminated copy; stops at an embedded NUL for C readers, copies all */

#endif
