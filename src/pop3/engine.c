/* engine.c - the session: takes a command, answers it, waits for the embedder: see engine.h. */
#include "pop3/engine_impl.h"

#include "pop3/command.h"

/* Octets that may stand in a command line (R1939-GEN-23). A name or password may hold what SASLprep will judge. */
static bool octets_good(struct span line, bool secret)
{
    for (size_t i = 0; i < line.n; i++) {
        uint8_t c = line.p[i];

        if (c >= 0x20 && c < 0x7f)
            continue;
        if (!secret || c == '\0' || c == '\r')
            return false;
    }
    return true;
}

/* Too many bad commands in a row: whoever talks here speaks something else (R1939-GEN-24). */
static struct reply judge(struct engine *e, struct reply r)
{
    uint32_t limit = e->state == ST_TRANS ? e->conf->bad_trans : e->conf->bad_auth;

    if (!r.bad) {
        e->bad = 0;
        return r;
    }
    e->stats.bad++;
    if (++e->bad < limit || limit == 0 || e->state == ST_CLOSED)
        return r;
    state_set(e, ST_CLOSED);
    return reply_err(RC_NONE, TEXT_TOO_MANY_BAD);
}

static struct reply close_with(struct engine *e, enum text_id text)
{
    e->stats.bad++;
    state_set(e, ST_CLOSED);
    return reply_err(RC_NONE, text);
}

/* Parses the line of a known command and runs it. */
static struct reply run(struct engine *e, const struct command *cmd, struct span line, struct span rest)
{
    struct call call;

    if (!octets_good(line, args_are_secret(cmd->args)))
        return reply_bad(RC_NONE, TEXT_BAD_OCTETS);
    if (!(cmd->states & STATE_BIT(e->state)))
        return reply_bad(RC_NONE, e->state == ST_AUTH ? TEXT_BEFORE_LOGIN : TEXT_AFTER_LOGIN);
    if (!call_parse(cmd->args, rest, &call))
        return reply_bad(RC_NONE, TEXT_BAD_ARGS);
    return cmd->run(e, &call);
}

static struct reply command_line(struct engine *e, struct span line)
{
    struct span rest = line, word = span_until(&rest, ' ');
    const struct command *cmd = command_find(word);
    struct reply r;

    e->stats.commands++;
    if (!cmd && e->state == ST_AUTH && command_is_foreign(word))
        return close_with(e, TEXT_FOREIGN);
    rest = span_of(line.p + word.n, line.n - word.n);
    if (!cmd || cmd->name == NAME_VOID)
        login_forget_name(e);
    r = cmd ? run(e, cmd, line, rest) : reply_bad(RC_NONE, TEXT_UNKNOWN);
    if (r.bad && cmd && cmd->name == NAME_USE)
        login_forget_name(e);
    return judge(e, r);
}

/* A TLS handshake where POP3 is spoken in clear: refused at its first two octets, it has no line end. */
static bool is_tls_hello(const struct engine *e, struct span in)
{
    return e->state == ST_AUTH && !e->line.swallowed && in.p[0] == 0x16 && (in.n < 2 || in.p[1] == 0x03);
}

/* AUTH may carry an initial response as long as any response (R5034-15). */
static size_t line_limit(const struct engine *e, struct span in)
{
    if (e->state == ST_SASL)
        return LIMIT_SASL_LINE;
    if (e->state == ST_AUTH && !e->line.swallowed && in.n >= 5 && span_iis(span_of(in.p, 5), "AUTH "))
        return LIMIT_SASL_LINE;
    return LIMIT_CMD_LINE;
}

static bool take_request(struct engine *e, unsigned kinds)
{
    if (e->request.kind == REQ_NONE || !(kinds & 1u << e->request.kind))
        return false;
    e->request = (struct request){ .kind = REQ_NONE };
    return true;
}

enum {
    LOGIN_KINDS = 1u << REQ_PASS | 1u << REQ_APOP | 1u << REQ_SASL | 1u << REQ_SASL_MORE,
    SASL_KINDS = 1u << REQ_SASL | 1u << REQ_SASL_MORE
};

void engine_answer(struct engine *e, struct reply r)
{
    if (r.verdict == REPLY_LATER)
        return;
    e->reply = r;
    e->out = (struct output){ .phase = OUT_STATUS };
}

void engine_ask(struct engine *e, struct request r)
{
    e->request = r;
}

void engine_init(struct engine *e, const struct engine_conf *conf, const struct engine_link *link, const char *apop,
                 uint8_t *scratch)
{
    struct reply greeting = reply_ok(conf->greeting ? TEXT_CUSTOM : TEXT_GREETING);

    *e = (struct engine){
        .conf = conf, .link = link, .apop = apop, .scratch = scratch, .state = ST_GREET, .mech = MECH_NONE };
    greeting.arg = conf->greeting ? conf->greeting : conf->hostname;
    greeting.tail = apop;
    engine_answer(e, greeting);
}

