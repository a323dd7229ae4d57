/* model.c - the independent model of a message on the wire: see model.h. */
#include "model.h"

#include <stdlib.h>

static void put(struct buf *out, const void *p, size_t n)
{
    if (!buf_put(out, p, n))
        abort();
}

uint64_t model_wire(struct buf *out, struct span stored, uint64_t lines)
{
    bool header = true;
    uint64_t octets = 0;

    for (size_t at = 0, end, next; at < stored.n; at = next) {
        for (end = at; end < stored.n && stored.p[end] != '\n'; end++) {
        }
        next = end + 1;
        if (end < stored.n && end > at && stored.p[end - 1] == '\r')
            end--;
        if (!header && lines != MODEL_ALL && lines-- == 0)
            break;
        if (end > at && stored.p[at] == '.')
            put(out, ".", 1);
        put(out, stored.p + at, end - at);
        put(out, "\r\n", 2);
        octets += end - at + 2;
        if (end == at)
            header = false;
    }
    return octets;
}
