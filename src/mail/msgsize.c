/* msgsize.c - counts a stored message: see msgsize.h. */
#include "mail/msgsize.h"

#include "base/buf.h"
#include "base/sys.h"
#include "mail/surrogate.h"
#include "pop3/wiresize.h"

#include <errno.h>
#include <stdlib.h>

enum { PIECE = 65536 }; /* large enough that the system call does not matter, small enough for a cache */

static struct msgsize result(const struct wiresize *w, uint64_t stored)
{
    return (struct msgsize){
        .stored = stored,
        .octets = w->octets,
        .wire_ready = !w->repaired && !w->dotted,
        .needs_utf8 = w->header_8bit,
    };
}

bool msgsize_count(int fd, const char *name, struct msgsize *out, struct err *e)
{
    uint8_t *piece = mem_new(PIECE);
    struct wiresize w;
    uint64_t stored = 0;
    ssize_t got;
    int code;

    wiresize_init(&w);
    while ((got = sys_read_some(fd, piece, PIECE)) > 0) {
        wiresize_feed(&w, span_of(piece, (size_t)got));
        stored += (uint64_t)got;
    }
    code = errno;
    free(piece);
    errno = code;
    if (got < 0)
        return err_errno(e, "read", name);
    wiresize_end(&w);
    *out = result(&w, stored);
    return true;
}

bool msgsize_legacy(int fd, const char *name, uint64_t *octets, struct err *e)
{
    struct buf out = BUF((size_t)(PIECE + SURROGATE_FIELD) * SURROGATE_GROWTH);
    uint8_t *piece = mem_new(PIECE);
    struct surrogate s;
    struct wiresize w;
    ssize_t got = 0;
    bool fits = true;
    int code;

    wiresize_init(&w);
    surrogate_init(&s);
    while (fits && (got = sys_read_some(fd, piece, PIECE)) > 0) {
        fits = surrogate_feed(&s, span_of(piece, (size_t)got), &out);
        wiresize_feed(&w, buf_span(&out));
        out.n = 0;
    }
    code = errno;
    fits = fits && surrogate_end(&s, &out);
    wiresize_feed(&w, buf_span(&out));
    wiresize_end(&w);
    *octets = w.octets;
    surrogate_free(&s);
    buf_free(&out);
    free(piece);
    errno = code;
    if (!fits)
        return err_set(e, FAULT_TEMP, "the surrogate of %s grows beyond bounds", name);
    return got == 0 || err_errno(e, "read", name);
}

struct msgsize msgsize_of(struct span message)
{
    struct wiresize w;

    wiresize_init(&w);
    wiresize_feed(&w, message);
    wiresize_end(&w);
    return result(&w, message.n);
}
