/* fuzz_dialog.c - libFuzzer entry: any octets as what a POP3 server says to the client's dialog, in any pieces.
 *
 * The first three octets choose the account's settings, the fourth the pieces. Checked: one DIALOG_FAILED or
 * DIALOG_QUIT at most and nothing told or sent after it, numbers of events within STAT's count, the window kept,
 * every line sent a command of at most 255 octets or an answer in a SASL exchange, no secret before TLS.
 * Does not know: what a right answer says.
 */
#include "pop3/dialog.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
    struct dialog *d;
    bool over, tls, ready, need_tls, sasl;
    uint32_t messages, orders;
    uint64_t asked, answered; /* lines sent and, for orders, answers told */
};

static void must(bool good)
{
    if (!good)
        abort();
}

static void order_some(struct state *s)
{
    while (s->messages && s->orders < 300) {
        uint32_t n = s->orders++;

        if (!dialog_order(s->d, (enum dialog_order)(n % 4), n % s->messages + 1, n * 97))
            return;
    }
    dialog_quit(s->d);
}

static void on_event(void *ctx, const struct dialog_event *e)
{
    struct state *s = ctx;
    bool numbered = e->kind == DIALOG_SIZE || e->kind == DIALOG_UID || e->kind == DIALOG_BODY ||
                    e->kind == DIALOG_BODY_END || e->kind == DIALOG_DELETED;

    must(!s->over);
    must(!numbered || (e->number >= 1 && e->number <= s->messages));
    must(e->kind != DIALOG_UID || e->uid.n <= DIALOG_UID_MAX);
    must(e->kind != DIALOG_BODY || e->data.n > 0);
    must(e->kind != DIALOG_FAILED || e->failure != FAILURE_NONE);
    if (e->kind == DIALOG_STAT)
        must((s->messages = e->number) <= DIALOG_MESSAGES);
    if (e->kind == DIALOG_BODY_END || e->kind == DIALOG_DELETED || e->kind == DIALOG_ALIVE ||
        e->kind == DIALOG_REFUSED)
        s->answered++;
    s->over = e->kind == DIALOG_FAILED || e->kind == DIALOG_QUIT;
    s->need_tls = e->kind == DIALOG_NEED_TLS;
    s->ready |= e->kind == DIALOG_READY;
}

/* Nothing but these may go out before TLS is up. */
static bool harmless(struct span line)
{
    return span_is(line, "CAPA\r") || span_is(line, "STLS\r");
}

static void send_all(struct state *s)
{
    struct span out = dialog_output(s->d), rest = out;

    must(!s->over || out.n == 0);
    must(!s->need_tls || out.n == 0);
    while (rest.n) {
        struct span line = span_until(&rest, '\n');

        must(line.n && line.p[line.n - 1] == '\r' && !memchr(line.p, '\r', line.n - 1));
        must(s->tls || harmless(line));
        must(line.n < 255 || s->sasl);
        if (s->ready && !span_is(line, "QUIT\r"))
            s->asked++;
    }
    must(s->asked - s->answered <= DIALOG_WINDOW_COMMANDS || !s->ready);
    dialog_sent(s->d, out.n);
}

static bool sasl_start(void *ctx, struct span name, struct buf *initial, bool *has_initial)
{
    *has_initial = !span_is(name, "LOGIN") && !span_is(name, "CRAM-MD5");
    return !(*(uint8_t *)ctx & 1) && (!*has_initial || buf_put_span(initial, name));
}

static bool sasl_step(void *ctx, struct span challenge, struct buf *response)
{
    return !(*(uint8_t *)ctx & 2) && buf_put_span(response, challenge);
}

static bool sasl_complete(void *ctx)
{
    return !(*(uint8_t *)ctx & 4);
}

static void digest(struct span timestamp, struct span secret, char hex[33])
{
    must(timestamp.n > 4 && secret.n);
    memset(hex, 'a', 32);
    hex[32] = '\0';
}

static struct dialog_conf settings(const uint8_t *c)
{
    return (struct dialog_conf){
        .tls = (enum dialog_tls)((c[0] & 3) % 3),
        .auth = (enum dialog_auth)(c[0] >> 2 & 3),
        .user = "bob",
        .password = span_str("s"),
        .sasl_name = c[0] & 16 ? "XOAUTH2" : "SCRAM-SHA-1",
        .mechs = c[1],
        .plaintext_auth = c[0] & 32,
        .one_line_auth = c[0] & 64,
        .use_capa = c[0] & 128,
        .use_pipelining = c[2] & 1,
        .force_pipelining = c[2] & 2,
        .lf_dot_ends = c[2] & 4,
        .apop_after_stls = c[2] & 8,
        .login_only = (c[2] & 0x30) == 0x30,
        .no_login = (c[2] & 0xc0) == 0xc0,
        .want_uidl = c[2] & 0x40,
        .window_octets = c[2] & 0x80 ? 4096 : 0,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = { data, size };
    struct dialog_conf conf;
    struct dialog_sasl sasl = { sasl_start, sasl_step, sasl_complete, NULL };
    struct state s = { 0 };
    uint8_t moods;
    size_t piece;

    if (size < 4)
        return 0;
    conf = settings(data);
    moods = data[3] >> 5;
    piece = 1u + (data[3] & 31) * 7u;
    sasl.ctx = &moods;
    s.tls = conf.tls != DIALOG_TLS_STLS;
    s.sasl = conf.auth == DIALOG_AUTH_AUTO || conf.auth == DIALOG_AUTH_SASL;
    s.d = dialog_new(&conf, &sasl, on_event, &s);
    dialog_set_apop(s.d, digest);
    for (span_take(&in, 4); in.n; send_all(&s)) {
        if (s.need_tls) {
            s.need_tls = false;
            s.tls = true;
            dialog_tls_up(s.d);
            send_all(&s);
        }
        if (s.ready)
            order_some(&s);
        send_all(&s);
        dialog_input(s.d, span_take(&in, in.n < piece ? in.n : piece));
    }
    dialog_eof(s.d, true);
    must(s.over && dialog_output(s.d).n == 0 && dialog_idle(s.d) && !dialog_waiting(s.d));
    dialog_free(&s.d);
    return 0;
}
