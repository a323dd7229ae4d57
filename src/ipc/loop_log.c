/* loop_log.c - log lines of one turn of an event loop leave together: see loop_log.h. Does not know: events. */
#include "ipc/loop_log.h"

#include "base/log.h"

static void before_waiting(uv_prepare_t *turn)
{
    (void)turn;
    log_flush();
}

void loop_log_start(uv_loop_t *loop, uv_prepare_t *turn)
{
    log_gather();
    uv_prepare_init(loop, turn);
    uv_prepare_start(turn, before_waiting);
    uv_unref((uv_handle_t *)turn);
}
