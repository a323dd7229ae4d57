/* mdsnap.c - makes the snapshot of a maildrop: see mdsnap.h. */
#include "store/mdsnap.h"

#include "base/log.h"
#include "base/sys.h"
#include "pop3/engine.h"
#include "store/blockio.h"
#include "store/index_write.h"

#include <errno.h>

enum { SHORT_MAX = 1 << 16 };

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
static bool open_index(const struct mddir *d, struct index_reader *r, uint64_t *size)
{
    uint64_t octets;
    int fd = mddir_open_own(d, INDEX_FILE, &octets);
    struct err e = { FAULT_NONE, "" };
    bool ok;

    if (fd < 0)
        return false;
    *size = octets;
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

bool mdsnap_measure(struct mdsnap *snap, struct mdlist *l, struct mdfind *f, struct err *e)
{
    snap->has_old = open_index(f->dir_ref, &snap->old, &snap->old_octets);
    if (snap->has_old)
        take_known(l, &snap->old, snap->legacy);
    return mdsnap_count(snap, l, f, e);
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

/* What was written to a file in tmp/ (well, or not) becomes the index. No fsync: a torn one is found by its checksum.
 * *fd is a read-only descriptor of it. */
static bool put_index(const struct mddir *d, const char *tmp_name, int out, bool ok, int *fd)
{
    sys_close(&out);
    *fd = ok ? sys_open(d->sub[MD_TMP], tmp_name, O_RDONLY | O_NOFOLLOW, 0) : -1;
    if (*fd >= 0 && mddir_put_own(d, tmp_name, INDEX_FILE))
        return true;
    sys_close(fd);
    mddir_drop_own(d, tmp_name);
    return false;
}

static bool replace_index(const struct mddir *d, const struct index_source *src, int *fd, uint64_t *octets)
{
    char tmp_name[MDDIR_TMP_NAME];
    int out = mddir_new_own(d, tmp_name);

    return out >= 0 && put_index(d, tmp_name, out, index_write(out, src, octets, NULL), fd);
}

/* The same of octets that are there. */
static bool write_index(const struct mddir *d, struct span octets, int *fd)
{
    char tmp_name[MDDIR_TMP_NAME];
    int out = mddir_new_own(d, tmp_name);

    return out >= 0 && put_index(d, tmp_name, out, sys_write_all(out, octets), fd);
}

struct mdview *mdsnap_publish_octets(const struct mdsnap *snap, struct span octets, const struct mddir *d,
                                     struct err *e)
{
    struct index_header h;
    int fd;

    if (octets.n < INDEX_HEADER_OCTETS || !index_get_header(octets.p, octets.n, &h)) {
        err_set(e, FAULT_TEMP, "malformed listing");
        return NULL;
    }
    if (h.count <= MDVIEW_SHORT) {
        if (snap->worthy && write_index(d, octets, &fd))
            sys_close(&fd);
        return mdview_of_octets(octets, e);
    }
    if (!write_index(d, octets, &fd) && !index_memfd(octets, &fd, e))
        return NULL;
    return mdview_of_file(fd, octets.n, e);
}

/* A short one. */
static struct mdview *publish_short(struct mdsnap *snap, const struct index_source *src, const struct mddir *d,
                                    struct err *e)
{
    struct mdview *view = NULL;
    struct buf octets = BUF(SHORT_MAX);

    snap->worthy = snap->worthy && !(snap->has_old && says_the_same(&snap->old, src));
    mdsnap_abandon(snap);
    if (index_write_octets(&octets, src, e))
        view = mdsnap_publish_octets(snap, buf_span(&octets), d, e);
    buf_free(&octets);
    return view;
}

struct mdview *mdsnap_publish(struct mdsnap *snap, struct mdlist *l, const struct mddir *d, struct err *e)
{
    struct listed listed = { .l = l };
    struct index_source src = { l->n, get_item, &listed, l->new_mtime_ns, l->cur_mtime_ns, snap->legacy };
    uint64_t octets;
    int fd;

    if (l->n <= MDVIEW_SHORT)
        return publish_short(snap, &src, d, e);
    if (snap->has_old && says_the_same(&snap->old, &src)) {
        index_reader_rest(&snap->old);
        snap->has_old = false;
        return mdview_of_file(snap->old.fd, snap->old_octets, e);
    }
    mdsnap_abandon(snap);
    if (!replace_index(d, &src, &fd, &octets) && !index_write_memfd(&src, &fd, &octets, e))
        return NULL;
    return mdview_of_file(fd, octets, e);
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

void mdsnap_shrink(const struct mdview *view, const uint8_t *marks, const struct mddir *d)
{
    struct index_reader r = mdview_reader(view);
    struct rest rest = { &r, marks, 0 };
    struct index_source src = { 0, get_rest, &rest, r.h.new_mtime_ns, r.h.cur_mtime_ns, r.h.legacy };
    uint64_t octets;
    int fd;

    if (r.h.count <= MDVIEW_SHORT)
        return; /* what it holds too much is no harm */
    for (uint32_t i = 0; i < r.h.count; i++)
        src.count += !(marks[i / 8] >> (i % 8) & 1);
    if (replace_index(d, &src, &fd, &octets))
        sys_close(&fd);
    index_reader_rest(&r);
}
