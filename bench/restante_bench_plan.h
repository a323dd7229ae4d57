/* restante_bench_plan.h - the command line of restante-bench.
 *
 * Does not know: what is done with it.
 */
#ifndef RESTANTE_BENCH_PLAN_H
#define RESTANTE_BENCH_PLAN_H

#include "restante_bench.h"

extern const char plan_help[];

/* The plan that argv (without the program's name) asks for. *help: only the help text is wanted. The plan borrows
 * from argv. */
bool plan_parse(char **argv, struct plan *plan, bool *help, struct err *e);

#endif
