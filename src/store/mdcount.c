/* mdcount.c - counts messages whose size on the wire is not known: see mdsnap.h. */
#include "store/mdsnap.h"

#include "base/log.h"
#include "base/sys.h"
#include "mail/msgsize.h"
#include "pop3/engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    COUNT_TRIES = 3, /* a message that is written while we count it is counted again */
    HELPERS = 3,     /* so many wait for the disk beside us */
    MANY = 256,      /* messages to count that are worth helpers */
    WORTH_MESSAGES = 16, /* counting less than this again is cheaper than writing a file: measured */
    WORTH_OCTETS = 256 * 1024,
    PIECE = 32       /* messages a helper takes at a time */
};

static void refuse(struct mdlist *l, struct mdfind *f, struct md_msg *m, const char *why)
{
    m->refused = true;
    l->unsure = true;
    event(LOG_WARNING, "message-skipped", F_STR("path", f->dir_ref->path), F_STR("dir", mddir_sub_name(m->sub)),
          F_STR("name", mdlist_name(l, m)), F_STR("reason", why));
}

static bool is_own_trouble(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM;
}

/* Message m is not where it was: opens it under the name it has now. */
static int open_moved(struct mdlist *l, struct mdfind *f, struct md_msg *m, struct err *e)
{
    struct md_seen seen = { m->sub, mdlist_name_span(l, m), m->size, m->mtime_ns };
    struct md_place place;
    int fd = -1;
    enum md_found found = mdfind_open(f, &seen, &place, &fd, e);

    m->gone = found == MD_GONE || found == MD_CHANGED; /* listed next time, if it is there then */
    if (found == MD_FOUND && !mdlist_rename(l, m, place.sub, span_str(place.name))) {
        sys_close(&fd);
        err_set(e, FAULT_PERM, "%s holds more messages than can be listed", f->dir_ref->path);
    }
    return fd;
}

/* -1 with gone or refused set, or, for troubles that are not the message's, neither. */
static int open_message(struct mdlist *l, struct mdfind *f, struct md_msg *m, struct err *e)
{
    int fd = sys_open(f->dir_ref->sub[m->sub], mdlist_name(l, m), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd >= 0)
        return fd;
    if (errno == ENOENT)
        return open_moved(l, f, m, e);
    if (is_own_trouble(errno))
        mddir_fail(f->dir_ref, e, "open a message in", mddir_sub_name(m->sub));
    else
        refuse(l, f, m, strerror(errno));
    return -1;
}

/* Counts what the descriptor, at its beginning, holds. */
static bool count(int fd, const char *name, bool legacy, struct md_msg *m, struct err *e)
{
    struct msgsize size;

    if (!msgsize_count(fd, name, &size, e))
        return false;
    m->size = size.stored;
    m->octets = m->legacy_octets = size.octets;
    m->flags = (uint16_t)((size.wire_ready ? DROP_MSG_WIRE_READY : 0) |
                          (size.needs_utf8 ? DROP_MSG_NEEDS_UTF8 : 0));
    if (!legacy || !size.needs_utf8)
        return true;
    if (sys->lseek(fd, 0, SEEK_SET) != 0)
        return err_errno(e, "lseek", name);
    return msgsize_legacy(fd, name, &m->legacy_octets, e);
}

/* The count together with the size and mtime that go with it. */
static void count_open(struct mdlist *l, struct mdfind *f, struct md_msg *m, int fd, bool legacy)
{
    struct stat before, after;
    struct err e = { FAULT_NONE, "" };

    for (int i = 0; i < COUNT_TRIES; i++) {
        if (sys->fstat(fd, &before) != 0 || !S_ISREG(before.st_mode)) {
            refuse(l, f, m, "not a regular file");
            return;
        }
        if ((i > 0 && sys->lseek(fd, 0, SEEK_SET) != 0) || !count(fd, mdlist_name(l, m), legacy, m, &e) ||
            sys->fstat(fd, &after) != 0) {
            refuse(l, f, m, e.fault ? e.text : strerror(errno));
            return;
        }
        if (m->size == (uint64_t)after.st_size && md_mtime_ns(&before) == md_mtime_ns(&after)) {
            mdlist_set_mtime(m, md_mtime_ns(&after));
            return;
        }
    }
    refuse(l, f, m, "is being written");
}

