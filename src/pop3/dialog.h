/* dialog.h - the client's side of a POP3 session as a pure machine: octets of the server in, events out,
 * octets to send in a buffer.
 *
 * One dialog is one connection: greeting, CAPA, STLS, CAPA again, UTF8, login, CAPA again, STAT, LIST, UIDL
 * (dialog_begin runs as far as the listing), then orders (RETR, TOP, DELE, NOOP) in a window, then QUIT. It knows
 * the shape of every command's answer and matches answers to outstanding commands in order (R2449-PIPE-05); it
 * pipelines only when the capabilities of the present state say so (R2449-PIPE-06) and never behind STLS, AUTH or
 * QUIT. What the server says before TLS is forgotten (R2595-STLS-12). Every line, count, list and number is
 * bounded; a broken rule ends in one DIALOG_FAILED and nothing is sent after it.
 *
 * Message octets are handed on un-stuffed and otherwise untouched, line ends as sent, in runs of any length: a
 * body line has no limit, only CRLF.CRLF ends a message (R1939-GEN-12, -13). Does not know: sockets, clocks,
 * TLS itself, SASL mechanisms (struct dialog_sasl), what is done with a message.
 */
#ifndef RESTANTE_POP3_DIALOG_H
#define RESTANTE_POP3_DIALOG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "pop3/mech.h"

enum {
    DIALOG_LINE = 64 * 1024,      /* a status line; more is a fault (XCL-07) */
    DIALOG_CAPA_LINES = 1000,
    DIALOG_CAPA_LINE = 8 * 1024,
    DIALOG_UID_MAX = 1024,        /* a longer or missing unique-id is told as DIALOG_UID with uid.n == 0 */
    DIALOG_MESSAGES = 4000000,    /* STAT may not name more */
    DIALOG_WINDOW_COMMANDS = 100, /* outstanding commands at most, and at most so many octets of them: */
    DIALOG_WINDOW_OCTETS = 16 * 1024,
    DIALOG_SASL_ROUNDS = 10
};

/* How a login is to be done. */
enum dialog_auth {
    DIALOG_AUTH_AUTO, /* strongest SASL mechanism offered that "mechs" permits, else USER/PASS */
    DIALOG_AUTH_USER, /* USER/PASS only */
    DIALOG_AUTH_APOP, /* only when told so; needs a well-formed timestamp (R1939-APOP-08) */
    DIALOG_AUTH_SASL  /* only the mechanism named by sasl_name, listed by CAPA or not (XOA2-05) */
};

enum dialog_tls {
    DIALOG_TLS_UP,       /* implicit TLS: the connection is encrypted from the first octet */
    DIALOG_TLS_STLS,     /* STLS must succeed before anything but CAPA is sent (R2595-STLS-14) */
    DIALOG_TLS_NONE      /* plaintext, because the user said so */
};

/* What the machine asks of the SASL layer (src/sasl/client.h wired in by the caller). */
struct dialog_sasl {
    /* Begins mechanism name; *initial is filled when it speaks first. False: this mechanism cannot be used
     * (no password, no binding, no TLS): the machine tries the next one. */
    bool (*start)(void *ctx, struct span name, struct buf *initial, bool *has_initial);
    /* One challenge (decoded) in, one response out. False: abort the exchange with "*". */
    bool (*step)(void *ctx, struct span challenge, struct buf *response);
    /* After "+OK": is the exchange complete and the server proven (SCRAM: R5802-13)? */
    bool (*complete)(void *ctx);
    void *ctx;
};

/* Bits of dialog_conf.mechs beyond the server's table of mechanisms. */
enum { DIALOG_CRAM_MD5 = MECH_N, DIALOG_OAUTHBEARER, DIALOG_XOAUTH2 };

