/* dialog_impl.h - what the files of the dialog share: its state and the few verbs that change it.
 * Does not know: anything that a user of the dialog needs (dialog.h).
 */
#ifndef RESTANTE_POP3_DIALOG_IMPL_H
#define RESTANTE_POP3_DIALOG_IMPL_H

#include "pop3/dialog.h"

enum {
    DIALOG_PENDING = 128,           /* a power of two above DIALOG_WINDOW_COMMANDS */
    DIALOG_OUT = 256 * 1024,        /* a window of commands, or one SASL response in Base64 */
    DIALOG_COMMAND = 255,           /* octets of a command with CRLF (R2449-LEN-04) */
    DIALOG_CAPA_TEXT = 64 * 1024,   /* of a CAPA answer kept for display */
    DIALOG_TIMESTAMP = 250,
    DIALOG_RETR_START = 32,         /* RETRs under way at first; doubles with each window that was served */
    DIALOG_SIZE_GUESS = 32 * 1024   /* of a message without a size */
};

enum dialog_step {
    STEP_GREETING, STEP_CAPA, STEP_TLS, STEP_LOGIN, STEP_LISTING, STEP_ORDERS, STEP_QUIT, STEP_END
};

/* What an answer belongs to. */
enum dialog_answer {
    ANSWER_GREETING, ANSWER_CAPA, ANSWER_STLS, ANSWER_UTF8, ANSWER_USER, ANSWER_PASS, ANSWER_APOP, ANSWER_AUTH,
    ANSWER_STAT, ANSWER_LIST, ANSWER_UIDL, ANSWER_RETR, ANSWER_TOP, ANSWER_DELE, ANSWER_NOOP, ANSWER_QUIT
};

enum dialog_reading { READ_STATUS, READ_LINES, READ_BODY };

/* A command that waits for its answer. */
struct dialog_pending {
    enum dialog_answer answer;
    uint32_t number;
    uint32_t octets;  /* of the command */
    uint64_t size;    /* of the message that RETR asks for, as the window counts it */
    uint64_t ends_at; /* octets sent when the command is out: an answer before is none of it */
};

struct dialog_item {
    enum dialog_order order;
    uint32_t number;
    uint64_t size;
};

/* Un-stuffing: see dialog_body.c. */
enum body_state { BODY_BOL, BODY_TEXT, BODY_DOT, BODY_DOT_CR };

struct dialog_login {
    unsigned next;       /* of the candidates of DIALOG_AUTH_AUTO */
    const char *name;    /* of the mechanism under way */
    struct buf initial;  /* kept for the first challenge */
    bool initial_due;
    bool secret_sent;    /* the server has seen something that the password went into */
    unsigned rounds;
    enum dialog_failure cancelled; /* "*" was sent, and this is why */
    const char *why;
};

struct dialog {
    struct buf own; /* the memory that this struct stands in */
    const struct dialog_conf *conf;
    const struct dialog_sasl *sasl;
    dialog_on_event *on_event;
    void *ctx;
    dialog_apop_digest *apop;

    enum dialog_step step;
    enum dialog_reading reading;
    bool quit_wanted, need_tls;
    bool tls_up, logged_in, capa_asked, capa_refused, utf8_asked, stat_asked, list_asked, uidl_asked;
    bool out_secret;

    struct buf line, out;
    uint64_t sent; /* octets since the beginning */

    struct dialog_pending pending[DIALOG_PENDING];
    uint32_t pending_first, npending, pending_octets;

    struct dialog_capa capa, capa_new;
    struct buf capa_text;
    uint32_t lines; /* of the multi-line answer so far */
    char timestamp[DIALOG_TIMESTAMP + 1];
    struct dialog_login login;

    uint32_t messages;
    struct buf seen; /* one bit a message, for the listing being read */

    enum body_state body;
    bool body_after_cr;
    uint64_t body_octets;

    struct dialog_item items[DIALOG_ORDERS];
    uint32_t items_first, nitems;
    uint32_t retrs, retrs_done, retr_window;
    uint64_t retr_octets;
};

/* A status line, taken apart. */
enum dialog_status { STATUS_OK, STATUS_ERR, STATUS_CHALLENGE, STATUS_BAD };

struct dialog_reply {
    enum dialog_status status;
    enum dialog_code code;
    struct span rest; /* all behind the status word and its blanks */
    struct span text; /* the same without a response code */
};

/* dialog.c */
void dialog_emit(struct dialog *d, const struct dialog_event *event);
void dialog_fail(struct dialog *d, enum dialog_failure failure, const char *text);
/* The server's own words; failure by the code if it has a meaning, else as given. */
void dialog_fail_reply(struct dialog *d, enum dialog_failure failure, const struct dialog_reply *r);
struct dialog_pending *dialog_front(struct dialog *d);
/* Puts "word arg CRLF" (arg may be empty) into the output. */
void dialog_put_line(struct dialog *d, struct span word, struct span arg);
/* The same, and an answer is awaited. */
struct dialog_pending *dialog_command(struct dialog *d, enum dialog_answer answer, struct span word,
                                      struct span arg);
void dialog_answered(struct dialog *d); /* the front answer is complete */
void dialog_next(struct dialog *d);     /* what comes after it, outside of orders */
bool dialog_secure(const struct dialog *d);

/* dialog_reply.c */
struct dialog_reply dialog_reply_parse(struct span line);
struct span dialog_word(struct span *s); /* takes a word; blanks around it go too */

/* dialog_capa.c */
void capa_begin(struct dialog *d);
bool capa_take(struct dialog *d, struct span line); /* false: failed */
void capa_end(struct dialog *d);
void capa_refused(struct dialog *d);

/* dialog_login.c */
void login_greeting(struct dialog *d, struct span text); /* keeps the APOP timestamp */
void login_begin(struct dialog *d);
void login_reply(struct dialog *d, enum dialog_answer answer, const struct dialog_reply *r);
void login_next(struct dialog *d, const struct dialog_reply *refusal); /* the next way in; refusal may be NULL */
void login_rejected(struct dialog *d, const struct dialog_reply *r);
void login_done(struct dialog *d, const char *method);
bool login_is_busy(const struct dialog_reply *r); /* a lock, by code or by text */

/* dialog_sasl.c */
bool sasl_try(struct dialog *d, const char *name, bool offered); /* false: this mechanism cannot be used */
void sasl_reply(struct dialog *d, const struct dialog_reply *r);

/* dialog_list.c */
void list_ask(struct dialog *d);
void list_status(struct dialog *d, enum dialog_answer answer, const struct dialog_reply *r);
bool list_take(struct dialog *d, enum dialog_answer answer, struct span line); /* false: failed */
void list_end(struct dialog *d);

/* dialog_body.c */
void dialog_body_begin(struct dialog *d);
/* Takes octets of a body off *in; true when its end was among them. */
bool dialog_body_take(struct dialog *d, struct span *in);

/* dialog_order.c */
void order_pump(struct dialog *d);
void order_reply(struct dialog *d, const struct dialog_reply *r);
bool order_pipelining(const struct dialog *d);
void order_body_end(struct dialog *d);

#endif
