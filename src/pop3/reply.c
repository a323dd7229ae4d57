/* reply.c - the one encoder of status lines: see reply.h. */
#include "pop3/reply.h"

#include "base/num.h"

static const char *const code_names[RC_N] = {
    [RC_IN_USE] = "[IN-USE] ",     [RC_LOGIN_DELAY] = "[LOGIN-DELAY] ", [RC_SYS_TEMP] = "[SYS/TEMP] ",
    [RC_SYS_PERM] = "[SYS/PERM] ", [RC_AUTH] = "[AUTH] ",               [RC_UTF8] = "[UTF8] ",
};

/* A line being written; what does not fit with CRLF is left out. */
struct out {
    uint8_t *p;
    size_t n;
};

static void put(struct out *o, struct span s)
{
    size_t room = LIMIT_REPLY_LINE - 2 - o->n, n = s.n < room ? s.n : room;

    if (n)
        memcpy(o->p + o->n, s.p, n);
    o->n += n;
}

/* A string of the site: printable ASCII; no "<" (R2449-GRAM-03), no "[" at the front of the text. */
static void put_clean(struct out *o, const char *s, bool first)
{
    for (; *s; s++) {
        uint8_t c = (uint8_t)*s;

        if (c < 0x20 || c > 0x7e)
            c = '?';
        else if (c == '<' || (c == '[' && first))
            c = '(';
        else if (c == '>')
            c = ')';
        put(o, span_of(&c, 1));
        first = false;
    }
}

static void put_text(struct out *o, const struct reply *r, const char *text)
{
    uint8_t digits[20];
    size_t number = 0;

    for (const char *c = text; *c; c++)
        if (*c == '#')
            put(o, span_of(digits, num_put_u64(digits, r->n[number++ & 1])));
        else if (*c == '@')
            put_clean(o, r->arg, c == text);
        else
            put(o, span_of(c, 1));
}

size_t reply_encode(const struct reply *r, enum lang lang, uint8_t dst[LIMIT_REPLY_LINE])
{
    struct out o = { dst, 0 };

    if (r->verdict == REPLY_READY) {
        put(&o, span_str("+ "));
    } else {
        put(&o, span_str(r->verdict == REPLY_OK ? "+OK " : "-ERR "));
        if (r->code != RC_NONE)
            put(&o, span_str(code_names[r->code]));
        put_text(&o, r, text_get(lang, r->text));
        if (r->tail) {
            put(&o, span_str(" "));
            put(&o, span_str(r->tail));
        }
    }
    memcpy(dst + o.n, "\r\n", 2);
    return o.n + 2;
}
