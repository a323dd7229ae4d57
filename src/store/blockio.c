/* blockio.c - writing and reading our own files in pieces: see blockio.h. */
#include "store/blockio.h"

#include "base/buf.h"
#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>

static void flush(struct block_writer *w)
{
    struct span s = { w->piece, w->n };

    checksum_feed(&w->sum, s);
    if (w->to) {
        if (!buf_put_span(w->to, s))
            w->error = EFBIG;
    } else if (!w->error && !sys_write_all(w->fd, s)) {
        w->error = errno;
    }
    w->n = 0;
}

static size_t min_size(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

void block_writer_open(struct block_writer *w, int fd)
{
    *w = (struct block_writer){ .fd = fd, .piece = mem_new(BLOCK_OCTETS) };
    checksum_init(&w->sum);
}

void block_writer_open_buf(struct block_writer *w, struct buf *to)
{
    block_writer_open(w, -1);
    w->to = to;
}

void block_put(struct block_writer *w, struct span s)
{
    while (s.n) {
        size_t n = min_size(s.n, BLOCK_OCTETS - w->n);

        memcpy(w->piece + w->n, s.p, n);
        w->n += n;
        span_take(&s, n);
        if (w->n == BLOCK_OCTETS)
            flush(w);
    }
}

bool block_writer_close(struct block_writer *w)
{
    flush(w);
    free(w->piece);
    w->piece = NULL;
    errno = w->error;
    return !w->error;
}

void block_reader_open(struct block_reader *r, int fd, uint64_t at, uint64_t end)
{
    *r = (struct block_reader){ fd, at, end < at ? at : end, mem_new(BLOCK_OCTETS), 0, 0 };
}

bool block_take(struct block_reader *r, size_t n, struct span *out)
{
    size_t have = r->n - r->used;

    if (n > BLOCK_OCTETS)
        return false;
    if (have < n) {
        size_t more = min_size(BLOCK_OCTETS - have, r->end - r->at);

        if (more < n - have)
            return false;
        memmove(r->piece, r->piece + r->used, have);
        if (!sys_pread_all(r->fd, r->piece + have, more, r->at))
            return false;
        r->at += more;
        r->used = 0;
        r->n = have + more;
    }
    *out = span_of(r->piece + r->used, n);
    r->used += n;
    return true;
}

bool block_sum(struct block_reader *r, struct checksum *sum)
{
    struct span s;
    uint64_t left = r->end - r->at + (r->n - r->used);

    for (; left; left -= s.n) {
        if (!block_take(r, min_size(left, BLOCK_OCTETS), &s))
            return false;
        checksum_feed(sum, s);
    }
    return true;
}

void block_reader_close(struct block_reader *r)
{
    free(r->piece);
    r->piece = NULL;
}
