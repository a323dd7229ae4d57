/* args.c - typed arguments of commands: see args.h. */
#include "pop3/args.h"

#include "base/num.h"

static void skip_blanks(struct span *s)
{
    while (s->n && s->p[0] == ' ')
        span_take(s, 1);
}

/* The next word; false when there is none. */
static bool take_word(struct span *s, struct span *word)
{
    skip_blanks(s);
    if (s->n == 0)
        return false;
    *word = span_until(s, ' ');
    return true;
}

static bool at_end(struct span s)
{
    skip_blanks(&s);
    return s.n == 0;
}

static bool take_msg(struct span *s, struct call *c)
{
    struct span word;
    uint64_t v;

    if (!take_word(s, &word) || !num_all_saturating(word, &v))
        return false;
    c->has_msg = true;
    c->msg = v <= UINT32_MAX ? (uint32_t)v : 0;
    return true;
}

static bool take_lines(struct span *s, struct call *c)
{
    struct span word;

    return take_word(s, &word) && num_all_saturating(word, &c->lines);
}

static struct span trim(struct span s)
{
    skip_blanks(&s);
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

/* The digest is the last word, the name all before it. */
static bool take_apop(struct span *s, struct call *c)
{
    struct span all = trim(span_take(s, s->n));
    size_t n = 0;

    while (n < all.n && all.p[all.n - 1 - n] != ' ')
        n++;
    c->b = span_of(all.p + (all.n - n), n);
    c->a = trim(span_of(all.p, all.n - n));
    return c->a.n && c->b.n;
}

static bool take_raw(struct span *s, struct call *c)
{
    if (s->n < 2)
        return false;
    span_take(s, 1);
    c->a = span_take(s, s->n);
    return true;
}

static bool take_words(struct span *s, struct call *c, bool two)
{
    c->has_a = take_word(s, &c->a);
    c->has_b = two && take_word(s, &c->b);
    return true;
}

bool call_parse(enum args_shape shape, struct span rest, struct call *c)
{
    bool good = true;

    *c = (struct call){ 0 };
    switch (shape) {
    case ARGS_NONE: break;
    case ARGS_MSG: good = take_msg(&rest, c); break;
    case ARGS_MSG_OPT: good = at_end(rest) || take_msg(&rest, c); break;
    case ARGS_TOP: good = take_msg(&rest, c) && take_lines(&rest, c); break;
    case ARGS_RAW: return take_raw(&rest, c);
    case ARGS_APOP: good = take_apop(&rest, c); break;
    case ARGS_AUTH: good = take_words(&rest, c, true); break;
    case ARGS_LANG: good = take_words(&rest, c, false); break;
    }
    return good && at_end(rest);
}

bool args_are_secret(enum args_shape shape)
{
    return shape == ARGS_RAW || shape == ARGS_APOP;
}
