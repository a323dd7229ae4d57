/* store_fetch.c - hands out messages of an open maildrop as descriptors.
 *
 * A question names several messages; all that could be opened leave in one packet. Only the first is urgent: the
 * others may be put off when opening takes long (a cold disk), so that no session waits for what another
 * may want later. Does not know: sessions' lives (store_sessions.c), how maildrops lie on disk.
 */
#include "server/store/store_worker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include <unistd.h>

enum { AHEAD_MS = 5 }; /* after that no message is opened but the urgent one */

static void refuse(struct session *s, uint32_t number, enum fault fault)
{
    struct msg out;

    msg_init(&out, MSG_FETCH_FAIL, s->sid);
    out.number = number;
    out.fault = fault;
    session_reply(s, &out);
}

static int open_message(struct session *s, uint32_t number)
{
    const struct store_ops *ops = s->worker->ops;
    struct err e = { FAULT_TEMP, "no such message" };
    int fd = -1;

    if (number < ops->count(s->drop) && ops->fetch(s->drop, number, &fd, &e))
        return fd;
    event(LOG_WARNING, "fetch-failed", F_SID(s->sid), F_STR("user", s->grant->user),
          F_U64("message", number + 1u), F_ERR(&e));
    refuse(s, number, e.fault == FAULT_NONE ? FAULT_TEMP : e.fault);
    return -1;
}

void session_fetch(struct session *s, const struct msg *m)
{
    uint64_t start_ms = clock_mono_ms();
    uint8_t numbers[4 * IPC_MAX_FDS];
    struct msg out;

    msg_init(&out, MSG_MESSAGE, s->sid);
    for (size_t i = 0; i < m->data.n / 4; i++) {
        uint32_t number = (uint32_t)le_get(m->data.p + 4 * i, 4);
        int fd;

        if (i && clock_mono_ms() - start_ms >= AHEAD_MS) {
            refuse(s, number, FAULT_NONE);
            continue;
        }
        fd = open_message(s, number);
        if (fd < 0)
            continue;
        le_put(numbers + 4u * out.nfds, number, 4);
        out.fds[out.nfds++] = fd;
    }
    out.data = span_of(numbers, 4u * out.nfds);
    if (out.nfds)
        session_reply(s, &out);
    msg_close_fds(&out);
}
