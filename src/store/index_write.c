/* index_write.c - writes a listing: see index_write.h. */
#include "store/index_write.h"

#include "base/sys.h"
#include "store/blockio.h"

#include <errno.h>
#include <sys/mman.h>

static bool failed(struct err *e)
{
    return err_errno(e, "write", "the listing");
}

/* The sums over all messages: what the header says before the first record. */
static bool sum_up(const struct index_source *src, struct index_header *h)
{
    struct index_item item;

    *h = (struct index_header){
        .count = src->count,
        .new_mtime_ns = src->new_mtime_ns,
        .cur_mtime_ns = src->cur_mtime_ns,
        .legacy = src->legacy,
    };
    for (uint32_t i = 0; i < src->count; i++) {
        if (!src->get(src->ctx, i, &item))
            return false;
        if (__builtin_add_overflow(h->octets, item.r.octets, &h->octets) ||
            __builtin_add_overflow(h->legacy_octets, item.r.legacy_octets, &h->legacy_octets) || item.uid.n < 1 ||
            item.uid.n > INDEX_MAX_UID || item.name.n > INDEX_MAX_NAME) {
            errno = EOVERFLOW;
            return false;
        }
        h->strings_octets += item.uid.n + item.name.n;
    }
    if (src->count <= INDEX_MAX_COUNT && h->strings_octets <= UINT32_MAX)
        return true;
    errno = EFBIG;
    return false;
}

static bool put_body(struct block_writer *w, const struct index_source *src)
{
    uint8_t record[INDEX_RECORD_OCTETS];
    struct index_item item;
    uint32_t at = 0;

    for (uint32_t i = 0; i < src->count; i++) {
        if (!src->get(src->ctx, i, &item))
            return false;
        item.r.string_offset = at;
        item.r.uid_octets = (uint16_t)item.uid.n;
        item.r.name_octets = (uint16_t)item.name.n;
        at += (uint32_t)(item.uid.n + item.name.n);
        index_put_record(record, &item.r);
        block_put(w, span_of(record, sizeof record));
    }
    for (uint32_t i = 0; i < src->count; i++) {
        if (!src->get(src->ctx, i, &item))
            return false;
        block_put(w, item.uid);
        block_put(w, item.name);
    }
    return true;
}

/* Writes what follows the header and puts the checksum into it. */
static bool write_body(struct block_writer *w, const struct index_source *src, uint8_t *header,
                       struct index_header *h)
{
    bool got;
    int code;

    index_put_header(header, h);
    checksum_feed(&w->sum, span_of(header, INDEX_HEADER_OCTETS));
    got = put_body(w, src);
    code = errno;
    if (!block_writer_close(w))
        return false;
    h->checksum = checksum_end(&w->sum);
    index_put_header(header, h);
    errno = code;
    return got;
}

bool index_write(int fd, const struct index_source *src, uint64_t *octets, struct err *e)
{
    uint8_t header[INDEX_HEADER_OCTETS] = { 0 };
    struct block_writer w;
    struct index_header h;

    /* Zeros first: a torn file has no magic. The checksum is known at the end. */
    if (!sum_up(src, &h) || !sys_write_all(fd, span_of(header, sizeof header)))
        return failed(e);
    block_writer_open(&w, fd);
    if (!write_body(&w, src, header, &h) || sys->pwrite(fd, header, sizeof header, 0) != (ssize_t)sizeof header)
        return failed(e);
    *octets = INDEX_HEADER_OCTETS + (uint64_t)h.count * INDEX_RECORD_OCTETS + h.strings_octets;
    return true;
}

bool index_write_octets(struct buf *to, const struct index_source *src, struct err *e)
{
    uint8_t header[INDEX_HEADER_OCTETS] = { 0 };
    struct block_writer w;
    struct index_header h;

    if (!sum_up(src, &h) || !buf_put(to, header, sizeof header))
        return failed(e);
    block_writer_open_buf(&w, to);
    if (!write_body(&w, src, header, &h))
        return failed(e);
    memcpy(to->p, header, sizeof header);
    return true;
}

static bool seal(int *fd, struct err *e)
{
    if (sys->seal(*fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return true;
    err_errno(e, "seal", "the listing");
    sys_close(fd);
    return false;
}

static bool new_memfd(int *fd, struct err *e)
{
    *fd = sys->memfd("restante-listing", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return *fd >= 0 || err_errno(e, "memfd_create", "for the listing");
}

bool index_write_memfd(const struct index_source *src, int *fd, uint64_t *octets, struct err *e)
{
    if (!new_memfd(fd, e))
        return false;
    if (index_write(*fd, src, octets, e))
        return seal(fd, e);
    sys_close(fd);
    return false;
}

bool index_memfd(struct span octets, int *fd, struct err *e)
{
    if (!new_memfd(fd, e))
        return false;
    if (sys_write_all(*fd, octets))
        return seal(fd, e);
    failed(e);
    sys_close(fd);
    return false;
}
