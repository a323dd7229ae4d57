/* store_help.h - what the tests of the store share: temporary Maildirs, fixtures, listings, event counts. */
#ifndef STORE_HELP_H
#define STORE_HELP_H

#include "base/buf.h"
#include "store/index.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/types.h>

/* A temporary directory with a maildrop in it: path is the Maildir, made with tmp/, new/ and cur/. */
struct box {
    char root[128], path[160];
};

void box_new(struct box *b);
void box_free(struct box *b);
void box_put(const struct box *b, const char *name, struct span content); /* "new/x" */
void box_put_str(const struct box *b, const char *name, const char *content);
void box_age(const struct box *b, const char *name, int64_t seconds); /* atime and mtime that long ago */
bool box_has(const struct box *b, const char *name);
uint32_t box_files(const struct box *b, const char *sub);
struct buf box_read(const struct box *b, const char *name);
const char *box_join(const struct box *b, const char *name, char path[512]);

/* A snapshot, read through the descriptor that a front would get. */
struct row {
    char uid[INDEX_MAX_UID + 1], name[INDEX_MAX_NAME + 1];
    uint64_t octets, legacy, size;
    unsigned flags;
};
struct view {
    struct row *rows;
    uint32_t n;
    uint64_t octets;
};
struct view view_of(const struct store_ops *ops, struct drop *drop);
void view_free(struct view *v);
const struct row *view_uid(const struct view *v, const char *uid);

extern const struct store_policy plain_policy; /* exclusive, create, durable, nothing else */
struct drop *must_open(const struct store_ops *ops, const char *path, const struct store_policy *policy);
/* Opens, reads the listing, closes. */
struct view look(const char *path);
struct buf read_fd(int fd); /* from offset 0; closes */

/* X1 of the requirements: F01 … F23. */
struct fixture {
    const char *id;
    struct span content;
    uint64_t octets;
};
enum { FIXTURES = 23 };
void fixtures_make(struct fixture f[FIXTURES]);
void fixtures_free(struct fixture f[FIXTURES]);

/* Setup and teardown of a test: *state is a fresh box, events are quiet. */
int box_start(void **state);
int box_stop(void **state);

/* Events go to a place where they can be counted; nothing is printed. */
void events_quiet(void);
unsigned events_named(const char *name);

/* Runs fn in a child process and returns its exit status, or 128 + signal. */
int in_child(int (*fn)(void *ctx), void *ctx);

#endif
