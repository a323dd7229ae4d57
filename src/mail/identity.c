/* identity.c - leaves out fields of the header: see identity.h. */
#include "mail/identity.h"

static const char *const left_out[] = { "status",     "x-status",   "x-uid", "x-uidl", "x-imap", "x-imapbase",
                                        "x-keywords", "content-length", "lines" };

/* Does some name begin with these octets? whole: is it one of them? */
static bool named(const struct identity *f, bool whole)
{
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        size_t n = strlen(left_out[i]);

        if (n >= f->n && (!whole || n == f->n) && span_ieq(span_of(f->name, f->n), span_of(left_out[i], f->n)))
            return true;
    }
    return false;
}

static void release(struct identity *f, identity_put *put, void *ctx)
{
    if (f->n)
        put(ctx, span_of(f->name, f->n));
    f->n = 0;
}

/* One octet at or near the beginning of a line; it stays in the input unless it was taken into the name. */
static void line_start(struct identity *f, struct span *in, identity_put *put, void *ctx)
{
    uint8_t c = in->p[0];

    if (f->n == 0 && (c == ' ' || c == '\t')) {
        f->at = f->dropping ? IDENTITY_DROP : IDENTITY_KEEP;
    } else if (f->n == 0 && (c == '\r' || c == '\n')) {
        f->at = IDENTITY_BODY;
    } else if (c == ':' && named(f, true)) {
        f->n = 0;
        f->dropping = true;
        f->at = IDENTITY_DROP;
    } else {
        f->name[f->n++] = c;
        span_take(in, 1);
        if (f->n < IDENTITY_NAME && named(f, false))
            return;
        f->dropping = false;
        f->at = c == '\n' ? IDENTITY_START : IDENTITY_KEEP;
        release(f, put, ctx);
    }
}

void identity_feed(struct identity *f, struct span in, identity_put *put, void *ctx)
{
    while (in.n) {
        const uint8_t *lf;
        struct span run;

        if (f->at == IDENTITY_START) {
            line_start(f, &in, put, ctx);
            continue;
        }
        lf = f->at == IDENTITY_BODY ? NULL : memchr(in.p, '\n', in.n);
        run = span_take(&in, lf ? (size_t)(lf - in.p) + 1 : in.n);
        if (f->at != IDENTITY_DROP)
            put(ctx, run);
        if (lf)
            f->at = IDENTITY_START;
    }
}

void identity_end(struct identity *f, identity_put *put, void *ctx)
{
    release(f, put, ctx);
}
