/* index.h - the listing of a maildrop: the format of the restante-index file and of the memfd that travels
 * from the store to a front.
 *
 * Immutable once written; a file is replaced by rename. All integers are little-endian. Readers use pread
 * on a descriptor (never a mapping of what another process could truncate) and trust nothing: magic,
 * version, counts against the size, every offset and length (tests/fuzz covers the reader).
 *
 *   offset 0    struct index_header (128 octets)
 *   offset 128  count records of 48 octets (struct index_record), in message order
 *   then        the string area: for each message its UIDL and the name of its file when the listing was
 *               made ("new/..." or "cur/...:2,S"; empty for stores without files), back to back
 *
 * The file is a cache: it may be deleted at any time and nothing is lost by it but the time to count again.
 * Does not know: directories, locks.
 */
#ifndef RESTANTE_STORE_INDEX_H
#define RESTANTE_STORE_INDEX_H

#include "base/err.h"
#include "base/span.h"

#define INDEX_MAGIC "RESTIDX1"
#define INDEX_VERSION 1u
#define INDEX_MAX_COUNT 4000000u

enum {
    INDEX_HEADER_OCTETS = 128,
    INDEX_RECORD_OCTETS = 48,
    INDEX_MAX_UID = 70,  /* RFC 1939 §7 */
    INDEX_MAX_NAME = 260 /* "new/" or "cur/" and 255 octets */
};

struct index_header {
    uint32_t count;
    uint64_t octets; /* sum over all messages */
    uint64_t legacy_octets;
    uint64_t strings_octets;            /* size of the string area */
    int64_t new_mtime_ns, cur_mtime_ns; /* of the directories it was made from */
    bool legacy;                        /* legacy_octets were counted (else they equal octets) */
    uint64_t checksum;                  /* of the header with 0 in this place, records and strings */
};

struct index_record {
    uint64_t octets, legacy_octets;
    uint64_t file_size;
    int64_t mtime_ns;
    uint32_t string_offset; /* of the UIDL in the string area; the name follows it */
    uint16_t uid_octets, name_octets;
    uint16_t flags; /* enum drop_msg_flag of pop3/engine.h */
};

/* Encodes into / decodes from the fixed layout. Decoding checks everything that the record alone shows;
 * false = malformed. */
void index_put_header(uint8_t dst[INDEX_HEADER_OCTETS], const struct index_header *h);
bool index_get_header(const uint8_t src[INDEX_HEADER_OCTETS], uint64_t total_octets, struct index_header *h);
void index_put_record(uint8_t dst[INDEX_RECORD_OCTETS], const struct index_record *r);
bool index_get_record(const uint8_t src[INDEX_RECORD_OCTETS], const struct index_header *h,
                      struct index_record *r);

/* A reader over a descriptor, with a window of records and strings so that a listing costs few preads, or over
 * octets in memory. Used by the fronts. Over a descriptor it holds no memory while idle (index_reader_rest). */
struct index_reader {
    int fd; /* -1 over octets */
    struct index_header h;
    uint8_t *octets; /* the whole listing, or NULL */
    uint8_t *window; /* records [first, first+have), then their strings */
    uint32_t first, have;
    uint64_t strings_at; /* string area offset of window strings */
    uint32_t strings_have;
};

bool index_reader_open(struct index_reader *r, int fd, uint64_t octets, struct err *e); /* takes fd over */
/* Over a copy of a short listing that came in a message; one made without names serves a front as well. */
bool index_reader_open_octets(struct index_reader *r, struct span listing, struct err *e);
bool index_reader_get(struct index_reader *r, uint32_t i, struct index_record *rec, struct span *uid,
                      struct span *name);
void index_reader_rest(struct index_reader *r); /* frees the window, not the copy */
void index_reader_close(struct index_reader *r);

#endif
