/* uidmap.c - UIDLs that came from another server: see uidmap.h. */
#include "store/uidmap.h"

#include "base/log.h"
#include "base/num.h"
#include "base/sys.h"
#include "mail/mdname.h"
#include "pop3/uid.h"
#include "store/checksum.h"

#include <errno.h>
#include <stdlib.h>

enum {
    FILE_MAX = 1 << 28, /* 4 million lines of 64 octets: as many as a listing may hold messages */
    MAP_MAX = 4000000,
    SUM_DIGITS = 16
};

static bool put_escaped(struct buf *b, struct span base)
{
    for (size_t i = 0; i < base.n; i++) {
        uint8_t c = base.p[i];

        if (c < 0x21 || c > 0x7e || c == '%' ? !buf_printf(b, "%%%02x", c) : !buf_put(b, &c, 1))
            return false;
    }
    return true;
}

/* Undoes put_escaped at the end of text; false (text may have grown) when malformed. */
static bool take_escaped(struct buf *text, struct span in)
{
    while (in.n) {
        uint8_t c = in.p[0];

        if (c == '%') {
            if (in.n < 3 || !hex_get(span_of(in.p + 1, 2), &c, 1))
                return false;
            span_take(&in, 2);
        }
        span_take(&in, 1);
        if (!buf_put(text, &c, 1))
            return false;
    }
    return true;
}

static int compare_spans(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static struct span base_of(const struct uidmap *map, const struct uidmap_entry *x)
{
    return span_of(map->text.p + x->base_at, x->base_octets);
}

static int compare_entries(const void *a, const void *b, void *ctx)
{
    const struct uidmap_entry *x = a, *y = b;
    int c = compare_spans(base_of(ctx, x), base_of(ctx, y));

    return c ? c : (x->line > y->line) - (x->line < y->line);
}

static bool take_line(struct uidmap *map, struct span line, uint32_t number)
{
    struct uidmap_entry x = { .line = number };
    struct span sum, uid, body;
    uint8_t want[SUM_DIGITS / 2];
    uint64_t have;

    if (!span_is(span_until(&line, ' '), "1") || map->n == MAP_MAX)
        return false;
    sum = span_until(&line, ' ');
    if (!hex_get(sum, want, sizeof want))
        return false;
    have = 0;
    for (size_t i = 0; i < sizeof want; i++)
        have = have << 8 | want[i];
    body = line;
    uid = span_until(&line, ' ');
    if (checksum_of(body) != have || !uid_legal(uid))
        return false;
    x.uid_at = (uint32_t)map->text.n;
    x.uid_octets = (uint8_t)uid.n;
    x.base_at = (uint32_t)(map->text.n + uid.n);
    if (!buf_put_span(&map->text, uid) || !take_escaped(&map->text, line) || map->text.n - x.base_at > MDNAME_MAX)
        return false;
    x.base_octets = (uint8_t)(map->text.n - x.base_at);
    if (map->n == map->room) {
        map->room = map->room ? map->room * 2 : 64;
        map->v = mem_grow(map->v, map->room, sizeof *map->v);
    }
    map->v[map->n++] = x;
    return true;
}

/* Sorted by base; of several lines for one base the last. */
static void sort(struct uidmap *map)
{
    uint32_t n = 0;

    if (map->n)
        qsort_r(map->v, map->n, sizeof *map->v, compare_entries, map);
    for (uint32_t i = 0; i < map->n; i++)
        if (i + 1 == map->n || compare_spans(base_of(map, &map->v[i]), base_of(map, &map->v[i + 1])))
            map->v[n++] = map->v[i];
    map->n = n;
}

static void take_file(struct uidmap *map, const struct mddir *d, struct span file)
{
    uint32_t number = 0, bad = 0;

    while (file.n) {
        bool whole = memchr(file.p, '\n', file.n) != NULL;
        struct span line = span_until(&file, '\n');

        number++;
        if (line.n && (!whole || !take_line(map, line, number)))
            bad++;
    }
    if (bad)
        event(LOG_WARNING, "uidl-file-damaged", F_STR("path", d->path), F_U64("lines", number), F_U64("bad", bad));
    sort(map);
}

static bool put_pair(struct buf *b, const struct uid_pair *pair)
{
    struct buf body = BUF(1024);
    bool ok = buf_put_span(&body, pair->uid) && buf_put_str(&body, " ") && put_escaped(&body, pair->base) &&
              buf_printf(b, "1 %016llx ", (unsigned long long)checksum_of(buf_span(&body))) &&
              buf_put_span(b, buf_span(&body)) && buf_put_str(b, "\n");

    buf_free(&body);
    return ok;
}

static bool make_lines(struct buf *b, const struct uid_pair *v, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct span base = mdname_parse(v[i].base).base;

        if (!uid_legal(v[i].uid) || !mdname_is_message(v[i].base) || base.n != v[i].base.n)
            return err_set(e, FAULT_BAD, "pair %zu: no legal UIDL or no base name", i + 1);
        if (!put_pair(b, &v[i]))
            return err_set(e, FAULT_BAD, "more UIDLs than a maildrop can have");
    }
    return true;
}

