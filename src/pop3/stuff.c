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
