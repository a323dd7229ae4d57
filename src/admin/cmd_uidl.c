/* cmd_uidl.c - restantectl uidl import: UIDLs that another server gave, so that clients which leave mail on the
 * server do not fetch everything again after a move (R1939-UIDL-08).
 *
 * A file of lines "FILENAME UIDL"; flags and size fields of the file name do not matter. All faults of the file
 * are told at once, and then nothing is imported. Does not know: the map's format (store/uidmap.h), formats of
 * other servers.
 */
#include "admin/view.h"
#include "base/clock.h"
#include "mail/mdname.h"
#include "store/lock.h"
#include "store/uidmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX_OCTETS = 256 * 1024 * 1024, WAIT_MS = 5000, FAULTS_TOLD = 20 };

struct import {
    const char *path;
    struct buf text;
    struct uid_pair *v; /* spans into text */
    uint32_t *line;     /* of each pair */
    size_t n;
    unsigned faults;
};

static void fault(struct import *im, uint32_t line, const char *text)
{
    if (im->faults++ < FAULTS_TOLD)
        ctl_fail(EX_DATAERR, "%s:%u: %s", im->path, line, text);
}

static bool read_text(struct import *im)
{
    int fd = strcmp(im->path, "-") == 0 ? dup(0) : open(im->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = -1;

    while (fd >= 0) {
        uint8_t *room = buf_reserve(&im->text, 65536);

        errno = room ? 0 : EFBIG;
        n = room ? read(fd, room, 65536) : -1;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        im->text.n += (size_t)n;
    }
    int code = errno;

    if (fd >= 0)
        close(fd);
    errno = code;
    return n == 0;
}

static bool is_uid(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e)
            return false;
    return s.n >= 1 && s.n <= MDNAME_UID;
}

static void take_line(struct import *im, struct span line, uint32_t number)
{
    const uint8_t *blank;
    struct span name, uid;

    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] == '#')
        return;
    blank = memrchr(line.p, ' ', line.n);
    if (!blank) {
        fault(im, number, "no blank; write the name of a file in new or cur, a blank, the UIDL");
        return;
    }
    name = span_of(line.p, (size_t)(blank - line.p));
    uid = span_of(blank + 1, line.n - name.n - 1);
    if (!mdname_is_message(name) || memchr(name.p, 0, name.n))
        fault(im, number, "that can be no name of a message; write it without its folder");
    else if (!is_uid(uid))
        fault(im, number, "no UIDL: 1 to 70 visible ASCII characters (RFC 1939)");
    im->v = mem_grow(im->v, im->n + 1, sizeof *im->v);
    im->line = mem_grow(im->line, im->n + 1, sizeof *im->line);
    im->v[im->n] = (struct uid_pair){ mdname_parse(name).base, uid };
    im->line[im->n++] = number;
}

static int span_order(struct span a, struct span b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

static int order_bases(const void *a, const void *b)
{
    const struct uid_pair *x = a, *y = b;

    return span_order(x->base, y->base);
}

static int order_uids(const void *a, const void *b)
{
    const struct uid_pair *x = a, *y = b;

    return span_order(x->uid, y->uid);
}

static uint32_t line_of(const struct import *im, struct span uid)
{
    for (size_t i = im->n; i > 0; i--)
        if (span_eq(im->v[i - 1].uid, uid))
            return im->line[i - 1];
    return 0;
}

/* A UIDL stands for one message, and a message has one. */
static void check_twice(struct import *im)
{
    struct uid_pair *sorted = mem_grow(NULL, im->n + 1, sizeof *sorted);

    if (im->n)
        memcpy(sorted, im->v, im->n * sizeof *sorted);
    qsort(sorted, im->n, sizeof *sorted, order_uids);
    for (size_t i = 1; i < im->n; i++)
        if (span_eq(sorted[i].uid, sorted[i - 1].uid))
            fault(im, line_of(im, sorted[i].uid), "another line has the same UIDL; keep one");
    qsort(sorted, im->n, sizeof *sorted, order_bases);
    for (size_t i = 1; i < im->n; i++)
        if (span_eq(sorted[i].base, sorted[i - 1].base))
            fault(im, line_of(im, sorted[i].uid), "another line has the same message; keep one");
    free(sorted);
}

static int read_import(struct import *im)
{
    struct span rest;
    uint32_t number = 0;

    if (!read_text(im))
        return ctl_fail(EX_NOINPUT, "%s: %s", im->path, strerror(errno));
    for (rest = buf_span(&im->text); rest.n;)
        take_line(im, span_until(&rest, '\n'), ++number);
    check_twice(im);
    if (im->faults > FAULTS_TOLD)
        ctl_fail(EX_DATAERR, "%s: %u faults in all", im->path, im->faults);
    return im->faults ? EX_DATAERR : EX_OK;
}

/* How many messages of the maildrop the file names. */
static size_t count_known(struct view *v, struct import *im)
{
    struct index_record record;
    struct span uid, name;
    size_t known = 0;

    qsort(im->v, im->n, sizeof *im->v, order_bases);
    for (uint32_t i = 0; i < v->listing.h.count; i++) {
        struct uid_pair key = { 0 };

        if (!index_reader_get(&v->listing, i, &record, &uid, &name) || !name.n)
            continue;
        if (memchr(name.p, '/', name.n))
            span_until(&name, '/'); /* the folder it is in */
        key.base = mdname_parse(name).base;
        known += bsearch(&key, im->v, im->n, sizeof *im->v, order_bases) != NULL;
    }
    return known;
}

static bool lock(const struct mddir *d, int *fd, struct err *e)
{
    uint64_t give_up = clock_mono_ms() + WAIT_MS;
    struct timespec pause = { 0, 20000000 };

    while (!lock_session(d, true, fd, e)) {
        if (e->fault != FAULT_IN_USE || clock_mono_ms() > give_up)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static int append(const char *path, const struct import *im)
{
    struct mddir d;
    int fd = -1;
    struct err e;
    bool ok = mddir_open(&d, path, false, &e);

    if (ok)
        ok = lock(&d, &fd, &e) && (im->n == 0 || uidmap_append(&d, im->v, im->n, &e));
    if (fd >= 0)
        close(fd);
    mddir_close(&d);
    return ok ? EX_OK : ctl_fail_err(&e);
}

int cmd_uidl_import(struct cli *ctl)
{
    struct import im = { .path = ctl->args.words[1], .text = BUF(FILE_MAX_OCTETS) };
    struct view view = { 0 };
    int code = read_import(&im); /* before root is given up: it may be root's file */
    size_t known;

    if (code == EX_OK)
        code = view_open(ctl, ctl->args.words[0], &view);
    if (code == EX_OK) {
        known = count_known(&view, &im);
        code = append(view.account.maildrop, &im);
        if (code == EX_OK)
            printf("%zu UIDLs imported; %zu of %u messages have one of them\n", im.n, known, view.listing.h.count);
    }
    view_close(&view);
    free(im.v);
    free(im.line);
    buf_free(&im.text);
    return code;
}
