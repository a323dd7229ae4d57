/* lock.h - who may use a maildrop: the file restante-lock and what its octets mean.
 *
 * Kernel locks on an open file description (F_OFD_SETLK): they belong to the descriptor, work between
 * threads, and end with the process, however it ends (R1939-AUTHZ-08). No time-outs, no stale locks.
 *   octet 0  sessions: exclusive ones lock it for writing, shared ones for reading
 *   octet 1  changes: an exclusive session holds it all the time, a shared one while it changes something
 * Does not know: sessions, users.
 */
#ifndef RESTANTE_STORE_LOCK_H
#define RESTANTE_STORE_LOCK_H

#include "store/mddir.h"

#define LOCK_FILE "restante-lock"

/* FAULT_IN_USE when another session forbids it. Where no lock file can be made (read-only or full disk) *fd
 * is -1 and the maildrop is used like a shared one: mail must be readable, and removable, just then. */
bool lock_session(const struct mddir *d, bool exclusive, int *fd, struct err *e);

/* For shared sessions: waits up to ten seconds. Both are no-ops for fd -1. */
bool lock_change(int fd, struct err *e);
void lock_change_end(int fd);

#endif
