/* restante_bench_conn.h - one connection of the generator: TCP or TLS, never blocking, watched by an epoll.
 *
 * Does not know: POP3, what the octets mean.
 */
#ifndef RESTANTE_BENCH_CONN_H
#define RESTANTE_BENCH_CONN_H

#include "restante_bench.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;
typedef struct ssl_session_st SSL_SESSION;

/* What all connections share: the loop, TLS, and the tickets that wait to be used. */
struct wire {
    const struct plan *plan;
    int epoll;
    SSL_CTX *tls;
    SSL_SESSION **tickets;
    size_t tickets_n, tickets_room;
    uint32_t opened;
    uint8_t *in; /* what was read last, IN_ROOM octets */
};

enum { IN_ROOM = 256 * 1024 };

enum conn_at { CONN_CLOSED, CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN };

struct conn {
    int fd;
    enum conn_at at;
    bool writing, resumed; /* writing: the loop waits for room */
    uint32_t watched;
    SSL *ssl;
    struct buf out;
};

enum got { GOT_DATA, GOT_NOTHING, GOT_END, GOT_FAULT };

bool wire_open(struct wire *w, const struct plan *plan, struct err *e);
void wire_close(struct wire *w);

/* Begins to connect; events of the descriptor come with owner. */
bool conn_open(struct wire *w, struct conn *c, void *owner, struct err *e);
void conn_close(struct conn *c);

/* TLS on an open connection (STLS), or on one that has just been opened. */
bool conn_start_tls(struct wire *w, struct conn *c, struct err *e);

/* Goes on with connecting, handshaking or writing. False: it failed. */
bool conn_go_on(struct wire *w, struct conn *c, void *owner, struct err *e);

enum got conn_read(struct wire *w, struct conn *c, void *owner, struct span *data, struct err *e);
bool conn_write(struct wire *w, struct conn *c, void *owner, struct span data, struct err *e);

#endif
