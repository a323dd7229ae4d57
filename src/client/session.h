/* session.h - one account in a run: attempts at sessions with its server until nothing is left to do, or no hope.
 *
 * An attempt is: dial, start a fetcher, log in, list, plan, retrieve and delete, QUIT. The loop's thread only moves
 * packets and writes spool files; whatever waits for a disk or a command (journal, fsync, password) runs as one piece
 * of work at a time on a worker thread (session_work), which alone touches the journal. Order of the durable steps:
 * DURABILITY.md, "The client". Does not know: other accounts, terminals.
 */
#ifndef RESTANTE_CLIENT_SESSION_H
#define RESTANTE_CLIENT_SESSION_H

#include "client/bits.h"
#include "client/link.h"
#include "client/listing.h"
#include "client/plan.h"
#include "client/run.h"
#include "client/sink.h"
#include "net/dial.h"
#include "net/srv.h"
#include "pop3/dialog.h"

#include <uv.h>

enum {
    SESSION_BATCH = 64,          /* messages made durable at once, at most */
    SESSION_BATCH_MIN = 16,      /* … and no fewer while more are coming */
    SESSION_WAITING = 128,       /* received and not yet durable: the fetcher waits beyond that */
    SESSION_ORDERS = 100,        /* given to the fetcher and not answered: they always fit into the link, so that
                                  * giving one never waits for a fetcher that waits for us */
    SESSION_SESSIONS = 1000,     /* sessions of one account in one run */
    SESSION_DRAIN = 250,         /* so many new messages in one session: there may be more behind (Gmail) */
    SESSION_SECRET = 64 * 1024,
    SESSION_TOP = 256 * 1024     /* what a filter command may see of a message */
};

/* A message on its way from the fetcher into the sink; item first: the sink knows only that. */
struct parcel {
    struct sink_item item;
    uint32_t number;
    bool check;      /* may be one that we have: compare the content */
    bool remove;     /* delete on the server once durable */
    bool refused;    /* the server or a limit refused it: item.err says why; nothing was spooled */
    char content_uid[80]; /* "sha256:HEX": identity of a message without unique-id */
    bool same;       /* found in the journal by content: item.entry is that entry now */
};

struct parcels {
    struct parcel *head, **tail;
    uint32_t n;
    uint64_t octets;
};

enum filter_verdict { FILTER_FETCH, FILTER_DELETE, FILTER_SKIP };

struct session;
typedef void session_step(struct session *s);

enum session_phase { SESSION_IDLE, SESSION_DIALLING, SESSION_TALKING, SESSION_CLOSING, SESSION_OVER };

struct session {
    const struct account *account;
    const struct settings *settings;
    const struct run_options *options;
    struct ui *ui;
    struct buf *probe;
    uv_loop_t *loop;
    uint32_t index;
    void (*done)(void *ctx, struct session *s);
    void *ctx;

    enum session_phase phase;
    struct journal *journal;
    struct sink *sink;
    struct buf password, token;
    char host[256];
    uint16_t port;
    uint32_t tls;                 /* enum dialog_tls of this attempt */
    bool fell_back, fresh_token, without_capa;

    char domain[256];             /* of the mail address, in ASCII */
    struct srv_target *targets;   /* what DNS said in this run */
    size_t ntargets, next_target;
    bool discovered, remembered;  /* host, port and tls are found; by an earlier run */
    bool move_on, no_other;       /* to the domain's next server; there is none */
    bool local_name, both_names;  /* login names of a mail address (user_guessed): which one; the other was tried */
    bool name_recalled, local_recalled, name_worked, local_worked;
    bool greeted;                 /* in this attempt */
    bool needs_utf8, asks_utf8;   /* the server said [UTF8]; this attempt says UTF8 unasked (R6856-07) */

    struct dial *dial;
    uv_process_t child;
    uv_poll_t poll;
    int link;
    bool child_alive, poll_open, reading;
    uint8_t packet[LINK_PACKET];

    uv_work_t work;               /* the one piece of work */
    bool working;
    session_step *work_do, *work_after;
    struct err work_err;
    int work_code;                /* sysexits, when work_err is set */

    uv_timer_t timer, total;
    unsigned timers;

    uint64_t name_seed;           /* makes final names of this run unique */
    struct listing listing;
    struct plan_sums sums;
    struct bits taken;            /* journal ids that messages of this session are */
    struct bits failed_ids;       /* … and that failed in this run: not tried again before the next */
    struct bits failed_numbers;   /* the same for messages without a name, while numbers stay what they are */
    uint32_t next;                /* number that the next order is looked for at */
    uint32_t fifo[SESSION_ORDERS];/* RETR and TOP in order of asking */
    uint32_t fifo_head, fifo_n;
    uint32_t deletes_out;         /* DELE asked and not answered */
    struct parcel *current;
    struct parcels done_parcels, batch;
    struct buf top;               /* of the message that the filter looks at */
    uint32_t filter_number;       /* message that TOP was asked of, 0 = none */
    enum filter_verdict filter_verdict;
    bool filter_due;

    struct ui_totals totals;
    uint64_t deleted_here, fetched_here; /* in this session */
    uint64_t unconfirmed;                /* in state DELE_SENT without a QUIT that was answered "+OK" */
    uint32_t attempts, sessions;
    bool ready, listed, quitting, expire_told, tainted, stop_fetching, quit_ok, interrupted, retry_now, content_only, hopeless;
    uint32_t login_delay_s;
    bool has_login_delay;
    uint8_t failure, code;        /* of LINK_ENDED */
    int exit_code, pending_code;  /* worst so far; of this attempt */
    char why[320], plan_note[256];
};

void session_start(struct session *s);

/* SIGTERM, SIGINT: stop retrieving, make durable what is complete, end. */
void session_interrupt(struct session *s);


/* session.c */
void session_closed(struct session *s);    /* the connection is over and all that came is dealt with */
void session_hang_up(struct session *s);   /* ends the connection without QUIT; what is complete is still stored */
void session_fail(struct session *s, int code, const char *why);
void session_note(struct session *s, bool is_error, const char *text);

/* session_peer.c: the fetcher. */
bool session_spawn(struct session *s, int sock, struct err *e);
void session_close_peer(struct session *s);
bool session_tell(struct session *s, struct link_msg *m);
void session_read(struct session *s, bool on);

/* session_discover.c: accounts that are given by a mail address. The first three on a worker thread. */
bool session_discover(struct session *s, struct err *e); /* work_code is set when it fails */
void session_recall_name(struct session *s);
void session_remember_name(struct session *s);
bool session_is_discovered(const struct session *s);
bool session_other_server(struct session *s); /* the next attempt looks for another one, if there may be one */
bool session_other_name(struct session *s);   /* the next attempt has the other name; false: both were tried */
struct span session_user(const struct session *s);

/* session_mail.c: messages. */
void session_packet(struct session *s, const struct link_msg *m);
void session_pump(struct session *s);
int sink_code(const struct session *s);
void session_drop_current(struct session *s);

/* session_work.c: what blocks. */
void session_work(struct session *s, session_step *work, session_step *after);
session_step session_do_prepare, session_do_plan, session_do_batch, session_do_close;

/* session_filter.c */
session_step session_do_filter;

/* parcels.c */
void parcels_init(struct parcels *p);
void parcels_add(struct parcels *p, struct parcel *one);
struct parcel *parcels_take(struct parcels *p);
void parcel_free(struct parcel **p);

/* probe.c: lines of the report. */
void probe_line(struct session *s, const char *stage, struct span text);

#endif
