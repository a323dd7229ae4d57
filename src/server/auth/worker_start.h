/* worker_start.h - how the auth and hash workers start: configuration and peers from the supervisor, then MSG_GO,
 * then the sandbox; nothing else is read before. Does not know: what the peers are for.
 */
#ifndef RESTANTE_SERVER_AUTH_WORKER_START_H
#define RESTANTE_SERVER_AUTH_WORKER_START_H

#include "ipc/msg.h"
#include "server/conf.h"

enum { WORKER_SUPERVISOR_FD = 3, WORKER_CONF_MAX = 16 * 1024 * 1024 };

struct worker_start {
    struct conf *conf;
    struct msg *peer; /* MSG_PEER messages in their order; the descriptors are the caller's */
    uint32_t npeer;
    bool no_files;    /* set by the caller: as root it moves into the empty folder */
    int users_fd;     /* of MSG_USERS, the caller's */
    bool users_given;
};

/* The configuration that a MSG_CONF carries, inline or as a descriptor. */
bool worker_conf(const struct msg *m, struct conf **conf, struct err *e);

/* Blocks until MSG_GO and enters the sandbox; ends the process when anything is wrong (70) or when the supervisor
 * is gone or says stop (0). before: what must happen while files can still be opened; may be NULL. */
void worker_start(struct worker_start *start, void (*before)(const struct conf *conf));
void worker_start_free(struct worker_start *start);

#endif
