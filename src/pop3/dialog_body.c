/* dialog_body.c - takes a message out of a multi-line answer: un-stuffs it and finds its end (RFC 1939 §3).
 *
 * Only CRLF ends a line, so only CRLF.CRLF (or .CRLF behind the status line) ends a message; a bare LF is an octet
 * like any other (R1939-GEN-13), unless the account says otherwise (lf_dot_ends). Runs of the input are handed on
 * as they stand, without a copy. Correct at every split. Does not know: sizes, headers, what RETR promised.
 */
#include "pop3/dialog_impl.h"

void dialog_body_begin(struct dialog *d)
{
    d->reading = READ_BODY;
    d->body = BODY_BOL;
    d->body_after_cr = false;
    d->body_octets = 0;
}

static void hand_on(struct dialog *d, const uint8_t *p, size_t n)
{
    const struct dialog_pending *front = dialog_front(d);

    if (n == 0)
        return;
    d->body_octets += n;
    dialog_emit(d, &(struct dialog_event){ .kind = DIALOG_BODY,
                                           .number = front->number,
                                           .order = front->answer == ANSWER_TOP ? ORDER_TOP : ORDER_RETR,
                                           .data = span_of(p, n) });
}

/* From inside a line to the beginning of the next, or to the end of the input. */
static size_t skip_line(struct dialog *d, struct span in, size_t i)
{
    const uint8_t *lf = memchr(in.p + i, '\n', in.n - i);
    size_t at;

    if (!lf) {
        d->body_after_cr = in.p[in.n - 1] == '\r';
        return in.n;
    }
    at = (size_t)(lf - in.p);
    if ((at > 0 ? in.p[at - 1] == '\r' : d->body_after_cr) || d->conf->lf_dot_ends)
        d->body = BODY_BOL;
    d->body_after_cr = false;
    return at + 1;
}

bool dialog_body_take(struct dialog *d, struct span *in)
{
    struct span all = *in;
    size_t start = 0, i = 0;

    while (i < all.n) {
        uint8_t c = all.p[i];

        switch (d->body) {
        case BODY_TEXT: i = skip_line(d, all, i); break;
        case BODY_BOL:
            if (c == '.') { /* withheld */
                hand_on(d, all.p + start, i - start);
                start = ++i;
            }
            d->body = c == '.' ? BODY_DOT : BODY_TEXT;
            break;
        case BODY_DOT:
            if (c == '\r' || (c == '\n' && d->conf->lf_dot_ends))
                start = ++i;
            if (c == '\n' && d->conf->lf_dot_ends) {
                span_take(in, i);
                return true;
            }
            d->body = c == '\r' ? BODY_DOT_CR : BODY_TEXT;
            break;
        case BODY_DOT_CR:
            if (c == '\n') {
                span_take(in, i + 1);
                return true;
            }
            hand_on(d, (const uint8_t *)"\r", 1);
            d->body = BODY_TEXT;
            break;
        }
    }
    hand_on(d, all.p + start, all.n - start);
    span_take(in, all.n);
    return false;
}
