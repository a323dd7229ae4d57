/* surrogate_field.c - rewrites one internationalised header field: see surrogate_field.h. RFC 6858 §2, RFC 2047.
 *
 * No address that could belong to someone is ever produced: whatever cannot be kept as it is in ASCII becomes
 * "display <invalid@internationalized-address.invalid>" (§2.1), a group becomes an empty group.
 * Does not know: where fields begin and end.
 */
#include "mail/surrogate_field.h"

#include "base/base64.h"

enum { WORD_RAW = 39 }; /* 39 octets make an encoded word of 64, within RFC 2047's 75 */

static const char unusable[] = "<invalid@internationalized-address.invalid>";

static bool ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] > 0x7f)
            return false;
    return true;
}

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span s)
{
    while (s.n && blank(s.p[0]))
        span_take(&s, 1);
    while (s.n && blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* How many octets of s go into one encoded word: whole characters, since each word must decode by itself. */
static size_t word_octets(struct span s)
{
    size_t n = s.n < WORD_RAW ? s.n : WORD_RAW;

    while (n < s.n && n > 0 && (s.p[n] & 0xc0) == 0x80)
        n--;
    return n ? n : (s.n < WORD_RAW ? s.n : WORD_RAW); /* not UTF-8: cut anywhere */
}

/* s as encoded words, one a line (folded); line ends of the original inside s become blanks. */
static bool put_words(struct buf *out, struct span s, const char *eol)
{
    bool first = true;
    uint8_t raw[WORD_RAW], word[BASE64_ENCODED(WORD_RAW)];

    while (s.n) {
        struct span part = span_take(&s, word_octets(s));

        for (size_t i = 0; i < part.n; i++)
            raw[i] = blank(part.p[i]) ? ' ' : part.p[i];
        if (!(first || (buf_put_str(out, eol) && buf_put(out, " ", 1))) || !buf_put_str(out, "=?utf-8?B?") ||
            !buf_put(out, word, base64_put(word, span_of(raw, part.n))) || !buf_put_str(out, "?="))
            return false;
        first = false;
    }
    return true;
}

/* The length of one entry of an address list: to a comma outside quotes, comments, angles and groups. */
static size_t entry_octets(struct span s, bool *group)
{
    unsigned comment = 0;
    bool quoted = false, angle = false;

    *group = false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (c == '\\' && (quoted || comment))
            i++;
        else if (quoted)
            quoted = c != '"';
        else if (c == '(' || (c == ')' && comment))
            comment += c == '(' ? 1u : ~0u;
        else if (comment)
            continue;
        else if (c == '"')
            quoted = true;
        else if (c == '<' || c == '>')
            angle = c == '<';
        else if (c == ':' && !angle)
            *group = true;
        else if (c == ';')
            return i + 1;
        else if (c == ',' && !angle && !*group)
            return i;
    }
    return s.n;
}

/* One mailbox or group that holds octets above 0x7F. */
static bool put_entry(struct buf *out, struct span entry, bool group, const char *eol)
{
    const uint8_t *lt = memchr(entry.p, '<', entry.n), *at = NULL;
    struct span addr = { NULL, 0 }, display = entry;

    if (group)
        return put_words(out, entry, eol) && buf_put_str(out, ":;");
    if (lt) {
        display = trim(span_of(entry.p, (size_t)(lt - entry.p)));
        addr = span_of(lt, (size_t)(entry.p + entry.n - lt));
        at = memchr(addr.p, '@', addr.n);
    }
    if (display.n >= 2 && display.p[0] == '"' && display.p[display.n - 1] == '"')
        display = span_of(display.p + 1, display.n - 2);
    if (lt && at && ascii(addr) && memchr(addr.p, '>', addr.n)) /* only the display text is foreign */
        return put_words(out, display, eol) && buf_put_str(out, eol) && buf_put(out, " ", 1) &&
               buf_put_span(out, addr);
    if (lt && display.n == 0 && !at)
        return buf_put_str(out, unusable);
    return put_words(out, entry, eol) && buf_put_str(out, eol) && buf_put(out, " ", 1) &&
           buf_put_str(out, unusable);
}

static bool put_addresses(struct buf *out, struct span value, const char *eol)
{
    bool first = true, group;

    value = trim(value);
    while (value.n) {
        struct span entry = trim(span_take(&value, entry_octets(value, &group)));

        while (value.n && (value.p[0] == ',' || blank(value.p[0])))
            span_take(&value, 1);
        if (entry.n == 0)
            continue;
        if (!first && !(buf_put(out, ",", 1) && buf_put_str(out, eol) && buf_put(out, " ", 1)))
            return false;
        if (!(ascii(entry) ? buf_put_span(out, entry) : put_entry(out, entry, group, eol)))
            return false;
        first = false;
    }
    return buf_put_str(out, eol);
}

/* A MIME field without the parameters that cannot be shown. */
static bool put_mime(struct buf *out, struct span value, const char *eol)
{
    bool first = true;

    value = trim(value);
    while (value.n) {
        bool quoted = false;
        size_t n = 0;
        struct span part;

        for (; n < value.n && (quoted || value.p[n] != ';'); n++)
            if (value.p[n] == '\\' && quoted)
                n++;
            else if (value.p[n] == '"')
                quoted = !quoted;
        part = trim(span_take(&value, n < value.n ? n : value.n));
        if (value.n)
            span_take(&value, 1);
        if (!ascii(part) || part.n == 0)
            continue;
        if (!first && !(buf_put(out, ";", 1) && buf_put_str(out, eol) && buf_put(out, " ", 1)))
            return false;
        if (!buf_put_span(out, part))
            return false;
        first = false;
    }
    return buf_put_str(out, eol);
}

static bool is_one_of(struct span name, const char *const *list)
{
    for (; *list; list++)
        if (span_iis(name, *list))
            return true;
    return false;
}

bool surrogate_field(struct span field, struct buf *out)
{
    static const char *const addresses[] = { "From",
                                             "Sender",
                                             "Reply-To",
                                             "To",
                                             "Cc",
                                             "Bcc",
                                             "Resent-From",
                                             "Resent-Sender",
                                             "Resent-Reply-To",
                                             "Resent-To",
                                             "Resent-Cc",
                                             "Resent-Bcc",
                                             "Return-Path",
                                             "Disposition-Notification-To",
                                             NULL };
    static const char *const texts[] = { "Subject", "Comments", "Keywords", "Content-Description", NULL };
    static const char *const mime[] = { "Content-Type", "Content-Disposition", NULL };
    const char *eol = field.n >= 2 && field.p[field.n - 1] == '\n' && field.p[field.n - 2] == '\r' ? "\r\n" : "\n";
    const uint8_t *colon = memchr(field.p, ':', field.n);
    struct span name, value, kind;

    if (!colon)
        return true; /* no field at all: cannot be shown */
    name = trim(span_of(field.p, (size_t)(colon - field.p)));
    value = span_of(colon + 1, field.n - (size_t)(colon - field.p) - 1);
    if (is_one_of(name, texts))
        return buf_put_span(out, name) && buf_put_str(out, ": ") && put_words(out, trim(value), eol) &&
               buf_put_str(out, eol);
    if (is_one_of(name, addresses))
        return buf_put_span(out, name) && buf_put_str(out, ": ") && put_addresses(out, value, eol);
    kind = value;
    if (is_one_of(name, mime) && ascii(span_until(&kind, ';')))
        return buf_put_span(out, name) && buf_put_str(out, ": ") && put_mime(out, value, eol);
    return true; /* any other field that cannot be shown is removed (§2.4) */
}