static bool count_one(struct mdlist *l, struct mdfind *f, struct md_msg *m, bool legacy, struct err *e)
{
    int fd = open_message(l, f, m, e);

    if (fd < 0)
        return m->gone || m->refused;
    count_open(l, f, m, fd, legacy);
    sys_close(&fd);
    return true;
}

static bool is_hint_wrong(const struct mdlist *l, const struct md_msg *m)
{
    struct mdname name = mdname_parse(mdlist_name_span(l, m));

    return !m->gone && !m->refused &&
           ((name.has_wire && name.wire != m->octets) || (name.has_size && name.size != m->size));
}

/* Counting by several threads, of plain cases only: what one of them cannot count at the first attempt is left for
 * the serial pass. Each message belongs to one thread at a time. */
struct crew {
    struct mdlist *list_ref;
    const struct mddir *dir_ref;
    bool legacy;
    atomic_uint next, wrong_hints;
};

static void count_plain(struct crew *c, struct md_msg *m)
{
    const char *name = mdlist_name(c->list_ref, m);
    int fd = sys_open(c->dir_ref->sub[m->sub], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct md_msg now = *m;
    struct stat st;
    struct err e;

    if (fd < 0)
        return;
    if (count(fd, name, c->legacy, &now, &e) && sys->fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        now.size == (uint64_t)st.st_size && m->size == now.size && m->mtime_ns == md_mtime_ns(&st)) {
        *m = now;
        m->known = true;
        if (is_hint_wrong(c->list_ref, m))
            atomic_fetch_add(&c->wrong_hints, 1);
    }
    sys_close(&fd);
}

static void *help(void *ctx)
{
    struct crew *c = ctx;
    unsigned n = c->list_ref->n, at;

    while ((at = atomic_fetch_add(&c->next, PIECE)) < n)
        for (unsigned i = at; i < n && i < at + PIECE; i++)
            if (!c->list_ref->v[i].known)
                count_plain(c, &c->list_ref->v[i]);
    return NULL;
}

static uint32_t count_together(struct mdlist *l, struct mdfind *f, bool legacy)
{
    struct crew c = { .list_ref = l, .dir_ref = f->dir_ref, .legacy = legacy };
    pthread_t threads[HELPERS];
    int n = 0;

    while (n < HELPERS && pthread_create(&threads[n], NULL, help, &c) == 0)
        n++;
    help(&c);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return atomic_load(&c.wrong_hints);
}

bool mdsnap_count(struct mdsnap *snap, struct mdlist *l, struct mdfind *f, struct err *e)
{
    uint32_t wrong_hints = 0, unknown = 0;
    uint64_t octets = 0;

    for (uint32_t i = 0; i < l->n; i++)
        if (!l->v[i].known) {
            unknown++;
            octets += l->v[i].size;
        }
    if (unknown >= MANY)
        wrong_hints = count_together(l, f, snap->legacy);
    for (uint32_t i = 0; i < l->n && unknown; i++) {
        if (l->v[i].known)
            continue;
        if (!count_one(l, f, &l->v[i], snap->legacy, e))
            return false;
        wrong_hints += is_hint_wrong(l, &l->v[i]);
    }
    snap->worthy = unknown >= WORTH_MESSAGES || octets >= WORTH_OCTETS || wrong_hints;
    if (wrong_hints)
        event(LOG_INFO, "size-hints-wrong", F_STR("path", f->dir_ref->path), F_U64("messages", wrong_hints));
    return true;
}
