/* dialog_login.c - chooses the way to log in and reads how it went; USER/PASS and APOP (RFC 1939 §7, RFC 3206).
 *
 * A mechanism that the server refuses before it has seen anything made of the password gives way to the next one;
 * a password that was rejected is not tried again in any way (R1939-USER-11). Without TLS, or with TLS towards
 * nobody knows whom, nothing goes out from which the password can be read, unless the account permits it.
 * Does not know: the exchange of a mechanism (dialog_sasl.c).
 */
#include "pop3/dialog_impl.h"

/* The one well-formed msg-id of the greeting: "<", printable octets with one "@" inside, ">" (R1939-APOP-08). */
void login_greeting(struct dialog *d, struct span text)
{
    struct span before = span_until(&text, '<');
    size_t n = 0, ats = 0, at = 0;

    if (before.n && text.n == 0)
        return;
    while (n < text.n && text.p[n] > ' ' && text.p[n] < 0x7f && text.p[n] != '>' && text.p[n] != '<') {
        if (text.p[n] == '@') {
            ats++;
            at = n;
        }
        n++;
    }
    if (n == text.n || text.p[n] != '>' || ats != 1 || at == 0 || at == n - 1 || n + 2 > DIALOG_TIMESTAMP)
        return;
    d->timestamp[0] = '<';
    memcpy(d->timestamp + 1, text.p, n + 1);
    d->timestamp[n + 2] = '\0';
}

static bool has_8bit(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] > 0x7f)
            return true;
    return false;
}

static bool breaks_line(struct span s)
{
    return s.n && (memchr(s.p, '\r', s.n) || memchr(s.p, '\n', s.n) || memchr(s.p, '\0', s.n));
}

/* May name and secret be sent as arguments of USER, PASS, APOP? False: the dialog has failed. */
static bool may_send(struct dialog *d, struct span secret)
{
    struct span name = span_str(d->conf->user ? d->conf->user : "");
    size_t room = DIALOG_COMMAND - sizeof "USER \r\n" + 1;
    const char *fault = NULL;

    if (name.n == 0)
        fault = "no user name";
    else if (secret.n == 0)
        fault = "no password";
    else if (breaks_line(name) || breaks_line(secret))
        fault = "user name or password holds a line break or NUL";
    else if (name.n > room || secret.n > room)
        fault = "user name or password is too long for a command of POP3";
    else if ((has_8bit(name) || has_8bit(secret)) && !d->capa.utf8_user)
        fault = "the server takes no user name or password beyond ASCII"; /* R6856-15 */
    if (fault)
        dialog_fail(d, FAILURE_NO_AUTH, fault);
    return !fault;
}

/* Why a secret does not go out, and what the account can say about it; a token goes to nobody in clear text. */
static const char *readable(const struct dialog *d, bool token)
{
    if (d->conf->unverified && token)
        return "the server's certificate is not verified (verify = off), and a token is only sent to who is known: set "
               "verify = full, or verify = pin with its pin";
    if (d->conf->unverified)
        return "the server's certificate is not verified (verify = off), so anybody could read the password: set verify = "
               "full, or verify = pin with its pin; plaintext-auth = yes sends it all the same";
    return token ? "a token is only sent inside of TLS: set tls = auto"
                 : "without TLS anybody could read the password: set tls = auto; plaintext-auth = yes sends it all the same";
}

static void user_begin(struct dialog *d)
{
    if (!dialog_secure(d) && !d->conf->plaintext_auth)
        dialog_fail(d, FAILURE_NO_AUTH, readable(d, false));
    else if (may_send(d, d->conf->password))
        dialog_command(d, ANSWER_USER, span_str("USER"), span_str(d->conf->user));
}

static void apop_begin(struct dialog *d)
{
    struct buf args = BUF(DIALOG_COMMAND);
    char hex[33];

    if (!d->timestamp[0] || !d->apop) {
        dialog_fail(d, FAILURE_NO_AUTH, "the greeting has no usable timestamp for APOP");
        return;
    }
    if (!may_send(d, d->conf->password))
        return;
    d->apop(span_str(d->timestamp), d->conf->password, hex);
    hex[32] = '\0';
    if (buf_put_str(&args, d->conf->user) && buf_put_str(&args, " ") && buf_put_str(&args, hex) &&
        args.n + sizeof "APOP \r\n" - 1 <= DIALOG_COMMAND) {
        d->out_secret = true;
        dialog_command(d, ANSWER_APOP, span_str("APOP"), buf_span(&args));
    } else {
        dialog_fail(d, FAILURE_NO_AUTH, "the user name is too long for APOP");
    }
    buf_wipe(&args);
}

/* Ways of DIALOG_AUTH_AUTO (R4422-02): what is bound to this connection, a key, what proves the password without telling
 * it, what holds good for a while, what can be guessed from, what tells it. */
static const uint8_t strongest_first[] = {
    MECH_SCRAM_SHA_256_PLUS, MECH_SCRAM_SHA_1_PLUS, MECH_EXTERNAL,   MECH_SCRAM_SHA_256, MECH_SCRAM_SHA_1,
    DIALOG_OAUTHBEARER,      DIALOG_XOAUTH2,        DIALOG_CRAM_MD5, MECH_PLAIN,         MECH_LOGIN,
};

