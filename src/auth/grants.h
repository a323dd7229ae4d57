/* grants.h - who is logged in, since when, and the random ids of grants.
 *
 * Counts the sessions of each user (limits.connections_per_user), remembers when each user logged in last
 * (LOGIN-DELAY, RFC 2449 §6.5), and knows which session belongs to which user, so that the end of a session or
 * of a whole front gives the places back. Pure: the clock is passed in. Does not know: stores, messages.
 */
#ifndef RESTANTE_AUTH_GRANTS_H
#define RESTANTE_AUTH_GRANTS_H

#include "base/span.h"

enum { GRANTS_SESSIONS = 1 << 20, GRANTS_USERS = 1 << 17, GRANTS_ID = 16 };

enum grants_verdict { GRANTS_YES, GRANTS_TOO_SOON, GRANTS_TOO_MANY };

struct grants;

struct grants *grants_new(void);
void grants_free(struct grants **g);

struct grants_ask {
    struct span user;
    uint64_t sid;
    uint32_t delay_s;      /* 0 = none */
    uint32_t max_sessions; /* 0 = any number */
};

/* Enters the session. The user's credentials must have been verified: the answers tell that it exists. */
enum grants_verdict grants_begin(struct grants *g, const struct grants_ask *ask, uint64_t now_ms);

void grants_end(struct grants *g, uint64_t sid);
/* The session got no maildrop ([IN-USE], a failure): there was no +OK from which LOGIN-DELAY counts (RFC 2449 §6.5). */
void grants_void(struct grants *g, uint64_t sid);
void grants_end_front(struct grants *g, uint16_t front);

/* A grant's id: unguessable, used once. */
void grants_id(struct grants *g, uint8_t id[GRANTS_ID]);

#endif
