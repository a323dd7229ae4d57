/* idn.c - host names in ASCII by libidn2, and what DNS can hold: see idn.h. */
#include "net/idn.h"

#include "base/buf.h"
#include "base/text.h"

#include <idn2.h>

enum { LABEL = 63, NAME = 253 };

static bool refuse(const char *name, const char *why, struct err *e)
{
    struct buf clean = BUF(200);

    text_put_clean(&clean, span_str(name), 60);
    err_set(e, FAULT_BAD, "\"%.*s\" is no host name: %s", (int)clean.n, clean.n ? (const char *)clean.p : "", why);
    buf_free(&clean);
    return false;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if (*text & 0x80)
            return false;
    return true;
}

static bool is_address(const char *host)
{
    return strchr(host, ':') || (ascii_digit((uint8_t)*host) && strspn(host, "0123456789.") == strlen(host));
}

/* Letters, digits, "-" and "_", which some names of hosts have against the rules. */
static bool is_label(struct span label)
{
    for (size_t i = 0; i < label.n; i++) {
        uint8_t c = label.p[i];

        if (!(ascii_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' || (c == '-' && i)))
            return false;
    }
    return true;
}

/* Why DNS could not hold it; NULL: it can. */
static const char *fault_of(const char *host)
{
    struct span rest = span_str(host);

    if (rest.n > NAME)
        return "it is longer than 253 octets";
    if (rest.n == 0 || host[0] == '.' || host[rest.n - 1] == '.')
        return "a part between dots is empty";
    while (rest.n) {
        struct span label = span_until(&rest, '.');

        if (label.n == 0)
            return "a part between dots is empty";
        if (label.n > LABEL)
            return "a part between dots is longer than 63 octets";
        if (!is_label(label))
            return "a part between dots begins with \"-\" or holds a character that is neither letter, digit nor \"-\"";
    }
    return NULL;
}

bool idn_host(const char *name, char host[IDN_HOST], struct err *e)
{
    /* Without IDN2_USE_STD3_ASCII_RULES, for which libidn2 2.3 drops what they forbid: U+2100, "a/c", would vanish, while
     * fault_of refuses it. */
    const int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
    uint8_t *ascii = NULL;
    const char *from = name, *why;
    size_t n;
    int rc;

    if (!is_ascii(name)) {
        rc = idn2_lookup_u8((const uint8_t *)name, &ascii, flags);
        if (rc != IDN2_OK)
            return refuse(name, idn2_strerror(rc), e);
        from = (const char *)ascii;
    }
    n = strlen(from);
    if (n > 1 && from[n - 1] == '.')
        n--;
    if (n < IDN_HOST) {
        memcpy(host, from, n);
        host[n] = '\0';
    }
    why = n < IDN_HOST ? !ascii && is_address(host) ? NULL : fault_of(host) : "it is too long";
    idn2_free(ascii);
    return !why || refuse(name, why, e);
}
