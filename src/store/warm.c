/* warm.c - what a store process remembers of the maildrops it opened: see warm.h. */
#include "store/warm.h"

#include "base/log.h"
#include "base/sys.h"

#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>

enum {
    BUCKETS = 4096,
    QUEUE_OCTETS = 16384,
    EVENT_OCTETS = sizeof(struct inotify_event) + 256, /* the longest */
    WATCH = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
            IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
    WRITTEN = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE
};

/* File systems that change by this host's system calls only, each of which tells the watches. Not among them: those
 * of the network, FUSE (whatever is behind it), overlays (the layers below can be written to), and those that can be
 * rolled back under their users (ZFS). */
static const long trusted[] = { EXT4_SUPER_MAGIC, 0x58465342 /* XFS */, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
                                TMPFS_MAGIC };

struct watch {
    struct watch *next; /* in its bucket */
    struct warm_visit *entry;
    int id; /* -1: none */
};

/* A remembered maildrop; what a visitor holds. */
struct warm_visit {
    struct warm_visit *next; /* in its bucket */
    struct warm_visit *newer, *older;
    char *path;
    struct watch watch[2];
    struct warm_names touched;
    struct warm_facts facts;
    bool busy; /* being visited: facts are the visitor's */
    bool dead; /* to be forgotten at the end of the visit */
};

struct warm {
    pthread_mutex_t mutex;
    int fd;
    uint32_t n, max, names;
    struct warm_visit *newest, *oldest;
    struct warm_visit *by_path[BUCKETS];
    struct watch *by_id[BUCKETS];
};

static struct warm_visit **path_bucket(struct warm *w, const char *path)
{
    uint32_t h = 2166136261u;

    for (; *path; path++)
        h = (h ^ (uint8_t)*path) * 16777619u;
    return &w->by_path[(h ^ h >> 16) % BUCKETS];
}

static struct warm_visit *find(struct warm *w, const char *path)
{
    struct warm_visit *v = *path_bucket(w, path);

    while (v && strcmp(v->path, path) != 0)
        v = v->next;
    return v;
}

/* One whose listing is true as far as the queue was read. */
static struct warm_visit *find_true(struct warm *w, const char *path)
{
    struct warm_visit *v = find(w, path);

    return v && !v->busy && !v->touched.n && !v->touched.lost && !v->facts.linked.n ? v : NULL;
}

static struct watch *find_watch(struct warm *w, int id)
{
    struct watch *at = w->by_id[(unsigned)id % BUCKETS];

    while (at && at->id != id)
        at = at->next;
    return at;
}

/* Forgets the watch without removing it. */
static void let_go(struct warm *w, struct watch *watch)
{
    struct watch **at = &w->by_id[(unsigned)watch->id % BUCKETS];

    while (*at && *at != watch)
        at = &(*at)->next;
    if (*at)
        *at = watch->next;
    watch->id = -1;
}

static void link_newest(struct warm *w, struct warm_visit *v)
{
    v->older = w->newest;
    v->newer = NULL;
    if (w->newest)
        w->newest->newer = v;
    else
        w->oldest = v;
    w->newest = v;
}

static void unlink_age(struct warm *w, struct warm_visit *v)
{
    *(v->newer ? &v->newer->older : &w->newest) = v->older;
    *(v->older ? &v->older->newer : &w->oldest) = v->newer;
}

static void facts_free(struct warm_facts *facts)
{
    mdview_leave(&facts->view);
    warm_names_free(&facts->linked);
}

static void forget(struct warm *w, struct warm_visit *v)
{
    struct warm_visit **at = path_bucket(w, v->path);

    if (v->busy) {
        v->dead = true;
        return;
    }
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    unlink_age(w, v);
    w->n--;
    for (int i = 0; i < 2; i++)
        if (v->watch[i].id >= 0) {
            sys->inotify_remove(w->fd, v->watch[i].id);
            let_go(w, &v->watch[i]);
        }
    facts_free(&v->facts);
    warm_names_free(&v->touched);
    free(v->path);
    free(v);
}

