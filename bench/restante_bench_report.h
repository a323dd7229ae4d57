/* restante_bench_report.h - results for people (a table), for programs (JSON) and as a picture (SVG).
 *
 * Does not know: how they came about.
 */
#ifndef RESTANTE_BENCH_REPORT_H
#define RESTANTE_BENCH_REPORT_H

#include "restante_bench_run.h"

bool report_table(const struct plan *plan, const struct result *results, size_t n, struct buf *out);

/* {"mode": ..., "runs": [...]} */
bool report_json(const struct plan *plan, const struct result *results, size_t n, struct buf *out);

/* Distribution of latencies, and rate against concurrency when there are several results. */
bool report_plot(const struct plan *plan, const struct result *results, size_t n, struct buf *out);

/* What follows from the counts of a run; NAN where it has no meaning. */
struct cost {
    double sessions_per_s, messages_per_s, octets_per_s;
    double cpu_ms_per_1000, cpu_us_per_message, cpu_s_per_gb; /* of the server */
    double pss_kib_each;                                      /* of a connection held open */
};

struct cost cost_of(const struct plan *plan, const struct result *r);

#endif
