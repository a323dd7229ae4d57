/* restante_bench_mail.h - the messages: made from numbers alone, written into Maildirs, listed in a manifest.
 *
 * A manifest is text: "user NAME COUNT OCTETS", then a line "DIGEST OCTETS" for each of the user's messages, both of
 * the message's form on the wire. It is what a drain is held against.
 * Does not know: servers, connections.
 */
#ifndef RESTANTE_BENCH_MAIL_H
#define RESTANTE_BENCH_MAIL_H

#include "restante_bench.h"

struct known {
    uint64_t digest, octets;
};

struct drop {
    char *user;
    struct known *known; /* sorted by digest */
    uint32_t n;
    uint64_t octets;
};

struct manifest {
    struct drop *drops; /* sorted by user */
    size_t n;
};

bool manifest_read(const char *path, struct manifest *m, struct err *e);
void manifest_free(struct manifest *m);
const struct drop *manifest_find(const struct manifest *m, const char *user); /* NULL = not in it */

/* The index of the message with this digest that *seen (a bit for each) does not hold yet; DROP_NONE when the drop
 * has none, DROP_TWICE when all that it has were seen. */
enum { DROP_NONE = UINT32_MAX, DROP_TWICE = UINT32_MAX - 1 };
uint32_t drop_find(const struct drop *d, uint64_t digest, uint64_t octets, const uint8_t *seen);

/* Writes the Maildirs of the plan's users; the manifest goes to plan->manifest when that is set. */
bool mail_make(const struct plan *plan, struct err *e);

/* A manifest of Maildirs that are there. */
bool mail_manifest(const struct plan *plan, struct err *e);

/* Drops one message into the Maildir at path, by tmp and rename; number makes it unlike any other. */
bool mail_deliver(const struct plan *plan, const char *path, uint32_t user, uint32_t number, struct err *e);

/* How many messages are in cur and new. */
bool mail_count(const char *path, uint32_t *n, struct err *e);

#endif
