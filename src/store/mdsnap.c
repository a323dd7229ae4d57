/* mdsnap.c - makes the snapshot of a maildrop: see mdsnap.h. */
#include "store/mdsnap.h"

#include "base/log.h"
#include "base/sys.h"
#include "mail/msgsize.h"
#include "pop3/engine.h"
#include "store/blockio.h"
#include "store/index_write.h"

#include <errno.h>

enum { COUNT_TRIES = 3 }; /* a message that is written while we count it is counted again */

/* Is the file what was written: checksum over the header (with none in it) and the rest. */
static bool is_whole(const struct index_reader *r, int fd, uint64_t octets)
{
    struct index_header h = r->h;
    uint8_t header[INDEX_HEADER_OCTETS];
    struct block_reader block;
    struct checksum sum;
    bool ok;

    h.checksum = 0;
    index_put_header(header, &h);
    checksum_init(&sum);
    checksum_feed(&sum, span_of(header, sizeof header));
    block_reader_open(&block, fd, INDEX_HEADER_OCTETS, octets);
    ok = block_sum(&block, &sum) && checksum_end(&sum) == r->h.checksum;
    block_reader_close(&block);
    return ok;
}

/* Opens the index only when its checksum is right. */
static bool open_index(const struct mddir *d, struct index_reader *r)
{
    uint64_t octets;
    int fd = mddir_open_own(d, INDEX_FILE, &octets);
    struct err e = { FAULT_NONE, "" };
    bool ok;

    if (fd < 0)
        return false;
    ok = index_reader_open(r, fd, octets, &e);
    if (ok && !is_whole(r, fd, octets)) {
        index_reader_close(r);
        ok = false;
    }
    if (!ok)
        event(LOG_WARNING, "index-discarded", F_STR("path", d->path), F_U64("octets", octets),
              F_STR("reason", e.fault ? e.text : "wrong checksum"));
    return ok;
}

/* An index record's place in the order of messages. */
static struct mdname record_key(const struct index_record *rec, const struct md_seen *seen)
{
    struct mdname key = mdname_parse(seen->name);

    if (!key.has_when)
        key.when = (uint64_t)(rec->mtime_ns > 0 ? rec->mtime_ns / 1000000000 : 0);
    return key;
}

static struct mdname msg_key(const struct mdlist *l, const struct md_msg *m)
{
    return (struct mdname){ .base = mdlist_base(l, m), .when = m->when, .usec = m->usec };
}

/* Takes from the index what it knows; both are in the same order, so one pass does. */
static void take_known(struct mdlist *l, struct index_reader *r, bool legacy)
{
    struct index_record rec;
    struct md_seen seen;
    struct span uid, path;
    uint32_t at = 0;

    for (uint32_t i = 0; i < l->n; i++) {
        struct md_msg *m = &l->v[i];
        struct mdname want = msg_key(l, m), have;
        int c = -1;

        for (; at < r->h.count; at++) {
            if (!index_reader_get(r, at, &rec, &uid, &path) || !md_split(path, &seen))
                return;
            have = record_key(&rec, &seen);
            c = mdname_compare(&have, &want);
            if (c >= 0)
                break;
        }
        if (at == r->h.count)
            return;
        if (c != 0 || rec.file_size != m->size || rec.mtime_ns != m->mtime_ns ||
            ((rec.flags & DROP_MSG_NEEDS_UTF8) && r->h.legacy != legacy))
            continue;
        m->octets = rec.octets;
        m->legacy_octets = rec.legacy_octets;
        m->flags = rec.flags;
        m->known = true;
    }
}

static void refuse(const struct mdlist *l, struct mdfind *f, struct md_msg *m, const char *why)
{
    m->refused = true;
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
    struct md_seen seen = { m->sub, span_str(mdlist_name(l, m)), m->size, m->mtime_ns };
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

/* Counts what the descriptor holds from its beginning. */
static bool count(int fd, const char *name, bool legacy, struct md_msg *m, struct err *e)
{
    struct msgsize size;

    if (sys->lseek(fd, 0, SEEK_SET) != 0)
        return err_errno(e, "lseek", name);
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
        if (!count(fd, mdlist_name(l, m), legacy, m, &e) || sys->fstat(fd, &after) != 0) {
            refuse(l, f, m, e.fault ? e.text : strerror(errno));
            return;
        }
        if (m->size == (uint64_t)after.st_size && md_mtime_ns(&before) == md_mtime_ns(&after)) {
            m->mtime_ns = md_mtime_ns(&after);
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
    struct mdname name = mdname_parse(span_str(mdlist_name(l, m)));

    return !m->gone && !m->refused &&
           ((name.has_wire && name.wire != m->octets) || (name.has_size && name.size != m->size));
}

bool mdsnap_measure(struct mdsnap *snap, struct mdlist *l, struct mdfind *f, struct err *e)
{
    uint32_t wrong_hints = 0;

    snap->has_old = open_index(f->dir_ref, &snap->old);
    if (snap->has_old)
        take_known(l, &snap->old, snap->legacy);
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->v[i].known)
            continue;
        if (!count_one(l, f, &l->v[i], snap->legacy, e))
            return false;
        wrong_hints += is_hint_wrong(l, &l->v[i]);
    }
    if (wrong_hints)
        event(LOG_INFO, "size-hints-wrong", F_STR("path", f->dir_ref->path), F_U64("messages", wrong_hints));
    return true;
}

