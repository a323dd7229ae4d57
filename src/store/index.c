/* index.c - the listing of a maildrop, its fixed layout and its reader: see index.h.
 *
 * This file is all that a front links of the store. Layout of the header:
 *   0 magic (8)  8 version u32  12 count u32  16 octets u64  24 legacy u64  32 strings u64
 *   40 new mtime i64  48 cur mtime i64  56 checksum u64  64 legacy u32  68 zeros
 * and of a record:
 *   0 octets u64  8 legacy u64  16 file size u64  24 mtime i64  32 string offset u32
 *   36 uid octets u16  38 name octets u16  40 flags u16  42 zeros
 */
#include "store/index.h"

#include "base/num.h"

#include "base/buf.h"
#include "base/sys.h"
#include "pop3/uid.h"

#include <stdlib.h>

enum { WINDOW_RECORDS = 256, WINDOW_STRINGS = 32768 };
enum { RECORDS_AT = INDEX_HEADER_OCTETS, STRINGS_IN_WINDOW = WINDOW_RECORDS * INDEX_RECORD_OCTETS };

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static uint64_t strings_at(const struct index_header *h)
{
    return RECORDS_AT + (uint64_t)h->count * INDEX_RECORD_OCTETS;
}

/* Reads record i and those behind it. */
static bool load_records(struct index_reader *r, uint32_t i)
{
    uint32_t left = r->h.count - i;
    uint32_t n = left < WINDOW_RECORDS ? left : WINDOW_RECORDS;

    r->have = 0;
    if (!r->window) {
        r->window = mem_new(STRINGS_IN_WINDOW + WINDOW_STRINGS);
        r->strings_have = 0;
    }
    if (!sys_pread_all(r->fd, r->window, (size_t)n * INDEX_RECORD_OCTETS,
                       RECORDS_AT + (uint64_t)i * INDEX_RECORD_OCTETS))
        return false;
    r->first = i;
    r->have = n;
    return true;
}

static const uint8_t *find_record(struct index_reader *r, uint32_t i)
{
    if (r->octets)
        return r->octets + RECORDS_AT + (size_t)i * INDEX_RECORD_OCTETS;
    if ((!r->window || i < r->first || i - r->first >= r->have) && !load_records(r, i))
        return NULL;
    return r->window + (size_t)(i - r->first) * INDEX_RECORD_OCTETS;
}

/* The octets [at, at + n) of the string area, from the window or into it. */
static const uint8_t *load_strings(struct index_reader *r, uint64_t at, size_t n)
{
    uint64_t left = r->h.strings_octets - at;
    size_t more = left < WINDOW_STRINGS ? (size_t)left : WINDOW_STRINGS;

    if (r->octets)
        return r->octets + strings_at(&r->h) + at;
    if (at < r->strings_at || at + n > r->strings_at + r->strings_have) {
        r->strings_have = 0;
        if (!sys_pread_all(r->fd, r->window + STRINGS_IN_WINDOW, more, strings_at(&r->h) + at))
            return NULL;
        r->strings_at = at;
        r->strings_have = (uint32_t)more;
    }
    return r->window + STRINGS_IN_WINDOW + (at - r->strings_at);
}

void index_put_header(uint8_t dst[INDEX_HEADER_OCTETS], const struct index_header *h)
{
    memset(dst, 0, INDEX_HEADER_OCTETS);
    memcpy(dst, INDEX_MAGIC, 8);
    le_put(dst + 8, INDEX_VERSION, 4);
    le_put(dst + 12, h->count, 4);
    le_put(dst + 16, h->octets, 8);
    le_put(dst + 24, h->legacy_octets, 8);
    le_put(dst + 32, h->strings_octets, 8);
    le_put(dst + 40, (uint64_t)h->new_mtime_ns, 8);
    le_put(dst + 48, (uint64_t)h->cur_mtime_ns, 8);
    le_put(dst + 56, h->checksum, 8);
    le_put(dst + 64, h->legacy, 4);
}

