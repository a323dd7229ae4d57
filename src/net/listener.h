/* listener.h - listening sockets. Does not know: who accepts. */
#ifndef RESTANTE_NET_LISTENER_H
#define RESTANTE_NET_LISTENER_H

#include "base/err.h"
#include "base/net_addr.h"

/* False when somebody listens on a already: with SO_REUSEPORT a second server would silently take a share of the
 * connections instead of failing. */
bool listener_free(const struct net_addr *a, struct err *e);

/* A bound, listening, non-blocking TCP socket with SO_REUSEPORT, so that each front gets a queue of its own;
 * -1 on failure. Accepted sockets have its settings: TCP_NODELAY (a reply leaves at once), keepalive and
 * TCP_USER_TIMEOUT so that dead peers free their maildrop lock (R1939-AUTHZ-09). */
int listener_open(const struct net_addr *a, int backlog, struct err *e);

#endif
