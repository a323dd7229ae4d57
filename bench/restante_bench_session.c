/* restante_bench_session.c - the dialogue: see restante_bench_session.h. */
#include "restante_bench_session.h"

#include "restante_bench_reply.h"

#include "base/num.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void phase_done(const struct desk *desk, enum phase phase, uint64_t from)
{
    samples_add(&desk->tally->phase[phase], now_ns() - from);
}

void session_fail(struct session *s, const struct desk *desk, enum kind kind, const char *text)
{
    static const char *const steps[] = { "connect", "greeting", "STLS", "handshake", "USER", "PASS", "STAT",
                                         "UIDL",    "LIST",     "RETR", "QUIT",      "end",  "rest", "over" };

    if (s->step == STEP_OVER)
        return;
    tally_error(desk->tally, kind, "%s: %s", steps[s->step], text);
    s->failed = true;
    s->step = STEP_OVER;
}

static void say(struct session *s, const struct desk *desk, struct span words)
{
    struct err e = { 0 };

    s->asked = now_ns();
    if (!conn_write(desk->wire, &s->conn, s, words, &e))
        session_fail(s, desk, KIND_CLOSED, e.text);
}

static void say_pattern(struct session *s, const struct desk *desk, const char *verb, const char *pattern)
{
    char line[520];
    size_t n = strlen(verb);

    memcpy(line, verb, n);
    if (!pattern_put(pattern, s->user, line + n, sizeof line - n - 2)) {
        session_fail(s, desk, KIND_LOGIN, "too long a name");
        return;
    }
    n += strlen(line + n);
    memcpy(line + n, "\r\n", 2);
    say(s, desk, span_of(line, n + 2));
}

/* Commands of a drain: RETR 1, DELE 1, RETR 2, ...; as many under way as the plan's window. */
static void say_drain(struct session *s, const struct desk *desk)
{
    uint32_t each = desk->plan->dele ? 2 : 1, all = s->count * each, limit = s->answered + desk->plan->window;
    uint8_t text[8192];
    size_t n = 0;

    if (limit > all)
        limit = all;
    /* Half the window at once: fewer, larger writes. */
    if (s->said > s->answered && s->said - s->answered > desk->plan->window / 2)
        return;
    while (s->said < limit) {
        memcpy(text + n, s->said % each ? "DELE " : "RETR ", 5);
        n += 5;
        n += num_put_u64(text + n, s->said / each + 1);
        memcpy(text + n, "\r\n", 2);
        n += 2;
        s->said++;
        if (n > sizeof text - 40 || s->said == limit) {
            say(s, desk, span_of(text, n));
            n = 0;
        }
    }
}

static void finish_drain(struct session *s, const struct desk *desk)
{
    if (!s->drop)
        return;
    for (uint32_t i = 0; i < s->drop->n; i++)
        if (!(s->seen[i / 8] & 1u << i % 8))
            tally_error(desk->tally, KIND_MISSING, "%s: message %016" PRIx64 " did not come", s->drop->user,
                        s->drop->known[i].digest);
}

/* The step that follows one that is done, skipping what the plan leaves out. */
static enum step after(const struct session *s, const struct plan *plan)
{
    switch (s->step) {
    case STEP_GREETING:
        if (plan->tls == TLS_STLS)
            return STEP_STLS;
        return plan->mode == MODE_IDLE && plan->until != UNTIL_LOGIN ? STEP_REST : STEP_USER;
    case STEP_STLS: return STEP_HANDSHAKE;
    case STEP_HANDSHAKE:
        if (plan->tls == TLS_IMPLICIT)
            return STEP_GREETING;
        return plan->mode == MODE_IDLE && plan->until != UNTIL_LOGIN ? STEP_REST : STEP_USER;
    case STEP_USER: return STEP_PASS;
    case STEP_PASS: return STEP_STAT;
    case STEP_STAT:
        if (plan->mode == MODE_IDLE)
            return STEP_REST;
        if (plan->uidl)
            return STEP_UIDL;
        /* fall through */
    case STEP_UIDL:
        if (plan->list)
            return STEP_LIST;
        /* fall through */
    case STEP_LIST:
        if (plan->mode == MODE_DRAIN)
            return STEP_DRAIN;
        /* fall through */
    case STEP_DRAIN: return STEP_QUIT;
    default: return STEP_END;
    }
}

