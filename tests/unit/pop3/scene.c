/* scene.c - plays scenes: see scene.h. */
#include "scene.h"

#include "base/num.h"

#include <stdio.h>

enum { CAP = 1 << 23, RANDOM_PLAYS = 20 };

enum cut { CUT_WHOLE, CUT_OCTETS, CUT_RANDOM };

struct play {
    struct dialog *dialog;
    struct buf log, want, input, output;
    bool in_body, over;
    enum cut cut;
    uint32_t seed;
    const char *text;
};

static void good(bool ok)
{
    assert_true(ok);
}

static uint8_t octet_of(struct span *s)
{
    static const char *const plain = "r\rn\nt\t0\0\\\\";
    uint8_t c = *span_take(s, 1).p, hex;

    if (c != '\\' || s->n == 0)
        return c;
    c = *span_take(s, 1).p;
    if (c == 'x' && s->n >= 2 && hex_get(span_of(s->p, 2), &hex, 1)) {
        span_take(s, 2);
        return hex;
    }
    for (unsigned i = 0; i < 10; i += 2)
        if (c == (uint8_t)plain[i])
            return (uint8_t)plain[i + 1];
    return c;
}

void scene_unescape(struct buf *out, struct span text)
{
    while (text.n) {
        uint8_t c = octet_of(&text);

        good(buf_put(out, &c, 1));
    }
}

static void put_escaped(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (c == '\r' || c == '\n')
            good(buf_put_str(out, c == '\r' ? "\\r" : "\\n"));
        else if (c < ' ' || c > '~' || c == '\\')
            good(buf_printf(out, "\\x%02x", c));
        else
            good(buf_put(out, &c, 1));
    }
}

static void log_capa(struct buf *out, const struct dialog_capa *c)
{
    const struct {
        bool set;
        const char *name;
    } flags[] = {
        {!c->known,          "unknown"       },
        { c->top,            "top"           },
        { c->uidl,           "uidl"          },
        { c->user,           "user"          },
        { c->stls,           "stls"          },
        { c->pipelining,     "pipelining"    },
        { c->resp_codes,     "resp-codes"    },
        { c->auth_resp_code, "auth-resp-code"},
        { c->utf8,           "utf8"          },
        { c->utf8_user,      "utf8-user"     },
        { c->cram_md5,       "cram-md5"      },
        { c->xoauth2,        "xoauth2"       },
        { c->oauthbearer,    "oauthbearer"   },
        { c->expire_never,   "never"         },
    };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].set)
            good(buf_printf(out, " %s", flags[i].name));
    for (unsigned i = 0; i < MECH_N; i++)
        if (c->mechs & MECH_BIT(i))
            good(buf_printf(out, " %s", mechs[i].name));
    if (c->has_login_delay)
        good(buf_printf(out, " delay=%u", c->login_delay_s));
    if (c->has_expire && !c->expire_never)
        good(buf_printf(out, " expire=%u", c->expire_days));
    if (c->implementation[0])
        good(buf_printf(out, " <%s>", c->implementation));
}

static const char *const kinds[] = {
    [DIALOG_GREETING] = "GREETING", [DIALOG_CAPA] = "CAPA",
    [DIALOG_NEED_TLS] = "NEED_TLS", [DIALOG_LOGGED_IN] = "LOGGED_IN",
    [DIALOG_STAT] = "STAT",         [DIALOG_SIZE] = "SIZE",
    [DIALOG_UID] = "UID",           [DIALOG_NO_UIDL] = "NO_UIDL",
    [DIALOG_READY] = "READY",       [DIALOG_BODY] = "BODY",
    [DIALOG_BODY_END] = "BODY_END", [DIALOG_REFUSED] = "REFUSED",
    [DIALOG_DELETED] = "DELETED",   [DIALOG_ALIVE] = "ALIVE",
    [DIALOG_QUIT] = "QUIT",         [DIALOG_FAILED] = "FAILED",
};

static const char *const codes[] = {
    [CODE_NONE] = "",
    [CODE_IN_USE] = "[IN-USE]",
    [CODE_LOGIN_DELAY] = "[LOGIN-DELAY]",
    [CODE_SYS_TEMP] = "[SYS/TEMP]",
    [CODE_SYS_PERM] = "[SYS/PERM]",
    [CODE_AUTH] = "[AUTH]",
    [CODE_UTF8] = "[UTF8]",
    [CODE_OTHER] = "[?]",
};

