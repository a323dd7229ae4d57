/* mdname.c - the names of messages in a Maildir: see mdname.h. */
#include "mail/mdname.h"

#include "base/num.h"

#include <stdio.h>

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_uid_octet(uint8_t c)
{
    return is_letter(c) || ascii_digit(c) || c == '.' || c == '_' || c == '-' || c == '=' || c == ':';
}

/* Where ":2," or ":1," begins, else the end. The first one counts: "x:2,S:2,T" is x with odd flags. */
static size_t info_at(struct span name)
{
    const uint8_t *at = name.p, *end = name.p + name.n;

    for (; at && end - at > 2; at++) {
        at = memchr(at, ':', (size_t)(end - at) - 2);
        if (!at)
            break;
        if ((at[1] == '2' || at[1] == '1') && at[2] == ',')
            return (size_t)(at - name.p);
    }
    return name.n;
}

static void take_fields(struct span fields, struct mdname *m)
{
    while (fields.n) {
        struct span field = span_until(&fields, ',');
        uint8_t key = field.n > 2 && field.p[1] == '=' ? field.p[0] : 0;

        if (!key)
            continue;
        span_take(&field, 2);
        if (key == 'S')
            m->has_size = num_all_u64(field, &m->size);
        else if (key == 'W')
            m->has_wire = num_all_u64(field, &m->wire);
    }
}

/* The second part of a name: M123P45 (qmail's successors), V…I…M123 (Postfix), H123P45 (Exim). Other items
 * are hexadecimal at most, so an M cannot be part of one. */