/* What message i is in the listing. */
struct listed {
    struct mdlist *l;
    char path[INDEX_MAX_NAME + 1];
};

static bool get_item(void *ctx, uint32_t i, struct index_item *item)
{
    struct listed *p = ctx;
    const struct md_msg *m = &p->l->v[i];

    memcpy(p->path, mddir_sub_name(m->sub), 3);
    p->path[3] = '/';
    memcpy(p->path + 4, mdlist_name(p->l, m), m->name_octets);
    *item = (struct index_item){
        .r = {.octets = m->octets,
              .legacy_octets = m->legacy_octets,
              .file_size = m->size,
              .mtime_ns = m->mtime_ns,
              .flags = m->flags},
        .uid = mdlist_uid(p->l, m),
        .name = span_of(p->path, (size_t)m->name_octets + 4),
    };
    return true;
}

static bool says_the_same(struct index_reader *r, const struct index_source *src)
{
    struct index_item item;
    struct index_record rec;
    struct span uid, name;
    uint64_t octets = 0, legacy = 0;

    if (r->h.count != src->count || r->h.legacy != src->legacy)
        return false;
    for (uint32_t i = 0; i < src->count; i++) {
        if (!index_reader_get(r, i, &rec, &uid, &name) || !src->get(src->ctx, i, &item))
            return false;
        if (rec.octets != item.r.octets || rec.legacy_octets != item.r.legacy_octets ||
            rec.file_size != item.r.file_size || rec.mtime_ns != item.r.mtime_ns || rec.flags != item.r.flags ||
            !span_eq(uid, item.uid) || !span_eq(name, item.name))
            return false;
        octets += rec.octets;
        legacy += rec.legacy_octets;
    }
    return octets == r->h.octets && legacy == r->h.legacy_octets;
}

/* Writes a new index file: tmp/, then rename. No fsync: a torn one is found by its checksum. *fd is a
 * read-only descriptor of it. */
static bool replace_index(const struct mddir *d, const struct index_source *src, int *fd, uint64_t *octets)
{
    char tmp_name[MDDIR_TMP_NAME];
    int out = mddir_new_own(d, tmp_name);
    bool ok;

    if (out < 0)
        return false;
    ok = index_write(out, src, octets, NULL);
    sys_close(&out);
    *fd = ok ? sys_open(d->sub[MD_TMP], tmp_name, O_RDONLY | O_NOFOLLOW, 0) : -1;
    if (*fd >= 0 && mddir_put_own(d, tmp_name, INDEX_FILE))
        return true;
    sys_close(fd);
    mddir_drop_own(d, tmp_name);
    return false;
}

bool mdsnap_publish(struct mdsnap *snap, struct mdlist *l, const struct mddir *d, struct err *e)
{
    struct listed listed = { .l = l };
    struct index_source src = { l->n, get_item, &listed, l->new_mtime_ns, l->cur_mtime_ns, snap->legacy };
    struct index_reader *old = &snap->old;

    if (snap->has_old && says_the_same(old, &src)) {
        snap->octets = INDEX_HEADER_OCTETS + (uint64_t)old->h.count * INDEX_RECORD_OCTETS + old->h.strings_octets;
        index_reader_rest(old);
        snap->fd = old->fd;
        snap->has_old = false;
        return true;
    }
    mdsnap_abandon(snap);
    return replace_index(d, &src, &snap->fd, &snap->octets) ||
           index_write_memfd(&src, &snap->fd, &snap->octets, e);
}

void mdsnap_abandon(struct mdsnap *snap)
{
    if (snap->has_old)
        index_reader_close(&snap->old);
    snap->has_old = false;
}

/* The messages of an old listing that are not marked, asked for in rising order. */
struct rest {
    struct index_reader *r;
    const uint8_t *marks;
    uint32_t at;
};

static bool get_rest(void *ctx, uint32_t i, struct index_item *item)
{
    struct rest *p = ctx;

    p->at = i == 0 ? 0 : p->at + 1;
    while (p->at < p->r->h.count && (p->marks[p->at / 8] >> (p->at % 8) & 1))
        p->at++;
    return index_reader_get(p->r, p->at, &item->r, &item->uid, &item->name);
}

void mdsnap_shrink(struct index_reader *r, const uint8_t *marks, const struct mddir *d)
{
    struct rest rest = { r, marks, 0 };
    struct index_source src = { 0, get_rest, &rest, r->h.new_mtime_ns, r->h.cur_mtime_ns, r->h.legacy };
    uint64_t octets;
    int fd;

    for (uint32_t i = 0; i < r->h.count; i++)
        src.count += !(marks[i / 8] >> (i % 8) & 1);
    if (replace_index(d, &src, &fd, &octets))
        sys_close(&fd);
}
