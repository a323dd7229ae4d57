/* restante_bench_tally.c - counting, clock and patterns: the small parts of restante_bench.h.
 * Does not know: what is counted.
 */
#include "restante_bench.h"

#include "base/num.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *const kind_names[KIND_N] = { "connect", "tls",    "greeting",  "login",   "reply",
                                         "syntax",  "closed", "left-open", "timeout", "count",
                                         "size",    "uid",    "content",   "twice",   "missing" };
const char *const phase_names[PHASE_N] = {
    "connect", "login", "stat", "uidl", "list", "drain", "session", "seen"
};
const char *const mode_names[MODE_N] = { "poll", "drain", "idle", "storm", "delivery", "make", "manifest" };

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void samples_add(struct samples *s, uint64_t ns)
{
    if (s->n == s->room) {
        s->room = s->room ? s->room * 2 : 1024;
        s->ns = mem_grow(s->ns, s->room, sizeof *s->ns);
    }
    s->ns[s->n++] = ns;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

void samples_sort(struct samples *s)
{
    if (s->n)
        qsort(s->ns, s->n, sizeof *s->ns, by_size);
}

uint64_t samples_at(const struct samples *s, double share)
{
    double at = share * (double)s->n;
    size_t i = (size_t)at;

    if (!s->n)
        return 0;
    if ((double)i == at && i)
        i--;
    return s->ns[i < s->n ? i : s->n - 1];
}

void tally_error(struct tally *t, enum kind kind, const char *fmt, ...)
{
    va_list args;

    if (t->errors[kind]++)
        return;
    va_start(args, fmt);
    vsnprintf(t->first[kind], sizeof t->first[kind], fmt, args);
    va_end(args);
}

uint64_t tally_errors(const struct tally *t)
{
    uint64_t n = 0;

    for (size_t i = 0; i < KIND_N; i++)
        n += t->errors[i];
    return n;
}

void tally_free(struct tally *t)
{
    for (size_t i = 0; i < PHASE_N; i++)
        free(t->phase[i].ns);
    *t = (struct tally){ 0 };
}

/* "%d" or "%0Nd" at the front of *in: the width, 0 for none; false when it is something else. */
static bool take_mark(struct span *in, uint64_t *width)
{
    struct span rest = *in;

    *width = 0;
    span_take(&rest, 1);
    if (rest.n && ascii_digit(*rest.p) && (*rest.p != '0' || !num_take_u64(&rest, width) || *width > 20))
        return false;
    if (!rest.n || *rest.p != 'd')
        return false;
    span_take(&rest, 1);
    *in = rest;
    return true;
}

bool pattern_put(const char *pattern, uint32_t n, char *out, size_t room)
{
    struct span in = span_str(pattern);
    uint8_t digits[20];
    size_t digits_n = num_put_u64(digits, n), at = 0;
    uint64_t width;

    while (in.n) {
        if (*in.p == '%' && take_mark(&in, &width)) {
            size_t zeros = width > digits_n ? (size_t)width - digits_n : 0;

            if (at + zeros + digits_n >= room)
                return false;
            memset(out + at, '0', zeros);
            memcpy(out + at + zeros, digits, digits_n);
            at += zeros + digits_n;
        } else {
            if (at + 1 >= room)
                return false;
            out[at++] = (char)*span_take(&in, 1).p;
        }
    }
    out[at] = '\0';
    return true;
}
