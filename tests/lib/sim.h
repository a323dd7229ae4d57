/* sim.h - a whole server around one engine, in memory: users, messages, logins, TLS as a word. For tests.
 *
 * Input goes in by sim_send in any pieces, output gathers in sim.out. Nothing waits: when sim_send returns the
 * engine wants input, the handshake (sim.tls_wanted) or the end (sim.closed). The embedder's rules of engine.h are
 * kept and checked; breaking them aborts. Does not know: transcripts.
 */
#ifndef RESTANTE_TESTS_SIM_H
#define RESTANTE_TESTS_SIM_H

#include "base/buf.h"
#include "pop3/engine.h"
#include "pop3/engine_impl.h"
#include "sasl/sasl.h"

enum sim_flag { SIM_DISABLED = 1, SIM_REQUIRE_TLS = 2, SIM_READ_ONLY = 4 };

struct sim_user {
    const char *name;
    struct span password;
    unsigned flags;
    enum resp_code refused;        /* the answer although the password is right */
    uint32_t expire_days, login_delay_s;
    bool has_expire, has_login_delay;
};

enum sim_fault_kind { SIM_NO_FAULT, SIM_COMMIT, SIM_OPEN, SIM_SHORT, SIM_LONG, SIM_LISTING };

struct sim_fault {
    enum sim_fault_kind kind;
    uint32_t n;           /* message, from 1, or number of removals that work */
    enum fault fault;
};

/* How the replay treats octets: sizes drawn from a generator with a fixed seed; 0 = as large as can be. */
struct sim_style {
    uint32_t seed;
    size_t room, body; /* largest room for a pull and largest piece of a message */
};

struct sim {
    struct engine engine;
    struct engine_conf conf;
    struct engine_link link;
    const struct sim_user *users; /* ends with name NULL */
    const struct span *mailbox;   /* of bob; the others have it too */
    uint32_t nmailbox;
    struct sim_fault fault;
    struct sim_style style;
    const char *apop;             /* the timestamp of the greeting, or NULL */
    const char *masters;          /* users that may act for others, blanks between; or NULL */
    uint32_t default_expire, default_delay; /* of users without their own */
    uint64_t random;
    struct buf in, out;
    struct drop_msg *msgs;        /* what the listing says of mailbox; computed once */
    size_t used;                  /* octets of in that the engine took: requests may point into them */
    struct sasl sasl;
    bool in_sasl, tls_wanted, closed, dropped, committed;
    struct drop_view view;
    struct buf surrogate;         /* the message being sent, when it is one */
    struct span body;             /* what of the message is still to come */
    uint8_t *removed;             /* a bool per message, after QUIT */
    uint8_t scratch[LIMIT_SASL_LINE];
};

/* Sets up the engine of a struct whose members up to default_delay have been filled; its greeting goes to out. */
void sim_start(struct sim *s);
void sim_send(struct sim *s, struct span in);
void sim_tls(struct sim *s);   /* after tls_wanted */
void sim_eof(struct sim *s);
void sim_free(struct sim *s);

/* A number below limit from the generator of the style. */
size_t sim_random(struct sim *s, size_t limit);

/* The stand-in for RFC 6858 that these tests use: an octet above 0x7F becomes "=XX". */
void sim_surrogate(struct buf *out, struct span message);

#endif