static uint32_t take_usec(struct span part)
{
    for (size_t i = 0; i + 1 < part.n; i++) {
        struct span digits = { part.p + i + 1, part.n - i - 1 };
        uint32_t usec;

        if ((part.p[i] == 'M' || (i == 0 && part.p[i] == 'H')) && ascii_digit(digits.p[0]))
            return num_take_u32(&digits, &usec) ? usec : UINT32_MAX;
    }
    return 0;
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* Copies at dst[n] and returns the new length; a length past MDNAME_MAX means "did not fit" and sticks. */
static size_t put(char *dst, size_t n, struct span s)
{
    if (n > MDNAME_MAX || s.n > MDNAME_MAX - n)
        return MDNAME_ROOM;
    if (s.n)
        memcpy(dst + n, s.p, s.n);
    return n + s.n;
}

static size_t finish(char *dst, size_t n)
{
    if (n > MDNAME_MAX)
        n = 0;
    dst[n] = '\0';
    return n;
}

static size_t put_host(char *dst, size_t n, const char *host)
{
    for (struct span rest = span_str(host && *host ? host : "localhost"); rest.n; span_take(&rest, 1)) {
        uint8_t c = rest.p[0];
        char text[5] = { (char)c };

        if (!is_letter(c) && !ascii_digit(c) && c != '.' && c != '-' && c != '_')
            snprintf(text, sizeof text, "\\%03o", (unsigned)c);
        if (n + strlen(text) > MDNAME_UID)
            break;
        n = put(dst, n, span_str(text));
    }
    return n;
}

struct mdname mdname_parse(struct span name)
{
    struct mdname m = { 0 };
    size_t info = info_at(name);
    struct span head = { name.p, info }, rest;

    m.has_info = info < name.n;
    if (m.has_info) {
        m.info = (struct span){ name.p + info + 3, name.n - info - 3 };
        m.experimental = name.p[info + 1] == '1';
    }
    m.base = span_until(&head, ',');
    take_fields(head, &m);
    rest = m.base;
    if (num_take_u64(&rest, &m.when) && rest.n && rest.p[0] == '.') {
        m.has_when = true;
        span_take(&rest, 1);
        m.usec = take_usec(span_until(&rest, '.'));
    } else {
        m.when = 0;
    }
    return m;
}

/* An info part has the name's first comma, or a field has: what is before the comma tells which. */
struct span mdname_base(struct span name)
{
    const uint8_t *comma = name.n ? memchr(name.p, ',', name.n) : NULL;
    size_t n = comma ? (size_t)(comma - name.p) : name.n;

    if (comma && n >= 2 && comma[-2] == ':' && (comma[-1] == '1' || comma[-1] == '2'))
        n -= 2;
    return span_of(name.p, n);
}

bool mdname_is_message(struct span name)
{
    return name.n >= 1 && name.n <= MDNAME_MAX && name.p[0] != '.' && !memchr(name.p, '/', name.n) &&
           !memchr(name.p, '\0', name.n);
}

int mdname_compare(const struct mdname *a, const struct mdname *b)
{
    size_t n = a->base.n < b->base.n ? a->base.n : b->base.n;
    int c = compare_u64(a->when, b->when);

    if (!c)
        c = compare_u64(a->usec, b->usec);
    if (!c && n)
        c = memcmp(a->base.p, b->base.p, n);
    return c ? c : compare_u64(a->base.n, b->base.n);
}

bool mdname_is_uid(struct span base)
{
    if (base.n < 1 || base.n > MDNAME_UID || (base.n >= 2 && !memcmp(base.p, "h-", 2)))
        return false;
    for (size_t i = 0; i < base.n; i++)
        if (!is_uid_octet(base.p[i]))
            return false;
    return true;
}

bool mdname_has_flag(struct span name, char flag)
{
    struct mdname m = mdname_parse(name);

    if (!m.has_info || m.experimental)
        return false;
    for (size_t i = 0; i < m.info.n && is_letter(m.info.p[i]); i++)
        if (m.info.p[i] == (uint8_t)flag)
            return true;
    return false;
}

size_t mdname_in_cur(char dst[MDNAME_ROOM], struct span name, char flag)
{
    struct mdname m = mdname_parse(name);
    struct span head = { name.p, info_at(name) }, tail = m.info;
    bool set['z' + 1] = { false };
    size_t n;

    if (m.has_info && (m.experimental || !flag))
        return finish(dst, m.experimental && flag ? MDNAME_ROOM : put(dst, 0, name));
    while (tail.n && is_letter(tail.p[0]))
        set[span_take(&tail, 1).p[0]] = true;
    if (is_letter((uint8_t)flag))
        set[(uint8_t)flag] = true;
    n = put(dst, 0, head);
    n = put(dst, n, span_str(":2,"));
    for (char c = 'A'; c <= 'z'; c++)
        if (set[(uint8_t)c])
            n = put(dst, n, span_of(&c, 1));
    return finish(dst, put(dst, n, tail)); /* what others put behind the flags stays */
}

size_t mdname_unique(char dst[MDNAME_ROOM], const struct mdname_seed *seed)
{
    char head[128];

    snprintf(head, sizeof head, "%llu.M%06uP%uQ%lluR%016llx.", (unsigned long long)seed->when, seed->usec,
             seed->pid, (unsigned long long)seed->sequence, (unsigned long long)seed->random);
    return finish(dst, put_host(dst, put(dst, 0, span_str(head)), seed->host));
}

size_t mdname_sized(char dst[MDNAME_ROOM], struct span base, uint64_t size, uint64_t wire)
{
    char hints[64];

    snprintf(hints, sizeof hints, ",S=%llu,W=%llu", (unsigned long long)size, (unsigned long long)wire);
    return finish(dst, put(dst, put(dst, 0, base), span_str(hints)));
}

size_t mdname_twin(char dst[MDNAME_ROOM], struct span name, uint64_t random)
{
    struct span base = mdname_parse(name).base;
    char mark[24];
    size_t n;

    snprintf(mark, sizeof mark, "-%016llx", (unsigned long long)random);
    n = put(dst, put(dst, 0, base), span_str(mark));
    return finish(dst, put(dst, n, span_of(name.p + base.n, name.n - base.n)));
}