static void forget_all(struct warm *w)
{
    struct warm_visit *older;

    for (struct warm_visit *v = w->newest; v; v = older) {
        older = v->older;
        forget(w, v);
    }
}

/* Forgets the one not asked for longest. False when all are being visited. */
static bool make_room(struct warm *w)
{
    for (struct warm_visit *v = w->oldest; v; v = v->newer)
        if (!v->busy) {
            forget(w, v);
            return true;
        }
    return false;
}

static void take_event(struct warm *w, const struct inotify_event *note)
{
    struct watch *watch = note->wd >= 0 ? find_watch(w, note->wd) : NULL;
    struct warm_visit *v;
    struct warm_name *name;

    if (note->mask & IN_Q_OVERFLOW) {
        event(LOG_WARNING, "watch-queue-overflow", F_U64("maildrops", w->n));
        forget_all(w);
        return;
    }
    if (!watch)
        return; /* of a maildrop that was forgotten */
    v = watch->entry;
    if (note->mask & IN_IGNORED)
        let_go(w, watch);
    if (!note->len || note->name[0] == '\0') { /* the directory itself */
        forget(w, v);
    } else if (note->name[0] != '.') {
        name = warm_name_add(&v->touched, watch == &v->watch[MD_CUR] ? MD_CUR : MD_NEW, note->name, w->names);
        if (name && (note->mask & WRITTEN))
            name->written = true;
    }
}

/* Takes all events that happened before the call. */
static void drain(struct warm *w)
{
    _Alignas(struct inotify_event) uint8_t piece[QUEUE_OCTETS];
    ssize_t got;

    do {
        got = sys_read_some(w->fd, piece, sizeof piece);
        if (got < 0 && errno != EAGAIN)
            forget_all(w); /* what cannot be heard cannot be trusted */
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *note = (const void *)(piece + at);

            take_event(w, note);
            at += (ssize_t)(sizeof *note + note->len);
        }
    } while (got > QUEUE_OCTETS - EVENT_OCTETS); /* else the queue was empty then */
}

/* By descriptor: a path could lead to another directory by now. */
static int watch_directory(struct warm *w, int dir)
{
    char path[64];
    int id;

    snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
    id = sys->inotify_add(w->fd, path, WATCH);
    if (id < 0 && errno == ENOSPC && make_room(w)) { /* the kernel allows fewer than we would like */
        w->max = w->n ? w->n : 1;
        id = sys->inotify_add(w->fd, path, WATCH);
    }
    return id;
}

/* A directory has one watch: where two paths lead to it, the newer one gets it. */
static void own_watch(struct warm *w, struct warm_visit *v, int sub, int id)
{
    struct watch *other = find_watch(w, id), **bucket = &w->by_id[(unsigned)id % BUCKETS];

    if (other) {
        let_go(w, other);
        forget(w, other->entry);
    }
    v->watch[sub] = (struct watch){ *bucket, v, id };
    *bucket = &v->watch[sub];
}

static bool is_trusted(const struct mddir *d)
{
    struct md_state state;
    struct statfs fs;

    if (sys->fstatfs(d->root, &fs) != 0 || !mdstate_take(d, &state) || state.dev[0] != state.dev[2] ||
        state.dev[1] != state.dev[2])
        return false;
    for (size_t i = 0; i < sizeof trusted / sizeof *trusted; i++)
        if (fs.f_type == trusted[i])
            return true;
    return false;
}

static struct warm_visit *add(struct warm *w, const char *path)
{
    struct warm_visit *v = mem_zero(1, sizeof *v), **bucket = path_bucket(w, path);

    v->path = mem_str(path);
    v->busy = true;
    v->watch[0].id = v->watch[1].id = -1;
    v->next = *bucket;
    *bucket = v;
    link_newest(w, v);
    w->n++;
    return v;
}

static void lock(struct warm *w)
{
    pthread_mutex_lock(&w->mutex);
}

static void unlock(struct warm *w)
{
    pthread_mutex_unlock(&w->mutex);
}

struct warm *warm_new(struct warm_limits limits)
{
    int fd = sys->inotify_init(IN_NONBLOCK | IN_CLOEXEC);
    struct warm *w;

