/* command.h - the table of commands: one row per command, and the row is the only truth.
 *
 * Dispatch, legality in each state, the shape of the arguments and what CAPA announces derive from it, and so
 * do the command list of the documentation and the dictionary of the fuzzer. Does not know: how a command works.
 */
#ifndef RESTANTE_POP3_COMMAND_H
#define RESTANTE_POP3_COMMAND_H

#include "pop3/args.h"
#include "pop3/engine.h"
#include "pop3/reply.h"

#define STATE_BIT(state) (1u << (state))

/* What becomes of the name that a USER before left pending (R1939-USER-03). */
enum name_rule {
    NAME_VOID, /* it is forgotten */
    NAME_KEEP, /* it stays: harmless commands */
    NAME_USE   /* the command needs it, and it is forgotten whatever comes out */
};

struct command {
    const char *word;
    uint8_t states;         /* STATE_BIT of ST_AUTH, ST_TRANS */
    enum args_shape args;
    enum name_rule name;
    bool multi;             /* can have a multi-line reply */
    const char *tag;        /* of the capability that announces it; NULL = base protocol (RFC 2449 §6) */
    struct reply (*run)(struct engine *e, const struct call *c);
    const char *help;       /* one sentence */
};

extern const struct command commands[];
extern const size_t commands_n;

/* The command of that word in any case of letters (RFC 1939 §3), or NULL. */
const struct command *command_find(struct span word);

/* The first word of a protocol that is not ours, spoken by scanners and mistaken clients: HTTP, SMTP, SSH. */
bool command_is_foreign(struct span word);

/* Handlers: cmd_login.c, cmd_sasl.c, cmd_session.c, cmd_mail.c. */
struct reply cmd_user(struct engine *e, const struct call *c);
struct reply cmd_pass(struct engine *e, const struct call *c);
struct reply cmd_apop(struct engine *e, const struct call *c);
struct reply cmd_stls(struct engine *e, const struct call *c);
struct reply cmd_auth(struct engine *e, const struct call *c);
struct reply cmd_capa(struct engine *e, const struct call *c);
struct reply cmd_utf8(struct engine *e, const struct call *c);
struct reply cmd_lang(struct engine *e, const struct call *c);
struct reply cmd_quit(struct engine *e, const struct call *c);
struct reply cmd_noop(struct engine *e, const struct call *c);
struct reply cmd_stat(struct engine *e, const struct call *c);
struct reply cmd_list(struct engine *e, const struct call *c);
struct reply cmd_uidl(struct engine *e, const struct call *c);
struct reply cmd_retr(struct engine *e, const struct call *c);
struct reply cmd_top(struct engine *e, const struct call *c);
struct reply cmd_dele(struct engine *e, const struct call *c);
struct reply cmd_rset(struct engine *e, const struct call *c);

#endif
