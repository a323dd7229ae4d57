/* pop_url.c - pop://[user[;AUTH=mech]@]host[:port] (RFC 2384), and pops, pop3, pop3s as curl's users write them.
 * Pure. Does not know: what is done with it. For its form see client/settings.h.
 */
#include "client/settings.h"

#include "base/num.h"

static const struct {
    const char *name;
    bool implicit;
} schemes[] = {
    {"pop",    false},
    { "pops",  true },
    { "pop3",  false},
    { "pop3s", true }
};

static bool is_host_octet(uint8_t c, bool in_brackets)
{
    uint8_t l = ascii_lower(c);

    if (in_brackets)
        return ascii_digit(c) || (l >= 'a' && l <= 'f') || c == ':' || c == '.';
    return ascii_digit(c) || (l >= 'a' && l <= 'z') || c == '-' || c == '.' || c == '_' || c >= 0x80;
}

/* RFC 1738 §5: what may stand unescaped in user and AUTH. */
static bool is_open(uint8_t c)
{
    uint8_t l = ascii_lower(c);

    return ascii_digit(c) || (l >= 'a' && l <= 'z') || (c && strchr("-_.~$+!*'(),&=", c));
}

/* Percent-decoded text without controls; strict: other octets than RFC 1738 allows are refused. */
static bool decode(struct span in, char *dst, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];

        if (c == '%') {
            if (in.n - i < 3 || !hex_get(span_of(in.p + i + 1, 2), &c, 1))
                return false;
            i += 2;
        } else if (!is_open(c)) {
            return false;
        }
        if (c < 0x20 || c == 0x7f || n + 1 >= room)
            return false;
        dst[n++] = (char)c;
    }
    dst[n] = '\0';
    return n > 0;
}

static bool take_scheme(struct span *in, struct pop_url *url, struct err *e)
{
    struct span rest = *in, scheme = span_until(&rest, ':');

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (!span_iis(scheme, schemes[i].name) || rest.n < 2 || memcmp(rest.p, "//", 2) != 0)
            continue;
        url->implicit_tls = schemes[i].implicit;
        span_take(&rest, 2);
        *in = rest;
        return true;
    }
    return err_set(e, FAULT_BAD, "no URL of a POP3 server; write pops://HOST or pop://HOST");
}

static bool take_user(struct span login, struct pop_url *url, struct err *e)
{
    struct span user = span_until(&login, ';');

    if (user.n && memchr(user.p, ':', user.n))
        return err_set(e, FAULT_BAD, "a URL holds no password; use password-command");
    if (!decode(user, url->user, sizeof url->user))
        return err_set(e, FAULT_BAD,
                       "the user in the URL is empty, too long or not escaped (%%20 for a blank, "
                       "%%40 for @)");
    url->has_user = true;
    if (login.n == 0)
        return true;
    if (login.n < 6 || !span_iis(span_of(login.p, 5), "AUTH="))
        return err_set(e, FAULT_BAD, "after \";\" a URL knows AUTH= and a mechanism alone");
    span_take(&login, 5);
    if (!decode(login, url->auth, sizeof url->auth))
        return err_set(e, FAULT_BAD, "the mechanism in the URL cannot be read");
    if (strcmp(url->auth, "*") == 0)
        url->auth[0] = '\0';
    return true;
}

static bool take_host(struct span *in, struct pop_url *url, struct err *e)
{
    bool brackets = in->n && in->p[0] == '[';
    size_t n = 0;

    if (brackets)
        span_take(in, 1);
    while (n < in->n && is_host_octet(in->p[n], brackets))
        n++;
    if (n == 0 || n >= sizeof url->host)
        return err_set(e, FAULT_BAD, "the host name is %s", n ? "too long" : "missing or malformed");
    memcpy(url->host, in->p, n);
    url->host[n] = '\0';
    span_take(in, n);
    if (brackets && (in->n == 0 || *span_take(in, 1).p != ']'))
        return err_set(e, FAULT_BAD, "an IPv6 address ends with \"]\"");
    return true;
}

static bool take_port(struct span *in, struct pop_url *url, struct err *e)
{
    uint32_t port = 0;

    url->port = url->implicit_tls ? 995 : 110;
    if (in->n == 0 || in->p[0] != ':')
        return true;
    span_take(in, 1);
    if (!num_take_u32(in, &port) || port == 0 || port > 65535)
        return err_set(e, FAULT_BAD, "the port is no number from 1 to 65535");
    url->port = (uint16_t)port;
    url->has_port = true;
    return true;
}

bool pop_url_parse(const char *text, struct pop_url *url, struct err *e)
{
    struct span in = span_str(text), at;

    *url = (struct pop_url){ 0 };
    if (!take_scheme(&in, url, e))
        return false;
    at = in;
    struct span login = span_until(&at, '@');

    if (login.n < in.n) {
        if (!take_user(login, url, e))
            return false;
        in = at;
    }
    if (!take_host(&in, url, e) || !take_port(&in, url, e))
        return false;
    if (in.n && !span_is(in, "/"))
        return err_set(e, FAULT_BAD, "\"%.40s\" behind the host is too much: there are no paths",
                       (const char *)in.p);
    return true;
}
