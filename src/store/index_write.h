/* index_write.h - writes a listing in the format of index.h, to a file, to a sealed memfd or into memory.
 *
 * Does not know: where the messages come from, file names, renaming.
 */
#ifndef RESTANTE_STORE_INDEX_WRITE_H
#define RESTANTE_STORE_INDEX_WRITE_H

#include "base/buf.h"
#include "store/index.h"

struct index_item {
    struct index_record r; /* string_offset, uid_octets and name_octets are set by the writer */
    struct span uid, name; /* valid until the next get */
};

/* Gives item i; called for i = 0 … count-1, three times over. False = failed (errno). */
struct index_source {
    uint32_t count;
    bool (*get)(void *ctx, uint32_t i, struct index_item *item);
    void *ctx;
    int64_t new_mtime_ns, cur_mtime_ns;
    bool legacy;
};

/* Writes the whole listing to an empty file at its position; octets is its size. */
bool index_write(int fd, const struct index_source *src, uint64_t *octets, struct err *e);

/* The same into an empty buffer. */
bool index_write_octets(struct buf *to, const struct index_source *src, struct err *e);

/* A sealed memfd of octets that are there. */
bool index_memfd(struct span octets, int *fd, struct err *e);

/* index_write as a sealed memfd, which the caller closes. */
bool index_write_memfd(const struct index_source *src, int *fd, uint64_t *octets, struct err *e);

#endif
