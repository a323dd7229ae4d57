/* loop_log.h - log lines of one turn of an event loop leave together. */
#ifndef RESTANTE_IPC_LOOP_LOG_H
#define RESTANTE_IPC_LOOP_LOG_H

#include <uv.h>

/* Gathers the process's log lines (log_gather) and sends them each time before the loop waits. turn is the caller's and
 * lives as long as the loop; it does not keep the loop running. */
void loop_log_start(uv_loop_t *loop, uv_prepare_t *turn);

#endif
