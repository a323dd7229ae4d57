/* auth_process.h - runs the real restante-auth and plays everybody around it: supervisor, fronts, store, hash
 * worker.
 *
 * Programs are found by the environment: RESTANTE_AUTH, RESTANTE_HASH. What the worker logs is kept, so that
 * a test can look for what must not stand there. Every wait ends after some seconds and fails the test.
 */
#ifndef RESTANTE_TESTS_AUTH_PROCESS_H
#define RESTANTE_TESTS_AUTH_PROCESS_H

#include "auth_help.h"
#include "ipc/msg.h"
#include "pop3/engine.h"
#include "server/conf.h"

#include <sys/types.h>

enum { STORE_ID = 7, USER_UID = 2000, USER_GID = 2001, WAIT_MS = 20000 };

/* Session n of front f. */
#define SID(f, n) ((uint64_t)(f) << 48 | (uint64_t)(n))

struct world {
    pid_t pid;
    int super, front[2], hash, store; /* our ends; -1 = none */
    int log;                          /* the worker's standard error: a file */
    char users[96];
    struct conf *conf;
    struct msg m;   /* what came last */
    uint32_t mechs; /* what front 0 was told at the start */
    uint8_t packet[IPC_MAX_PACKET];
};

/* Starts a worker with two fronts and a hash worker (us). tweak changes the configuration before it is sent. */
struct world *world_new(const char *users, void (*tweak)(struct conf *conf));
/* Stops it (unless super is -1: it stops by itself) and expects it to end well. */
void world_free(struct world **w);

void world_set(char **setting, const char *value); /* a string of the configuration */
void world_list(struct strlist *list, const char *value);
void world_users(struct world *w, const char *text);          /* another users file, and word of it */
void world_conf(struct world *w);                             /* the configuration again */
int world_peer(struct world *w, enum role role, uint32_t id); /* a new channel; returns our end */
bool world_logged(struct world *w, const char *text);

void tell(int fd, const struct msg *m);
/* The next message, which must be of that type; in w->m until the next. */
struct msg *expect_msg(struct world *w, int fd, enum msg_type type);
void expect_nothing(struct world *w, int fd, int ms);
void expect_closed(struct world *w, int fd);
void expect_fail(struct world *w, int fd, enum resp_code code);

/* Front 0 asks; addr is 192.0.2.1, TLS is on. */
void login_pass(struct world *w, uint64_t sid, const char *user, const char *password);
void login_sasl(struct world *w, uint64_t sid, enum mech_id mech, struct span initial);
void sasl_more_line(struct world *w, uint64_t sid, struct span line);

/* We are the hash worker: what is to be checked (the stored password is returned), then the verdict. */
const char *expect_hash(struct world *w, const char *password);
void answer_hash(struct world *w, bool right);

/* We are the supervisor: the store that is asked for comes to be. */
void give_store(struct world *w);
/* The grant at the store, then the word to front 0; w->m is the latter. */
void expect_ok(struct world *w, uint64_t sid, const char *user);

#endif
