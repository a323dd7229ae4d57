/* dial.h - from a host name to a connected socket: resolution on the loop's threads, then IPv6 and IPv4 raced
 * (RFC 8305: first families interleaved, the next attempt starts 250 ms after the one before or at its failure).
 *
 * Sends no octet. Does not know: TLS, SOCKS, POP3.
 */
#ifndef RESTANTE_NET_DIAL_H
#define RESTANTE_NET_DIAL_H

#include "base/err.h"
#include "base/net_addr.h"

#include <uv.h>

enum { DIAL_ADDRESSES = 32, DIAL_RACE_MS = 250 };

struct dial;

/* fd >= 0: a connected, non-blocking, close-on-exec socket, owned by the callee; peer is set. fd -1: why, with
 * FAULT_GONE for a name that does not exist (EX_NOHOST), else FAULT_TEMP. Called once, never from dial_start. */
typedef void dial_done(void *ctx, int fd, const struct net_addr *peer, const struct err *why);

/* family: AF_UNSPEC, AF_INET or AF_INET6. host may be an IP literal. deadline_ms counts for the whole of it. */
struct dial *dial_start(uv_loop_t *loop, const char *host, uint16_t port, int family, uint32_t deadline_ms,
                        dial_done *done, void *ctx);

/* Gives up without calling done; NULL-safe; sets *d to NULL. */
void dial_cancel(struct dial **d);

#endif
