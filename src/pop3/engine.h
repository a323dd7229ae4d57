/* engine.h - the POP3 server engine: one session, bytes in, wants out.
 *
 * The engine is pure: no I/O, no clock, no allocation after engine_init. The same engine runs in the
 * fronts, in the unit tests, in the fuzzers and in the simulator. RFC 1939, 2449, 3206, 2595, 5034, 6856.
 *
 * The embedder drives it so, until WANT_CLOSE is set and nothing is left to pull:
 *
 *   loop:  w = engine_want(e)
 *     WANT_OUTPUT  -> engine_pull() into a buffer, as often as there is room; write the buffer out
 *     WANT_BODY    -> engine_pull() with more message bytes (engine_body_end at the end of the file)
 *     WANT_REQUEST -> take engine_request(), do it, answer with exactly one engine_*() answer below
 *     WANT_INPUT   -> engine_feed() with what the peer sent
 *     WANT_CLOSE   -> everything has been pulled: close the connection
 *     WANT_DROP    -> close at once, without another octet (truncated message, broken listing)
 *
 * Pipelining needs nothing else: a command is parsed only when the reply before it has been pulled and
 * the request before it has been answered. The embedder coalesces by pulling until nothing is wanted
 * before it writes.
 *
 * Does not know: sockets, TLS, timers, files, passwords, who is logged in anywhere else.
 */
#ifndef RESTANTE_POP3_ENGINE_H
#define RESTANTE_POP3_ENGINE_H

#include "base/err.h"
#include "base/span.h"
#include "pop3/mech.h"

enum engine_limit {                /* value   why */
    LIMIT_CMD_LINE = 2048,         /* RFC 2449 §4 demands 255; margin for odd clients; octets with line end */
    LIMIT_SASL_LINE = 65536,       /* RFC 5034 §4: any length a mechanism can produce; OAuth tokens fit */
    LIMIT_SWALLOW = 65536,         /* an over-long line is swallowed so far, then the session ends */
    LIMIT_REPLY_LINE = 512,        /* RFC 2449 §4 */
    LIMIT_NAME = 255,              /* octets of a user name: RFC 2449 §4, RFC 4616 §2 */
    LIMIT_UID = 70,                /* RFC 1939 §7 */
    LIMIT_SASL_ROUNDS = 10         /* no mechanism here needs more than four */
};

/* What a maildrop looks like to the engine: a snapshot whose numbers never change (RFC 1939 §4). */
enum drop_msg_flag {
    DROP_MSG_WIRE_READY = 1,   /* every line ends CRLF, none starts with a dot: may be sent as it is */
    DROP_MSG_NEEDS_UTF8 = 2    /* its header holds octets above 0x7F (RFC 6856 §2.1) */
};

struct drop_msg {
    uint64_t octets;        /* exact octets on the wire before dot-stuffing, the message as it is */
    uint64_t legacy_octets; /* the same for the RFC 6858 surrogate; equals octets unless DROP_MSG_NEEDS_UTF8 */
    struct span uid;        /* 1..70 octets of 0x21..0x7E; borrowed until the next call */
    unsigned flags;         /* enum drop_msg_flag */
};

struct drop_view {
    uint32_t count;         /* messages, numbered 0 .. count-1 here, 1 .. count on the wire */
    uint64_t octets;        /* sum of octets of all */
    uint64_t legacy_octets; /* sum of legacy_octets of all */
    bool (*get)(void *ctx, uint32_t i, struct drop_msg *msg); /* false: unreadable; the session is dropped */
    void *ctx;
    uint8_t *deleted;       /* (count+7)/8 zeroed octets, lent until the session ends: marked by DELE */
    uint8_t *retrieved;     /* the same for messages sent whole (seen flag, download-once policy) */
};

enum legacy_utf8 { LEGACY_AS_IS, LEGACY_SURROGATE, LEGACY_REJECT };