unsigned engine_want(const struct engine *e)
{
    if (e->drop)
        return WANT_DROP;
    switch (e->out.phase) {
    case OUT_IDLE: break;
    case OUT_BODY: return e->sending.ended ? WANT_OUTPUT : WANT_BODY;
    case OUT_STATUS: return e->sending.active && !e->sending.ended ? WANT_OUTPUT | WANT_BODY : WANT_OUTPUT;
    case OUT_CHALLENGE:
    case OUT_LINES:
    case OUT_END: return WANT_OUTPUT;
    }
    if (e->request.kind != REQ_NONE)
        return WANT_REQUEST;
    return e->ending || e->state == ST_CLOSED ? WANT_CLOSE : WANT_INPUT;
}

bool engine_utf8(const struct engine *e)
{
    return e->utf8;
}

size_t engine_feed(struct engine *e, struct span in)
{
    struct span text = { NULL, 0 };
    size_t taken = 0;

    if (in.n == 0 || engine_want(e) != WANT_INPUT)
        return 0;
    if (is_tls_hello(e, in)) {
        if (in.n < 2)
            return 0;
        engine_answer(e, close_with(e, TEXT_FOREIGN));
        return in.n;
    }
    switch (line_next(&e->line, in, line_limit(e, in), &text, &taken)) {
    case LINE_MORE: break;
    case LINE_FLOOD: engine_answer(e, close_with(e, TEXT_LONG_LINE)); break;
    case LINE_LONG:
        login_forget_name(e);
        engine_answer(e, judge(e, reply_bad(RC_NONE, TEXT_LONG_LINE)));
        break;
    case LINE_WHOLE:
        engine_answer(e, e->state == ST_SASL ? judge(e, sasl_line(e, text)) : command_line(e, text));
        break;
    }
    return taken;
}

size_t engine_pull(struct engine *e, struct span *body, uint8_t *dst, size_t room)
{
    return output_pull(e, body, dst, room);
}

size_t engine_straight(const struct engine *e)
{
    return output_straight(e);
}

void engine_straight_put(struct engine *e, struct span body)
{
    output_straight_put(e, body);
}

void engine_body_end(struct engine *e)
{
    output_body_end(e);
}

const struct request *engine_request(const struct engine *e)
{
    return &e->request;
}

void engine_challenge(struct engine *e, struct span data)
{
    if (!take_request(e, SASL_KINDS))
        return;
    e->out = (struct output){ .phase = OUT_CHALLENGE, .challenge = data };
}

void engine_logged_in(struct engine *e, const struct drop_view *view, const struct engine_policy *policy)
{
    struct reply r = reply_ok(view->count == 1 ? TEXT_LOGGED_IN_1 : TEXT_LOGGED_IN_N);

    if (!take_request(e, LOGIN_KINDS))
        return;
    e->view = view;
    e->policy = *policy;
    e->bad = 0;
    state_set(e, ST_TRANS);
    r.n[0] = view->count; /* no octets: they may still change with UTF8 (C19) */
    engine_answer(e, r);
}

void engine_refused(struct engine *e, enum resp_code code, bool close)
{
    if (take_request(e, LOGIN_KINDS))
        engine_answer(e, login_refused(e, code, close));
}

void engine_tls_started(struct engine *e, const struct engine_link *link)
{
    if (!take_request(e, 1u << REQ_STLS))
        return;
    /* RFC 2595 §4: nothing learned in clear is kept; the counters of misbehaviour are no knowledge */
    e->link = link;
    e->line = (struct line){ 0 };
    e->lang = LANG_EN;
    e->utf8 = false;
    state_set(e, ST_AUTH);
}

void engine_message_open(struct engine *e, const struct drop_msg *msg)
{
    if (take_request(e, 1u << REQ_MESSAGE))
        mail_open(e, msg);
}

void engine_message_failed(struct engine *e, enum fault fault)
{
    if (!take_request(e, 1u << REQ_MESSAGE))
        return;
    switch (fault) {
    case FAULT_TEMP:
    case FAULT_IN_USE: engine_answer(e, reply_err(RC_SYS_TEMP, TEXT_SYS_TEMP)); break;
    case FAULT_PERM: engine_answer(e, reply_err(RC_SYS_PERM, TEXT_SYS_PERM)); break;
    default: engine_answer(e, reply_err(RC_NONE, TEXT_MSG_GONE));
    }
}

void engine_committed(struct engine *e, enum fault fault, uint32_t removed, uint32_t failed)
{
    struct reply r = reply_ok(removed ? TEXT_BYE_REMOVED : TEXT_BYE);

    if (!take_request(e, 1u << REQ_COMMIT))
        return;
    if (fault != FAULT_NONE || failed)
        r = reply_err(fault == FAULT_PERM ? RC_SYS_PERM : RC_SYS_TEMP, TEXT_COMMIT_FAILED);
    r.n[0] = removed;
    r.n[1] = failed;
    state_set(e, ST_CLOSED);
    engine_answer(e, r);
}

bool engine_sasl_aborted(struct engine *e)
{
    bool aborted = e->aborted;

    e->aborted = false;
    return aborted;
}

void engine_eof(struct engine *e)
{
    e->ending = true;
}

void engine_stop(struct engine *e)
{
    e->ending = true;
}

const struct engine_stats *engine_stats(const struct engine *e)
{
    return &e->stats;
}