    if (fd < 0) {
        event(LOG_WARNING, "watch-queue-absent", F_STR("error", strerror(errno)));
        return NULL;
    }
    w = mem_zero(1, sizeof *w);
    pthread_mutex_init(&w->mutex, NULL);
    w->fd = fd;
    w->max = limits.maildrops ? limits.maildrops : WARM_MAILDROPS;
    w->names = limits.names ? limits.names : WARM_NAMES;
    return w;
}

void warm_free(struct warm **w)
{
    struct warm *was = *w;

    *w = NULL;
    if (!was)
        return;
    forget_all(was);
    sys_close(&was->fd);
    pthread_mutex_destroy(&was->mutex);
    free(was);
}

void warm_drain(struct warm *w)
{
    lock(w);
    drain(w);
    unlock(w);
}

bool warm_has(struct warm *w, const char *path)
{
    bool has;

    lock(w);
    drain(w);
    has = find_true(w, path) != NULL;
    unlock(w);
    return has;
}

bool warm_look(struct warm *w, const char *path, struct warm_facts *facts)
{
    struct warm_visit *v;

    lock(w);
    drain(w);
    v = find_true(w, path);
    if (v) {
        *facts = v->facts;
        mdview_share(facts->view);
        unlink_age(w, v);
        link_newest(w, v);
    }
    unlock(w);
    return v != NULL;
}

struct warm_visit *warm_enter(struct warm *w, const char *path)
{
    struct warm_visit *v;

    lock(w);
    v = find(w, path);
    if (v && v->busy)
        v = NULL;
    if (v)
        v->busy = true;
    unlock(w);
    return v;
}

struct warm_visit *warm_begin(struct warm *w, const struct mddir *d)
{
    struct warm_visit *v;

    if (!is_trusted(d))
        return NULL;
    lock(w);
    drain(w);
    v = find(w, d->path);
    if (v && v->busy) {
        unlock(w);
        return NULL;
    }
    if (v)
        forget(w, v);
    v = w->n < w->max || make_room(w) ? add(w, d->path) : NULL;
    for (int i = 0; i < 2 && v && !v->dead; i++) {
        int id = watch_directory(w, d->sub[i]);

        if (id < 0)
            v->dead = true;
        else
            own_watch(w, v, i, id);
    }
    unlock(w);
    if (v && v->dead) {
        warm_end(w, v, false);
        v = NULL;
    }
    return v;
}

struct warm_facts *warm_facts(struct warm_visit *v)
{
    return &v->facts;
}

bool warm_take(struct warm *w, struct warm_visit *v, struct warm_names *names, bool *any)
{
    struct warm_names *touched = &v->touched;
    bool ok;

    lock(w);
    drain(w);
    ok = !v->dead && !touched->lost;
    *any = touched->n > 0;
    for (uint32_t i = 0; i < touched->n && ok; i++) {
        struct warm_name *name =
            warm_name_add(names, (enum md_sub)touched->v[i].sub, warm_name(touched, i), w->names);

        ok = name != NULL;
        if (ok)
            name->written |= touched->v[i].written;
    }
    warm_names_free(touched);
    touched->lost = !ok;
    unlock(w);
    return ok;
}

void warm_give(struct warm *w, struct warm_visit *v, const struct warm_names *names)
{
    lock(w);
    for (uint32_t i = 0; i < names->n; i++) {
        struct warm_name *name =
            warm_name_add(&v->touched, (enum md_sub)names->v[i].sub, warm_name(names, i), w->names);

        if (name)
            name->written |= names->v[i].written;
    }
    unlock(w);
}

void warm_end(struct warm *w, struct warm_visit *v, bool keep)
{
    lock(w);
    v->busy = false;
    if (!keep || v->dead) {
        forget(w, v);
    } else {
        unlink_age(w, v);
        link_newest(w, v);
    }
    unlock(w);
}

void warm_forget(struct warm *w, const char *path)
{
    struct warm_visit *v;

    lock(w);
    v = find(w, path);
    if (v)
        forget(w, v);
    unlock(w);
}