static void prepare_drain(struct session *s, const struct desk *desk)
{
    if (s->drop)
        s->seen = mem_zero(s->drop->n / 8 + 1, 1);
    s->said = s->answered = 0;
    s->drained = now_ns();
    say_drain(s, desk);
}

static void enter(struct session *s, const struct desk *desk, enum step step);

/* A handshake may be over at once: the server can be faster than the system call that begins it. */
static void handshaken(struct session *s, const struct desk *desk)
{
    if (s->step != STEP_HANDSHAKE || s->conn.at != CONN_OPEN)
        return;
    desk->tally->handshakes++;
    desk->tally->resumed += s->conn.resumed;
    enter(s, desk, after(s, desk->plan));
}

static void enter(struct session *s, const struct desk *desk, enum step step)
{
    struct err e = { 0 };

    s->step = step;
    s->rows = 0;
    switch (step) {
    case STEP_STLS: say(s, desk, span_str("STLS\r\n")); break;
    case STEP_HANDSHAKE:
        if (!conn_start_tls(desk->wire, &s->conn, &e) || !conn_go_on(desk->wire, &s->conn, s, &e))
            session_fail(s, desk, KIND_TLS, e.text);
        else
            handshaken(s, desk);
        break;
    case STEP_USER: say_pattern(s, desk, "USER ", desk->plan->user); break;
    case STEP_PASS: say_pattern(s, desk, "PASS ", desk->plan->password); break;
    case STEP_STAT: say(s, desk, span_str("STAT\r\n")); break;
    case STEP_UIDL: say(s, desk, span_str("UIDL\r\n")); break;
    case STEP_LIST: say(s, desk, span_str("LIST\r\n")); break;
    case STEP_DRAIN:
        prepare_drain(s, desk);
        if (s->count)
            break;
        finish_drain(s, desk);
        enter(s, desk, STEP_QUIT);
        break;
    case STEP_QUIT: say(s, desk, span_str("QUIT\r\n")); break;
    default: break;
    }
}

void session_quit(struct session *s, const struct desk *desk)
{
    if (s->step != STEP_REST)
        return;
    s->heard = now_ns(); /* its silence was ours */
    enter(s, desk, STEP_QUIT);
}

void session_start(struct session *s, const struct desk *desk, uint32_t user)
{
    struct err e = { 0 };
    char name[256];

    *s = (struct session){ .user = user, .begun = now_ns(), .step = STEP_CONNECT };
    s->asked = s->heard = s->begun;
    if (desk->post)
        s->least = desk->post->delivered[user - desk->plan->first];
    if (desk->manifest && pattern_put(desk->plan->user, user, name, sizeof name)) {
        s->drop = manifest_find(desk->manifest, name);
        if (!s->drop)
            session_fail(s, desk, KIND_CONTENT, "a user that the manifest does not name");
    }
    if (s->step == STEP_CONNECT && !conn_open(desk->wire, &s->conn, s, &e))
        session_fail(s, desk, KIND_CONNECT, e.text);
}

/* A line of an answer that is not a message. */
static void take_line(struct session *s, const struct desk *desk, struct span line)
{
    enum step was = s->step;
    enum verdict verdict = reply_take(s, desk, line);

    if (verdict == VERDICT_MORE || s->step == STEP_OVER)
        return;
    switch (was) {
    case STEP_GREETING: phase_done(desk, PHASE_CONNECT, s->begun); break;
    case STEP_PASS: phase_done(desk, PHASE_LOGIN, s->begun); break;
    case STEP_STAT: phase_done(desk, PHASE_STAT, s->begun); break;
    case STEP_UIDL: phase_done(desk, PHASE_UIDL, s->asked); break;
    case STEP_LIST: phase_done(desk, PHASE_LIST, s->asked); break;
    case STEP_QUIT: phase_done(desk, PHASE_SESSION, s->begun); break;
    case STEP_DRAIN:
        if (s->answered < s->count * (desk->plan->dele ? 2 : 1))
            return;
        phase_done(desk, PHASE_DRAIN, s->drained);
        finish_drain(s, desk);
        break;
    default: break;
    }
    enter(s, desk, after(s, desk->plan));
}

