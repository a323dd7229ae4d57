/* notify.h - tells the service manager how a daemon is doing (sd_notify's protocol: one datagram to $NOTIFY_SOCKET).
 * Without a service manager nothing happens. Does not know: what the daemon does.
 */
#ifndef RESTANTE_CLIENT_NOTIFY_H
#define RESTANTE_CLIENT_NOTIFY_H

#include <stdint.h>

void notify_say(const char *state);    /* "READY=1", "STOPPING=1", "WATCHDOG=1" */
uint64_t notify_watchdog_ms(void);     /* 0 = nobody watches */

#endif
