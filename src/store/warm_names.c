/* warm_names.c - a small set of names in new/ and cur/: see warm.h. */
#include "store/warm.h"

#include <stdlib.h>

enum { TEXT_MAX = 1 << 26 };

static struct warm_name *find(const struct warm_names *names, enum md_sub sub, struct span name)
{
    for (uint32_t i = 0; i < names->n; i++) {
        struct warm_name *have = &names->v[i];

        if (have->sub == sub && have->octets == name.n &&
            memcmp(names->text.p + have->at, name.p, name.n) == 0)
            return have;
    }
    return NULL;
}

static void lose(struct warm_names *names)
{
    warm_names_free(names);
    names->lost = true;
}

struct warm_name *warm_name_add(struct warm_names *names, enum md_sub sub, const char *name, uint32_t limit)
{
    struct span text = span_str(name);
    struct warm_name *have = find(names, sub, text);

    if (have || names->lost)
        return have;
    if (text.n > UINT8_MAX || names->n >= limit) {
        lose(names);
        return NULL;
    }
    if (names->n == names->room) {
        names->room = names->room ? names->room * 2 : 4;
        names->v = mem_grow(names->v, names->room, sizeof *names->v);
    }
    names->text.cap = TEXT_MAX;
    have = &names->v[names->n];
    *have = (struct warm_name){ .at = (uint32_t)names->text.n, .sub = (uint8_t)sub, .octets = (uint8_t)text.n };
    if (!buf_put(&names->text, name, text.n + 1)) {
        lose(names);
        return NULL;
    }
    names->n++;
    return have;
}

const char *warm_name(const struct warm_names *names, uint32_t i)
{
    return (const char *)names->text.p + names->v[i].at;
}

void warm_names_free(struct warm_names *names)
{
    buf_free(&names->text);
    free(names->v);
    *names = (struct warm_names){ 0 };
}