struct dialog_conf {
    enum dialog_tls tls;
    enum dialog_auth auth;
    const char *user;            /* prepared name; no CR, LF, NUL */
    struct span password;        /* for USER/PASS and APOP */
    const char *sasl_name;       /* DIALOG_AUTH_SASL: "XOAUTH2", "SCRAM-SHA-256" …, else NULL */
    uint32_t mechs;              /* DIALOG_AUTH_AUTO: MECH_BIT of those that may be used, of DIALOG_CRAM_MD5 … too;
                                  * 0 = USER/PASS only */
    bool unverified;             /* TLS is up without the server's certificate being checked: a secret is as readable as
                                  * without TLS (R8314-C-04) */
    bool plaintext_auth;         /* readable or not: USER/PASS, PLAIN, LOGIN are permitted all the same; tokens never */
    bool one_line_auth;          /* send an initial response with AUTH when it fits 255 octets; else two lines */
    bool use_capa;               /* quirk: servers that hang at CAPA (false: nothing is asked) */
    bool use_pipelining;         /* quirk: false = lock-step whatever CAPA says */
    bool force_pipelining;       /* quirk: true = pipeline although CAPA does not say so */
    bool lf_dot_ends;            /* quirk: a lone "." between bare LFs ends a message too */
    bool apop_after_stls;        /* use APOP with a timestamp that came before STLS (R1939-APOP-09) */
    bool force_utf8;             /* say UTF8 before the login whether CAPA lists it or not (R6856-07) */
    bool login_only;             /* no listing: DIALOG_LOGGED_IN, CAPA, DIALOG_READY (probe) */
    bool no_login;               /* stop before login with DIALOG_READY: probe without credentials */
    bool want_uidl;              /* ask for UIDL (false: identity is by content) */
    uint32_t top_lines;          /* lines of the body that ORDER_TOP asks for */
    uint64_t window_octets;      /* RETR outstanding: at most about so many octets of messages at a time */
};

enum dialog_event_kind {
    DIALOG_GREETING,   /* text: of the greeting; code */
    DIALOG_CAPA,       /* capa: the list in force now (after -ERR: not known); text: its lines, LF between */
    DIALOG_NEED_TLS,   /* STLS was accepted and nothing came behind it: shake hands, then dialog_tls_up() */
    DIALOG_LOGGED_IN,  /* text: name of the method used ("USER", "APOP", "SCRAM-SHA-256") */
    DIALOG_STAT,       /* number: messages, octets: total */
    DIALOG_SIZE,       /* number, octets (a hint only); has_octets false: the server's figure was no number */
    DIALOG_UID,        /* number, uid */
    DIALOG_NO_UIDL,    /* UIDL was refused or does not exist */
    DIALOG_READY,      /* the listing is complete: orders may be given; text unused */
    DIALOG_BODY,       /* number, data: a run of the message */
    DIALOG_BODY_END,   /* number, octets: of the whole un-stuffed body; order RETR or TOP */
    DIALOG_REFUSED,    /* number, order, code, text: "-ERR" to RETR, TOP, DELE */
    DIALOG_DELETED,    /* number: "+OK" to DELE (takes effect with QUIT only) */
    DIALOG_ALIVE,      /* answer to NOOP */
    DIALOG_QUIT,       /* ok: "+OK" to QUIT; else text. Nothing follows */
    DIALOG_FAILED      /* failure, code, text: the session is over. Nothing follows */
};

enum dialog_order { ORDER_RETR, ORDER_TOP, ORDER_DELE, ORDER_NOOP };

/* Why a session ended; the caller turns it into retry or exit code (R3206-07, R2449-RC-07). */
enum dialog_failure {
    FAILURE_NONE,
    FAILURE_PROTOCOL,   /* the server broke the protocol or a limit (EX_PROTOCOL) */
    FAILURE_CLOSED,     /* the connection ended when it should not */
    FAILURE_REFUSED,    /* "-ERR" greeting or refused STAT/LIST without a better code */
    FAILURE_TLS_POLICY, /* STLS missing or refused, injected octets behind STLS */
    FAILURE_NO_AUTH,    /* no permitted way to log in */
    FAILURE_AUTH,       /* credentials rejected */
    FAILURE_SERVER_AUTH,/* the server did not prove itself (SCRAM) */
    FAILURE_IN_USE, FAILURE_LOGIN_DELAY, FAILURE_SYS_TEMP, FAILURE_SYS_PERM,
    FAILURE_CLIENT      /* never of the dialog: who embeds it cannot go on */
};

