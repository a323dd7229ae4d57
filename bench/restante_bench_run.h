/* restante_bench_run.h - runs sessions side by side and measures them.
 *
 * Does not know: output.
 */
#ifndef RESTANTE_BENCH_RUN_H
#define RESTANTE_BENCH_RUN_H

#include "restante_bench_mail.h"
#include "restante_bench_proc.h"

struct result {
    uint32_t concurrency;
    uint64_t ns, own_cpu_ns; /* of the generator */
    struct tally tally;
    struct usage before, after, held; /* held: idle sessions, all open */
    uint64_t held_cpu_ns, held_ns;    /* the server's while nothing happened */
    uint32_t open;                    /* sessions open then */
};

/* One run of the plan; false: it could not even begin. Faults of sessions are in the tally. */
bool run_plan(const struct plan *plan, uint32_t concurrency, const struct manifest *manifest, struct result *r,
              struct err *e);

#endif
