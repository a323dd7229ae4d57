/* mdview.c - one listing of a maildrop, shared: see mdview.h. */
#include "store/mdview.h"

#include "base/buf.h"
#include "base/sys.h"
#include "store/mdstate.h"

#include <stdatomic.h>
#include <stdlib.h>

struct mdview {
    atomic_uint users;
    struct index_header h;
    uint64_t octets;
    int fd;             /* of a long one */
    int64_t changed_ns; /* its ctime */
    uint8_t *all, *brief; /* of a short one */
    size_t brief_octets;
};

static struct mdview *refuse(struct mdview *v)
{
    mdview_leave(&v);
    return NULL;
}

/* How many octets the UIDLs take; false when a record cannot be read. */
static bool sum_uids(const struct mdview *v, size_t *octets)
{
    struct index_reader r = mdview_reader(v);
    struct index_record rec;
    struct span uid, name;

    *octets = 0;
    for (uint32_t i = 0; i < v->h.count; i++) {
        if (!index_reader_get(&r, i, &rec, &uid, &name))
            return false;
        *octets += uid.n;
    }
    return true;
}

/* The same listing without names. */
static bool make_brief(struct mdview *v)
{
    struct index_reader r = mdview_reader(v);
    struct index_header h = v->h;
    struct index_record rec;
    struct span uid, name;
    size_t records = (size_t)h.count * INDEX_RECORD_OCTETS, at = 0, uids;
    uint8_t *record;

    if (!sum_uids(v, &uids))
        return false;
    h.strings_octets = uids;
    h.checksum = 0;
    v->brief_octets = INDEX_HEADER_OCTETS + records + uids;
    v->brief = mem_new(v->brief_octets);
    index_put_header(v->brief, &h);
    record = v->brief + INDEX_HEADER_OCTETS;
    for (uint32_t i = 0; i < h.count && index_reader_get(&r, i, &rec, &uid, &name); i++) {
        rec.string_offset = (uint32_t)at;
        rec.name_octets = 0;
        index_put_record(record + (size_t)i * INDEX_RECORD_OCTETS, &rec);
        memcpy(record + records + at, uid.p, uid.n);
        at += uid.n;
    }
    return true;
}

struct mdview *mdview_of_file(int fd, uint64_t octets, struct err *e)
{
    struct mdview *v = mem_zero(1, sizeof *v);
    uint8_t header[INDEX_HEADER_OCTETS];
    struct stat st;

    atomic_init(&v->users, 1);
    v->fd = fd;
    v->octets = octets;
    if (sys->fstat(fd, &st) != 0 || !sys_pread_all(fd, header, sizeof header, 0)) {
        err_errno(e, "read", "the listing");
        return refuse(v);
    }
    if (!index_get_header(header, octets, &v->h)) {
        err_set(e, FAULT_TEMP, "malformed header of a listing");
        return refuse(v);
    }
    v->changed_ns = md_changed_ns(&st);
    return v;
}

struct mdview *mdview_of_octets(struct span listing, struct err *e)
{
    struct mdview *v = mem_zero(1, sizeof *v);

    atomic_init(&v->users, 1);
    v->fd = -1;
    v->octets = listing.n;
    v->all = mem_new(listing.n);
    memcpy(v->all, listing.p, listing.n);
    if (listing.n >= INDEX_HEADER_OCTETS && index_get_header(listing.p, listing.n, &v->h) &&
        v->h.count <= MDVIEW_SHORT && make_brief(v))
        return v;
    err_set(e, FAULT_TEMP, "malformed listing");
    return refuse(v);
}

struct mdview *mdview_share(struct mdview *v)
{
    atomic_fetch_add(&v->users, 1);
    return v;
}

void mdview_leave(struct mdview **v)
{
    struct mdview *was = *v;

    *v = NULL;
    if (!was || atomic_fetch_sub(&was->users, 1) > 1)
        return;
    sys_close(&was->fd);
    free(was->all);
    free(was->brief);
    free(was);
}

const struct index_header *mdview_header(const struct mdview *v)
{
    return &v->h;
}

int mdview_file(const struct mdview *v, uint64_t *octets)
{
    *octets = v->octets;
    return v->fd;
}

struct span mdview_brief(const struct mdview *v)
{
    return span_of(v->brief, v->brief_octets);
}

struct span mdview_octets(const struct mdview *v)
{
    return span_of(v->all, v->all ? (size_t)v->octets : 0);
}

bool mdview_is_intact(const struct mdview *v)
{
    struct stat st;

    return v->fd < 0 || (sys->fstat(v->fd, &st) == 0 && (uint64_t)st.st_size == v->octets &&
                         md_changed_ns(&st) == v->changed_ns);
}

struct index_reader mdview_reader(const struct mdview *v)
{
    return (struct index_reader){ .fd = v->fd, .h = v->h, .octets = v->all };
}

bool mdview_get(const struct mdview *v, uint32_t i, struct index_record *rec, struct mdview_strings *strings,
                struct span *name)
{
    uint64_t records = INDEX_HEADER_OCTETS, area = records + (uint64_t)v->h.count * INDEX_RECORD_OCTETS;
    uint8_t record[INDEX_RECORD_OCTETS];
    struct index_reader r;
    struct span uid;
    size_t n;

    if (v->all) {
        r = mdview_reader(v);
        return index_reader_get(&r, i, rec, &uid, name);
    }
    if (i >= v->h.count ||
        !sys_pread_all(v->fd, record, sizeof record, records + (uint64_t)i * INDEX_RECORD_OCTETS) ||
        !index_get_record(record, &v->h, rec))
        return false;
    n = (size_t)rec->uid_octets + rec->name_octets;
    if (!sys_pread_all(v->fd, strings->text, n, area + rec->string_offset))
        return false;
    *name = span_of(strings->text + rec->uid_octets, rec->name_octets);
    return true;
}
