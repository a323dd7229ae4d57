/* fetcher_report.c - events of the dialog become packets for the writer. Does not know: the connection. */
#include "client/fetcher.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>

/* A writer that does not read stops us here: back-pressure. The time does not count against the server. */
void fetcher_tell(struct fetcher *f, const struct link_msg *m)
{
    struct err e;

    while (!f->writer_gone && !link_send(f->link, m, &e)) {
        struct pollfd p = { f->link, POLLOUT, 0 };
        uint64_t from = clock_mono_ms(), waited;

        if (e.fault != FAULT_TEMP) {
            f->writer_gone = true;
            return;
        }
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            f->writer_gone = true;
        waited = clock_mono_ms() - from;
        f->began += waited;
        f->heard += waited;
        f->window_from += waited;
    }
}

static void tell_text(struct fetcher *f, enum link_type type, struct span text)
{
    struct link_msg m;

    link_init(&m, type);
    m.text = span_of(text.p, text.n < LINK_DATA ? text.n : LINK_DATA);
    fetcher_tell(f, &m);
}

static void flush_rows(struct fetcher *f);

void fetcher_end(struct fetcher *f, enum dialog_failure failure, const char *text)
{
    struct link_msg m;

    if (f->ended)
        return;
    f->ended = true;
    f->phase = PHASE_OVER;
    flush_rows(f);
    link_init(&m, LINK_ENDED);
    m.failure = (uint8_t)failure;
    m.flags = f->greeted && !f->capa_answered ? LINKF_AT_CAPA : 0;
    m.text = span_str(text);
    fetcher_tell(f, &m);
}

static void flush_rows(struct fetcher *f)
{
    struct link_msg m;

    if (f->nrows == 0)
        return;
    link_init(&m, LINK_ROWS);
    m.data = span_of(f->rows, f->nrows);
    f->nrows = 0;
    fetcher_tell(f, &m);
}

static void row(struct fetcher *f, const struct dialog_event *event)
{
    struct link_row r = { event->kind == DIALOG_UID, event->has_octets, event->number, event->octets, event->uid };
    size_t n = link_row_put(f->rows + f->nrows, sizeof f->rows - f->nrows, &r);

    if (n == 0) {
        flush_rows(f);
        n = link_row_put(f->rows, sizeof f->rows, &r);
    }
    f->nrows += n;
}

static void capa(struct fetcher *f, const struct dialog_event *event)
{
    const struct dialog_capa *c = event->capa;
    struct link_msg m;

    link_init(&m, LINK_CAPA);
    m.text = span_of(event->text.p, event->text.n < LINK_DATA ? event->text.n : LINK_DATA);
    if (c) {
        m.flags = (c->known ? LINKC_KNOWN : 0u) | (c->top ? LINKC_TOP : 0u) | (c->uidl ? LINKC_UIDL : 0u) |
                  (c->pipelining ? LINKC_PIPELINING : 0u) | (c->has_login_delay ? LINKC_LOGIN_DELAY : 0u) |
                  (c->has_expire ? LINKC_EXPIRE : 0u);
        m.number = c->login_delay_s;
        m.octets = c->expire_never ? UINT64_MAX : c->expire_days;
        f->sasl_conf.server_offers_plus =
            c->mechs & (MECH_BIT(MECH_SCRAM_SHA_1_PLUS) | MECH_BIT(MECH_SCRAM_SHA_256_PLUS));
    }
    fetcher_tell(f, &m);
}

/* A body is cut into packets; its size is bounded here too (XCL-05). */
static void body(struct fetcher *f, const struct dialog_event *event)
{
    struct span rest = event->data;

    f->body_octets += rest.n;
    if (f->job.max_octets && f->body_octets > f->job.max_octets) {
        struct link_msg m;

        link_init(&m, LINK_REFUSED);
        m.order = (uint8_t)event->order;
        m.code = UINT8_MAX; /* not the server's: the message is over our limit */
        m.number = event->number;
        m.text = span_str("larger than max-message");
        fetcher_tell(f, &m);
        fetcher_end(f, FAILURE_NONE, "message over the limit");
        return;
    }
    while (rest.n && !f->writer_gone) {
        struct link_msg m;

        link_init(&m, LINK_BODY);
        m.number = event->number;
        m.data = span_take(&rest, rest.n < LINK_DATA ? rest.n : LINK_DATA);
        fetcher_tell(f, &m);
    }
}

static void answered(struct fetcher *f, enum link_type type, const struct dialog_event *event)
{
    struct link_msg m;

    link_init(&m, type);
    m.number = event->number;
    m.order = (uint8_t)event->order;
    m.code = (uint8_t)event->code;
    m.octets = event->octets;
    m.text = span_of(event->text.p, event->text.n < 1024 ? event->text.n : 1024);
    f->body_octets = 0;
    fetcher_tell(f, &m);
}

