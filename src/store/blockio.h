/* blockio.h - writing and reading our own files in pieces (or the same in memory), with a checksum over what went by.
 *
 * A writer remembers its first failure, so that its users put record after record and ask once, at the end.
 * Memory is one piece, whatever the size of the file. Does not know: formats, names, durability.
 */
#ifndef RESTANTE_STORE_BLOCKIO_H
#define RESTANTE_STORE_BLOCKIO_H

#include "base/buf.h"
#include "store/checksum.h"

enum { BLOCK_OCTETS = 65536 };

struct block_writer {
    int fd;    /* borrowed; written at its position */
    struct buf *to; /* or appended here */
    int error; /* errno of the first failure, 0 without one */
    struct checksum sum;
    uint8_t *piece;
    size_t n;
};

void block_writer_open(struct block_writer *w, int fd);
void block_writer_open_buf(struct block_writer *w, struct buf *to);
void block_put(struct block_writer *w, struct span s);
/* Writes what is left and frees the piece. False, with errno, when anything failed. */
bool block_writer_close(struct block_writer *w);

struct block_reader {
    int fd; /* borrowed */
    uint64_t at, end;
    uint8_t *piece;
    size_t n, used;
};

/* Reads the octets from "at" up to "end". */
void block_reader_open(struct block_reader *r, int fd, uint64_t at, uint64_t end);
/* Exactly n octets (n <= BLOCK_OCTETS), valid until the next call; false at the end or on failure. */
bool block_take(struct block_reader *r, size_t n, struct span *out);
/* Feeds all that is left into the checksum. */
bool block_sum(struct block_reader *r, struct checksum *sum);
void block_reader_close(struct block_reader *r);

#endif