static const char *const order_names[] = { "RETR", "TOP", "DELE", "NOOP" };

static void log_detail(struct play *p, const struct dialog_event *e)
{
    struct buf *out = &p->log;

    switch (e->kind) {
    case DIALOG_CAPA: log_capa(out, e->capa); return;
    case DIALOG_STAT:
    case DIALOG_SIZE:
        if (e->has_octets)
            good(buf_printf(out, " %u %llu", e->number, (unsigned long long)e->octets));
        else
            good(buf_printf(out, " %u ?", e->number));
        return;
    case DIALOG_UID:
        good(buf_printf(out, " %u ", e->number));
        put_escaped(out, e->uid);
        return;
    case DIALOG_BODY:
        good(buf_printf(out, " %u ", e->number));
        put_escaped(out, e->data);
        return;
    case DIALOG_BODY_END:
        good(buf_printf(out, " %s %u %llu", order_names[e->order], e->number, (unsigned long long)e->octets));
        return;
    case DIALOG_DELETED: good(buf_printf(out, " %u", e->number)); return;
    case DIALOG_REFUSED: good(buf_printf(out, " %s %u", order_names[e->order], e->number)); break;
    case DIALOG_QUIT: good(buf_put_str(out, e->ok ? " ok" : " no")); break;
    case DIALOG_FAILED: good(buf_printf(out, " %s", dialog_failure_name(e->failure))); return;
    default: break;
    }
    if (e->code != CODE_NONE)
        good(buf_printf(out, " %s", codes[e->code]));
    if (e->text.n && e->kind != DIALOG_READY) {
        good(buf_put_str(out, " "));
        put_escaped(out, e->text);
    }
}

static void on_event(void *ctx, const struct dialog_event *e)
{
    struct play *p = ctx;

    assert_false(p->over);
    if (e->kind == DIALOG_BODY && p->in_body) {
        assert_true(e->data.n > 0);
        put_escaped(&p->log, e->data);
        return;
    }
    if (p->log.n)
        good(buf_put_str(&p->log, "\n"));
    p->in_body = e->kind == DIALOG_BODY;
    good(buf_put_str(&p->log, kinds[e->kind]));
    log_detail(p, e);
    p->over = e->kind == DIALOG_QUIT || e->kind == DIALOG_FAILED;
}

static size_t piece(struct play *p, size_t n)
{
    if (p->cut == CUT_WHOLE)
        return n;
    if (p->cut == CUT_OCTETS)
        return 1;
    p->seed = p->seed * 1103515245u + 12345u;
    return 1 + (p->seed >> 16) % (n < 40 ? n : 40);
}

static void feed(struct play *p)
{
    struct span rest = buf_span(&p->input);

    while (rest.n) {
        size_t n = piece(p, rest.n);
        uint8_t *copy = mem_new(n); /* so that a look beyond the piece is seen */

        memcpy(copy, rest.p, n);
        dialog_input(p->dialog, span_of(copy, n));
        free(copy);
        span_take(&rest, n);
    }
    p->input.n = 0;
}

/* All that the client wants to send now is what the C: lines said. */
static void check_sent(struct play *p)
{
    struct span out = dialog_output(p->dialog);

    if (!span_eq(out, buf_span(&p->output)))
        fail_msg("sent \"%.*s\" instead of \"%.*s\" in\n%s", (int)out.n, out.n ? (const char *)out.p : "",
                 (int)p->output.n, p->output.n ? (const char *)p->output.p : "", p->text);
    dialog_sent(p->dialog, out.n);
    p->output.n = 0;
}

static void give_order(struct play *p, struct span text)
{
    struct span word = span_until(&text, ' ');
    uint32_t number = 0;
    uint64_t size = 0;

    num_take_u32(&text, &number);
    if (text.n) {
        span_take(&text, 1);
        num_take_u64(&text, &size);
    }
    for (unsigned i = 0; i < 4; i++)
        if (span_is(word, order_names[i]))
            assert_true(dialog_order(p->dialog, (enum dialog_order)i, number, size));
}

