/* socks.c - SOCKS5: see socks.h. RFC 1928 (CONNECT by name), RFC 1929 (user and password). Pure. */
#include "net/socks.h"

#include <string.h>

enum { STEP_METHOD, STEP_LOGIN, STEP_REPLY };

static bool fits(const char *text)
{
    size_t n = text ? strlen(text) : 0;

    return n >= 1 && n <= 255;
}

void socks_begin(struct socks *s, const struct socks_conf *conf, struct buf *out)
{
    static const uint8_t open_only[] = { 5, 1, 0 }, with_login[] = { 5, 2, 0, 2 };
    bool login = fits(conf->user);

    memset(s, 0, sizeof *s);
    s->conf = conf;
    if (!buf_put(out, login ? with_login : open_only, login ? sizeof with_login : sizeof open_only))
        s->step = STEP_REPLY + 1;
}

static bool put_text(struct buf *out, const char *text)
{
    uint8_t n = (uint8_t)strlen(text);

    return buf_put(out, &n, 1) && buf_put(out, text, n);
}

static bool put_login(const struct socks *s, struct buf *out)
{
    return fits(s->conf->user) && fits(s->conf->password) && buf_put(out, "\1", 1) && put_text(out, s->conf->user) &&
           put_text(out, s->conf->password);
}

static bool put_connect(const struct socks *s, struct buf *out)
{
    uint8_t port[2] = { (uint8_t)(s->conf->port >> 8), (uint8_t)s->conf->port };

    return fits(s->conf->host) && buf_put(out, "\5\1\0\3", 4) && put_text(out, s->conf->host) && buf_put(out, port, 2);
}

/* Octets of the answer to this step, as far as they can be told; 0 = malformed. */
static size_t expected(const struct socks *s)
{
    if (s->step != STEP_REPLY)
        return 2;
    if (s->n < 5)
        return 5;
    switch (s->in[3]) {
    case 1:
        return 10;
    case 3:
        return 7u + s->in[4];
    case 4:
        return 22;
    default:
        return 0;
    }
}

static const char *reason(uint8_t code)
{
    static const char *const texts[] = { "", "general failure", "not allowed by its rules", "network unreachable",
                                         "host unreachable", "connection refused", "time to live expired",
                                         "command not supported", "address type not supported" };

    return code < sizeof texts / sizeof *texts ? texts[code] : "unknown error";
}

/* One whole answer is there. */
static enum socks_next answered(struct socks *s, struct buf *out, struct err *e)
{
    bool ok = s->in[0] == (s->step == STEP_LOGIN ? 1 : 5);

    if (!ok)
        err_set(e, FAULT_BAD, "the proxy does not speak SOCKS5");
    else if (s->step == STEP_METHOD && s->in[1] == 2)
        ok = put_login(s, out) || err_set(e, FAULT_PERM, "the proxy wants a user and a password");
    else if (s->step == STEP_METHOD && s->in[1] == 0)
        ok = put_connect(s, out) || err_set(e, FAULT_BAD, "the host name is too long for SOCKS5");
    else if (s->step == STEP_METHOD)
        ok = err_set(e, FAULT_PERM, "the proxy accepts no method of login that we know");
    else if (s->in[1] != 0)
        ok = err_set(e, FAULT_PERM, s->step == STEP_LOGIN ? "the proxy rejects the login" : "the proxy: %s",
                     reason(s->in[1]));
    else if (s->step == STEP_LOGIN)
        ok = put_connect(s, out) || err_set(e, FAULT_BAD, "the host name is too long for SOCKS5");
    if (!ok)
        return SOCKS_FAILED;
    if (s->step == STEP_REPLY)
        return SOCKS_DONE;
    s->step = s->step == STEP_METHOD && s->in[1] == 2 ? STEP_LOGIN : STEP_REPLY;
    s->n = 0;
    return SOCKS_MORE;
}

enum socks_next socks_input(struct socks *s, struct span *in, struct buf *out, struct err *e)
{
    while (in->n && s->step <= STEP_REPLY) {
        size_t want = expected(s);

        if (want == 0 || want > sizeof s->in) {
            err_set(e, FAULT_BAD, "the proxy's answer is malformed");
            return SOCKS_FAILED;
        }
        s->in[s->n++] = span_take(in, 1).p[0];
        if (s->n == expected(s)) {
            enum socks_next next = answered(s, out, e);

            if (next != SOCKS_MORE)
                return next;
        }
    }
    return s->step <= STEP_REPLY ? SOCKS_MORE : SOCKS_FAILED;
}
