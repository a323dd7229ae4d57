/* deliver.h - puts one message into a Maildir, durably and exactly as it came.
 *
 * Order (DURABILITY.md, table 1): write tmp/x → fsync it → rename to new/x,S=…,W=… without replacing
 * anything → fsync new/. The message streams through one piece of memory whatever its size. What it is told
 * to put in front or to leave out aside, no octet is changed (MD-09).
 * Does not know: users, quotas, SMTP replies; deliver_result and the fault say what the caller needs:
 *   FAULT_TEMP  try again later (75, EX_TEMPFAIL): nothing is in new/, or it was taken away again
 *   FAULT_PERM  no right to write there (77, EX_NOPERM)
 *   FAULT_GONE  the maildrop does not exist (73, EX_CANTCREAT)
 *   FAULT_BAD   the message is too large (69, EX_UNAVAILABLE, 552) or the path is malformed
 */
#ifndef RESTANTE_STORE_DELIVER_H
#define RESTANTE_STORE_DELIVER_H

#include "base/err.h"
#include "base/span.h"

struct deliver_options {
    bool create;          /* make a missing maildrop, 0700 */
    bool durable;         /* fsync (on unless an administrator says otherwise) */
    bool strip_from_line; /* leave out a first line that begins with "From " (mbox pipes) */
    struct span prefix;   /* whole header lines to put first (Return-Path, Delivered-To), or empty */
    uint64_t max_octets;  /* of the stored file; 0 = no limit */
    uint64_t sequence;    /* deliveries of this process so far: makes names unique */
    const char *host;     /* for the name; NULL = "localhost" */
};

enum { DELIVER_NAME = 256 };

struct deliver_result {
    char name[DELIVER_NAME]; /* in new/ */
    uint64_t stored;         /* octets of the file */
    uint64_t octets;         /* octets on the wire: the size that POP3 tells */
};

/* Delivers what can be read from in_fd until its end. True: the message is in new/ and stays there. */
bool maildir_deliver(const char *path, int in_fd, const struct deliver_options *options,
                     struct deliver_result *result, struct err *e);

#endif
