/* restante_bench_manifest.c - which messages each user has: reading and searching manifests; see restante_bench_mail.h.
 * Does not know: how messages are made.
 */
#include "restante_bench_mail.h"

#include "base/num.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int by_digest(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    if (x->digest != y->digest)
        return x->digest < y->digest ? -1 : 1;
    return x->octets < y->octets ? -1 : x->octets > y->octets;
}

static int by_user(const void *a, const void *b)
{
    const struct drop *x = a, *y = b;

    return strcmp(x->user, y->user);
}

static bool take_head(struct manifest *m, struct span line)
{
    struct span name, count;
    uint64_t n, octets;
    struct drop *d;

    span_until(&line, ' ');
    name = span_until(&line, ' ');
    count = span_until(&line, ' ');
    if (!name.n || !num_all_u64(count, &n) || n > UINT32_MAX - 2 || !num_all_u64(line, &octets))
        return false;
    m->drops = mem_grow(m->drops, m->n + 1, sizeof *m->drops);
    d = &m->drops[m->n++];
    *d = (struct drop){ .user = mem_strn(name), .octets = octets };
    d->known = mem_zero((size_t)n + 1, sizeof *d->known);
    return true;
}

static bool take_known(struct manifest *m, struct span line)
{
    struct drop *d = &m->drops[m->n - 1];
    struct span digest = span_until(&line, ' ');
    uint8_t octets[8];
    struct known *k = &d->known[d->n];

    if (!hex_get(digest, octets, sizeof octets) || !num_all_u64(line, &k->octets))
        return false;
    for (size_t i = 0; i < sizeof octets; i++)
        k->digest = k->digest << 8 | octets[i];
    d->n++;
    return true;
}

static bool read_lines(FILE *in, const char *path, struct manifest *m, struct err *e)
{
    char *text = NULL;
    size_t room = 0, number = 0;
    uint64_t left = 0;
    ssize_t n;
    bool good = true;

    while (good && (n = getline(&text, &room, in)) > 0) {
        struct span line = span_of(text, (size_t)n), rest;

        line = span_until(&line, '\n');
        rest = line;
        number++;
        if (span_is(span_until(&rest, ' '), "user")) {
            struct span count;

            span_until(&rest, ' ');
            count = span_until(&rest, ' ');
            good = left == 0 && take_head(m, line) && num_all_u64(count, &left);
        } else {
            good = left > 0 && take_known(m, line);
            left--;
        }
    }
    free(text);
    if (!good || left)
        return err_set(e, FAULT_BAD, "%s, line %zu: not a line of a manifest", path, number);
    return true;
}

bool manifest_read(const char *path, struct manifest *m, struct err *e)
{
    FILE *in = fopen(path, "re");
    bool good;

    *m = (struct manifest){ 0 };
    if (!in)
        return err_errno(e, "open", path);
    good = read_lines(in, path, m, e);
    fclose(in);
    if (!good) {
        manifest_free(m);
        return false;
    }
    for (size_t i = 0; i < m->n; i++)
        qsort(m->drops[i].known, m->drops[i].n, sizeof(struct known), by_digest);
    if (m->n)
        qsort(m->drops, m->n, sizeof *m->drops, by_user);
    return true;
}

void manifest_free(struct manifest *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->drops[i].user);
        free(m->drops[i].known);
    }
    free(m->drops);
    *m = (struct manifest){ 0 };
}

const struct drop *manifest_find(const struct manifest *m, const char *user)
{
    size_t low = 0, high = m->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(user, m->drops[mid].user);

        if (order == 0)
            return &m->drops[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

uint32_t drop_find(const struct drop *d, uint64_t digest, uint64_t octets, const uint8_t *seen)
{
    uint32_t low = 0, high = d->n;
    bool any = false;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (d->known[mid].digest < digest)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < d->n && d->known[low].digest == digest; low++) {
        if (d->known[low].octets != octets)
            continue;
        any = true;
        if (!(seen[low / 8] & 1u << low % 8))
            return low;
    }
    return any ? DROP_TWICE : DROP_NONE;
}
