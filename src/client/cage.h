/* cage.h - what the fetcher gives up before it reads the first octet of a stranger (security: a parser that is
 * taken over shall find nothing): no files (Landlock), no system calls but those of its loop (seccomp), no new
 * privileges, no core dump, no further descriptors. Does not know: what runs inside.
 */
#ifndef RESTANTE_CLIENT_CAGE_H
#define RESTANTE_CLIENT_CAGE_H

#include "base/err.h"

/* On a kernel without Landlock seccomp alone keeps files away. */
bool cage_enter(struct err *e);

#endif
