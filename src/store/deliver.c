/* deliver.c - puts one message into a Maildir: see deliver.h. */
#include "store/deliver.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/sys.h"
#include "mail/mdname.h"
#include "pop3/wiresize.h"
#include "store/mddir.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 65536, NAME_TRIES = 5 };

/* A delivery on its way. */
struct delivery {
    struct mddir dir;
    const struct deliver_options *options;
    char base[MDNAME_ROOM]; /* its name in tmp/ */
    int fd;
    struct wiresize wire;
    uint64_t stored;
    size_t from_seen;   /* octets of "From " matched so far */
    bool from_done;     /* the first line is decided about */
    bool from_skipping; /* inside the line that is left out */
};

/* A full or failing disk, or one that went read-only after an error, passes; a missing right does not. */
static bool fail(struct delivery *v, struct err *e, const char *what, const char *name)
{
    bool temp = errno == EROFS || errno == ENOENT;

    mddir_fail(&v->dir, e, what, name);
    if (temp && e)
        e->fault = FAULT_TEMP;
    return false;
}

static void new_base(struct delivery *v, uint64_t salt)
{
    int64_t now = clock_real_ns();
    struct mdname_seed seed = {
        .when = (uint64_t)(now / 1000000000),
        .usec = (uint32_t)(now / 1000 % 1000000),
        .pid = (uint32_t)getpid(),
        .sequence = v->options->sequence + salt,
        .host = v->options->host,
    };

    secret_random(&seed.random, sizeof seed.random);
    mdname_unique(v->base, &seed);
}

static bool open_tmp(struct delivery *v, struct err *e)
{
    for (uint64_t i = 0; i < NAME_TRIES; i++) {
        new_base(v, i);
        v->fd = sys_open(v->dir.sub[MD_TMP], v->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (v->fd >= 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    return fail(v, e, "create in", "tmp");
}

static bool put(struct delivery *v, struct span s, struct err *e)
{
    v->stored += s.n;
    if (v->options->max_octets && v->stored > v->options->max_octets)
        return err_set(e, FAULT_BAD, "the message is larger than %llu octets",
                       (unsigned long long)v->options->max_octets);
    wiresize_feed(&v->wire, s);
    return sys_write_all(v->fd, s) || fail(v, e, "write in", "tmp");
}

/* Leaves out a leading "From " line; the five octets may come in pieces. */
static bool put_filtered(struct delivery *v, struct span s, struct err *e)
{
    static const char from[] = "From ";

    while (!v->from_done && s.n && !v->from_skipping) {
        if (s.p[0] != (uint8_t)from[v->from_seen]) {
            v->from_done = true;
            if (!put(v, span_of(from, v->from_seen), e))
                return false;
        } else {
            span_take(&s, 1);
            v->from_skipping = ++v->from_seen == sizeof from - 1;
        }
    }
    if (v->from_skipping) {
        v->from_done = s.n && memchr(s.p, '\n', s.n);
        span_until(&s, '\n');
        v->from_skipping = !v->from_done;
    }
    return !s.n || put(v, s, e);
}

static bool copy(struct delivery *v, int in_fd, struct err *e)
{
    uint8_t *piece = mem_new(PIECE);
    ssize_t got = 0;
    bool ok = !v->options->prefix.n || put(v, v->options->prefix, e);

    while (ok && (got = sys_read_some(in_fd, piece, PIECE)) > 0)
        ok = put_filtered(v, span_of(piece, (size_t)got), e);
    free(piece);
    if (ok && got < 0) {
        err_errno(e, "read", "the message");
        return false;
    }
    if (ok && !v->from_done && !v->from_skipping) /* it ended inside what looked like "From " */
        ok = put(v, span_of("From ", v->from_seen), e);
    wiresize_end(&v->wire);
    return ok;
}

/* tmp/x to new/x,S=…,W=…; a name that is taken (it cannot be, but other programs also think so) is not
 * replaced. */
static bool publish(struct delivery *v, struct deliver_result *result, struct err *e)
{
    struct span base = span_str(v->base);

    for (uint64_t i = 0; i < NAME_TRIES; i++) {
        char kept[MDNAME_ROOM];

        mdname_sized(result->name, base, v->stored, v->wire.octets);
        if (mddir_move(v->dir.sub[MD_TMP], v->base, v->dir.sub[MD_NEW], result->name))
            return true;
        if (errno != EEXIST)
            break;
        memcpy(kept, v->base, sizeof kept);
        new_base(v, NAME_TRIES + i);
        if (!mddir_move(v->dir.sub[MD_TMP], kept, v->dir.sub[MD_TMP], v->base)) {
            memcpy(v->base, kept, sizeof kept);
            break;
        }
    }
    return fail(v, e, "rename into", "new");
}

/* After a failed fsync of new/ nobody knows whether the name survives a crash: it is taken away again, so
 * that "try again" does not deliver twice. */
static bool sync_new(struct delivery *v, const struct deliver_result *result, struct err *e)
{
    int code;

    if (sys->fsync(v->dir.sub[MD_NEW]) == 0)
        return true;
    code = errno;
    sys->unlinkat(v->dir.sub[MD_NEW], result->name, 0);
    errno = code;
    return fail(v, e, "fsync", "new");
}

/* fsync once: after a failure the kernel has forgotten what it could not write, a second one would lie. */
static bool finish_file(struct delivery *v, struct err *e)
{
    int fd = v->fd;

    if (v->options->durable && sys->fsync(v->fd) != 0)
        return fail(v, e, "fsync in", "tmp");
    v->fd = -1;
    if (sys->close(fd) != 0 && errno != EINTR) /* NFS tells a full disk here */
        return fail(v, e, "close in", "tmp");
    return true;
}

static bool deliver(struct delivery *v, int in_fd, struct deliver_result *result, struct err *e)
{
    bool ok;

    if (v->dir.sub[MD_TMP] < 0) {
        errno = EACCES;
        return fail(v, e, "open", "tmp");
    }
    if (!open_tmp(v, e))
        return false;
    ok = copy(v, in_fd, e) && finish_file(v, e) && publish(v, result, e);
    sys_close(&v->fd);
    if (!ok) {
        sys->unlinkat(v->dir.sub[MD_TMP], v->base, 0);
        return false;
    }
    return !v->options->durable || sync_new(v, result, e);
}

bool maildir_deliver(const char *path, int in_fd, const struct deliver_options *options,
                     struct deliver_result *result, struct err *e)
{
    struct delivery v = { .options = options, .fd = -1, .from_done = !options->strip_from_line };
    bool ok;

    *result = (struct deliver_result){ 0 };
    if (!mddir_open(&v.dir, path, options->create, e))
        return false;
    wiresize_init(&v.wire);
    ok = deliver(&v, in_fd, result, e);
    result->stored = v.stored;
    result->octets = v.wire.octets;
    mddir_close(&v.dir);
    return ok;
}