/* The site's decisions: immutable, shared by many sessions, lent for the life of the engine. */
struct engine_conf {
    const char *hostname;
    const char *greeting;         /* text after "+OK " of the greeting; NULL = "<hostname> POP3 server ready" */
    const char *implementation;   /* text of IMPLEMENTATION; NULL = not announced */
    bool utf8_user;               /* UTF8 USER: names and passwords may be UTF-8 (RFC 6856 §2.2) */
    bool legacy_8bit;             /* other octets above 0x7F in them go to the auth worker too (R6856-16) */
    enum legacy_utf8 legacy_utf8; /* for clients that did not say UTF8 */
    bool utf8_late;               /* take UTF8 in TRANSACTION too while sizes cannot change (Outlook, C19) */
    bool top_adds_eoh;            /* quirk: TOP, not RETR, ends a message without blank line with one (Outlook
                                   * Express); sizes are those of RETR and stay true */
    bool top_refused;             /* where expire_days is 0, TOP n with lines is refused instead of counted */
    bool nul_as_80;               /* quirk: send NUL as 0x80, one for one (old Outlook) */
    uint32_t bad_auth;            /* consecutive bad commands before login, then close */
    uint32_t bad_trans;           /* the same after login */
    uint32_t login_tries;         /* failed logins per connection, then close */
    uint32_t expire_days;         /* smallest of the site; EXPIRE_NEVER = no policy */
    bool expire_per_user;         /* announce "USER" before login */
    uint32_t login_delay_s;       /* largest of the site; 0 = not announced */
    bool login_delay_per_user;
    const char *language;         /* the administrator's preferred language (LANG *), a tag of text.h */
};

#define EXPIRE_NEVER UINT32_MAX

/* Facts of this connection; the embedder changes them only where said. */
struct engine_link {
    bool tls;             /* TLS is up (implicit, by STLS, or at a trusted proxy's edge) */
    bool stls;            /* STLS may be offered: a certificate is loaded and TLS is not up */
    bool stls_broken;     /* this listener should offer STLS but the certificate failed: [SYS/PERM] */
    bool plaintext_ok;    /* passwords are allowed without TLS: the peer's address is trusted */
    bool auth_needs_tls;  /* refuse every login without TLS: SCRAM, APOP and trusted addresses included */
    uint32_t mechs;       /* MECH_BIT set the auth worker can serve; may be updated at any time */
    bool binding;         /* a channel binding exists on this TLS connection */
    bool certificate;     /* the client showed a certificate that verified */
};

/* What the engine asks of its embedder. One at a time; spans are valid until the answer or the next feed. */
enum request_kind {
    REQ_NONE,
    REQ_PASS,        /* check name and secret (password); login */
    REQ_APOP,        /* check name and secret (16 octets of digest); login */
    REQ_SASL,        /* begin mech; data is the initial response if has_data */
    REQ_SASL_MORE,   /* data is the client's next response */
    REQ_STLS,        /* the "+OK" has been pulled: write it, drop all input read so far, start TLS */
    REQ_MESSAGE,     /* open message msg for RETR or TOP */
    REQ_COMMIT       /* QUIT in TRANSACTION: remove view->deleted, sync, unlock, close the maildrop */
};

struct request {
    enum request_kind kind;
    struct span name, secret;
    enum mech_id mech;
    bool has_data;
    struct span data;
    uint32_t msg;
    bool top;
};

enum resp_code {
    RC_NONE, RC_IN_USE, RC_LOGIN_DELAY, RC_SYS_TEMP, RC_SYS_PERM, RC_AUTH, RC_UTF8, RC_N
};

enum engine_want {
    WANT_INPUT = 1, WANT_OUTPUT = 2, WANT_BODY = 4, WANT_REQUEST = 8, WANT_CLOSE = 16, WANT_DROP = 32
};

enum engine_state { ST_GREET, ST_AUTH, ST_SASL, ST_TRANS, ST_UPDATE, ST_CLOSED, ST_N };

