/* mem.c - maildrops in memory, for tests: see mem.h.
 *
 * The vtable knows maildrops by path alone, so the maildrops stand in a table of this file, under a lock: a
 * waived mutable global, in a file that no program links. Does not know: files. */
#include "store/mem.h"

#include "base/buf.h"
#include "base/sys.h"
#include "mail/msgsize.h"
#include "pop3/engine.h"
#include "store/index_write.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct mem_msg {
    struct buf uid, content;
    uint64_t version; /* rises with every change, in place of an mtime */
};

struct mem_box {
    struct mem_box *next;
    char *path;
    struct mem_msg *v;
    uint32_t n, exclusive, shared;
    bool refuse;
};

static struct {
    pthread_mutex_t lock;
    struct mem_box *first;
} boxes = { PTHREAD_MUTEX_INITIALIZER, NULL };

struct drop {
    struct mem_box *box;
    bool exclusive;
    int fd;
    uint64_t octets;
    struct index_reader listing;
};

static struct mem_box *find_box(const char *path, bool create)
{
    struct mem_box *box = boxes.first;

    while (box && strcmp(box->path, path) != 0)
        box = box->next;
    if (!box && create) {
        box = mem_zero(1, sizeof *box);
        box->path = mem_str(path);
        box->next = boxes.first;
        boxes.first = box;
    }
    return box;
}

static struct mem_msg *find_msg(struct mem_box *box, struct span uid)
{
    for (uint32_t i = 0; box && i < box->n; i++)
        if (span_eq(buf_span(&box->v[i].uid), uid))
            return &box->v[i];
    return NULL;
}

static void set_buf(struct buf *b, struct span s)
{
    buf_free(b);
    *b = BUF(SIZE_MAX);
    if (!buf_put_span(b, s))
        abort(); /* a test that wants more than all memory */
}

static void remove_msg(struct mem_box *box, struct mem_msg *m)
{
    size_t i = (size_t)(m - box->v);

    buf_free(&m->uid);
    buf_free(&m->content);
    memmove(m, m + 1, (box->n - i - 1) * sizeof *m);
    box->n--;
}

static bool get_item(void *ctx, uint32_t i, struct index_item *item)
{
    const struct mem_msg *m = &((const struct mem_box *)ctx)->v[i];
    struct msgsize size = msgsize_of(buf_span(&m->content));

    *item = (struct index_item){
        .r = {.octets = size.octets,
              .legacy_octets = size.octets,
              .file_size = size.stored,
              .mtime_ns = (int64_t)m->version,
              .flags = (uint16_t)((size.wire_ready ? DROP_MSG_WIRE_READY : 0) |
                                   (size.needs_utf8 ? DROP_MSG_NEEDS_UTF8 : 0))},
        .uid = buf_span(&m->uid),
        .name = span_of("", 0),
    };
    return true;
}

static bool open_box(struct drop *drop, struct err *e)
{
    struct mem_box *box = drop->box;
    struct index_source src = { box->n, get_item, box, 0, 0, false };

    if (box->exclusive || (drop->exclusive && box->shared))
        return err_set(e, FAULT_IN_USE, "%s is in use by another session", box->path);
    if (!index_write_memfd(&src, &drop->fd, &drop->octets, e) ||
        !index_reader_open(&drop->listing, drop->fd, drop->octets, e))
        return false;
    box->exclusive += drop->exclusive;
    box->shared += !drop->exclusive;
    return true;
}

static bool mem_open(const char *path, const struct store_policy *policy, struct drop **drop, struct err *e)
{
    struct drop *d = mem_zero(1, sizeof *d);
    bool ok;

    d->exclusive = policy->sessions == STORE_EXCLUSIVE;
    pthread_mutex_lock(&boxes.lock);
    d->box = find_box(path, policy->create);
    ok = d->box ? open_box(d, e) : err_set(e, FAULT_GONE, "no maildrop %s", path);
    pthread_mutex_unlock(&boxes.lock);
    if (!ok) {
        free(d);
        d = NULL;
    }
    *drop = d;
    return ok;
}

static uint32_t drop_count(const struct drop *drop)
{
    return drop->listing.h.count;
}

static bool drop_listing(struct drop *drop, int *fd, uint64_t *octets, struct err *e)
{
    (void)e;
    *fd = drop->fd;
    *octets = drop->octets;
    return true;
}

/* Message i as it is now: FAULT_GONE, or FAULT_TEMP when its content is another. */
static struct mem_msg *current(struct drop *drop, uint32_t i, struct err *e)
{
    struct index_record rec;
    struct span uid, name;
    struct mem_msg *m;

