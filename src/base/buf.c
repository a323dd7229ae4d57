/* buf.c - the growing, capped byte buffer and the aborting allocators: see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *checked(void *p)
{
    if (!p)
        abort();
    return p;
}

void *mem_new(size_t n)
{
    return checked(malloc(n ? n : 1));
}

void *mem_zero(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_grow(void *p, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        abort();
    return checked(realloc(p, total ? total : 1));
}

char *mem_strn(struct span s)
{
    char *copy = mem_new(s.n + 1);

    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

char *mem_str(const char *s)
{
    return mem_strn(span_str(s));
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    size_t need, room;

    if (__builtin_add_overflow(b->n, n, &need) || need > b->cap)
        return NULL;
    if (need > b->room || !b->p) {
        room = b->room ? b->room : 256;
        while (room < need)
            room *= 2;
        if (room > b->cap)
            room = b->cap;
        b->p = mem_grow(b->p, room, 1);
        b->room = room;
    }
    return b->p + b->n;
}

bool buf_put(struct buf *b, const void *p, size_t n)
{
    uint8_t *dst = buf_reserve(b, n);

    if (!dst)
        return false;
    if (n)
        memcpy(dst, p, n);
    b->n += n;
    return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    uint8_t *dst;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    dst = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
    if (dst) {
        vsnprintf((char *)dst, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return dst != NULL;
}

void buf_consume(struct buf *b, size_t n)
{
    b->n -= n;
    if (n && b->n)
        memmove(b->p, b->p + n, b->n);
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = BUF(b->cap);
}

void buf_wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->room);
    buf_free(b);
}
