/* conn_mail.c - message bodies: a descriptor (conn_fetch.c), read in pieces without stopping the other sessions.
 *
 * A read that would wait for a disk (RWF_NOWAIT says EAGAIN) is done by a helper thread; the rest of the front
 * goes on. Memory is one read's worth, whatever the size of the message. Does not know: dot-stuffing, sizes on
 * the wire (the engine counts).
 */
#include "server/front/front.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_as_listed(int fd, const struct index_record *rec)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (uint64_t)st.st_size == rec->file_size &&
           (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == rec->mtime_ns;
}

bool conn_message(struct conn *c, uint32_t i, int fd, bool trusted)
{
    struct drop_msg msg;
    struct index_record rec;
    struct body *b;

    if (!index_reader_get(&c->login->listing, i, &rec, &msg.uid, &(struct span){ NULL, 0 })) {
        close(fd);
        conn_close(c, "listing-unreadable");
        return true;
    }
    if (!trusted && !is_as_listed(fd, &rec)) {
        close(fd);
        return false;
    }
    msg.octets = rec.octets;
    msg.legacy_octets = rec.legacy_octets;
    msg.flags = rec.flags;
    b = mem_zero(1, sizeof *b);
    b->fd = fd;
    b->size = rec.file_size;
    b->sid = c->sid;
    b->front = c->front;
    if ((msg.flags & DROP_MSG_NEEDS_UTF8) && c->site->engine.legacy_utf8 == LEGACY_SURROGATE &&
        !engine_utf8(&c->engine)) {
        b->surrogate = mem_new(sizeof *b->surrogate);
        surrogate_init(b->surrogate);
        b->converted = BUF((size_t)SURROGATE_GROWTH * (FRONT_BODY_READ + SURROGATE_FIELD));
    }
    c->body = b;
    engine_message_open(&c->engine, &msg);
    return true;
}

static void body_free(struct body *b)
{
    if (b->fd >= 0)
        close(b->fd);
    if (b->surrogate) {
        surrogate_free(b->surrogate);
        free(b->surrogate);
        buf_free(&b->converted);
    }
    free(b->cold);
    free(b);
}

void conn_body_close(struct conn *c)
{
    struct body *b = c->body;

    c->body = NULL;
    if (!b)
        return;
    if (b->reading)
        b->orphan = true; /* the thread still uses it */
    else
        body_free(b);
}

static void read_cold(uv_work_t *work)
{
    struct body *b = work->data;
    size_t want = b->size - b->at < FRONT_BODY_READ ? (size_t)(b->size - b->at) : FRONT_BODY_READ;
    ssize_t n;

    do
        n = pread(b->fd, b->cold, want, (off_t)b->at);
    while (n < 0 && errno == EINTR);
    b->error = n < 0 ? errno : n == 0 ? EIO : 0; /* shorter than it was: truncated by somebody */
    b->cold_n = n > 0 ? (size_t)n : 0;
}

static void on_cold(uv_work_t *work, int status)
{
    struct body *b = work->data;
    struct conn *c;

    b->reading = false;
    if (status < 0)
        b->error = EIO;
    if (b->orphan) {
        body_free(b);
        return;
    }
    c = conn_find(b->front, b->sid);
    if (c)
        conn_run(c);
}

static void begin_cold(struct body *b)
{
    if (!b->cold)
        b->cold = mem_new(FRONT_BODY_READ);
    b->cold_n = b->cold_used = 0;
    b->reading = true;
    b->work.data = b;
    if (uv_queue_work(b->front->loop, &b->work, read_cold, on_cold) != 0) {
        b->reading = false;
        b->error = EIO;
    }
}

/* What is in memory, at once; EAGAIN: a disk must be waited for. */
static ssize_t read_warm(const struct body *b, uint8_t *dst, size_t room)
{
    size_t want = b->size - b->at < room ? (size_t)(b->size - b->at) : room;
    struct iovec iov = { dst, want };
    ssize_t n;

    do
        n = preadv2(b->fd, &iov, 1, (off_t)b->at, RWF_NOWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EOPNOTSUPP || errno == EINVAL)) /* a file system without it */
        n = pread(b->fd, iov.iov_base, want, (off_t)b->at);
    return n;
}

/* The next octets of the file: at once, or *wait for the helper thread, or *end, or *broken. */
static struct span file_span(struct conn *c, bool *wait, bool *end, bool *broken)
{
    struct body *b = c->body;
    ssize_t n;

    if (!b || b->error) {
        if (b)
            event(LOG_ERROR, "message-unreadable", F_SID(c->sid), F_STR("error", strerror(b->error)));
        *broken = true;
        return span_of(NULL, 0);
    }
    if (b->reading) {
        *wait = true;
        return span_of(NULL, 0);
    }
    if (b->cold_used < b->cold_n)
        return span_of(b->cold + b->cold_used, b->cold_n - b->cold_used);
    if (b->at >= b->size) {
        *end = true;
        return span_of(NULL, 0);
    }
    n = read_warm(b, b->front->read_room, FRONT_BODY_READ); /* valid until the next read of any connection */
    if (n > 0)
        return span_of(b->front->read_room, (size_t)n);
    if (n < 0 && errno == EAGAIN) {
        begin_cold(b);
        *wait = true;
        return span_of(NULL, 0);
    }
    event(LOG_ERROR, "message-unreadable", F_SID(c->sid),
          F_STR("error", n == 0 ? "file is shorter than at login" : strerror(errno)));
    *broken = true;
    return span_of(NULL, 0);
}

static void file_used(struct body *b, size_t n)
{
    b->at += n;
    if (b->cold_used < b->cold_n)
        b->cold_used += n;
}

/* The same through the surrogate filter: it takes what the file gives and is asked for what it made. */
static struct span converted_span(struct conn *c, bool *wait, bool *end, bool *broken)
{
    struct body *b = c->body;
    struct span raw;
    bool full = false, last = false;

    while (b->converted_used == b->converted.n && !*end) {
        b->converted.n = b->converted_used = 0;
        raw = file_span(c, wait, &last, broken);
        if (*wait || *broken)
            return span_of(NULL, 0);
        if (last) {
            *end = b->surrogate_ended;
            full = !b->surrogate_ended && !surrogate_end(b->surrogate, &b->converted);
            b->surrogate_ended = true;
        } else {
            full = !surrogate_feed(b->surrogate, raw, &b->converted);
            file_used(b, raw.n);
        }
        if (full) { /* cannot happen with room for every growth: but a cut message must not look whole */
            *broken = true;
            return span_of(NULL, 0);
        }
    }
    return span_of(b->converted.p + b->converted_used, b->converted.n - b->converted_used);
}

size_t conn_body_straight(struct conn *c, uint8_t *dst, size_t room)
{
    struct body *b = c->body;
    ssize_t n;

    if (!b || b->surrogate || b->error || b->reading || b->cold_used < b->cold_n || b->at >= b->size)
        return 0;
    n = read_warm(b, dst, room);
    if (n <= 0)
        return 0;
    b->at += (size_t)n;
    return (size_t)n;
}

struct span conn_body_span(struct conn *c, bool *wait, bool *end, bool *broken)
{
    if (c->body && c->body->surrogate)
        return converted_span(c, wait, end, broken);
    return file_span(c, wait, end, broken);
}

void conn_body_used(struct conn *c, size_t n)
{
    struct body *b = c->body;

    if (!b || n == 0)
        return;
    if (b->surrogate)
        b->converted_used += n;
    else
        file_used(b, n);
}