/* Per-user policy that a login brings along. */
struct engine_policy {
    uint32_t expire_days;   /* EXPIRE_NEVER = none; 0 = retrieved messages are removed at QUIT */
    uint32_t login_delay_s;
    bool read_only;         /* DELE marks are accepted but nothing is removed (public maildrops) */
};

struct engine; /* defined in engine_impl.h so that it can be embedded; size is what a session costs */

/* apop: the timestamp "<...>" of RFC 1939 §7 when APOP is offered, else NULL. scratch: room for decoding
 * SASL lines, at least LIMIT_SASL_LINE octets, may be shared by all engines of one thread. All borrowed. */
void engine_init(struct engine *e, const struct engine_conf *conf, const struct engine_link *link,
                 const char *apop, uint8_t *scratch);

unsigned engine_want(const struct engine *e);

/* UTF-8 mode is on: with LEGACY_SURROGATE the embedder feeds surrogates only while it is not. It cannot change
 * while a message is open. */
bool engine_utf8(const struct engine *e);

/* Takes at most one command (or swallows part of an over-long line) from the front of in and returns the
 * octets taken; 0 means "not a whole line yet: offer these octets again with more behind them". Only when
 * WANT_INPUT is set. */
size_t engine_feed(struct engine *e, struct span in);

/* Writes output into dst (room >= 64) and returns the octets written. While a message is being sent it
 * consumes *body from the front; when body is empty and WANT_BODY is set it needs more. A multi-line reply's
 * terminator is always written in one piece together with what precedes it as far as room allows. */
size_t engine_pull(struct engine *e, struct span *body, uint8_t *dst, size_t room);

/* How many of the next octets of the message may go out as they are, behind all output pulled so far, without passing
 * engine_pull: put those that did, or ask no more of this. Never while anything else of the reply is to be pulled. */
size_t engine_straight(const struct engine *e);
void engine_straight_put(struct engine *e, struct span body);

/* The end of the open message has been reached. When the octets sent differ from those announced the engine
 * wants WANT_DROP: a short message must never end in a good terminator (R1939-RETR-07). */
void engine_body_end(struct engine *e);

/* A TOP may need no more of the file: when WANT_BODY is no longer set the embedder closes the message. */

const struct request *engine_request(const struct engine *e);

/* Answers to requests (exactly one per request). */
/* REQ_SASL, REQ_SASL_MORE. data is lent until the challenge has been pulled (WANT_OUTPUT is no longer set). */
void engine_challenge(struct engine *e, struct span data);
void engine_logged_in(struct engine *e, const struct drop_view *view, /* after auth and store said yes */
                      const struct engine_policy *policy);
void engine_refused(struct engine *e, enum resp_code code, bool close); /* login failed: RC_AUTH, RC_IN_USE, … */
void engine_tls_started(struct engine *e, const struct engine_link *link); /* handshake done: forget everything */
void engine_message_open(struct engine *e, const struct drop_msg *msg); /* message is readable; body follows */
void engine_message_failed(struct engine *e, enum fault fault);         /* -ERR, session goes on */
void engine_committed(struct engine *e, enum fault fault, uint32_t removed, uint32_t failed); /* then close */

/* The client sent "*" or broke the exchange: the embedder must tell the auth worker to forget it. Set by a
 * feed that returns the session to AUTHORIZATION out of ST_SASL; reading clears it. */
bool engine_sasl_aborted(struct engine *e);

/* The peer closed its sending side: octets of an unfinished line are void (R1939-GEN-22). The engine still
 * finishes what it has; sets WANT_CLOSE when nothing is outstanding. */
void engine_eof(struct engine *e);

/* The server shuts down: closes after the reply in progress, without UPDATE unless QUIT was already read. */
void engine_stop(struct engine *e);

/* Numbers for the summary line of a session. */
struct engine_stats {
    uint32_t commands, bad, retr, top, dele;
    uint64_t body_octets; /* message octets sent, before stuffing */
    bool quit;            /* QUIT was read in TRANSACTION */
};
const struct engine_stats *engine_stats(const struct engine *e);

#endif
