/* link.h - what the writer (restante: journal, files of mail) and the fetcher (restante-fetch: network, TLS, POP3)
 * say to each other: one SOCK_SEQPACKET packet per message, one fixed layout for all.
 *
 * The fetcher speaks with strangers and is not believed: a packet that does not decode, or of a type that only
 * the other side may send, ends the session. Numbers are checked again where they are used.
 * Spans of a received message point into the caller's packet buffer. Does not know: the event loop, meanings.
 */
#ifndef RESTANTE_CLIENT_LINK_H
#define RESTANTE_CLIENT_LINK_H

#include "base/err.h"
#include "base/span.h"

enum { LINK_PACKET = 128 * 1024, LINK_DATA = 64 * 1024, LINK_ROWS_MAX = 16 * 1024 };

enum link_type {
    LINK_NONE,
    /* writer -> fetcher */
    LINK_JOB,       /* text: job_put; fd: the connected socket */
    LINK_FILE,      /* number: enum link_file; fd: open for reading */
    LINK_SECRET,    /* text: password, data: token */
    LINK_GO,        /* all is said: give up what is not needed and begin */
    LINK_ORDER,     /* order, number, octets: listed size */
    LINK_QUIT,
    LINK_FROM_WRITER = LINK_QUIT,
    /* fetcher -> writer */
    LINK_GREETING,  /* text */
    LINK_TLS,       /* text: version and suite; data: facts of the certificate */
    LINK_CAPA,      /* flags: enum link_capa, number: LOGIN-DELAY seconds, octets: EXPIRE days; text: the list */
    LINK_LOGGED_IN, /* text: the method */
    LINK_STAT,      /* number: messages, octets */
    LINK_ROWS,      /* data: rows of the listing, see link_row_put */
    LINK_NO_UIDL,
    LINK_READY,
    LINK_BODY,      /* number, data */
    LINK_BODY_END,  /* number, order, octets */
    LINK_REFUSED,   /* number, order, code, text */
    LINK_DELETED,   /* number */
    LINK_ENDED,     /* flags: 1 = QUIT was answered "+OK"; failure, code, text otherwise; flags 2: token rejected */
    LINK_TRACE,     /* flags: 1 = sent by us; text: a line, secrets masked */
    LINK_TYPES
};

enum link_file { LINK_FILE_CA, LINK_FILE_CRL, LINK_FILE_CERTIFICATE, LINK_FILE_KEY, LINK_FILES };

enum link_capa { LINKC_TOP = 1, LINKC_UIDL = 2, LINKC_PIPELINING = 4, LINKC_LOGIN_DELAY = 8, LINKC_EXPIRE = 16,
                 LINKC_KNOWN = 32 };
enum { LINKF_OK = 1, LINKF_TOKEN_REJECTED = 2, LINKF_AT_CAPA = 4 /* lost before CAPA was answered */,
       LINKF_REPLY = 8 /* the failure is what the server replied */, LINKF_SENT = 1 };

struct link_msg {
    enum link_type type;
    uint8_t order, failure, code;
    uint32_t flags, number;
    uint64_t octets;
    struct span text, data;
    int fd; /* -1 = none; owned by the receiver */
};

void link_init(struct link_msg *m, enum link_type type);

/* False: FAULT_TEMP when it would block, FAULT_GONE when the peer is gone. */
bool link_send(int fd, const struct link_msg *m, struct err *e);

/* 1 = *m is filled (m->fd is the caller's), 0 = would block, -1 = end or malformed. from_writer: which types may come. */
int link_recv(int fd, uint8_t packet[LINK_PACKET], bool from_writer, struct link_msg *m, struct err *e);

/* Encoding alone, for tests and fuzzers; 0 = does not fit. */
size_t link_encode(const struct link_msg *m, uint8_t *dst, size_t room);
bool link_decode(struct span packet, bool from_writer, struct link_msg *m);

/* Rows of a listing inside LINK_ROWS: a size, or a unique-id. */
struct link_row {
    bool is_uid, has_size;
    uint32_t number;
    uint64_t size;
    struct span uid;
};
size_t link_row_put(uint8_t *dst, size_t room, const struct link_row *row); /* 0 = no room */
bool link_row_take(struct span *in, struct link_row *row);

#endif
