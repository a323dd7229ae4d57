/* dialog.c - the dialog's birth and death, its input loop, its output, and the order of its steps: see dialog.h.
 * Does not know: how a single answer is read (dialog_capa, _login, _list, _body, _order).
 */
#include "pop3/dialog_impl.h"

struct dialog *dialog_new(const struct dialog_conf *conf, const struct dialog_sasl *sasl,
                          dialog_on_event *on_event, void *ctx)
{
    struct buf own = BUF(sizeof(struct dialog));
    struct dialog *d = (struct dialog *)(void *)buf_reserve(&own, sizeof *d);

    memset(d, 0, sizeof *d);
    d->own = own;
    d->conf = conf;
    d->sasl = sasl;
    d->on_event = on_event;
    d->ctx = ctx;
    d->line = BUF(DIALOG_LINE);
    d->out = BUF(DIALOG_OUT);
    d->capa_text = BUF(DIALOG_CAPA_TEXT);
    d->seen = BUF((DIALOG_MESSAGES + 7) / 8);
    d->login.initial = BUF(DIALOG_LINE);
    d->retr_window = DIALOG_RETR_START;
    d->tls_up = conf->tls == DIALOG_TLS_UP;
    d->npending = 1; /* the greeting: pending[0] is all zeros */
    return d;
}

void dialog_free(struct dialog **d)
{
    struct buf own;

    if (!*d)
        return;
    buf_wipe(&(*d)->line);
    buf_wipe(&(*d)->out);
    buf_free(&(*d)->capa_text);
    buf_free(&(*d)->seen);
    buf_wipe(&(*d)->login.initial);
    own = (*d)->own;
    buf_wipe(&own);
    *d = NULL;
}

void dialog_set_apop(struct dialog *d, dialog_apop_digest *digest)
{
    d->apop = digest;
}

void dialog_emit(struct dialog *d, const struct dialog_event *event)
{
    d->on_event(d->ctx, event);
}

/* Nothing is sent or told after this but the event that says so. */
static void end(struct dialog *d)
{
    d->step = STEP_END;
    d->npending = 0;
    d->nitems = 0;
    buf_wipe(&d->out);
    buf_wipe(&d->login.initial);
    buf_free(&d->seen);
}

static void failed(struct dialog *d, struct dialog_event event)
{
    if (d->step == STEP_END)
        return;
    end(d);
    event.kind = DIALOG_FAILED;
    dialog_emit(d, &event);
}

void dialog_fail(struct dialog *d, enum dialog_failure failure, const char *text)
{
    failed(d, (struct dialog_event){ .failure = failure, .text = span_str(text) });
}

void dialog_fail_reply(struct dialog *d, enum dialog_failure failure, const struct dialog_reply *r)
{
    static const enum dialog_failure by_code[] = {
        [CODE_IN_USE] = FAILURE_IN_USE,     [CODE_LOGIN_DELAY] = FAILURE_LOGIN_DELAY,
        [CODE_SYS_TEMP] = FAILURE_SYS_TEMP, [CODE_SYS_PERM] = FAILURE_SYS_PERM,
        [CODE_AUTH] = FAILURE_AUTH,         [CODE_UTF8] = FAILURE_SYS_PERM,
        [CODE_OTHER] = FAILURE_NONE,
    };

    if (by_code[r->code] != FAILURE_NONE)
        failure = by_code[r->code];
    failed(d, (struct dialog_event){ .failure = failure, .code = r->code, .text = r->text, .is_reply = true });
}

bool dialog_secure(const struct dialog *d)
{
    return d->tls_up && !d->conf->unverified;
}

struct dialog_pending *dialog_front(struct dialog *d)
{
    return &d->pending[d->pending_first];
}

void dialog_put_line(struct dialog *d, struct span word, struct span arg)
{
    size_t before = d->out.n;
    bool good = buf_reserve(&d->out, word.n + arg.n + 3) != NULL; /* at once: growing would leave copies behind */

    good = good && buf_put_span(&d->out, word);
    if (arg.n)
        good = good && buf_put_str(&d->out, " ") && buf_put_span(&d->out, arg);
    if (!good || !buf_put_str(&d->out, "\r\n")) {
        d->out.n = before;
        dialog_fail(d, FAILURE_PROTOCOL, "an answer of ours has no room");
    }
}

