/* throttle.c - counts of failures per address and per address and user: see throttle.h. */
#include "auth/throttle.h"

#include "auth/table.h"
#include "base/buf.h"

#include <stdlib.h>

enum { FIRST_DELAY_MS = 500, SCORE_MAX = 64, QUEUE_MAX = 4 };

struct entry {
    uint64_t last_ms; /* when score was true */
    uint64_t free_ms; /* pairs: the next try may be looked at then */
    uint64_t tried[THROTTLE_MEMORY]; /* keyed digests of passwords that failed */
    uint32_t score, at;
};

struct throttle {
    struct table *entries;
    struct keyed key;
    uint32_t free_failures, max_ms;
};

struct throttle *throttle_new(void)
{
    struct throttle *t = mem_zero(1, sizeof *t);

    t->entries = table_new(sizeof(struct entry), THROTTLE_ENTRIES);
    t->key = keyed_new();
    t->max_ms = 60000;
    return t;
}

void throttle_free(struct throttle **tp)
{
    struct throttle *t = *tp;

    *tp = NULL;
    if (!t)
        return;
    table_free(&t->entries);
    free(t);
}

void throttle_set(struct throttle *t, uint32_t free_failures, uint32_t max_ms)
{
    t->free_failures = free_failures;
    t->max_ms = max_ms;
}

static struct table_key key_of(const struct throttle *t, const struct throttle_try *try, bool pair)
{
    uint8_t text[16 + 1 + 1024];
    size_t n = pair ? (try->user.n > 1024 ? 1024 : try->user.n) : 0;

    net_addr_key(&try->addr, text);
    text[16] = pair;
    if (n)
        memcpy(text + 17, try->user.p, n);
    return table_key(t->entries, span_of(text, 17 + n));
}

/* Forgets what is old. */
static void decay(struct entry *entry, uint64_t now_ms)
{
    uint64_t minutes = (now_ms - entry->last_ms) / THROTTLE_FORGET_MS;

    if (now_ms < entry->last_ms)
        return;
    entry->score = minutes >= entry->score ? 0 : entry->score - (uint32_t)minutes;
    entry->last_ms += minutes * THROTTLE_FORGET_MS;
    if (entry->score == 0)
        entry->last_ms = now_ms;
}

static uint32_t delay_of(const struct throttle *t, uint32_t score)
{
    uint32_t delay = FIRST_DELAY_MS;

    if (score <= t->free_failures)
        return 0;
    for (uint32_t i = t->free_failures + 1; i < score && delay < t->max_ms; i++)
        delay *= 2;
    return delay < t->max_ms ? delay : t->max_ms;
}

uint32_t throttle_before(struct throttle *t, const struct throttle_try *try, uint64_t now_ms)
{
    struct table_key key = key_of(t, try, true);
    struct entry *entry = table_find(t->entries, &key);
    uint32_t delay;
    uint64_t at;

    if (!entry)
        return 0;
    decay(entry, now_ms);
    delay = delay_of(t, entry->score);
    if (delay == 0)
        return 0;
    at = now_ms + delay;
    if (entry->free_ms > now_ms)
        at = entry->free_ms + delay;
    if (at - now_ms > (uint64_t)delay * QUEUE_MAX)
        return UINT32_MAX;
    entry->free_ms = at;
    return (uint32_t)(at - now_ms);
}

/* Counts one failure of an entry unless that password failed there before. */
static uint32_t count(struct throttle *t, bool pair, const struct throttle_try *try, uint64_t now_ms)
{
    struct table_key key = key_of(t, try, pair);
    bool fresh, seen = false;
    struct entry *entry = table_make(t->entries, &key, &fresh);
    /* For the address the digest covers the user too: one wrong password tried on many users is many tries. */
    uint64_t digest = (keyed_hash(&t->key, try->secret) * 0x9e3779b97f4a7c15u ^
                       keyed_hash(&t->key, try->user)) | 1; /* never 0: that means "nothing yet" */

    if (fresh)
        entry->last_ms = now_ms;
    decay(entry, now_ms);
    for (size_t i = 0; i < THROTTLE_MEMORY && try->secret.n; i++)
        seen = seen || entry->tried[i] == digest;
    if (!seen) {
        entry->score += entry->score < SCORE_MAX;
        if (try->secret.n)
            entry->tried[entry->at++ % THROTTLE_MEMORY] = digest;
    }
    return delay_of(t, entry->score);
}

uint32_t throttle_failed(struct throttle *t, const struct throttle_try *try, uint64_t now_ms)
{
    uint32_t address = count(t, false, try, now_ms), pair = count(t, true, try, now_ms);

    return address > pair ? address : pair;
}

void throttle_passed(struct throttle *t, const struct throttle_try *try, uint64_t now_ms)
{
    struct table_key key = key_of(t, try, true);
    struct entry *entry = table_find(t->entries, &key);

    if (!entry)
        return;
    entry->score = 0; /* what was tried stays known: an old password elsewhere goes on failing without harm */
    entry->free_ms = 0;
    entry->last_ms = now_ms;
}

uint32_t throttle_entries(const struct throttle *t)
{
    return table_count(t->entries);
}
