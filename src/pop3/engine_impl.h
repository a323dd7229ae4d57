/* engine_impl.h - what a session costs: the struct behind engine.h, for those that embed it and for the files
 * of the engine itself. Nobody else reads or writes its members.
 */
#ifndef RESTANTE_POP3_ENGINE_IMPL_H
#define RESTANTE_POP3_ENGINE_IMPL_H

#include "pop3/engine.h"
#include "pop3/line.h"
#include "pop3/reply.h"
#include "pop3/stuff.h"
#include "pop3/topcut.h"

/* Where the output is; it goes downward from OUT_STATUS and comes back to OUT_IDLE. */
enum out_phase {
    OUT_IDLE,
    OUT_STATUS,    /* the status line of e->reply */
    OUT_CHALLENGE, /* a SASL challenge */
    OUT_LINES,     /* a listing */
    OUT_BODY,      /* a message */
    OUT_END        /* the terminator and what must stand before it */
};

struct output {
    enum out_phase phase;
    size_t sent;           /* octets of the present piece that are out */
    uint32_t item;         /* of the listing */
    struct span challenge; /* not yet encoded */
};

/* The message that RETR or TOP sends. */
struct sending {
    bool active, ended;     /* ended: nothing more of the file is wanted */
    bool top, plain;        /* plain: goes out as it is (DROP_MSG_WIRE_READY) */
    uint8_t before_end;     /* octets of CRLFs before the terminator: 0, 2 or 4 */
    uint32_t msg;
    struct stuff stuff;
    struct topcut cut;
    uint64_t announced, sent; /* octets without dots of stuffing */
};

struct engine {
    const struct engine_conf *conf;
    const struct engine_link *link;
    const char *apop;
    uint8_t *scratch;
    const struct drop_view *view; /* set in ST_TRANS and ST_UPDATE alone */
    struct engine_policy policy;
    enum engine_state state;
    enum lang lang;
    enum mech_id mech;            /* of the running exchange */
    bool utf8;                    /* UTF-8 mode */
    bool reported;                /* a size or content has been told (C19) */
    bool asked;                   /* the auth worker knows of the running exchange */
    bool aborted;                 /* see engine_sasl_aborted */
    bool ending;                  /* no further command is taken: the peer's or the server's end */
    bool drop;
    uint8_t rounds;               /* of the running exchange */
    uint8_t name_n;               /* 0 = no name pending */
    uint32_t bad, tries;
    uint32_t gone;                /* messages marked as deleted, and their octets */
    uint64_t gone_octets, gone_legacy;
    struct line line;
    struct reply reply;
    struct output out;
    struct sending sending;
    struct request request;
    struct engine_stats stats;
    uint8_t name[LIMIT_NAME];
};

/* state.c: the one place where the state changes. */
void state_set(struct engine *e, enum engine_state to);

/* cmd_login.c: what a login needs. */
bool login_passwords_allowed(const struct engine *e);
bool login_mech_allowed(const struct engine *e, enum mech_id mech);
void login_forget_name(struct engine *e);
struct reply login_refused(struct engine *e, enum resp_code code, bool close);

/* cmd_sasl.c: a line inside an exchange. */
struct reply sasl_line(struct engine *e, struct span line);

/* cmd_mail.c */
uint64_t mail_octets(const struct engine *e, const struct drop_msg *msg);
bool mail_is_deleted(const struct engine *e, uint32_t i);
void mail_open(struct engine *e, const struct drop_msg *msg);
void mail_sent(struct engine *e);

/* output.c */
size_t output_pull(struct engine *e, struct span *body, uint8_t *dst, size_t room);

/* output_body.c */
struct sink {
    uint8_t *p;
    size_t n, room;
};
bool output_body(struct engine *e, struct sink *k, struct span *body); /* false: it can go no further in this call */
size_t output_straight(const struct engine *e);
void output_straight_put(struct engine *e, struct span body);
void output_body_end(struct engine *e);

/* engine.c: begins a reply. */
void engine_answer(struct engine *e, struct reply r);
void engine_ask(struct engine *e, struct request r);

#endif