struct dialog_pending *dialog_command(struct dialog *d, enum dialog_answer answer, struct span word,
                                      struct span arg)
{
    struct dialog_pending *p = &d->pending[(d->pending_first + d->npending) % DIALOG_PENDING];
    size_t before = d->out.n;

    dialog_put_line(d, word, arg);
    if (d->step == STEP_END)
        return p;
    *p = (struct dialog_pending){ .answer = answer,
                                  .octets = (uint32_t)(d->out.n - before),
                                  .ends_at = d->sent + d->out.n };
    d->npending++;
    d->pending_octets += p->octets;
    return p;
}

void dialog_answered(struct dialog *d)
{
    d->pending_octets -= dialog_front(d)->octets;
    d->pending_first = (d->pending_first + 1) % DIALOG_PENDING;
    d->npending--;
    d->reading = READ_STATUS;
}

static void send_quit(struct dialog *d)
{
    if (d->conf->tls == DIALOG_TLS_STLS && !d->tls_up) { /* R8314-C-03: not a word but CAPA and STLS */
        end(d);
        dialog_emit(d, &(struct dialog_event){ .kind = DIALOG_QUIT, .text = span_str("left before TLS") });
        return;
    }
    d->step = STEP_QUIT;
    dialog_command(d, ANSWER_QUIT, span_str("QUIT"), span_str(""));
}

static void send_stls(struct dialog *d)
{
    if (d->capa.known && !d->capa.stls) {
        dialog_fail(d, FAILURE_TLS_POLICY, "the server does not offer STLS");
        return;
    }
    d->step = STEP_TLS;
    dialog_command(d, ANSWER_STLS, span_str("STLS"), span_str(""));
}

static void ready(struct dialog *d)
{
    d->step = STEP_ORDERS;
    dialog_emit(d, &(struct dialog_event){ .kind = DIALOG_READY });
    order_pump(d);
}

static bool all_asked(const struct dialog *d)
{
    return d->stat_asked && d->list_asked && (d->uidl_asked || !d->conf->want_uidl);
}

void dialog_next(struct dialog *d)
{
    if (d->step == STEP_END || d->npending || (d->step == STEP_ORDERS && !d->quit_wanted))
        return;
    if (d->quit_wanted && d->nitems == 0) {
        send_quit(d);
    } else if (d->conf->use_capa && !d->capa_asked) {
        d->step = d->logged_in ? STEP_LISTING : STEP_CAPA;
        d->capa_asked = true;
        dialog_command(d, ANSWER_CAPA, span_str("CAPA"), span_str(""));
    } else if (d->conf->tls == DIALOG_TLS_STLS && !d->tls_up) {
        send_stls(d);
    } else if (d->conf->no_login || (d->logged_in && (d->conf->login_only || all_asked(d)))) {
        ready(d);
    } else if (d->logged_in) {
        d->step = STEP_LISTING;
        list_ask(d);
    } else if ((d->capa.utf8 || d->conf->force_utf8) && !d->utf8_asked) { /* R6856-18 */
        d->step = STEP_LOGIN;
        d->utf8_asked = true;
        dialog_command(d, ANSWER_UTF8, span_str("UTF8"), span_str(""));
    } else {
        d->step = STEP_LOGIN;
        login_begin(d);
    }
}

void dialog_tls_up(struct dialog *d)
{
    if (d->step != STEP_TLS || d->npending || d->need_tls)
        return;
    d->tls_up = true;
    d->capa_asked = d->capa_refused = false; /* R2595-STLS-12: what was said in the clear is forgotten */
    memset(&d->capa, 0, sizeof d->capa);
    if (!d->conf->apop_after_stls)
        d->timestamp[0] = '\0';
    d->step = STEP_CAPA;
    dialog_next(d);
}

static void greeting(struct dialog *d, const struct dialog_reply *r)
{
    if (r->status != STATUS_OK) {
        dialog_fail_reply(d, FAILURE_REFUSED, r);
        return;
    }
    login_greeting(d, r->rest);
    dialog_answered(d);
    dialog_emit(d, &(struct dialog_event){ .kind = DIALOG_GREETING, .code = r->code, .text = r->text });
    dialog_next(d);
}

