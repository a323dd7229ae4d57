/* store_fetch.c - hands out messages of an open maildrop as descriptors.
 *
 * Does not know: sessions' lives (store_sessions.c), how maildrops lie on disk.
 */
#include "server/store/store_worker.h"

#include "base/log.h"

#include <sys/stat.h>
#include <unistd.h>

void session_fetch(struct session *s, const struct msg *m)
{
    const struct store_ops *ops = s->worker->ops;
    struct err e = { FAULT_TEMP, "no such message" };
    struct stat st;
    struct msg out;
    int fd = -1;

    if (m->number < ops->count(s->drop) && ops->fetch(s->drop, m->number, &fd, &e) && fstat(fd, &st) == 0) {
        msg_init(&out, MSG_MESSAGE, s->sid);
        out.number = m->number;
        out.octets = (uint64_t)st.st_size;
        out.fds[0] = fd;
        out.nfds = 1;
    } else {
        event(LOG_WARNING, "fetch-failed", F_SID(s->sid), F_STR("user", s->grant->user),
              F_U64("message", m->number + 1u), F_ERR(&e));
        msg_init(&out, MSG_FETCH_FAIL, s->sid);
        out.number = m->number;
        out.fault = e.fault;
    }
    session_reply(s, &out);
    if (fd >= 0)
        close(fd);
}
