/* grants.c - sessions per user and last logins: see grants.h. */
#include "auth/grants.h"

#include "auth/table.h"
#include "base/buf.h"
#include "base/secret.h"

#include <stdlib.h>

enum { IDS_AT_ONCE = 64 };

/* Of a user; it may be forgotten when it has no session and its delay has passed: the table's bound sees to it
 * that the oldest go first. */
struct user {
    uint64_t before_ms;     /* last_ms and ever as they were before the latest login */
    bool ever_before;
    uint64_t last_ms;
    uint32_t sessions;
    bool ever;
};

struct grants {
    struct table *users;    /* by the digest of the name -> struct user */
    struct table *sessions; /* by sid -> struct table_key of the user */
    uint8_t random[IDS_AT_ONCE][GRANTS_ID]; /* for the next ids: the kernel is asked once for many */
    uint32_t left;
};

struct grants *grants_new(void)
{
    struct grants *g = mem_zero(1, sizeof *g);

    g->users = table_new(sizeof(struct user), GRANTS_USERS);
    g->sessions = table_new(sizeof(struct table_key), GRANTS_SESSIONS);
    return g;
}

void grants_free(struct grants **gp)
{
    struct grants *g = *gp;

    *gp = NULL;
    if (!g)
        return;
    table_free(&g->users);
    table_free(&g->sessions);
    free(g);
}

static struct table_key sid_key(uint64_t sid)
{
    return (struct table_key){ sid, 0 };
}

void grants_end(struct grants *g, uint64_t sid)
{
    struct table_key key = sid_key(sid), *owner = table_find(g->sessions, &key);
    struct user *user;

    if (!owner)
        return;
    user = table_find(g->users, owner);
    if (user && user->sessions)
        user->sessions--;
    table_drop(g->sessions, &key);
}

void grants_void(struct grants *g, uint64_t sid)
{
    struct table_key key = sid_key(sid), *owner = table_find(g->sessions, &key);
    struct user *user = owner ? table_find(g->users, owner) : NULL;

    if (user) {
        user->last_ms = user->before_ms;
        user->ever = user->ever_before;
    }
    grants_end(g, sid);
}

void grants_end_front(struct grants *g, uint16_t front)
{
    struct table_key key;
    uint32_t cursor = 0;

    while (table_next(g->sessions, &cursor, &key))
        if (key.a >> 48 == front)
            grants_end(g, key.a);
}

enum grants_verdict grants_begin(struct grants *g, const struct grants_ask *ask, uint64_t now_ms)
{
    struct table_key key = table_key(g->users, ask->user), sid = sid_key(ask->sid);
    struct table_key *owner;
    struct user *user;
    bool fresh;

    grants_end(g, ask->sid); /* a session that logs in again has left its first login behind */
    user = table_make(g->users, &key, &fresh);
    if (user->ever && ask->delay_s && now_ms - user->last_ms < ask->delay_s * (uint64_t)1000)
        return GRANTS_TOO_SOON;
    if (ask->max_sessions && user->sessions >= ask->max_sessions)
        return GRANTS_TOO_MANY;
    user->sessions++;
    user->before_ms = user->last_ms;
    user->ever_before = user->ever;
    user->last_ms = now_ms;
    user->ever = true;
    owner = table_make(g->sessions, &sid, &fresh);
    *owner = key;
    return GRANTS_YES;
}

void grants_id(struct grants *g, uint8_t id[GRANTS_ID])
{
    if (g->left == 0) {
        secret_random(g->random, sizeof g->random);
        g->left = IDS_AT_ONCE;
    }
    g->left--;
    memcpy(id, g->random[g->left], GRANTS_ID);
    explicit_bzero(g->random[g->left], GRANTS_ID);
}
