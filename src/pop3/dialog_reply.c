/* dialog_reply.c - takes a status line of the server apart: status word, response code, text (RFC 2449 §8).
 * Does not know: which command it answers.
 */
#include "pop3/dialog_impl.h"

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct span dialog_word(struct span *s)
{
    struct span word;
    size_t n = 0;

    while (s->n && blank(*s->p))
        span_take(s, 1);
    while (n < s->n && !blank(s->p[n]))
        n++;
    word = span_take(s, n);
    while (s->n && blank(*s->p))
        span_take(s, 1);
    return word;
}

static enum dialog_code code_of(struct span code)
{
    struct span level = span_until(&code, '/'), below = span_until(&code, '/');

    if (span_iis(level, "IN-USE"))
        return CODE_IN_USE;
    if (span_iis(level, "LOGIN-DELAY"))
        return CODE_LOGIN_DELAY;
    if (span_iis(level, "SYS")) /* of an unknown kind: that it passes is the harmless belief */
        return span_iis(below, "PERM") ? CODE_SYS_PERM : CODE_SYS_TEMP;
    if (span_iis(level, "AUTH"))
        return CODE_AUTH;
    return span_iis(level, "UTF8") ? CODE_UTF8 : CODE_OTHER;
}

/* "[" printable octets "]" and then a blank or the end is a response code. */
static void take_code(struct dialog_reply *r)
{
    struct span code, rest = r->rest;
    size_t n = 1;

    if (rest.n < 3 || rest.p[0] != '[')
        return;
    while (n < rest.n && rest.p[n] > ' ' && rest.p[n] < 0x7f && rest.p[n] != ']')
        n++;
    if (n == 1 || n == rest.n || rest.p[n] != ']' || (n + 1 < rest.n && !blank(rest.p[n + 1])))
        return;
    code = span_of(rest.p + 1, n - 1);
    span_take(&rest, n + 1);
    while (rest.n && blank(*rest.p))
        span_take(&rest, 1);
    r->code = code_of(code);
    r->text = rest;
}

/* "+OK", "-ERR" in any case of letters stand alone or before a blank; so does "+", which is a challenge. */
struct dialog_reply dialog_reply_parse(struct span line)
{
    struct dialog_reply r = { .status = STATUS_BAD, .rest = line };
    size_t n = 0;

    while (n < line.n && !blank(line.p[n]))
        n++;
    if (span_iis(span_of(line.p, n), "+OK"))
        r.status = STATUS_OK;
    else if (span_iis(span_of(line.p, n), "-ERR"))
        r.status = STATUS_ERR;
    else if (span_is(span_of(line.p, n), "+"))
        r.status = STATUS_CHALLENGE;
    span_take(&r.rest, n);
    while (r.rest.n && blank(*r.rest.p))
        span_take(&r.rest, 1);
    r.text = r.rest;
    if (r.status != STATUS_CHALLENGE)
        take_code(&r);
    return r;
}
