/* netrc.c - reads .netrc: words apart by blanks, "quoted \" words", comments, macros. See netrc.h. Pure. */
#include "client/netrc.h"

enum { WORD_MAX = 4096 };

struct scan {
    struct span rest;
    struct buf word;
    bool ok; /* so far */
};

struct entry_seen {
    bool open, matches_host, matches_user, has_password;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',';
}

/* The next word; false at the end, or (ok false) when it is malformed. */
static bool next(struct scan *s)
{
    bool quoted = false;

    s->word.n = 0;
    while (s->rest.n && is_blank(s->rest.p[0]))
        span_take(&s->rest, 1);
    if (s->rest.n == 0)
        return false;
    if (s->rest.p[0] == '"') {
        quoted = true;
        span_take(&s->rest, 1);
    }
    while (s->rest.n && (quoted ? s->rest.p[0] != '"' : !is_blank(s->rest.p[0]))) {
        uint8_t c = *span_take(&s->rest, 1).p;

        if (c == '\\' && quoted && s->rest.n)
            c = *span_take(&s->rest, 1).p;
        s->ok = s->ok && buf_put(&s->word, &c, 1);
    }
    if (quoted && s->rest.n == 0)
        s->ok = false; /* the quote never ends */
    else if (quoted)
        span_take(&s->rest, 1);
    return s->ok;
}

/* A macro ends at an empty line. */
static void skip_macro(struct scan *s)
{
    while (s->rest.n) {
        struct span line = span_until(&s->rest, '\n');

        if (line.n == 0 || span_is(line, "\r"))
            return;
    }
}

static bool is_word(const struct scan *s, const char *word)
{
    return span_is(buf_span(&s->word), word);
}

/* One key with its value. */
static void take(struct scan *s, struct entry_seen *seen, const char *host, const char *user, struct buf *secret)
{
    bool is_default = is_word(s, "default"), machine = is_word(s, "machine"), login = is_word(s, "login");
    bool password = is_word(s, "password");

    if (s->word.n && s->word.p[0] == '#') {
        span_until(&s->rest, '\n');
        return;
    }
    if (is_default || machine) {
        secret->n = 0;
        *seen = (struct entry_seen){ true, is_default, true, false };
    }
    if (is_default)
        return;
    if (is_word(s, "macdef")) {
        skip_macro(s);
        return;
    }
    if ((!machine && !login && !password && !is_word(s, "account")) || (!machine && !seen->open) || !next(s)) {
        s->ok = false;
        return;
    }
    if (machine)
        seen->matches_host = span_iis(buf_span(&s->word), host);
    else if (login)
        seen->matches_user = span_is(buf_span(&s->word), user);
    else if (password) {
        secret->n = 0;
        seen->has_password = true;
        s->ok = buf_put_span(secret, buf_span(&s->word));
    }
}

/* Is what was read so far the answer? An entry is complete when the next one begins. */
static bool is_hit(const struct entry_seen *seen)
{
    return seen->open && seen->matches_host && seen->matches_user && seen->has_password;
}

bool netrc_password(struct span text, const char *host, const char *user, struct buf *secret, struct err *e)
{
    struct scan s = { text, BUF(WORD_MAX), true };
    struct entry_seen seen = { 0 };
    bool hit = false;

    secret->n = 0;
    while (!hit && next(&s)) {
        if (is_word(&s, "machine") || is_word(&s, "default"))
            hit = is_hit(&seen);
        if (!hit)
            take(&s, &seen, host, user, secret);
    }
    hit = s.ok && (hit || is_hit(&seen));
    buf_wipe(&s.word);
    if (hit)
        return true;
    secret->n = 0;
    return s.ok ? err_set(e, FAULT_GONE, "~/.netrc has no password for %s at %s", user, host)
                : err_set(e, FAULT_BAD,
                          "~/.netrc is malformed; it is made of machine, login and password, each with "
                          "its value");
}