static void over(struct fetcher *f, const struct dialog_event *event)
{
    struct link_msg m;

    if (f->ended)
        return;
    flush_rows(f);
    f->ended = true;
    f->phase = PHASE_OVER;
    link_init(&m, LINK_ENDED);
    m.failure = (uint8_t)event->failure;
    m.flags = f->greeted && !f->capa_answered ? LINKF_AT_CAPA : 0;
    m.code = (uint8_t)event->code;
    m.flags |= event->kind == DIALOG_QUIT && event->ok ? LINKF_OK : 0;
    if (f->sasl && sasl_client_token_rejected(f->sasl))
        m.flags |= LINKF_TOKEN_REJECTED;
    m.flags |= event->kind == DIALOG_FAILED && event->is_reply ? LINKF_REPLY : 0;
    m.text = span_of(event->text.p, event->text.n < 1024 ? event->text.n : 1024);
    if (m.text.n == 0 && f->sasl && event->kind == DIALOG_FAILED && *sasl_client_why(f->sasl))
        m.text = span_str(sasl_client_why(f->sasl));
    fetcher_tell(f, &m);
}

/* Mail of strangers comes next, and the secret has done what it was for. */
static void forget(struct fetcher *f)
{
    f->dialog_conf.password = f->sasl_conf.password = f->sasl_conf.token = span_of(NULL, 0);
    buf_wipe(&f->secret);
    buf_wipe(&f->token);
}

void fetcher_on_event(void *ctx, const struct dialog_event *event)
{
    struct fetcher *f = ctx;

    if (f->ended)
        return;
    switch (event->kind) {
    case DIALOG_GREETING:
        f->greeted = true;
        tell_text(f, LINK_GREETING, event->text);
        return;
    case DIALOG_CAPA:
        f->capa_answered = true;
        capa(f, event);
        return;
    case DIALOG_NEED_TLS:
        f->tls_asked = true;
        return;
    case DIALOG_LOGGED_IN:
        f->capa_answered = true;
        tell_text(f, LINK_LOGGED_IN, event->text);
        forget(f);
        return;
    case DIALOG_STAT:
        answered(f, LINK_STAT, event);
        return;
    case DIALOG_SIZE:
    case DIALOG_UID:
        row(f, event);
        return;
    case DIALOG_NO_UIDL:
        tell_text(f, LINK_NO_UIDL, event->text);
        return;
    case DIALOG_READY:
        flush_rows(f);
        tell_text(f, LINK_READY, span_str(""));
        return;
    case DIALOG_BODY:
        body(f, event);
        return;
    case DIALOG_BODY_END:
        answered(f, LINK_BODY_END, event);
        return;
    case DIALOG_REFUSED:
        answered(f, LINK_REFUSED, event);
        return;
    case DIALOG_DELETED:
        answered(f, LINK_DELETED, event);
        return;
    case DIALOG_ALIVE:
        return;
    case DIALOG_QUIT:
    case DIALOG_FAILED:
        over(f, event);
        return;
    }
}

/* Which part of a line that we send may be shown: secrets never (XCL-10). A line of AUTH's exchange may begin like a
 * command, and only the whole word makes it one. */
static size_t shown(struct span line)
{
    static const char *const open_words[] = { "CAPA", "STLS", "USER", "UTF8", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE",
                                              "NOOP", "QUIT" };
    struct span rest = line, verb = span_until(&rest, ' ');

    for (size_t i = 0; i < sizeof open_words / sizeof *open_words; i++)
        if (span_is(verb, open_words[i]))
            return line.n;
    if (span_is(verb, "AUTH")) /* the mechanism, not the response */
        return verb.n + (line.n > verb.n) + span_until(&rest, ' ').n;
    return span_is(verb, "PASS") || span_is(verb, "APOP") ? verb.n : 0;
}

void fetcher_trace(struct fetcher *f, bool sent, struct span octets)
{
    if (!f->job.trace || (!sent && strcmp(dialog_stage(f->dialog), "retrieval") == 0))
        return;
    while (octets.n) {
        struct span line = span_until(&octets, '\n');
        struct link_msg m;
        uint8_t text[256];
        size_t n;

        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        n = sent ? shown(line) : line.n;
        n = n < 200 ? n : 200;
        memcpy(text, line.p, n);
        if (n < line.n)
            memcpy(text + n, " ****", 5);
        link_init(&m, LINK_TRACE);
        m.flags = sent ? LINKF_SENT : 0;
        m.text = span_of(text, n < line.n ? n + 5 : n);
        fetcher_tell(f, &m);
    }
}