    if (!index_reader_get(&drop->listing, i, &rec, &uid, &name)) {
        err_set(e, FAULT_TEMP, "no message %u", i + 1);
        return NULL;
    }
    m = find_msg(drop->box, uid);
    if (!m)
        err_set(e, FAULT_GONE, "message %u was removed by others", i + 1);
    else if ((int64_t)m->version != rec.mtime_ns)
        err_set(e, FAULT_TEMP, "message %u was changed by others", i + 1);
    else
        return m;
    return NULL;
}

static bool drop_fetch(struct drop *drop, uint32_t i, int *fd, struct err *e)
{
    struct mem_msg *m;
    bool ok = false;

    *fd = -1;
    pthread_mutex_lock(&boxes.lock);
    m = current(drop, i, e);
    if (m) {
        *fd = memfd_create("message", MFD_CLOEXEC);
        ok = *fd >= 0 && sys_write_all(*fd, buf_span(&m->content)) && lseek(*fd, 0, SEEK_SET) == 0;
        if (!ok) {
            err_errno(e, "memfd_create", "for a message");
            sys_close(fd);
        }
    }
    pthread_mutex_unlock(&boxes.lock);
    return ok;
}

static bool drop_commit(struct drop *drop, struct store_commit *c, struct err *e)
{
    c->removed = c->failed = 0;
    pthread_mutex_lock(&boxes.lock);
    for (uint32_t i = 0; i < drop_count(drop); i++) {
        struct err why = { FAULT_NONE, "" };
        struct mem_msg *m;

        if (!c->deleted || !(c->deleted[i / 8] >> (i % 8) & 1))
            continue;
        m = current(drop, i, &why);
        if (m && !drop->box->refuse)
            remove_msg(drop->box, m);
        else if (why.fault != FAULT_GONE && c->failed++ == 0)
            err_set(e, FAULT_TEMP, "message %u cannot be removed", i + 1);
        c->removed += (m && !drop->box->refuse) || why.fault == FAULT_GONE;
    }
    pthread_mutex_unlock(&boxes.lock);
    return c->failed == 0;
}

static void drop_close(struct drop **drop)
{
    struct drop *d = *drop;

    if (!d)
        return;
    pthread_mutex_lock(&boxes.lock);
    d->box->exclusive -= d->exclusive;
    d->box->shared -= !d->exclusive;
    pthread_mutex_unlock(&boxes.lock);
    index_reader_close(&d->listing);
    free(d);
    *drop = NULL;
}

void mem_add(const char *path, struct span uid, struct span content)
{
    struct mem_box *box;

    pthread_mutex_lock(&boxes.lock);
    box = find_box(path, true);
    box->v = mem_grow(box->v, (size_t)box->n + 1, sizeof *box->v);
    box->v[box->n] = (struct mem_msg){ 0 };
    set_buf(&box->v[box->n].uid, uid);
    set_buf(&box->v[box->n].content, content);
    box->n++;
    pthread_mutex_unlock(&boxes.lock);
}

bool mem_remove(const char *path, struct span uid)
{
    struct mem_box *box;
    struct mem_msg *m;

    pthread_mutex_lock(&boxes.lock);
    box = find_box(path, false);
    m = find_msg(box, uid);
    if (m)
        remove_msg(box, m);
    pthread_mutex_unlock(&boxes.lock);
    return m != NULL;
}

bool mem_change(const char *path, struct span uid, struct span content)
{
    struct mem_msg *m;

    pthread_mutex_lock(&boxes.lock);
    m = find_msg(find_box(path, false), uid);
    if (m) {
        set_buf(&m->content, content);
        m->version++;
    }
    pthread_mutex_unlock(&boxes.lock);
    return m != NULL;
}

void mem_refuse_removals(const char *path, bool refuse)
{
    pthread_mutex_lock(&boxes.lock);
    find_box(path, true)->refuse = refuse;
    pthread_mutex_unlock(&boxes.lock);
}

void mem_clear(void)
{
    pthread_mutex_lock(&boxes.lock);
    while (boxes.first) {
        struct mem_box *box = boxes.first;

        while (box->n)
            remove_msg(box, &box->v[box->n - 1]);
        boxes.first = box->next;
        free(box->v);
        free(box->path);
        free(box);
    }
    pthread_mutex_unlock(&boxes.lock);
}

const struct store_ops store_mem = {
    .name = "mem",
    .open = mem_open,
    .count = drop_count,
    .listing = drop_listing,
    .fetch = drop_fetch,
    .commit = drop_commit,
    .close = drop_close,
};
