/* sink_find.c - finds messages of ours in a Maildir by their base, whatever flags they have by now.
 *
 * Both folders are read once and kept as a sorted table: hundreds of intents after a crash, or a whole "verify",
 * cost one reading. Does not know: what is in the files.
 */
#include "client/sink_impl.h"

#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_AGAIN = 5 };

struct reading {
    struct sink *s;
    enum md_sub sub;
};

static bool add(void *ctx, const char *name)
{
    struct reading *r = ctx;
    struct sink *s = r->s;
    struct mdname parsed = mdname_parse(span_str(name));

    if (s->seen_n == s->seen_room) {
        s->seen_room = s->seen_room ? 2 * s->seen_room : 256;
        s->seen = mem_grow(s->seen, s->seen_room, sizeof *s->seen);
    }
    s->seen[s->seen_n++] = (struct sink_seen){ mem_str(name), parsed.base.n, r->sub };
    return true;
}

static int by_base(const void *a, const void *b)
{
    const struct sink_seen *x = a, *y = b;
    size_t n = x->base < y->base ? x->base : y->base;
    int order = memcmp(x->name, y->name, n);

    return order ? order : (x->base > y->base) - (x->base < y->base);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* new/ first: what moves to cur/ meanwhile is seen there, or twice. */
static bool read_both(struct sink *s)
{
    static const enum md_sub order[] = { MD_NEW, MD_CUR };

    for (size_t i = 0; i < 2; i++) {
        struct reading r = { s, order[i] };

        if (!spool_list(s->dir.sub[order[i]], add, &r))
            return false;
    }
    return true;
}

/* A reader that renames while we look may hide a name from one reading, hardly from the next. */
static bool read_table(struct sink *s, struct err *e)
{
    for (int i = 0; i < READ_AGAIN; i++) {
        struct stat before[2], after[2];

        find_forget(s);
        if (sys->fstat(s->dir.sub[MD_NEW], &before[0]) != 0 || sys->fstat(s->dir.sub[MD_CUR], &before[1]) != 0 ||
            !read_both(s) || sys->fstat(s->dir.sub[MD_NEW], &after[0]) != 0 ||
            sys->fstat(s->dir.sub[MD_CUR], &after[1]) != 0)
            return err_errno(e, "read", s->conf.target);
        if (same_time(&before[0].st_mtim, &after[0].st_mtim) && same_time(&before[1].st_mtim, &after[1].st_mtim))
            break;
    }
    if (s->seen_n)
        qsort(s->seen, s->seen_n, sizeof *s->seen, by_base);
    s->listed = true;
    return true;
}

const struct sink_seen *find_name(struct sink *s, const char *base, struct err *e)
{
    struct sink_seen key = { (char *)(uintptr_t)base, strlen(base), MD_NEW };

    e->fault = FAULT_NONE;
    if (!s->listed && !read_table(s, e))
        return NULL;
    return s->seen_n ? bsearch(&key, s->seen, s->seen_n, sizeof *s->seen, by_base) : NULL;
}

void find_forget(struct sink *s)
{
    for (size_t i = 0; i < s->seen_n; i++)
        free(s->seen[i].name);
    free(s->seen);
    s->seen = NULL;
    s->seen_n = s->seen_room = 0;
    s->listed = false;
}
