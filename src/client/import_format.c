/* import_format.c - what fetchmail, getmail, mpop and Thunderbird write down about messages they fetched.
 *
 *   fetchmail    USER@HOST UID                        the account ends at the first blank, the user at its last "@";
 *                                                     fetchmail cuts a UID at its first blank
 *   getmail      UID NUL TIME                         one file an account; getmail writes "-" for "/" in a UID
 *   mpop         " COUNT HOST USER", then COUNT UIDs  a line that begins with "#" is a comment between lists and
 *                                                     a UID in one (mpop writes it so and cannot read it itself)
 *   Thunderbird  "*HOST USER", then "K UID TIME"      K: k kept, d to be deleted, b too big, f body wanted; the last
 *                                                     two were not fetched whole and stay unknown to us
 *
 * A UID that its program changed is not recognised: that message comes once more, and none is lost.
 * Does not know: journals; which account is wanted. For the reading itself see client/import_impl.h.
 */
#include "client/import_impl.h"

#include "base/num.h"

static struct span trim(struct span s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        span_take(&s, 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool has_nul(struct span s)
{
    return s.n && memchr(s.p, 0, s.n);
}

static bool take_time(struct span in, int64_t *at)
{
    uint64_t n;

    if (!num_all_u64(in, &n) || n > INT64_MAX)
        return false;
    *at = (int64_t)n;
    return true;
}

/* The last c of s, or s.n. */
static size_t last_of(struct span s, uint8_t c)
{
    const uint8_t *hit = s.n ? memrchr(s.p, c, s.n) : NULL;

    return hit ? (size_t)(hit - s.p) : s.n;
}

void read_fetchmail(struct reading *r, struct span text)
{
    struct span line;

    while (reading_line(r, &text, &line)) {
        struct span uid = trim(line);

        if (uid.n == 0)
            continue;
        struct span account = span_until(&uid, ' ');
        size_t at = last_of(account, '@');

        if (has_nul(line))
            reading_fault(r, "a NUL in a line");
        else if (at == 0 || at + 1 >= account.n)
            reading_fault(r, "does not begin with USER@HOST");
        else
            reading_seen(r, span_of(account.p, at), span_of(account.p + at + 1, account.n - at - 1), trim(uid), 0);
    }
}

void read_getmail(struct reading *r, struct span text)
{
    struct span line, none = { NULL, 0 };
    int64_t at;

    while (reading_line(r, &text, &line)) {
        struct span time = line;

        if (trim(line).n == 0)
            continue;
        struct span uid = span_until(&time, '\0');

        if (uid.n && memchr(uid.p, '/', uid.n))
            reading_fault(r, "a message of an IMAP folder");
        else if (!take_time(trim(time), &at))
            reading_fault(r, "is not UID NUL TIME");
        else
            reading_seen(r, none, none, uid, at);
    }
}

struct mpop_list {
    uint64_t left;
    struct span user, host;
};

static bool take_mpop_head(struct span line, struct mpop_list *list)
{
    if (line.n == 0 || line.p[0] != ' ')
        return false;
    span_take(&line, 1);
    struct span count = span_until(&line, ' ');

    list->host = span_until(&line, ' ');
    list->user = line;
    return num_all_u64(count, &list->left) && list->left > 0 && list->host.n && list->user.n &&
           !memchr(list->user.p, ' ', list->user.n);
}

void read_mpop(struct reading *r, struct span text)
{
    struct mpop_list list = { 0 };
    struct span line;

    while (reading_line(r, &text, &line)) {
        if (list.left == 0 && line.n && line.p[0] == '#')
            continue;
        if (has_nul(line)) {
            reading_fault(r, "a NUL in a line");
        } else if (list.left == 0) {
            if (!take_mpop_head(line, &list)) {
                reading_fault(r, "is not \" COUNT HOST USER\"");
                list.left = 0;
            }
        } else if (line.n && line.p[0] == ' ') {
            reading_fault(r, "a new list, and %llu unique-ids of the one before are missing",
                          (unsigned long long)list.left);
            take_mpop_head(line, &list);
        } else {
            reading_seen(r, list.user, list.host, line, 0);
            list.left--;
        }
    }
    if (list.left)
        reading_fault(r, "%llu unique-ids are missing at the end", (unsigned long long)list.left);
}

/* "K UID TIME"; old versions wrote no time, and one version wrote the word "undefined". */
static void read_popstate_line(struct reading *r, struct span line, struct span user, struct span host)
{
    uint8_t kind = line.p[0];
    int64_t at = 0;

    if (line.n < 3 || line.p[1] != ' ' || !memchr("kdbf", kind, 4)) {
        reading_fault(r, "is not \"K UID TIME\" with K one of k d b f");
        return;
    }
    if (kind == 'b' || kind == 'f')
        return;
    struct span uid = trim(span_of(line.p + 2, line.n - 2));
    size_t blank = last_of(uid, ' ');

    if (blank < uid.n) {
        struct span last = span_of(uid.p + blank + 1, uid.n - blank - 1);

        if (take_time(last, &at) || span_is(last, "undefined"))
            uid = trim(span_of(uid.p, blank));
    }
    reading_seen(r, user, host, uid, at);
}

void read_thunderbird(struct reading *r, struct span text)
{
    struct span line, user = { NULL, 0 }, host = { NULL, 0 };

    while (reading_line(r, &text, &line)) {
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (has_nul(line)) {
            reading_fault(r, "a NUL in a line");
        } else if (line.p[0] == '*') {
            user = span_of(line.p + 1, line.n - 1);
            host = span_until(&user, ' ');
            if (host.n == 0 || user.n == 0) {
                reading_fault(r, "is not \"*HOST USER\"");
                user = host = span_str(""); /* what follows is of some account */
            }
        } else if (!user.p) {
            reading_fault(r, "stands before any \"*HOST USER\"");
        } else {
            read_popstate_line(r, line, user, host);
        }
    }
}
