/* restante_bench.h - what the parts of restante-bench share: what was asked for, what is counted.
 *
 * A plan is made from the command line and then never changes. A tally grows while sessions run.
 * Does not know: POP3 (restante_bench_session.h), sockets (restante_bench_conn.h), output.
 */
#ifndef RESTANTE_BENCH_H
#define RESTANTE_BENCH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/net_addr.h"

#define NS_PER_S 1000000000ull

enum mode { MODE_POLL, MODE_DRAIN, MODE_IDLE, MODE_STORM, MODE_DELIVERY, MODE_MAKE, MODE_MANIFEST, MODE_N };
enum tls { TLS_NONE, TLS_STLS, TLS_IMPLICIT };
enum until { UNTIL_CONNECT, UNTIL_GREETING, UNTIL_LOGIN }; /* how far idle sessions go */

enum { RUNS_MAX = 16 };

struct plan {
    enum mode mode;
    struct net_addr server;
    enum tls tls;
    bool resume;
    const char *ca_file;         /* NULL = certificates are not judged */
    const char *user, *password; /* patterns */
    uint32_t first, users;
    uint32_t sources;               /* 0 = the system's choice */
    uint32_t concurrency[RUNS_MAX]; /* one run each */
    size_t runs;
    uint32_t sessions, warmup;
    uint64_t seconds_ns, timeout_ns, limit_ns, hold_ns; /* seconds: 0 = by sessions */
    bool uidl, list, dele;
    uint32_t window; /* RETRs under way */
    enum until until;
    uint32_t server_pid;            /* 0 = do not look */
    const char *manifest, *maildir; /* maildir: a pattern */
    uint32_t messages, per_second;  /* make, delivery */
    uint64_t octets, spread;        /* make: median octets on the wire; spread in percent, 0 = all alike */
    uint32_t first_message, owner;  /* owner: uid and gid, 0 = unchanged */
    const char *folder;             /* make: "cur" or "new" */
    bool json;
    const char *plot, *name;
};

/* What can go wrong; each is counted, none is forgiven. */
enum kind {
    KIND_CONNECT,  /* no connection */
    KIND_TLS,      /* no handshake, or a broken record */
    KIND_GREETING, /* something other than +OK */
    KIND_LOGIN,    /* -ERR to USER or PASS */
    KIND_REPLY,    /* -ERR to another command */
    KIND_SYNTAX,   /* an answer that POP3 does not know */
    KIND_CLOSED,   /* the connection ended too early */
    KIND_LEFT,     /* the server does not close after QUIT, or says more */
    KIND_TIMEOUT,
    KIND_COUNT,   /* not as many messages as there are */
    KIND_SIZE,    /* a size that is not the message's */
    KIND_UID,     /* a unique-id that is malformed or not unique */
    KIND_CONTENT, /* a message that nobody put there */
    KIND_TWICE,   /* a message that came twice */
    KIND_MISSING, /* a message that did not come */
    KIND_N
};

enum phase {
    PHASE_CONNECT, /* connect to greeting, or to the end of the first handshake */
    PHASE_LOGIN,   /* connect to the answer to PASS */
    PHASE_STAT,    /* connect to the answer to STAT */
    PHASE_UIDL,    /* command to last line */
    PHASE_LIST,
    PHASE_DRAIN,   /* first RETR to last octet */
    PHASE_SESSION, /* connect to the answer to QUIT */
    PHASE_SEEN,    /* delivery: rename to the STAT that counts it */
    PHASE_N
};

extern const char *const kind_names[KIND_N], *const phase_names[PHASE_N], *const mode_names[MODE_N];

struct samples {
    uint64_t *ns;
    size_t n, room;
};

struct tally {
    uint64_t errors[KIND_N];
    char first[KIND_N][160]; /* the first error of each kind, in words */
    struct samples phase[PHASE_N];
    uint64_t sessions, messages, octets, proved; /* proved: messages that matched the manifest */
    uint64_t handshakes, resumed;
};

void samples_add(struct samples *s, uint64_t ns);
void samples_sort(struct samples *s);
/* The value that share (0..1) of the sorted samples do not exceed; 0 without samples. */
uint64_t samples_at(const struct samples *s, double share);

__attribute__((format(printf, 3, 4))) void tally_error(struct tally *t, enum kind kind, const char *fmt, ...);
uint64_t tally_errors(const struct tally *t);
void tally_free(struct tally *t);

uint64_t now_ns(void);

/* Replaces %d or %0Nd in pattern by n; the result is NUL-terminated in out. False when it does not fit. */
bool pattern_put(const char *pattern, uint32_t n, char *out, size_t room);

#endif