static void stls(struct dialog *d, const struct dialog_reply *r)
{
    struct dialog_reply plain = *r;

    plain.code = CODE_NONE; /* whatever code it has, this is about TLS */
    if (r->status != STATUS_OK) {
        dialog_fail_reply(d, FAILURE_TLS_POLICY, &plain);
        return;
    }
    dialog_answered(d);
    d->need_tls = true; /* told when the input is known to end here */
}

static void quit(struct dialog *d, const struct dialog_reply *r)
{
    end(d);
    dialog_emit(d, &(struct dialog_event){
                       .kind = DIALOG_QUIT, .ok = r->status == STATUS_OK, .code = r->code, .text = r->text });
}

static void status_line(struct dialog *d, struct span line)
{
    struct dialog_reply r = dialog_reply_parse(line);
    enum dialog_answer answer = dialog_front(d)->answer;

    if (r.status == STATUS_BAD || (r.status == STATUS_CHALLENGE && answer != ANSWER_AUTH)) {
        dialog_fail(d, FAILURE_PROTOCOL, "an answer begins neither with +OK nor with -ERR");
        return;
    }
    switch (answer) {
    case ANSWER_GREETING: greeting(d, &r); return;
    case ANSWER_CAPA:
        if (r.status == STATUS_OK)
            capa_begin(d);
        else
            capa_refused(d);
        return;
    case ANSWER_STLS: stls(d, &r); return;
    case ANSWER_UTF8:
        dialog_answered(d);
        dialog_next(d);
        return;
    case ANSWER_USER:
    case ANSWER_PASS:
    case ANSWER_APOP:
    case ANSWER_AUTH: login_reply(d, answer, &r); return;
    case ANSWER_STAT:
    case ANSWER_LIST:
    case ANSWER_UIDL: list_status(d, answer, &r); return;
    case ANSWER_RETR:
    case ANSWER_TOP:
    case ANSWER_DELE:
    case ANSWER_NOOP: order_reply(d, &r); return;
    case ANSWER_QUIT: quit(d, &r); return;
    }
}

/* A line of a multi-line answer that is no message. */
static void list_line(struct dialog *d, struct span line)
{
    enum dialog_answer answer = dialog_front(d)->answer;

    if (span_is(line, ".") && answer == ANSWER_CAPA) {
        capa_end(d);
        return;
    }
    if (span_is(line, ".")) {
        list_end(d);
        return;
    }
    if (line.n && line.p[0] == '.')
        span_take(&line, 1);
    d->lines++;
    if (answer == ANSWER_CAPA)
        capa_take(d, line);
    else
        list_take(d, answer, line);
}

/* Takes a line off *in, without its end; false: none is whole yet, or it is too long (the dialog has failed). */
static bool take_line(struct dialog *d, struct span *in, struct span *line)
{
    bool capa = d->reading == READ_LINES && dialog_front(d)->answer == ANSWER_CAPA;
    size_t limit = capa ? DIALOG_CAPA_LINE : DIALOG_LINE;
    const uint8_t *lf = memchr(in->p, '\n', in->n);
    size_t n = lf ? (size_t)(lf - in->p) : in->n;

    if (n > limit - d->line.n) {
        dialog_fail(d, FAILURE_PROTOCOL, "a line of the server is too long");
        return false;
    }
    *line = span_take(in, n);
    if (lf)
        span_take(in, 1);
    if (!lf || d->line.n) {
        if (!buf_put_span(&d->line, *line))
            return false; /* cannot be: the limit is the buffer's */
        *line = buf_span(&d->line);
    }
    if (lf && line->n && line->p[line->n - 1] == '\r')
        line->n--;
    return lf != NULL;
}

/* Nothing may come that was not asked for, and nothing before the question is out; but for "-ERR", with which some
 * servers say why they hang up on a client that says nothing (unasked). */
