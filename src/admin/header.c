/* header.c - fields of a message's header: see header.h. */
#include "admin/header.h"

#include "base/base64.h"
#include "base/num.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
    while (s.n && is_blank(s.p[0]))
        span_take(&s, 1);
    while (s.n && (is_blank(s.p[s.n - 1]) || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

bool header_field(struct span head, const char *name, struct buf *value)
{
    size_t n = strlen(name);
    bool found = false;

    while (head.n) {
        struct span line = span_until(&head, '\n');

        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0)
            break;
        if (is_blank(line.p[0])) {
            if (found && (!buf_put_str(value, " ") || !buf_put_span(value, trim(line))))
                return true;
            continue;
        }
        if (found)
            break;
        if (line.n <= n || line.p[n] != ':' || !span_iis(span_of(line.p, n), name))
            continue;
        found = true;
        if (!buf_put_span(value, trim(span_of(line.p + n + 1, line.n - n - 1))))
            return true;
    }
    return found;
}

enum charset { UTF8, LATIN1, OTHER };

static enum charset charset_of(struct span name)
{
    struct span base = span_until(&name, '*'); /* RFC 2231 §5: a language may follow */

    if (span_iis(base, "utf-8") || span_iis(base, "us-ascii") || span_iis(base, "utf8"))
        return UTF8;
    return span_iis(base, "iso-8859-1") ? LATIN1 : OTHER;
}

static bool put_octet(struct buf *out, uint8_t c, enum charset charset)
{
    uint8_t two[2] = { (uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 0x3f)) };

    if (charset == LATIN1 && c >= 0x80)
        return buf_put(out, two, 2);
    return buf_put(out, &c, 1);
}

static bool put_q(struct buf *out, struct span text, enum charset charset)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i] == '_' ? ' ' : text.p[i];

        if (c == '=') {
            if (text.n - i < 3 || !hex_get(span_of(text.p + i + 1, 2), &c, 1))
                return false;
            i += 2;
        }
        if (!put_octet(out, c, charset))
            return false;
    }
    return true;
}

static bool put_b(struct buf *out, struct span text, enum charset charset)
{
    uint8_t raw[256];
    size_t n;

    if (BASE64_DECODED(text.n) > sizeof raw || !base64_get(text, raw, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!put_octet(out, raw[i], charset))
            return false;
    return true;
}

/* "=?charset?B?text?=" at the front of *in: decoded and consumed. False, and nothing appended, otherwise. */
static bool take_word(struct span *in, struct buf *out)
{
    struct span rest = *in, charset, encoding, text;
    size_t before = out->n;
    bool ok = false;

    if (rest.n < 2 || rest.p[0] != '=' || rest.p[1] != '?')
        return false;
    span_take(&rest, 2);
    charset = span_until(&rest, '?');
    encoding = span_until(&rest, '?');
    text = span_until(&rest, '?');
    if (rest.n < 1 || rest.p[0] != '=' || charset_of(charset) == OTHER)
        return false;
    span_take(&rest, 1);
    if (span_iis(encoding, "q"))
        ok = put_q(out, text, charset_of(charset));
    else if (span_iis(encoding, "b"))
        ok = put_b(out, text, charset_of(charset));
    if (!ok) {
        out->n = before;
        return false;
    }
    *in = rest;
    return true;
}

bool header_decode(struct span value, struct buf *out)
{
    bool after_word = false;

    while (value.n) {
        size_t blanks = 0;
        struct span next;

        while (blanks < value.n && is_blank(value.p[blanks]))
            blanks++;
        next = span_of(value.p + blanks, value.n - blanks);
        /* Blanks between two encoded words are not shown (RFC 2047 §6.2). */
        if (after_word && take_word(&next, out)) {
            value = next;
            continue;
        }
        if (blanks && !buf_put_span(out, span_take(&value, blanks)))
            return false;
        after_word = take_word(&value, out);
        if (!after_word && value.n && !buf_put_span(out, span_take(&value, 1)))
            return false;
    }
    return true;
}
