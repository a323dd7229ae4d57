/* conf_maildrop.c - a user's maildrop path from the template of mail.maildrop.
 *
 * The user name comes from a stranger: no part of it may name another folder than its own.
 * Pure but for memory. Does not know: whether the path exists, who owns it.
 */
#include "server/conf/conf_rows.h"

enum { PART_MAX = 255, PATH_OCTETS = 4095 };

/* A part becomes the whole or a piece of one folder name. */
static bool part_is_safe(struct span s)
{
    if (s.n == 0 || s.n > PART_MAX || span_is(s, ".") || span_is(s, ".."))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '/' || s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

/* home comes from the users file: a path, but one that goes nowhere else. */
static bool home_is_safe(struct span s)
{
    if (s.n == 0 || s.p[0] != '/')
        return false;
    while (s.n)
        if (span_is(span_until(&s, '/'), ".."))
            return false;
    return true;
}

struct parts {
    struct span user, local, domain, home;
};

static bool put_part(struct buf *path, struct span word, const struct parts *parts, struct err *e)
{
    struct span part;

    if (span_is(word, "home")) {
        if (!home_is_safe(parts->home))
            return err_set(e, FAULT_BAD,
                           parts->home.n ? "home is no absolute path without \"..\""
                                         : "mail.maildrop wants {home}, and the user "
                                           "has none; set one or another maildrop");
        return buf_put_span(path, parts->home) || err_set(e, FAULT_BAD, "maildrop path too long");
    }
    if (span_is(word, "user"))
        part = parts->user;
    else if (span_is(word, "local"))
        part = parts->local;
    else if (span_is(word, "domain"))
        part = parts->domain;
    else
        return err_set(e, FAULT_BAD, "mail.maildrop: {%.*s} is not known", (int)word.n, (const char *)word.p);
    if (!part_is_safe(part))
        return err_set(e, FAULT_BAD, "the user's %.*s cannot be part of a path", (int)word.n,
                       (const char *)word.p);
    return buf_put_span(path, part) || err_set(e, FAULT_BAD, "maildrop path too long");
}

static void split(struct span user, const char *default_domain, struct parts *parts)
{
    const uint8_t *at = user.n ? memrchr(user.p, '@', user.n) : NULL;

    parts->user = parts->local = user;
    parts->domain = span_str(default_domain ? default_domain : "");
    if (at) {
        parts->local.n = (size_t)(at - user.p);
        parts->domain = span_of(at + 1, user.n - parts->local.n - 1);
    }
}

bool conf_maildrop(const char *templ, struct span user, const char *default_domain, const char *home,
                   struct buf *path, struct err *e)
{
    struct span rest = span_str(templ);
    struct parts parts = { .home = span_str(home ? home : "") };
    uint8_t *end;

    split(user, default_domain, &parts);
    while (rest.n) {
        struct span text = rest, word;
        const uint8_t *open = memchr(rest.p, '{', rest.n);

        if (open)
            text.n = (size_t)(open - rest.p);
        span_take(&rest, text.n);
        if (!buf_put_span(path, text))
            return err_set(e, FAULT_BAD, "maildrop path too long");
        if (!open)
            break;
        span_take(&rest, 1);
        if (!memchr(rest.p, '}', rest.n))
            return err_set(e, FAULT_BAD, "mail.maildrop: \"{\" without \"}\"");
        word = span_until(&rest, '}');
        if (!put_part(path, word, &parts, e))
            return false;
    }
    end = buf_reserve(path, 1);
    if (!end || path->n > PATH_OCTETS)
        return err_set(e, FAULT_BAD, "maildrop path too long");
    *end = '\0'; /* beyond path->n: the path is a C string too */
    if (path->n == 0 || path->p[0] != '/')
        return err_set(e, FAULT_BAD, "mail.maildrop is no absolute path");
    return true;
}
