/* restante_bench_proc.h - what a server costs, seen from outside: CPU time, context switches and memory of a process
 * and everything it started.
 *
 * CPU time counts children that have ended and were waited for; a server that ignores SIGCHLD hides theirs.
 * Context switches are those of the processes that live.
 * Does not know: what the server did for it.
 */
#ifndef RESTANTE_BENCH_PROC_H
#define RESTANTE_BENCH_PROC_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t cpu_ns, voluntary, involuntary;
    uint64_t pss_kib; /* 0 when not asked for */
    uint32_t processes;
};

/* False: the process does not exist, or may not be looked at. */
bool usage_read(pid_t pid, bool memory, struct usage *u, struct err *e);

#endif
