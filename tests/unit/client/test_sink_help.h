/* test_sink_help.h - destinations in a temporary folder, and messages sent to them, for the tests of the sinks. */
#ifndef RESTANTE_TEST_SINK_HELP_H
#define RESTANTE_TEST_SINK_HELP_H

#include "store_help.h"

#include "client/sink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a test has: a box (its Maildir is empty), the spool beside it, and a configuration. */
struct desk {
    struct box box;
    char spool[200], target[512];
    struct sink_conf conf;
    uint64_t random;
};

static inline void desk_new(struct desk *d, enum sink_kind kind, const char *target)
{
    *d = (struct desk){ .random = 1 };
    box_new(&d->box);
    snprintf(d->spool, sizeof d->spool, "%s/spool/home", d->box.root);
    if (kind == SINK_MAILDIR)
        snprintf(d->target, sizeof d->target, "%s", d->box.path);
    else if (kind == SINK_MBOX)
        snprintf(d->target, sizeof d->target, "%s/inbox", d->box.root);
    else
        snprintf(d->target, sizeof d->target, "%s", target);
    d->conf = (struct sink_conf){
        .kind = kind, .target = d->target, .spool_dir = d->spool, .account = "home", .timeout_s = 20
    };
}

static inline void desk_free(struct desk *d)
{
    box_free(&d->box);
}

static inline bool no_note(void *ctx, struct sink_item *items, struct err *e)
{
    (void)ctx, (void)items, (void)e;
    return true;
}

static inline void must(bool ok, const struct err *e)
{
    if (!ok)
        fail_msg("%s: %s", fault_name(e->fault), e->text);
}

static inline struct sink *desk_open(struct desk *d)
{
    struct err e = { 0 };
    struct sink *s = NULL;

    must(sink_open(&d->conf, no_note, NULL, &s, &e), &e);
    return s;
}

/* Spools a message in pieces of "step" octets; false with e as the sink says. */
static inline bool desk_spool(struct desk *d, struct sink *s, struct sink_item *item, struct span wire,
                              size_t step, struct err *e)
{
    *item = (struct sink_item){ 0 };
    sink_name(item->entry.name, d->conf.account, &item->entry, d->random++);
    if (!sink_spool(s, item, e))
        return false;
    while (wire.n)
        if (!sink_write(s, item, span_take(&wire, wire.n < step ? wire.n : step), e))
            return false;
    return sink_finish(s, item, e);
}

static inline enum sink_result desk_deliver(struct desk *d, struct sink *s, struct sink_item *item,
                                            const char *wire)
{
    struct err e = { 0 };

    must(desk_spool(d, s, item, span_str(wire), 7, &e), &e);
    sink_commit(s, item);
    assert_null(item->state);
    return item->result;
}

/* A whole file by path, or an empty buffer. */
static inline struct buf file_of(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? BUF(1) : read_fd(fd);
}

static inline void assert_octets(struct span got, struct span wanted)
{
    assert_int_equal(got.n, wanted.n);
    if (wanted.n)
        assert_memory_equal(got.p, wanted.p, wanted.n);
}

static inline void assert_digest(const uint8_t digest[JOURNAL_DIGEST], struct span of)
{
    uint8_t wanted[JOURNAL_DIGEST];

    SHA256(of.n ? of.p : (const uint8_t *)"", of.n, wanted);
    assert_memory_equal(digest, wanted, JOURNAL_DIGEST);
}

/* The name of the only file in a folder of the box; "" when there is none. */
static inline const char *only_file(const struct box *box, const char *sub, char name[256])
{
    char path[512];
    DIR *dir = opendir(box_join(box, sub, path));

    name[0] = '\0';
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        assert_true(name[0] == '\0');
        snprintf(name, 256, "%s", e->d_name);
    }
    closedir(dir);
    return name;
}

/* What a server sends for a stored file: line ends repaired as by the rules of X1. */
static inline struct buf wire_of(struct span stored)
{
    struct buf wire = BUF(1 << 20);
    bool ok = true;

    while (stored.n) {
        bool has_end = memchr(stored.p, '\n', stored.n) != NULL;
        struct span line = span_until(&stored, '\n');

        if (has_end && line.n && line.p[line.n - 1] == '\r')
            line.n--;
        ok = ok && buf_put_span(&wire, line) && buf_put_str(&wire, "\r\n");
    }
    assert_true(ok);
    return wire;
}

#endif