/* A crash may have left half a line: ours must not continue it. */
static bool begin_line(int fd, struct err *e)
{
    struct stat st;
    uint8_t last;

    if (sys->fstat(fd, &st) != 0)
        return err_errno(e, "stat", UIDMAP_FILE);
    if (!S_ISREG(st.st_mode))
        return err_set(e, FAULT_PERM, UIDMAP_FILE " is not a regular file");
    if (st.st_size == 0)
        return true;
    if (!sys_pread_all(fd, &last, 1, (uint64_t)st.st_size - 1))
        return err_errno(e, "read", UIDMAP_FILE);
    return last == '\n' || sys_write_all(fd, span_str("\n")) || err_errno(e, "write", UIDMAP_FILE);
}

bool uidmap_load(struct uidmap *map, const struct mddir *d, struct err *e)
{
    struct buf file = BUF(FILE_MAX);
    uint64_t octets;
    int fd = mddir_open_own(d, UIDMAP_FILE, &octets);
    bool ok;

    *map = (struct uidmap){ .text = BUF(FILE_MAX) };
    if (fd < 0)
        return errno == ENOENT || mddir_fail(d, e, "open", UIDMAP_FILE);
    if (octets > FILE_MAX) {
        sys_close(&fd);
        return err_set(e, FAULT_PERM, "%s/" UIDMAP_FILE " is too large", d->path);
    }
    file.n = (size_t)octets;
    file.p = mem_new(file.n);
    ok = sys_pread_all(fd, file.p, file.n, 0) || mddir_fail(d, e, "read", UIDMAP_FILE);
    if (ok)
        take_file(map, d, buf_span(&file));
    buf_free(&file);
    sys_close(&fd);
    return ok;
}

void uidmap_free(struct uidmap *map)
{
    buf_free(&map->text);
    free(map->v);
    map->v = NULL;
    map->n = map->room = 0;
}

bool uidmap_get(const struct uidmap *map, struct span base, struct span *uid)
{
    uint32_t from = 0, to = map->n;

    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        int c = compare_spans(base_of(map, &map->v[mid]), base);

        if (c == 0) {
            *uid = span_of(map->text.p + map->v[mid].uid_at, map->v[mid].uid_octets);
            return true;
        }
        if (c < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return false;
}

bool uidmap_append(const struct mddir *d, const struct uid_pair *v, size_t n, struct err *e)
{
    struct buf lines = BUF(FILE_MAX);
    int fd = -1;
    bool ok = make_lines(&lines, v, n, e);

    if (ok) {
        fd = sys_open(d->root, UIDMAP_FILE, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
        ok = (fd >= 0 || mddir_fail(d, e, "open", UIDMAP_FILE)) && begin_line(fd, e);
    }
    if (ok && !sys_write_all(fd, buf_span(&lines)))
        ok = mddir_fail(d, e, "write", UIDMAP_FILE);
    if (ok && (sys->fsync(fd) != 0 || sys->fsync(d->root) != 0))
        ok = mddir_fail(d, e, "fsync", UIDMAP_FILE);
    sys_close(&fd);
    buf_free(&lines);
    return ok;
}