bool index_get_header(const uint8_t src[INDEX_HEADER_OCTETS], uint64_t total_octets, struct index_header *h)
{
    uint64_t fixed;

    if (memcmp(src, INDEX_MAGIC, 8) != 0 || le_get(src + 8, 4) != INDEX_VERSION || le_get(src + 64, 4) > 1 ||
        !all_zero(src + 68, INDEX_HEADER_OCTETS - 68))
        return false;
    h->count = (uint32_t)le_get(src + 12, 4);
    h->octets = le_get(src + 16, 8);
    h->legacy_octets = le_get(src + 24, 8);
    h->strings_octets = le_get(src + 32, 8);
    h->new_mtime_ns = (int64_t)le_get(src + 40, 8);
    h->cur_mtime_ns = (int64_t)le_get(src + 48, 8);
    h->checksum = le_get(src + 56, 8);
    h->legacy = le_get(src + 64, 4) == 1;
    fixed = strings_at(h);
    return h->count <= INDEX_MAX_COUNT && h->octets <= INT64_MAX && h->legacy_octets <= INT64_MAX &&
           total_octets >= fixed && total_octets - fixed == h->strings_octets && h->strings_octets <= UINT32_MAX;
}

void index_put_record(uint8_t dst[INDEX_RECORD_OCTETS], const struct index_record *r)
{
    memset(dst, 0, INDEX_RECORD_OCTETS);
    le_put(dst, r->octets, 8);
    le_put(dst + 8, r->legacy_octets, 8);
    le_put(dst + 16, r->file_size, 8);
    le_put(dst + 24, (uint64_t)r->mtime_ns, 8);
    le_put(dst + 32, r->string_offset, 4);
    le_put(dst + 36, r->uid_octets, 2);
    le_put(dst + 38, r->name_octets, 2);
    le_put(dst + 40, r->flags, 2);
}

bool index_get_record(const uint8_t src[INDEX_RECORD_OCTETS], const struct index_header *h, struct index_record *r)
{
    r->octets = le_get(src, 8);
    r->legacy_octets = le_get(src + 8, 8);
    r->file_size = le_get(src + 16, 8);
    r->mtime_ns = (int64_t)le_get(src + 24, 8);
    r->string_offset = (uint32_t)le_get(src + 32, 4);
    r->uid_octets = (uint16_t)le_get(src + 36, 2);
    r->name_octets = (uint16_t)le_get(src + 38, 2);
    r->flags = (uint16_t)le_get(src + 40, 2);
    return r->octets <= h->octets && r->legacy_octets <= h->legacy_octets && r->uid_octets >= 1 &&
           r->uid_octets <= INDEX_MAX_UID && r->name_octets <= INDEX_MAX_NAME &&
           (uint64_t)r->string_offset + r->uid_octets + r->name_octets <= h->strings_octets &&
           all_zero(src + 42, INDEX_RECORD_OCTETS - 42);
}

bool index_reader_open(struct index_reader *r, int fd, uint64_t octets, struct err *e)
{
    uint8_t header[INDEX_HEADER_OCTETS];

    *r = (struct index_reader){ .fd = fd };
    if (octets >= INDEX_HEADER_OCTETS && !sys_pread_all(fd, header, sizeof header, 0)) {
        err_errno(e, "read", "the listing");
        sys_close(&r->fd);
        return false;
    }
    if (octets < INDEX_HEADER_OCTETS || !index_get_header(header, octets, &r->h)) {
        sys_close(&r->fd);
        return err_set(e, FAULT_BAD, "malformed header of a listing (%llu octets)", (unsigned long long)octets);
    }
    return true;
}

bool index_reader_open_octets(struct index_reader *r, struct span listing, struct err *e)
{
    *r = (struct index_reader){ .fd = -1 };
    if (listing.n < INDEX_HEADER_OCTETS || !index_get_header(listing.p, listing.n, &r->h))
        return err_set(e, FAULT_BAD, "malformed header of a listing (%zu octets)", listing.n);
    r->octets = mem_new(listing.n);
    memcpy(r->octets, listing.p, listing.n);
    return true;
}

bool index_reader_get(struct index_reader *r, uint32_t i, struct index_record *rec, struct span *uid,
                      struct span *name)
{
    const uint8_t *record, *strings;

    if (i >= r->h.count)
        return false;
    record = find_record(r, i);
    if (!record || !index_get_record(record, &r->h, rec))
        return false;
    strings = load_strings(r, rec->string_offset, (size_t)rec->uid_octets + rec->name_octets);
    if (!strings)
        return false;
    *uid = span_of(strings, rec->uid_octets);
    *name = span_of(strings + rec->uid_octets, rec->name_octets);
    /* Only what may stand in a UIDL reply leaves the reader: a damaged file must not put line ends into it. */
    return uid_legal(*uid);
}

void index_reader_rest(struct index_reader *r)
{
    free(r->window);
    r->window = NULL;
    r->have = 0;
    r->strings_have = 0;
}

void index_reader_close(struct index_reader *r)
{
    index_reader_rest(r);
    free(r->octets);
    r->octets = NULL;
    sys_close(&r->fd);
}
