/* sandbox.h - what every worker gives up before it reads the first octet from a peer.
 *
 * No new privileges, no core dumps, not dumpable; as root also: an empty root directory (for those that need no
 * files), no supplementary groups, its own uid and gid. Does not know: seccomp and Landlock (they come with the
 * hardening of a later version and belong here).
 */
#ifndef RESTANTE_SERVER_SANDBOX_H
#define RESTANTE_SERVER_SANDBOX_H

#include "base/err.h"

#include <sys/types.h>

/* root_dir: chroot there when root, NULL = keep the file system. uid/gid: become them when root
 * (then they must be given; (uid_t)-1 for an ordinary user). */
bool sandbox_enter(const char *root_dir, uid_t uid, gid_t gid, struct err *e);

/* A worker is ended by its supervisor alone: a Ctrl-C at a terminal or a broken pipe must not do it. */
void sandbox_signals(void);

#endif
