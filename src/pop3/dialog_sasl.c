/* dialog_sasl.c - one SASL exchange in AUTH's Base64 lines (RFC 5034).
 *
 * An initial response travels with AUTH only when the account says so, the server lists the mechanism and the line
 * is no longer than a command may be (R2449-LEN-04); else it waits for the first challenge, whatever that says:
 * some servers put words there. Every other challenge must be Base64. "*" ends an exchange that cannot go on.
 * Does not know: mechanisms, beyond which of them give something of the password away at once.
 */
#include "base/base64.h"
#include "pop3/dialog_impl.h"

/* Appends in as Base64. */
static bool put_base64(struct buf *out, struct span in)
{
    uint8_t *dst = buf_reserve(out, BASE64_ENCODED(in.n));

    if (!dst)
        return false;
    out->n += base64_put(dst, in);
    return true;
}

/* SCRAM's first message holds a name and a nonce, EXTERNAL's a name; all else is made of the secret or is the proof. */
static bool first_is_harmless(const char *name)
{
    return span_iis(span_str(name), "EXTERNAL") || (strlen(name) > 5 && span_iis(span_of(name, 5), "SCRAM"));
}

/* "NAME" or "NAME response" in *args; false: the response has to wait. */
static bool put_initial(const struct dialog *d, const char *name, bool offered, struct buf *args)
{
    const struct buf *initial = &d->login.initial;
    size_t octets = sizeof "AUTH  \r\n" - 1 + strlen(name) + (initial->n ? BASE64_ENCODED(initial->n) : 1);

    if (!buf_put_str(args, name) || !d->conf->one_line_auth || !offered || octets > DIALOG_COMMAND)
        return false;
    if (!buf_put_str(args, " "))
        return false;
    return initial->n ? put_base64(args, buf_span(initial)) : buf_put_str(args, "=");
}

bool sasl_try(struct dialog *d, const char *name, bool offered)
{
    struct dialog_login *l = &d->login;
    struct buf args = BUF(DIALOG_COMMAND);
    bool has_initial = false, good = buf_reserve(&args, DIALOG_COMMAND) != NULL;

    buf_wipe(&l->initial);
    if (!good || strlen(name) > 64 || !d->sasl ||
        !d->sasl->start(d->sasl->ctx, span_str(name), &l->initial, &has_initial)) {
        buf_wipe(&l->initial);
        buf_wipe(&args);
        return false;
    }
    l->name = name;
    l->rounds = 0;
    l->secret_sent = false;
    l->initial_due = has_initial;
    if (has_initial && put_initial(d, name, offered, &args)) {
        l->initial_due = false;
        l->secret_sent = !first_is_harmless(name);
        buf_wipe(&l->initial);
        d->out_secret = true;
    } else if (!has_initial) {
        good = buf_put_str(&args, name);
    }
    dialog_command(d, ANSWER_AUTH, span_str("AUTH"), buf_span(&args));
    buf_wipe(&args);
    return good;
}

/* The exchange cannot go on: "*", and the server's answer to it ends the session. */
static void cancel(struct dialog *d, enum dialog_failure failure, const char *why)
{
    d->login.cancelled = failure;
    d->login.why = why;
    dialog_put_line(d, span_str("*"), span_str(""));
}

static void respond(struct dialog *d, struct span response)
{
    struct buf line = BUF(BASE64_ENCODED((size_t)DIALOG_LINE));

    if (!buf_reserve(&line, BASE64_ENCODED(response.n)) || !put_base64(&line, response)) {
        cancel(d, FAILURE_PROTOCOL, "an answer of ours has no room");
    } else {
        d->out_secret = true;
        dialog_put_line(d, buf_span(&line), span_str(""));
    }
    buf_wipe(&line);
}

static void step(struct dialog *d, struct span text)
{
    struct buf challenge = BUF(DIALOG_LINE), response = BUF(DIALOG_LINE);
    uint8_t *room = buf_reserve(&challenge, text.n + 1);

    while (text.n && text.p[text.n - 1] == ' ')
        text.n--;
    if (!room || !base64_get(text, room, &challenge.n)) {
        cancel(d, FAILURE_PROTOCOL, "a challenge of the server is no Base64");
    } else if (!d->sasl->step(d->sasl->ctx, buf_span(&challenge), &response)) {
        cancel(d, FAILURE_SERVER_AUTH, ""); /* the mechanism knows why */
    } else {
        d->login.secret_sent = true;
        respond(d, buf_span(&response));
    }
    buf_wipe(&challenge);
    buf_wipe(&response);
}

static void challenge(struct dialog *d, const struct dialog_reply *r)
{
    struct dialog_login *l = &d->login;

    if (l->cancelled) {
        dialog_fail(d, l->cancelled, l->why);
        return;
    }
    if (++l->rounds > DIALOG_SASL_ROUNDS) {
        cancel(d, FAILURE_PROTOCOL, "the exchange of the login has no end");
    } else if (l->initial_due) {
        l->initial_due = false;
        l->secret_sent = !first_is_harmless(l->name);
        respond(d, buf_span(&l->initial));
        buf_wipe(&l->initial);
    } else {
        step(d, r->rest);
    }
    if (d->step != STEP_END)
        dialog_front(d)->ends_at = d->sent + d->out.n;
}

void sasl_reply(struct dialog *d, const struct dialog_reply *r)
{
    struct dialog_login *l = &d->login;

    if (r->status == STATUS_CHALLENGE) {
        challenge(d, r);
    } else if (l->cancelled) {
        dialog_fail(d, l->cancelled, l->why);
    } else if (r->status == STATUS_OK && l->initial_due) {
        dialog_fail(d, FAILURE_PROTOCOL, "the server accepts a login that was not yet tried");
    } else if (r->status == STATUS_OK && !d->sasl->complete(d->sasl->ctx)) {
        dialog_fail(d, FAILURE_SERVER_AUTH, "");
    } else if (r->status == STATUS_OK) {
        login_done(d, l->name);
    } else if (l->secret_sent || login_is_busy(r) || (r->code != CODE_NONE && r->code != CODE_OTHER)) {
        login_rejected(d, r);
    } else if (d->conf->auth == DIALOG_AUTH_SASL) {
        dialog_fail_reply(d, FAILURE_NO_AUTH, r);
    } else {
        dialog_answered(d);
        if (d->quit_wanted)
            dialog_next(d);
        else
            login_next(d, r);
    }
}
