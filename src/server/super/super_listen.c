/* super_listen.c - listening sockets: one per address and front, kept over reloads and over the death of a front.
 *
 * A configuration whose addresses cannot all be bound is refused whole. Does not know: accepting.
 */
#include "server/super/super.h"

#include "base/buf.h"
#include "base/log.h"
#include "net/listener.h"

#include <stdlib.h>
#include <unistd.h>

static const struct super_listener *find(const struct super *s, const struct net_addr *a)
{
    for (uint32_t i = 0; i < s->nlistener; i++)
        if (memcmp(s->listener[i].addr.b, a->b, sizeof a->b) == 0 && s->listener[i].addr.port == a->port)
            return &s->listener[i];
    return NULL;
}

static bool open_sockets(const struct super *s, struct super_listener *l, uint32_t backlog, struct err *e)
{
    const struct super_listener *old = find(s, &l->addr);

    for (uint32_t i = 0; i < SUPER_FRONTS; i++)
        l->fds[i] = -1;
    if (old) {
        memcpy(l->fds, old->fds, sizeof l->fds);
        return true;
    }
    if (!listener_free(&l->addr, e))
        return false;
    for (uint32_t i = 0; i < s->nfronts; i++) {
        l->fds[i] = listener_open(&l->addr, (int)backlog, e);
        if (l->fds[i] < 0)
            return false;
    }
    return true;
}

static void close_sockets(struct super_listener *l)
{
    for (uint32_t i = 0; i < SUPER_FRONTS; i++)
        if (l->fds[i] >= 0)
            close(l->fds[i]);
}

/* Closes what was opened for a configuration that is not taken: not the sockets that s already had. */
static void undo(const struct super *s, struct super_listener *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!find(s, &list[i].addr))
            close_sockets(&list[i]);
    free(list);
}

bool super_listen(struct super *s, const struct conf *conf, struct super_listener **list, uint32_t *n,
                  struct err *e)
{
    *list = NULL;
    *n = 0;
    for (uint32_t i = 0; i < conf->nlisten; i++) {
        const struct conf_listen *c = &conf->listen[i];

        if (c->tls == CONF_TLS_IMPLICIT && s->tls_fd < 0) {
            event(LOG_ERROR, "listener-closed", F_STR("listen", c->name),
                  F_STR("reason", "no usable certificate for implicit TLS"));
            continue;
        }
        for (uint32_t k = 0; k < c->address.n; k++) {
            struct super_listener *l;
            bool ok;

            *list = mem_grow(*list, *n + 1, sizeof **list);
            l = &(*list)[*n];
            l->section = i;
            if (!net_addr_parse(c->address.v[k], &l->addr)) {
                undo(s, *list, *n);
                return err_set(e, FAULT_BAD, "listen \"%s\": address %s is malformed", c->name,
                               c->address.v[k]);
            }
            ok = open_sockets(s, l, c->backlog, e);
            *n += 1;
            if (!ok) {
                undo(s, *list, *n);
                return false;
            }
        }
    }
    return true;
}

void super_listen_swap(struct super *s, struct super_listener *list, uint32_t n)
{
    struct super_listener *old = s->listener;
    uint32_t nold = s->nlistener;

    s->listener = list;
    s->nlistener = n;
    for (uint32_t i = 0; i < nold; i++)
        if (!find(s, &old[i].addr))
            close_sockets(&old[i]);
    free(old);
}
