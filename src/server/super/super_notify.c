/* super_notify.c - a word to systemd: one datagram to the socket named in the environment (sd_notify(3)).
 *
 * Written by hand, since a library in the one process that runs as root would be too much for one sendto.
 * Does not know: what the words mean.
 */
#include "server/super/super.h"

#include "base/num.h"

#include <stdlib.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void super_notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = path ? strlen(path) : 0;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    int fd;

    if (n == 0 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* abstract */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&to, len);
    close(fd);
}

uint64_t super_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC");
    uint64_t v;

    return usec && num_all_u64(span_str(usec), &v) ? v / 2000 : 0; /* twice as often as asked */
}
