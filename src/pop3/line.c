/* line.c - line splitting with limits: see line.h. */
#include "pop3/line.h"

#include "pop3/engine.h"

/* No LF in all of in: keep it, or begin or go on swallowing it. */
static enum line_event line_open(struct line *l, struct span in, size_t limit, size_t *taken)
{
    size_t total;

    if (!l->swallowed && in.n < limit) {
        l->scanned = (uint32_t)in.n;
        *taken = 0;
        return LINE_MORE;
    }
    total = l->swallowed + in.n; /* without its LF */
    *taken = in.n;
    *l = (struct line){ 0 };
    if (total >= LIMIT_SWALLOW)
        return LINE_FLOOD;
    l->swallowed = (uint32_t)total;
    return LINE_MORE;
}

enum line_event line_next(struct line *l, struct span in, size_t limit, struct span *text, size_t *taken)
{
    size_t from = l->scanned <= in.n ? l->scanned : 0;
    const uint8_t *lf = in.n > from ? memchr(in.p + from, '\n', in.n - from) : NULL;
    size_t length, total;

    if (!lf)
        return line_open(l, in, limit, taken);
    length = (size_t)(lf - in.p);
    total = l->swallowed + length + 1;
    *taken = length + 1;
    *l = (struct line){ 0 };
    if (total > LIMIT_SWALLOW)
        return LINE_FLOOD;
    if (total > limit)
        return LINE_LONG;
    if (length && lf[-1] == '\r')
        length--;
    *text = span_of(in.p, length);
    return LINE_WHOLE;
}
