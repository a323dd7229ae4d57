/* listener.c - listening sockets: see listener.h. */
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEEP_IDLE_S = 60, KEEP_INTERVAL_S = 20, KEEP_PROBES = 4, USER_TIMEOUT_MS = 140000 };

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

/* Accepted sockets inherit all of these on Linux. */
static void tune(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

bool listener_free(const struct net_addr *a, struct err *e)
{
    struct sockaddr_storage ss;
    socklen_t n = (socklen_t)net_addr_to(a, &ss);
    char text[NET_ADDR_TEXT];
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc, code;

    net_addr_text(a, text);
    if (fd < 0)
        return err_set(e, FAULT_TEMP, "socket: %s", strerror(errno));
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* connections in TIME_WAIT do not count */
    rc = bind(fd, (struct sockaddr *)&ss, n);
    code = errno;
    close(fd);
    return rc == 0 || err_set(e, code == EADDRINUSE ? FAULT_IN_USE : FAULT_PERM, "listen on %s port %u: %s", text,
                              a->port, strerror(code));
}

int listener_open(const struct net_addr *a, int backlog, struct err *e)
{
    struct sockaddr_storage ss;
    socklen_t n = (socklen_t)net_addr_to(a, &ss);
    char text[NET_ADDR_TEXT];
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    net_addr_text(a, text);
    if (fd < 0) {
        err_set(e, FAULT_TEMP, "socket: %s", strerror(errno));
        return -1;
    }
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    tune(fd);
    if (bind(fd, (struct sockaddr *)&ss, n) == 0 && listen(fd, backlog) == 0)
        return fd;
    err_set(e, FAULT_PERM, "listen on %s port %u: %s", text, a->port, strerror(errno));
    close(fd);
    return -1;
}
