/* verified.c - passwords that were right a short while ago: see verified.h. */
#include "auth/verified.h"

#include "auth/table.h"
#include "base/buf.h"
#include "base/num.h"

#include <stdlib.h>

enum { TEXT_MAX = 32 * 1024 };

struct verified {
    struct table *times; /* digest -> when it was right, in milliseconds */
};

struct verified *verified_new(void)
{
    struct verified *v = mem_new(sizeof *v);

    v->times = table_new(sizeof(uint64_t), VERIFIED_ENTRIES);
    return v;
}

void verified_free(struct verified **v)
{
    if (*v)
        table_free(&(*v)->times);
    free(*v);
    *v = NULL;
}

/* Each part with its length before it: no two tries are one text. */
static bool put_part(struct buf *text, struct span part)
{
    uint8_t n[4];

    le_put(n, part.n, sizeof n);
    return buf_put(text, n, sizeof n) && buf_put_span(text, part);
}

static bool key_of(const struct verified *v, const struct verified_try *try, struct table_key *key)
{
    struct buf text = BUF(TEXT_MAX);
    bool ok = put_part(&text, try->user) && put_part(&text, try->stored) && put_part(&text, try->secret);

    if (ok)
        *key = table_key(v->times, buf_span(&text));
    buf_wipe(&text);
    return ok;
}

bool verified_has(struct verified *v, const struct verified_try *try, uint64_t now_ms, uint64_t life_ms)
{
    struct table_key key;
    uint64_t *at = key_of(v, try, &key) ? table_find(v->times, &key) : NULL;

    return at && now_ms - *at < life_ms;
}

void verified_put(struct verified *v, const struct verified_try *try, uint64_t now_ms)
{
    struct table_key key;
    uint64_t *at;
    bool fresh;

    if (!key_of(v, try, &key))
        return;
    at = table_make(v->times, &key, &fresh);
    *at = now_ms;
}

void verified_clear(struct verified *v)
{
    table_free(&v->times);
    v->times = table_new(sizeof(uint64_t), VERIFIED_ENTRIES);
}
