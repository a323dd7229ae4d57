/* surrogate.c - the header of a message, field by field, made fit for a client without UTF8: see surrogate.h.
 *
 * RFC 6858 §2, RFC 2047. Pure but for the field buffer. Does not know: how one field is rewritten
 * (surrogate_field.c).
 */
#include "mail/surrogate.h"

#include "mail/surrogate_field.h"

void surrogate_init(struct surrogate *s)
{
    *s = (struct surrogate){ .at_bol = true, .field = BUF(SURROGATE_FIELD) };
}

void surrogate_free(struct surrogate *s)
{
    buf_free(&s->field);
}

static bool has_8bit(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] > 0x7f)
            return true;
    return false;
}

/* The field that is held is complete. */
static bool end_field(struct surrogate *s, struct buf *out)
{
    struct span f = buf_span(&s->field);
    bool ok = true;

    if (f.n)
        ok = has_8bit(f) ? surrogate_field(f, out) : buf_put_span(out, f);
    s->field.n = 0;
    s->dropping = s->passing = false;
    return ok;
}

/* A piece of a header line, up to and with its LF if the input has it. */
static bool add_piece(struct surrogate *s, struct span piece, struct buf *out)
{
    if (s->dropping)
        return true;
    if (s->passing) {
        s->dropping = has_8bit(piece);
        return s->dropping || buf_put_span(out, piece);
    }
    if (buf_put_span(&s->field, piece))
        return true;
    /* Too long to hold: ASCII goes on as it is, anything else is removed from here. */
    s->dropping = has_8bit(buf_span(&s->field)) || has_8bit(piece);
    s->passing = !s->dropping;
    if (s->passing && !(buf_put_span(out, buf_span(&s->field)) && buf_put_span(out, piece)))
        return false;
    s->field.n = 0;
    return true;
}

static bool is_blank(struct span line)
{
    return (line.n == 1 && line.p[0] == '\n') || (line.n == 2 && line.p[0] == '\r' && line.p[1] == '\n');
}

/* A whole line waits at the end of the field buffer when it began there: is it a new field or a continuation? That is
 * known by its first octet, so a piece at the beginning of a line ends the field before it unless it is blank. */
static bool begin_line(struct surrogate *s, uint8_t first, struct buf *out)
{
    return first == ' ' || first == '\t' || end_field(s, out);
}

bool surrogate_feed(struct surrogate *s, struct span in, struct buf *out)
{
    while (in.n && !s->in_body) {
        const uint8_t *lf = memchr(in.p, '\n', in.n);
        struct span piece = span_take(&in, lf ? (size_t)(lf - in.p) + 1 : in.n);

        if (s->at_bol && !begin_line(s, piece.p[0], out))
            return false;
        if (!add_piece(s, piece, out))
            return false;
        s->at_bol = lf != NULL;
        if (lf && is_blank(buf_span(&s->field))) { /* the held "field" is the empty line: the body begins */
            s->in_body = true;
            if (!end_field(s, out))
                return false;
        }
    }
    return in.n == 0 || buf_put_span(out, in);
}

bool surrogate_end(struct surrogate *s, struct buf *out)
{
    return s->in_body || end_field(s, out);
}
