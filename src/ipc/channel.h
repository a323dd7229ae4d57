/* channel.h - a message channel to one peer process on the event loop: packets in as callbacks, packets out
 * with a bounded queue behind a full socket.
 *
 * A packet that is malformed or that the peer's role may not send (msg_permitted) ends the channel: on_gone is
 * called once, with the reason. Descriptors of a received message that the handler does not take (by setting
 * m->fds[i] = -1) are closed after it returns. Does not know: what messages mean, who restarts whom.
 */
#ifndef RESTANTE_IPC_CHANNEL_H
#define RESTANTE_IPC_CHANNEL_H

#include "ipc/msg.h"

#include <uv.h>

struct channel;

struct channel_ops {
    void (*on_msg)(void *ctx, struct channel *c, struct msg *m);
    void (*on_gone)(void *ctx, struct channel *c, const struct err *why); /* the channel is closed already */
};

enum { CHANNEL_QUEUE_OCTETS = 8 * 1024 * 1024 }; /* past it the peer counts as hung and is closed */

/* Takes fd over (made non-blocking). self and peer are the roles at the two ends, peer_id the peer's number. */
struct channel *channel_open(uv_loop_t *loop, int fd, enum role self, enum role peer, uint32_t peer_id,
                             const struct channel_ops *ops, void *ctx);

uint32_t channel_id(const struct channel *c);

/* Sends or queues m; descriptors are duplicated when queued, the caller keeps its own. False when the channel is
 * closed or the queue is full (the channel is closed then and on_gone follows from the loop). */
bool channel_send(struct channel *c, const struct msg *m);

/* From now on messages without descriptors are gathered and leave together before the loop waits, or with the next
 * message that carries one: one system call and one wake-up of the peer for all that one turn of the loop brings.
 * before (may be NULL) is called with the channel's ctx ahead of each such departure: what must be there first is
 * sent there. Order within the channel stays. */
void channel_batch(struct channel *c, void (*before)(void *ctx));

/* Sends what was gathered, now. NULL-safe. Before the loop is stopped for good every batching channel needs it. */
void channel_flush(struct channel *c);

/* Handles what has already arrived, without waiting for the loop (a grant that precedes its use). */
void channel_drain(struct channel *c);

/* Octets waiting behind the socket. */
size_t channel_backlog(const struct channel *c);

/* Closes without on_gone; NULL-safe; sets *c to NULL. Memory is freed by the loop. */
void channel_close(struct channel **c);

/* A connected pair of SOCK_SEQPACKET sockets, close-on-exec. */
bool channel_pair(int fds[2], struct err *e);

#endif
