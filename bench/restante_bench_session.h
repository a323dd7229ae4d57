/* restante_bench_session.h - one POP3 session of the generator: says the commands, judges every answer.
 *
 * Every fault is counted in the tally and ends the session, except what is wrong with a message's content: then the
 * session goes on, and more can be learnt.
 * Does not know: how many sessions there are, epoll.
 */
#ifndef RESTANTE_BENCH_SESSION_H
#define RESTANTE_BENCH_SESSION_H

#include "restante_bench_body.h"
#include "restante_bench_conn.h"
#include "restante_bench_mail.h"

enum step {
    STEP_CONNECT,
    STEP_GREETING,
    STEP_STLS,
    STEP_HANDSHAKE,
    STEP_USER,
    STEP_PASS,
    STEP_STAT,
    STEP_UIDL,
    STEP_LIST,
    STEP_DRAIN,
    STEP_QUIT,
    STEP_END,  /* QUIT was answered: the server closes */
    STEP_REST, /* idle: nothing more is said */
    STEP_OVER
};

enum { LINE_MAX_OCTETS = 512 }; /* RFC 2449 section 4: with CRLF */

struct session {
    struct conn conn;
    enum step step;
    bool in_list, in_body, failed;
    uint32_t user;                         /* number for the patterns */
    uint64_t begun, asked, drained, heard; /* ns: connect, last command, first RETR, last event */
    uint32_t count;                        /* STAT */
    uint64_t octets;                       /* STAT */
    uint32_t said, answered, rows;         /* commands of the drain; rows of a listing */
    uint64_t listed;                       /* octets that LIST added up to */
    struct body body;
    const struct drop *drop; /* of the manifest; NULL = not proved */
    uint8_t *seen;
    uint64_t *sizes, *uids; /* from LIST; digests of unique-ids */
    uint32_t least;         /* delivery: what was there at the start */
    size_t line_n;
    uint8_t line[LINE_MAX_OCTETS];
};

/* Deliveries that go on meanwhile, by user from the plan's first. */
struct post {
    uint32_t *delivered, *seen;
    uint64_t *since; /* when the oldest message was dropped that no STAT has counted */
};

/* What sessions share. */
struct desk {
    const struct plan *plan;
    struct wire *wire;
    struct tally *tally;
    const struct manifest *manifest; /* NULL = none */
    struct post *post;               /* NULL = none */
};

/* Begins a session; it may be over at once. */
void session_start(struct session *s, const struct desk *desk, uint32_t user);

/* Its descriptor is ready. */
void session_event(struct session *s, const struct desk *desk);

/* Says QUIT in a session that rests. */
void session_quit(struct session *s, const struct desk *desk);

void session_fail(struct session *s, const struct desk *desk, enum kind kind, const char *text);
void session_free(struct session *s);

#endif
