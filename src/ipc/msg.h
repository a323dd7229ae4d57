/* msg.h - what the workers say to each other: fixed-layout messages over SOCK_SEQPACKET, one per packet.
 *
 * Every message type is one row of a table that names its fields; one encoder and one decoder serve all
 * (tests/fuzz feeds the decoder). A packet that does not decode, or that its receiver's phase table does
 * not permit, closes that peer: never is anything guessed or skipped. Descriptors ride along (SCM_RIGHTS).
 * Spans in a decoded message point into the packet buffer. Does not know: sockets' event loop, meanings.
 */
#ifndef RESTANTE_IPC_MSG_H
#define RESTANTE_IPC_MSG_H

#include "base/err.h"
#include "base/span.h"

enum { IPC_VERSION = 1, IPC_MAX_PACKET = 112 * 1024, IPC_MAX_FDS = 32, GRANT_OCTETS = 16, ADDR_OCTETS = 16 };

/* Roles of processes, also the kinds of channels. */
enum role { ROLE_SUPERVISOR, ROLE_FRONT, ROLE_AUTH, ROLE_HASH, ROLE_STORE, ROLE_N };

enum msg_type {
    MSG_NONE,
    /* supervisor -> workers */
    MSG_CONF,        /* data: the configuration, serialised; fd instead when large */
    MSG_LISTENER,    /* id: index in conf.listen; fd: the listening socket (fronts) */
    MSG_PEER,        /* role, id: a channel to another worker; fd: the socket; replaces an older one */
    MSG_TLS,         /* data: none; fd: sealed memfd with certificates and keys (tls_bundle.h) (fronts) */
    MSG_TICKETS,     /* data: ticket keys, newest first (fronts) */
    MSG_USERS,       /* fd: the users file, sent again at each change; none = it is missing (auth) */
    MSG_GO,          /* everything needed has been sent: sandbox yourself and begin */
    MSG_STOP,        /* finish what runs, then exit 0 */
    MSG_STORE_IS,    /* number: store id for uid, gid (answer to MSG_NEED_STORE; 0 = refused) (auth) */
    /* workers -> supervisor */
    MSG_READY,       /* started; after MSG_GO */
    MSG_NEED_STORE,  /* auth: a store for uid, gid please */
    MSG_LOST,        /* role, id: the channel to that worker ended; a new pair if it lives */
    MSG_IDLE,        /* store: no session for a while, may be stopped */
    /* front -> auth */
    MSG_LOGIN_PASS, MSG_LOGIN_APOP, MSG_LOGIN_SASL, MSG_SASL_MORE, MSG_LOGIN_CANCEL, MSG_SESSION_END,
    /* auth -> front */
    MSG_MECHS,       /* number: usable mechanisms; smallest expire_days, largest login_delay_s of all users;
                      * count: 1 = expiry differs by user, 2 = the delay does, 3 = both */
    MSG_CHALLENGE, MSG_LOGIN_OK, MSG_LOGIN_FAIL,
    /* auth <-> hash */
    MSG_HASH_CHECK, MSG_HASH_RESULT,
    /* auth -> store */
    MSG_GRANT,
    /* front -> store */
    MSG_OPEN,
    MSG_FETCH,       /* data: numbers of messages, 4 octets each, the most urgent first */
    MSG_COMMIT, MSG_CLOSE,
    /* store -> front */
    MSG_OPENED, MSG_OPEN_FAIL,
    MSG_MESSAGE,     /* data: numbers of messages; fds: theirs, in that order */
    MSG_FETCH_FAIL,  /* number: a message without one; fault: why, FAULT_NONE = it was not urgent, ask again */
    MSG_COMMITTED, MSG_KICK,
    MSG_TYPES
};

/* One struct for all: a type uses the fields that its row names, the others are zero. */
struct msg {
    enum msg_type type;
    uint64_t sid;            /* session id: front id in the top 16 bits; 0 = none */
    uint32_t id, number, uid, gid, count, flags, fault;
    uint32_t expire_days, login_delay_s;
    uint64_t octets, legacy_octets;
    uint8_t role, mech, code;
    uint8_t grant[GRANT_OCTETS];
    uint8_t addr[ADDR_OCTETS]; /* peer: IPv6, or IPv4 mapped */
    struct span user, secret, data, path, binding_unique, binding_exporter, certificate;
    int fds[IPC_MAX_FDS];    /* -1 = none; owned by the receiver of a decoded message */
    unsigned nfds;
};

enum msg_flag {             /* msg.flags */
    MSGF_TLS = 1,            /* the session runs inside TLS */
    MSGF_HAS_DATA = 2,       /* an initial response is present (may be empty) */
    MSGF_TRUSTED = 4,        /* plaintext allowed for this address */
    MSGF_CLOSE = 8,          /* close the connection after the reply; MSG_SESSION_END: it never got a maildrop */
    MSGF_READ_ONLY = 16,
    MSGF_EXCLUSIVE = 32, MSGF_SHARED = 64, MSGF_TAKEOVER = 128,
    MSGF_QUIT = 512,         /* MSG_COMMIT: release the maildrop afterwards */
    MSGF_WIRE_READY = 1024,
    MSGF_CREATE = 2048, MSGF_MOVE_TO_CUR = 4096, MSGF_MARK_SEEN = 8192, MSGF_DURABLE = 16384,
    MSGF_LEGACY = 32768,
    MSGF_LAST_STEP = 65536   /* MSG_CHALLENGE: an empty response completes the login (R5034-19) */
};

/* Names for logs: "login-pass", … */
const char *msg_name(enum msg_type type);
const char *role_name(enum role role);

void msg_init(struct msg *m, enum msg_type type, uint64_t sid);

/* Encodes into dst; returns the octets used, or 0 when a field exceeds its row's cap or room. */
size_t msg_encode(const struct msg *m, uint8_t *dst, size_t room);

/* Decodes a packet; false when malformed: wrong version, unknown type, wrong length, field over its cap. */
bool msg_decode(struct span packet, struct msg *m);

/* One packet out, with m->fds. Blocking or not as the socket is: false with e->fault FAULT_TEMP when it would
 * block (nothing sent), FAULT_GONE when the peer is gone. The caller keeps its descriptors. */
bool msg_send(int fd, const struct msg *m, struct err *e);

/* One packet in. Returns 1 = *m filled (spans point into buf, descriptors are the caller's), 0 = would
 * block, -1 = end of file or a malformed packet (e says which). */
int msg_recv(int fd, uint8_t *buf, size_t room, struct msg *m, struct err *e);

/* Closes the descriptors that came with m. */
void msg_close_fds(struct msg *m);

/* The phase table: may a peer of this role send this type? (direction borders of architecture §2) */
bool msg_permitted(enum role from, enum role to, enum msg_type type);

#endif