/* The next line of *in without CRLF, put together from pieces when need be. False: none yet, or failed. */
static bool next_line(struct session *s, const struct desk *desk, struct span *in, struct span *line)
{
    const uint8_t *hit = memchr(in->p, '\n', in->n);
    struct span piece = span_take(in, hit ? (size_t)(hit - in->p) + 1 : in->n);

    if (s->line_n + piece.n > LINE_MAX_OCTETS) {
        session_fail(s, desk, KIND_SYNTAX, "a line of more than 512 octets");
        return false;
    }
    if (s->line_n || !hit) {
        memcpy(s->line + s->line_n, piece.p, piece.n);
        s->line_n += piece.n;
        piece = span_of(s->line, s->line_n);
    }
    if (!hit)
        return false;
    s->line_n = 0;
    if (piece.n < 2 || piece.p[piece.n - 2] != '\r') {
        session_fail(s, desk, KIND_SYNTAX, "a line that does not end in CRLF");
        return false;
    }
    *line = span_of(piece.p, piece.n - 2);
    return true;
}

static void feed(struct session *s, const struct desk *desk, struct span in)
{
    struct span line;

    while (in.n && s->step != STEP_OVER) {
        if (s->step == STEP_END || s->step == STEP_REST || s->step == STEP_HANDSHAKE) {
            session_fail(s, desk, s->step == STEP_END ? KIND_LEFT : KIND_SYNTAX, "octets that nobody asked for");
        } else if (s->in_body) {
            body_feed(&s->body, &in);
            if (s->body.at == BODY_BROKEN)
                session_fail(s, desk, KIND_SYNTAX, "a line that begins with one dot");
            else if (s->body.at == BODY_DONE)
                take_line(s, desk, span_of(NULL, 0));
        } else if (next_line(s, desk, &in, &line)) {
            take_line(s, desk, line);
        }
    }
    if (s->step == STEP_DRAIN)
        say_drain(s, desk);
}

static void ended(struct session *s, const struct desk *desk)
{
    if (s->step == STEP_END && !s->line_n) {
        s->step = STEP_OVER;
        desk->tally->sessions += !s->failed;
    } else {
        session_fail(s, desk, s->step == STEP_CONNECT ? KIND_CONNECT : KIND_CLOSED, "the server closed");
    }
}

/* Connecting and handshakes; true when octets of POP3 may be read. */
static bool arrive(struct session *s, const struct desk *desk)
{
    enum conn_at was = s->conn.at;
    struct err e = { 0 };

    if (!conn_go_on(desk->wire, &s->conn, s, &e)) {
        session_fail(s, desk,
                     was == CONN_CONNECTING  ? KIND_CONNECT
                     : was == CONN_HANDSHAKE ? KIND_TLS
                                             : KIND_CLOSED,
                     e.text);
        return false;
    }
    if (s->step == STEP_CONNECT && s->conn.ssl)
        s->step = STEP_HANDSHAKE;
    handshaken(s, desk);
    if (s->conn.at != CONN_OPEN)
        return false;
    if (s->step == STEP_CONNECT) {
        bool rests = desk->plan->mode == MODE_IDLE && desk->plan->until == UNTIL_CONNECT;

        s->step = rests ? STEP_REST : STEP_GREETING;
    }
    return s->step != STEP_REST || desk->plan->until != UNTIL_CONNECT;
}

void session_event(struct session *s, const struct desk *desk)
{
    enum got got = GOT_DATA;
    struct err e = { 0 };
    struct span data;

    if ((s->conn.at != CONN_OPEN || s->conn.out.n) && !arrive(s, desk))
        return;
    /* TLS may hold octets back that epoll does not know of; a socket may not. */
    do {
        got = conn_read(desk->wire, &s->conn, s, &data, &e);
        if (got == GOT_DATA)
            feed(s, desk, data);
        else if (got == GOT_END)
            ended(s, desk);
        else if (got == GOT_FAULT)
            session_fail(s, desk, KIND_CLOSED, e.text);
    } while (s->step != STEP_OVER && s->conn.ssl && s->conn.at == CONN_OPEN && got == GOT_DATA);
}

void session_free(struct session *s)
{
    conn_close(&s->conn);
    free(s->seen);
    free(s->sizes);
    free(s->uids);
    s->seen = NULL;
    s->sizes = s->uids = NULL;
}
