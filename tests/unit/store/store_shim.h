/* store_shim.h - system calls that count, stop the process, or fail, for the crash and fault tests. */
#ifndef STORE_SHIM_H
#define STORE_SHIM_H

#include "base/buf.h"

enum { SHIM_STOPPED = 77 }; /* exit status of a process that was stopped */

enum shim_kind { SHIM_ANY, SHIM_SPACE }; /* SPACE: what needs room on the disk */

/* From now on: the call number n (1 …) stops the process before it is made. */
void shim_stop_at(unsigned n);
/* The call number n fails with this errno; "for_good": all later ones of the kind too. */
void shim_fail_at(unsigned n, int code, enum shim_kind kind, bool for_good);
/* Only names of calls are kept: "openat fsync:tmp …"; see shim_trace. */
void shim_count(void);
/* Back to the real calls. Returns whether the call number was reached. */
bool shim_end(void);
unsigned shim_calls(void);
/* The calls so far, one a line: "name descriptor-path name-argument". */
const struct buf *shim_trace(void);
/* Runs before call number n is made, once: what another program does just then. */
void shim_before(unsigned n, void (*fn)(void *ctx), void *ctx);

#endif
