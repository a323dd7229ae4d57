/* socks.c - SOCKS5: see socks.h. RFC 1928 (CONNECT by name), RFC 1929 (user and password). Pure. */
#include "net/socks.h"

#include <string.h>

enum { STEP_METHOD, STEP_LOGIN, STEP_REPLY, STEP_OVER };

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
        s->step = STEP_OVER;
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

/* Octets of the answer to this step, as far as they can be told; 0 = malformed. A refusal ends with its code: some
 * proxies send no address behind it. */
static size_t expected(const struct socks *s)
{
    if (s->step != STEP_REPLY || (s->n >= 2 && s->in[1] != 0))
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

/* What RFC 1928 §6 can say: much of it passes by itself. */
static bool refused(uint8_t code, struct err *e)
{
    static const struct { enum fault fault; const char *text; } reasons[] = {
        { FAULT_NONE, "" }, { FAULT_TEMP, "general failure" }, { FAULT_PERM, "its rules do not allow this connection" },
        { FAULT_TEMP, "network unreachable" }, { FAULT_TEMP, "host unreachable" }, { FAULT_TEMP, "connection refused" },
        { FAULT_TEMP, "time to live expired" }, { FAULT_PERM, "command not supported" },
        { FAULT_PERM, "address type not supported" },
    };

    if (code < sizeof reasons / sizeof *reasons)
        return err_set(e, reasons[code].fault, "the proxy: %s", reasons[code].text);
    return err_set(e, FAULT_PERM, "the proxy: unknown error %u", code);
}

static bool too_long(struct err *e)
{
    return err_set(e, FAULT_BAD, "the host name is empty or too long for SOCKS5");
}

/* One whole answer is there. */
static bool accepted(const struct socks *s, struct buf *out, struct err *e)
{
    if (s->in[0] != (s->step == STEP_LOGIN ? 1 : 5))
        return err_set(e, FAULT_BAD, "the proxy does not speak SOCKS5");
    if (s->step == STEP_REPLY)
        return s->in[1] == 0 || refused(s->in[1], e);
    if (s->step == STEP_LOGIN)
        return s->in[1] == 0 ? put_connect(s, out) || too_long(e) : err_set(e, FAULT_PERM, "the proxy rejects the login");
    if (s->in[1] == 2)
        return put_login(s, out) || err_set(e, FAULT_PERM, "the proxy wants a user and a password");
    if (s->in[1] == 0)
        return put_connect(s, out) || too_long(e);
    return err_set(e, FAULT_PERM, "the proxy accepts no method of login that we know");
}

static enum socks_next answered(struct socks *s, struct buf *out, struct err *e)
{
    if (!accepted(s, out, e))
        return SOCKS_FAILED;
    if (s->step == STEP_REPLY)
        return SOCKS_DONE;
    s->step = s->step == STEP_METHOD && s->in[1] == 2 ? STEP_LOGIN : STEP_REPLY;
    s->n = 0;
    return SOCKS_MORE;
}

enum socks_next socks_input(struct socks *s, struct span *in, struct buf *out, struct err *e)
{
    enum socks_next next = SOCKS_MORE;

    if (s->step == STEP_OVER) {
        err_set(e, FAULT_BAD, "the dialogue with the proxy is over");
        return SOCKS_FAILED;
    }
    while (in->n && next == SOCKS_MORE) {
        s->in[s->n++] = span_take(in, 1).p[0]; /* fits: no answer is longer than 7 + 255 */
        if (expected(s) == 0) {
            err_set(e, FAULT_BAD, "the proxy's answer is malformed");
            next = SOCKS_FAILED;
        } else if (s->n == expected(s)) {
            next = answered(s, out, e);
        }
    }
    if (next != SOCKS_MORE)
        s->step = STEP_OVER;
    return next;
}
