/* poller.c - which clients' sockets are ready: one epoll set for all of them, itself one handle of the loop.
 *
 * A socket enters the set once and changes its mask only when it must. The loop's own handles leave and enter their
 * set at every start and stop, and need more system calls and memory for each connection.
 * Does not know: what is done with a socket that is ready.
 */
#include "server/front/front.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

enum { EVENTS_PER_WAKE = 64 };

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct front *f = poll->data;
    struct epoll_event ready[EVENTS_PER_WAKE];
    int n = epoll_wait(f->poll_fd, ready, EVENTS_PER_WAKE, 0);

    (void)status;
    (void)events;
    conn_free_closed(f);
    for (int i = 0; i < n; i++) {
        struct conn *c = conn_find(f, ready[i].data.u64); /* an event before may have ended it */

        if (c)
            conn_ready(c, ready[i].events);
    }
}

void poller_start(struct front *f)
{
    f->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (f->poll_fd < 0 || uv_poll_init(f->loop, &f->poll, f->poll_fd) != 0) {
        event(LOG_ERROR, "worker-failed", F_STR("what", "epoll"), F_STR("error", strerror(errno)));
        exit(70);
    }
    f->poll.data = f;
    uv_poll_start(&f->poll, UV_READABLE, on_wake);
}

void poller_want(struct conn *c, uint32_t events)
{
    struct epoll_event e = { .events = events, .data = { .u64 = c->sid } };
    int op = c->watched == 0 ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

    /* One that cannot enter (no memory in the kernel) waits for its next turn or its time limit. */
    if (events != c->watched && epoll_ctl(c->front->poll_fd, op, c->socket.fd, &e) == 0)
        c->watched = events;
}