/* Response code of an answer, any case, unknown sub-levels folded into the known level (R2449-RC-02). */
enum dialog_code { CODE_NONE, CODE_IN_USE, CODE_LOGIN_DELAY, CODE_SYS_TEMP, CODE_SYS_PERM, CODE_AUTH, CODE_UTF8,
                   CODE_OTHER };

struct dialog_capa {
    bool known;          /* CAPA was answered in the present state */
    bool top, uidl, user, stls, pipelining, resp_codes, auth_resp_code, utf8, utf8_user;
    uint32_t mechs;      /* MECH_BIT of those known */
    bool cram_md5, oauthbearer, xoauth2; /* SASL names outside of the server's table */
    bool has_login_delay, has_expire, expire_never;
    uint32_t login_delay_s, expire_days;
    char implementation[128]; /* for display only (R2449-IMPL-02) */
};

struct dialog_event {
    enum dialog_event_kind kind;
    enum dialog_order order;
    enum dialog_failure failure;
    enum dialog_code code;
    uint32_t number;
    uint64_t octets;
    bool has_octets, ok, is_reply;    /* is_reply: of DIALOG_FAILED, the server refused something, text is its own */
    struct span text, uid, data;      /* text: without "+OK"/"-ERR" and without the response code (R2449-RC-04) */
    const struct dialog_capa *capa;
};

typedef void dialog_on_event(void *ctx, const struct dialog_event *event);

struct dialog;

/* conf and sasl are borrowed until dialog_free. Memory: O(1) but for one bit per message of the listing. */
struct dialog *dialog_new(const struct dialog_conf *conf, const struct dialog_sasl *sasl,
                          dialog_on_event *on_event, void *ctx);
void dialog_free(struct dialog **d);

/* Octets of the server, as they come. After DIALOG_NEED_TLS no octet of the plaintext stream may follow: a
 * non-empty rest is response injection and fails the session (R2595-STLS-13). */
void dialog_input(struct dialog *d, struct span in);

/* The server ended the stream; clean: with close_notify (TLS) or FIN (plaintext). */
void dialog_eof(struct dialog *d, bool clean);

/* The handshake that DIALOG_NEED_TLS asked for is done (also to be called for DIALOG_TLS_UP never). */
void dialog_tls_up(struct dialog *d);

/* What is to be sent now: the caller writes from the front and consumes with dialog_sent, as soon as the transport
 * has the octets and before any input read later goes in: an answer to a command not yet sent is a fault. */
struct span dialog_output(const struct dialog *d);
void dialog_sent(struct dialog *d, size_t n);

/* Orders after DIALOG_READY. They queue (bounded by the caller: at most DIALOG_ORDERS waiting) and go out as the
 * window permits; size is the listed size, for the window (0 = unknown). False: the queue is full, the number is
 * none of STAT's, dialog_quit was called, or the dialog is not (or no longer) ready. */
enum { DIALOG_ORDERS = 4096 };
bool dialog_order(struct dialog *d, enum dialog_order order, uint32_t number, uint64_t size);
size_t dialog_orders_room(const struct dialog *d);

/* No answer is outstanding and no order waits. */
bool dialog_idle(const struct dialog *d);

/* Is the server to answer something (for deadlines)? In login, AUTH steps, listing, orders or QUIT: yes. */
bool dialog_waiting(const struct dialog *d);

/* Which answer is awaited: another number for each, so that a deadline can be each answer's own. */
uint64_t dialog_awaited(const struct dialog *d);

/* QUIT once everything ordered is answered; before DIALOG_READY: in place of the next command. Where STLS is
 * required and not yet done, nothing is sent: DIALOG_QUIT with ok = false follows at once. */
void dialog_quit(struct dialog *d);

/* A word for messages: "greeting", "capabilities", "login", "listing", "retrieval", "quit". */
const char *dialog_stage(const struct dialog *d);

const char *dialog_failure_name(enum dialog_failure failure);

/* APOP digest: 32 lower-case hex digits of MD5(timestamp, secret) is computed by the caller's layer: */
typedef void dialog_apop_digest(struct span timestamp, struct span secret, char hex[33]);
void dialog_set_apop(struct dialog *d, dialog_apop_digest *digest);

#endif
