/* topcut.c - the lines that TOP sends: see topcut.h. */
#include "pop3/topcut.h"

/* What the present line holds after these octets of it (no LF among them). */
static uint8_t see(uint8_t seen, struct span part)
{
    if (part.n == 0)
        return seen;
    return seen == 0 && part.n == 1 && part.p[0] == '\r' ? 1 : 2;
}

/* The present line has ended. */
static void end_line(struct topcut *t)
{
    if (!t->in_header)
        t->lines--;
    else if (t->seen < 2)
        t->in_header = false;
    t->seen = 0;
    t->done = !t->in_header && t->lines == 0;
}

struct span topcut_take(struct topcut *t, struct span *in)
{
    const uint8_t *p = in->p, *end = p + in->n, *lf;

    while (p != end && !t->done) {
        lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf) {
            t->seen = see(t->seen, span_of(p, (size_t)(end - p)));
            p = end;
        } else {
            t->seen = see(t->seen, span_of(p, (size_t)(lf - p)));
            p = lf + 1;
            end_line(t);
        }
    }
    return span_take(in, (size_t)(p - in->p));
}