static void line(struct play *p, struct span text)
{
    uint8_t kind = text.p[0];
    bool crlf = text.n > 1 && text.p[1] == ':';

    if (kind != 'S')
        feed(p);
    if (kind != 'C' && kind != 'E' && p->output.n)
        check_sent(p);
    span_take(&text, text.n > 2 ? 3 : text.n);
    switch (kind) {
    case 'S':
        if (p->input.n == 0)
            check_sent(p);
        scene_unescape(&p->input, text);
        if (crlf)
            good(buf_put_str(&p->input, "\r\n"));
        return;
    case 'C':
        scene_unescape(&p->output, text);
        good(buf_put_str(&p->output, "\r\n"));
        return;
    case 'E':
        if (p->want.n)
            good(buf_put_str(&p->want, "\n"));
        good(buf_put_span(&p->want, text));
        return;
    case 'O': give_order(p, text); return;
    case 'Q': dialog_quit(p->dialog); return;
    case 'T': dialog_tls_up(p->dialog); return;
    case 'X': dialog_eof(p->dialog, true); return;
    case 'I': assert_true(dialog_idle(p->dialog) && !dialog_waiting(p->dialog)); return;
    default: fail_msg("what is this: %.*s", (int)text.n, (const char *)text.p);
    }
}

/* A stand-in for MD5, so that the caller's part can be told from the dialog's. */
static void digest(struct span timestamp, struct span secret, char hex[33])
{
    snprintf(hex, 33, "%016zx%016zx", timestamp.n, secret.n);
}

static void play_once(const struct dialog_conf *conf, const struct dialog_sasl *sasl, const char *text,
                      struct play p)
{
    struct span rest = span_str(text);

    p.text = text;
    p.log = p.want = p.input = p.output = BUF(CAP);
    p.dialog = dialog_new(conf, sasl, on_event, &p);
    dialog_set_apop(p.dialog, digest);
    while (rest.n) {
        struct span s = span_until(&rest, '\n');

        if (s.n)
            line(&p, s);
    }
    feed(&p);
    check_sent(&p);
    if (!span_eq(buf_span(&p.log), buf_span(&p.want)))
        fail_msg("told\n%.*s\ninstead of\n%.*s\n(cut %d, seed %u) in\n%s", (int)p.log.n,
                 p.log.n ? (const char *)p.log.p : "", (int)p.want.n, p.want.n ? (const char *)p.want.p : "",
                 (int)p.cut, p.seed, text);
    dialog_free(&p.dialog);
    assert_null(p.dialog);
    buf_free(&p.log);
    buf_free(&p.want);
    buf_free(&p.input);
    buf_free(&p.output);
}

void scene_play(const struct dialog_conf *conf, const struct dialog_sasl *sasl, const char *text)
{
    play_once(conf, sasl, text, (struct play){ .cut = CUT_WHOLE });
    play_once(conf, sasl, text, (struct play){ .cut = CUT_OCTETS });
    for (uint32_t seed = 1; seed <= RANDOM_PLAYS; seed++)
        play_once(conf, sasl, text, (struct play){ .cut = CUT_RANDOM, .seed = seed });
}

void scene(const char *text)
{
    struct dialog_conf conf = scene_conf();

    scene_play(&conf, &scene_sasl, text);
}

struct dialog_conf scene_conf(void)
{
    return (struct dialog_conf){ .tls = DIALOG_TLS_UP,
                                 .auth = DIALOG_AUTH_USER,
                                 .user = "bob",
                                 .password = span_str("secret"),
                                 .one_line_auth = true,
                                 .use_capa = true,
                                 .use_pipelining = true,
                                 .want_uidl = true,
                                 .window_octets = 1 << 20 };
}

static bool sasl_start(void *ctx, struct span name, struct buf *initial, bool *has_initial)
{
    const char *known = ctx;

    if (known && !memmem(known, strlen(known), name.p, name.n))
        return false;
    *has_initial = !span_is(name, "LOGIN") && !span_is(name, "CRAM-MD5");
    if (span_is(name, "EXTERNAL"))
        return true;
    return !*has_initial || (buf_put_str(initial, "I ") && buf_put_span(initial, name));
}

static bool sasl_step(void *ctx, struct span challenge, struct buf *response)
{
    (void)ctx;
    if (span_is(challenge, "bad"))
        return false;
    if (span_is(challenge, "{}")) /* an OAuth error: an empty answer */
        return true;
    return buf_put_str(response, "R ") && buf_put_span(response, challenge);
}

static bool sasl_complete(void *ctx)
{
    return !ctx || strcmp(ctx, "SCRAM-SHA-1 unproven") != 0;
}

const struct dialog_sasl scene_sasl = { sasl_start, sasl_step, sasl_complete, NULL };