/* The name of a mechanism that may be tried now, or NULL. */
static const char *candidate(const struct dialog *d, unsigned id)
{
    bool secure = dialog_secure(d);

    if (!(d->conf->mechs & MECH_BIT(id)))
        return NULL;
    switch (id) {
    case DIALOG_CRAM_MD5: return d->capa.cram_md5 ? "CRAM-MD5" : NULL;
    case DIALOG_OAUTHBEARER: return d->capa.oauthbearer && secure ? "OAUTHBEARER" : NULL;
    case DIALOG_XOAUTH2: return d->capa.xoauth2 && secure ? "XOAUTH2" : NULL;
    default: break;
    }
    if (!(d->capa.mechs & MECH_BIT(id)) || (mechs[id].plaintext && !secure && !d->conf->plaintext_auth))
        return NULL;
    return mechs[id].name;
}

static void no_way(struct dialog *d, const struct dialog_reply *refusal)
{
    if (refusal && refusal->text.n)
        dialog_fail_reply(d, FAILURE_NO_AUTH, refusal);
    else
        dialog_fail(d, FAILURE_NO_AUTH, "no permitted way to log in");
}

void login_next(struct dialog *d, const struct dialog_reply *refusal)
{
    while (d->login.next < sizeof strongest_first) {
        const char *name = candidate(d, strongest_first[d->login.next++]);

        if (name && sasl_try(d, name, true))
            return;
        if (d->step == STEP_END)
            return;
    }
    if (d->conf->password.n == 0)
        no_way(d, refusal);
    else
        user_begin(d);
}

/* The one mechanism that was asked for, listed or not (XOA2-05). */
static void sasl_only(struct dialog *d)
{
    struct span name = span_str(d->conf->sasl_name ? d->conf->sasl_name : "");
    enum mech_id mech = mech_find(name);
    const struct dialog_capa *c = &d->capa;
    bool plain = mech != MECH_NONE && mechs[mech].plaintext;
    bool token = span_iis(name, "XOAUTH2") || span_iis(name, "OAUTHBEARER");
    bool offered = c->known &&
                   ((mech != MECH_NONE && c->mechs & MECH_BIT(mech)) ||
                    (c->cram_md5 && span_iis(name, "CRAM-MD5")) || (c->xoauth2 && span_iis(name, "XOAUTH2")) ||
                    (c->oauthbearer && span_iis(name, "OAUTHBEARER")));

    if (!dialog_secure(d) && (token || (plain && !d->conf->plaintext_auth)))
        dialog_fail(d, FAILURE_NO_AUTH, readable(d, token));
    else if (!name.n || (!sasl_try(d, d->conf->sasl_name, offered) && d->step != STEP_END))
        dialog_fail(d, FAILURE_NO_AUTH, "");
}

void login_begin(struct dialog *d)
{
    switch (d->conf->auth) {
    case DIALOG_AUTH_AUTO: login_next(d, NULL); return;
    case DIALOG_AUTH_USER: user_begin(d); return;
    case DIALOG_AUTH_APOP: apop_begin(d); return;
    case DIALOG_AUTH_SASL: sasl_only(d); return;
    }
}

static bool has_word(struct span text, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= text.n; i++)
        if (span_iis(span_of(text.p + i, n), word) &&
            (i == 0 || ascii_lower(text.p[i - 1]) < 'a' || ascii_lower(text.p[i - 1]) > 'z'))
            return true;
    return false;
}

/* Servers without response codes say it in words (quirk 8). */
bool login_is_busy(const struct dialog_reply *r)
{
    static const char *const words[] = { "lock", "busy", "in use", "unavailable" };

    for (size_t i = 0; r->code == CODE_NONE && i < sizeof words / sizeof *words; i++)
        if (has_word(r->text, words[i]))
            return true;
    return false;
}

void login_rejected(struct dialog *d, const struct dialog_reply *r)
{
    if (login_is_busy(r))
        dialog_fail_reply(d, FAILURE_IN_USE, r);
    else if (d->capa.auth_resp_code) /* it would have said [AUTH]: R3206-08 */
        dialog_fail_reply(d, FAILURE_SYS_TEMP, r);
    else
        dialog_fail_reply(d, FAILURE_AUTH, r);
}

void login_done(struct dialog *d, const char *method)
{
    buf_wipe(&d->login.initial);
    dialog_answered(d);
    d->logged_in = true;
    d->capa_asked = d->capa_refused; /* R2449-CAPA-08; some list UIDL and PIPELINING only now */
    d->step = STEP_LISTING;
    dialog_emit(d, &(struct dialog_event){ .kind = DIALOG_LOGGED_IN, .text = span_str(method) });
    dialog_next(d);
}

void login_reply(struct dialog *d, enum dialog_answer answer, const struct dialog_reply *r)
{
    if (answer == ANSWER_AUTH)
        sasl_reply(d, r);
    else if (answer == ANSWER_USER && r->status != STATUS_OK)
        dialog_fail_reply(d, login_is_busy(r) ? FAILURE_IN_USE : FAILURE_NO_AUTH, r); /* no PASS: R1939-USER-10 */
    else if (r->status != STATUS_OK)
        login_rejected(d, r);
    else if (answer == ANSWER_USER) {
        dialog_answered(d);
        if (d->quit_wanted) {
            dialog_next(d);
            return;
        }
        d->out_secret = true;
        dialog_command(d, ANSWER_PASS, span_str("PASS"), d->conf->password);
    } else {
        login_done(d, answer == ANSWER_APOP ? "APOP" : "USER");
    }
}
