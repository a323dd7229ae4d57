/* state_help.h - a folder and a journal for each test of the client's state. */
#ifndef RESTANTE_TEST_STATE_HELP_H
#define RESTANTE_TEST_STATE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/journal.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int state_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int state_folder(void **state)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;

    if (asprintf(&path, "%s/state.XXXXXX", base ? base : "/dev/shm") < 0 || !mkdtemp(path))
        return -1;
    *state = path;
    return 0;
}

static inline int state_no_folder(void **state)
{
    nftw(*state, state_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return 0;
}

#define STATE_TEST(f) cmocka_unit_test_setup_teardown(f, state_folder, state_no_folder)

static inline void must(bool ok, const struct err *e)
{
    if (!ok)
        fail_msg("%s: %s", fault_name(e->fault), e->text);
}

static inline struct journal *state_open(const char *dir)
{
    struct err e = { 0 };
    struct journal *j;

    must(journal_open(dir, "home", false, &j, &e), &e);
    return j;
}

static inline struct entry state_entry(const char *uid, uint32_t nth, enum entry_state state)
{
    return (struct entry){ .uid = span_str(uid), .nth = nth, .state = state, .first_seen = 1700000000 };
}

static inline void state_put(struct journal *j, struct entry *entry)
{
    struct err e = { 0 };

    must(journal_begin(j, &e) && journal_put(j, entry, &e) && journal_commit(j, &e), &e);
}

/* Every column, filled by a generator of its own (the same for the same seed); strings hold odd octets. */
static inline uint64_t state_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static inline void state_text(char *dst, size_t room, uint64_t *seed)
{
    size_t n = state_next(seed) % (state_next(seed) % 4 ? 12 : room);

    for (size_t i = 0; i < n; i++)
        dst[i] = (char)(state_next(seed) % 255 + 1);
    dst[n] = '\0';
    if (state_next(seed) % 16 == 0)
        snprintf(dst, room, "-");
}

static inline void state_random(struct entry *entry, uint8_t uid[JOURNAL_UID], uint64_t *seed)
{
    *entry = (struct entry){ .state = 1 + state_next(seed) % 6, .nth = (uint32_t)state_next(seed) };
    entry->uid = span_of(uid, 1 + state_next(seed) % (state_next(seed) % 8 ? 70 : JOURNAL_UID));
    for (size_t i = 0; i < entry->uid.n; i++)
        uid[i] = (uint8_t)state_next(seed);
    entry->has_size = state_next(seed) % 2;
    entry->has_digest = state_next(seed) % 2;
    entry->size = entry->has_size ? state_next(seed) : 0;
    entry->octets = state_next(seed) >> 1;
    entry->stored_octets = state_next(seed) >> 1;
    for (int i = 0; entry->has_digest && i < JOURNAL_DIGEST; i++) {
        entry->wire_digest[i] = (uint8_t)state_next(seed);
        entry->stored_digest[i] = (uint8_t)state_next(seed);
    }
    state_text(entry->name, sizeof entry->name, seed);
    state_text(entry->dest, sizeof entry->dest, seed);
    state_text(entry->note, sizeof entry->note, seed);
    state_text(entry->why, sizeof entry->why, seed);
    entry->tries = (uint32_t)state_next(seed);
    entry->first_seen = (int64_t)(state_next(seed) >> 1);
    entry->stored_at = (int64_t)(state_next(seed) >> 30);
    entry->absent_since = -(int64_t)(state_next(seed) >> 40);
    entry->absent_listings = (uint32_t)state_next(seed);
}

/* Equal in every column but the id. */
static inline void state_same(const struct entry *a, const struct entry *b)
{
    assert_true(span_eq(a->uid, b->uid));
    assert_int_equal(a->nth, b->nth);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->has_size, b->has_size);
    assert_int_equal(a->has_digest, b->has_digest);
    assert_true(a->size == b->size && a->octets == b->octets && a->stored_octets == b->stored_octets);
    assert_memory_equal(a->wire_digest, b->wire_digest, JOURNAL_DIGEST);
    assert_memory_equal(a->stored_digest, b->stored_digest, JOURNAL_DIGEST);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->dest, b->dest);
    assert_string_equal(a->note, b->note);
    assert_string_equal(a->why, b->why);
    assert_int_equal(a->tries, b->tries);
    assert_true(a->first_seen == b->first_seen && a->stored_at == b->stored_at);
    assert_true(a->absent_since == b->absent_since);
    assert_int_equal(a->absent_listings, b->absent_listings);
}

static inline char *path_in(const char *dir, const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
    return path;
}

struct visits {
    struct journal *j;
    unsigned seen, states, stop_at;
    int64_t last;
    uint64_t sizes;
};

static inline bool on_entry(void *ctx, const struct entry *entry)
{
    struct visits *v = ctx;

    assert_true(entry->id > v->last);
    v->last = entry->id;
    v->states |= ENTRY_BIT(entry->state);
    return ++v->seen != v->stop_at;
}

/* n messages with everything that a fetched one has, in one transaction. */
static inline void put_many(struct journal *j, uint32_t n)
{
    struct err e = { 0 };

    must(journal_begin(j, &e), &e);
    for (uint32_t i = 0; i < n; i++) {
        char uid[80];

        snprintf(uid, sizeof uid, "%08x.0123456789abcdef0123456789abcdef", i * 2654435761u);
        struct entry entry = state_entry(uid, 0, ENTRY_STORED);

        entry.has_size = entry.has_digest = true;
        entry.size = i;
        memcpy(entry.wire_digest, uid, JOURNAL_DIGEST);
        snprintf(entry.name, sizeof entry.name, "1700000000.M%uP1.host", i);
        snprintf(entry.dest, sizeof entry.dest, "maildir:/home/someone/Maildir");
        must(journal_put(j, &entry, &e), &e);
    }
    must(journal_commit(j, &e), &e);
}

#endif