static bool asked_for(struct dialog *d, uint8_t first)
{
    if (d->step == STEP_TLS && d->npending == 0)
        dialog_fail(d, FAILURE_TLS_POLICY, "octets behind the answer to STLS (injected?)");
    else if (d->npending == 0 && d->line.n == 0 && first != '-')
        dialog_fail(d, FAILURE_PROTOCOL, "the server speaks without being asked");
    else if (d->npending && d->sent < dialog_front(d)->ends_at)
        dialog_fail(d, FAILURE_PROTOCOL, "an answer came before its command was sent");
    return d->step != STEP_END;
}

static void unasked(struct dialog *d, struct span line)
{
    struct dialog_reply r = dialog_reply_parse(line);

    if (r.status == STATUS_ERR)
        dialog_fail_reply(d, FAILURE_CLOSED, &r);
    else
        dialog_fail(d, FAILURE_PROTOCOL, "the server speaks without being asked");
}

void dialog_input(struct dialog *d, struct span in)
{
    while (in.n && d->step != STEP_END && asked_for(d, *in.p)) {
        struct span line;

        if (d->reading == READ_BODY) {
            if (dialog_body_take(d, &in))
                order_body_end(d);
            continue;
        }
        if (!take_line(d, &in, &line))
            return;
        if (d->npending == 0)
            unasked(d, line);
        else if (d->reading == READ_LINES)
            list_line(d, line);
        else
            status_line(d, line);
        d->line.n = 0;
    }
    if (d->need_tls && d->step == STEP_TLS) {
        d->need_tls = false;
        dialog_emit(d, &(struct dialog_event){ .kind = DIALOG_NEED_TLS });
    }
}

void dialog_eof(struct dialog *d, bool clean)
{
    if (d->login.cancelled)
        dialog_fail(d, d->login.cancelled, d->login.why);
    else
        dialog_fail(d, FAILURE_CLOSED, clean ? "the server closed the connection" : "the connection was cut");
}

struct span dialog_output(const struct dialog *d)
{
    return buf_span(&d->out);
}

void dialog_sent(struct dialog *d, size_t n)
{
    if (n > d->out.n)
        n = d->out.n;
    buf_consume(&d->out, n);
    d->sent += n;
    if (d->out.n == 0 && d->out_secret) {
        buf_wipe(&d->out);
        d->out_secret = false;
    }
}

bool dialog_idle(const struct dialog *d)
{
    return d->npending == 0 && d->nitems == 0;
}

bool dialog_waiting(const struct dialog *d)
{
    return d->npending > 0;
}

uint64_t dialog_awaited(const struct dialog *d)
{
    return d->pending[d->pending_first].ends_at;
}

void dialog_quit(struct dialog *d)
{
    if (d->step == STEP_END || d->quit_wanted)
        return;
    d->quit_wanted = true;
    if (d->step == STEP_TLS && d->npending == 0)
        send_quit(d); /* in the middle of a handshake there is nobody to talk to */
    else if (d->step == STEP_ORDERS)
        order_pump(d);
}

const char *dialog_stage(const struct dialog *d)
{
    static const char *const words[] = {
        [STEP_GREETING] = "greeting", [STEP_CAPA] = "capabilities", [STEP_TLS] = "STLS",  [STEP_LOGIN] = "login",
        [STEP_LISTING] = "listing",   [STEP_ORDERS] = "retrieval",  [STEP_QUIT] = "quit", [STEP_END] = "end",
    };

    return words[d->step];
}

const char *dialog_failure_name(enum dialog_failure failure)
{
    static const char *const names[] = {
        [FAILURE_NONE] = "none",
        [FAILURE_PROTOCOL] = "protocol error",
        [FAILURE_CLOSED] = "connection lost",
        [FAILURE_REFUSED] = "refused",
        [FAILURE_TLS_POLICY] = "no TLS",
        [FAILURE_NO_AUTH] = "no way to log in",
        [FAILURE_AUTH] = "login rejected",
        [FAILURE_SERVER_AUTH] = "server not proven",
        [FAILURE_IN_USE] = "maildrop in use",
        [FAILURE_LOGIN_DELAY] = "login too soon",
        [FAILURE_SYS_TEMP] = "temporary trouble of the server",
        [FAILURE_SYS_PERM] = "lasting trouble of the server",
        [FAILURE_CLIENT] = "the client itself",
    };

    return (size_t)failure < sizeof names / sizeof *names ? names[failure] : "unknown";
}
