/* mdcommit.h - removes a set of messages so that a crash leaves all of it to be finished: the commit journal.
 *
 * Order (DURABILITY.md, table 2): journal in tmp/ → fsync → rename to restante-commit → fsync root →
 * unlink each → fsync new/, cur/ → unlink journal. mdcommit_replay finishes what a crash left.
 * The journal names each message with its size and mtime; a replay removes nothing that differs in them, so
 * that a name used again (a restored backup, a clock set back) cannot cost a message nobody asked to remove.
 * Does not know: POP3 marks, indexes, sessions.
 */
#ifndef RESTANTE_STORE_MDCOMMIT_H
#define RESTANTE_STORE_MDCOMMIT_H

#include "store/mdfind.h"

#define JOURNAL_FILE "restante-commit"

/* The messages to remove. get is called in rising order, more than once for each; a name is valid until
 * the next call. */
struct md_victims {
    uint32_t count;
    const uint8_t *marks; /* bit i: remove message i; NULL = all */
    bool (*get)(void *ctx, uint32_t i, struct md_seen *seen);
    void *ctx;
};

struct md_outcome {
    uint32_t removed; /* gone now, whoever did it */
    uint32_t failed;  /* still there, or not known */
};

/* One failing message does not stop the others. True only when all are gone and that is durable. */
bool mdcommit_run(struct mdfind *f, const struct md_victims *v, bool durable, struct md_outcome *out,
                  struct err *e);

/* At open, under the lock: finishes a journal that a crash left, discards a torn one. Troubles are events:
 * the maildrop can be used without. */
void mdcommit_replay(struct mdfind *f, bool durable);

#endif
