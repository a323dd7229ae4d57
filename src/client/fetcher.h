/* fetcher.h - the insides of restante-fetch: one session with one server, told by a job, reported over the link.
 *
 * One loop of poll(2) over two sockets: the server's and the writer's. Blocks only while the writer does not take what is
 * handed to it: that is the flow control, and the server's deadlines stand still meanwhile. Does not know: files,
 * accounts, what is kept.
 */
#ifndef RESTANTE_CLIENT_FETCHER_H
#define RESTANTE_CLIENT_FETCHER_H

#include "client/job.h"
#include "client/link.h"
#include "net/socks.h"
#include "net/tls_client.h"
#include "pop3/dialog.h"
#include "sasl/client.h"

enum { FETCHER_READ = 64 * 1024 };

enum fetch_phase { PHASE_PROXY, PHASE_HANDSHAKE, PHASE_TALK, PHASE_OVER };

struct fetcher {
    int link, sock;
    struct job job;
    struct buf secret, token, files[LINK_FILES];
    enum fetch_phase phase;
    struct socks socks;
    struct socks_conf socks_conf;
    struct buf proxy_out;
    struct tls_client_conf tls_conf;
    uint8_t pins[JOB_PINS][32];
    struct tls_client *tls;
    bool want_read, want_write; /* writing goes on when something came; reading or the handshake when there is room */
    struct dialog_conf dialog_conf;
    struct dialog_sasl steps;
    struct dialog *dialog;
    struct sasl_client_conf sasl_conf;
    struct sasl_client *sasl;
    uint8_t binding_unique[TLS_BINDING_MAX], binding_exporter[TLS_BINDING_MAX];
    uint8_t rows[LINK_ROWS_MAX], room[FETCHER_READ], packet[LINK_PACKET];
    size_t nrows;
    uint64_t began, heard, window_from; /* monotonic ms: waiting began, the last octet, the rate's window */
    uint64_t window_octets, awaited;    /* awaited: which answer (or phase) these belong to */
    uint64_t spoke;                     /* when our last octet went: the server's patience begins there */
    uint64_t body_octets;           /* of the message that comes in */
    bool greeted, capa_answered; /* some servers hang up at CAPA */
    bool secure, ended, tls_asked, writer_gone;
};

/* fetcher_report.c: what the dialog says goes to the writer. */
dialog_on_event fetcher_on_event;
void fetcher_tell(struct fetcher *f, const struct link_msg *m);
void fetcher_end(struct fetcher *f, enum dialog_failure failure, const char *text);
void fetcher_trace(struct fetcher *f, bool sent, struct span octets);

/* fetcher_wire.c: the connection. */
void fetcher_begin(struct fetcher *f);
bool fetcher_readable(struct fetcher *f); /* true: there may be more without waiting */
void fetcher_writable(struct fetcher *f);
bool fetcher_wants_write(const struct fetcher *f);

/* fetcher_start.c: from the first packet to LINK_GO. */
bool fetcher_start(struct fetcher *f, struct err *e);
void fetcher_free(struct fetcher *f);

#endif
