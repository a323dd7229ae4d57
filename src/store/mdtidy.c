/* mdtidy.c - what opening a maildrop sets right on disk: see mdtidy.h. */
#include "store/mdtidy.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/sys.h"
#include "store/mdcommit.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

enum { TMP_AGE_S = 36 * 3600, DAY_S = 86400, READ_OCTETS = 32768 };

static int64_t newest_touch_s(const struct stat *st)
{
    return st->st_mtim.tv_sec > st->st_atim.tv_sec ? st->st_mtim.tv_sec : st->st_atim.tv_sec;
}

static void clean_one(const struct mddir *d, const char *name, int64_t now_s)
{
    struct stat st;
    int dir = d->sub[MD_TMP];

    if (name[0] == '.' || sys->fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        now_s - newest_touch_s(&st) <= TMP_AGE_S)
        return;
    if (sys->unlinkat(dir, name, 0) == 0)
        event(LOG_INFO, "tmp-cleaned", F_STR("path", d->path), F_STR("name", name));
}

void mdtidy_tmp(const struct mddir *d)
{
    int64_t now_s = clock_real_ns() / 1000000000;
    uint8_t *piece;
    ssize_t got;

    if (d->sub[MD_TMP] < 0 || sys->lseek(d->sub[MD_TMP], 0, SEEK_SET) != 0)
        return;
    piece = mem_new(READ_OCTETS);
    while ((got = sys->getdents(d->sub[MD_TMP], piece, READ_OCTETS)) > 0) {
        for (ssize_t at = 0; at < got;) {
            const struct dirent64 *entry = (const void *)(piece + at);

            clean_one(d, entry->d_name, now_s);
            at += entry->d_reclen;
        }
    }
    free(piece);
}

/* Which of two files with one base keeps it: the one that was there first, as far as files tell. */
static bool is_older(const struct md_msg *a, const struct md_msg *b)
{
    return a->mtime_ns != b->mtime_ns ? a->mtime_ns < b->mtime_ns : a->size < b->size;
}

static void rename_twin(struct mdlist *l, const struct mddir *d, struct md_msg *m)
{
    char name[MDNAME_ROOM];
    uint64_t mark;
    size_t n;

    secret_random(&mark, sizeof mark);
    n = mdname_twin(name, mdlist_name_span(l, m), mark);
    if (!n || !mddir_move(d->sub[m->sub], mdlist_name(l, m), d->sub[m->sub], name)) {
        l->unsure = true; /* mduid_assign still tells them apart */
        return;
    }
    event(LOG_WARNING, "message-twin", F_STR("path", d->path), F_STR("name", mdlist_name(l, m)),
          F_STR("now", name));
    if (!mdlist_rename(l, m, m->sub, span_of(name, n)))
        l->unsure = m->gone = true; /* no room for the name: listed next time */
}

static bool is_live(const struct md_msg *m)
{
    return !m->gone && !m->refused;
}

void mdtidy_twins(struct mdlist *l, const struct mddir *d)
{
    uint32_t end;

    for (uint32_t i = 0; i < l->n; i = end) {
        uint32_t keeper = i;

        for (end = i + 1; end < l->n; end++) {
            if (!span_eq(mdlist_base(l, &l->v[end]), mdlist_base(l, &l->v[i])))
                break;
            if (is_live(&l->v[end]) && (!is_live(&l->v[keeper]) || is_older(&l->v[end], &l->v[keeper])))
                keeper = end;
        }
        for (uint32_t j = i; j < end && end - i > 1; j++)
            if (j != keeper && is_live(&l->v[j]))
                rename_twin(l, d, &l->v[j]);
    }
}

static bool get_listed(void *ctx, uint32_t i, struct md_seen *seen)
{
    const struct mdlist *l = ctx;
    const struct md_msg *m = &l->v[i];

    *seen = (struct md_seen){ m->sub, mdlist_name_span(l, m), m->size, m->mtime_ns };
    return true;
}

void mdtidy_expire(struct mdlist *l, const struct mddir *d, const struct store_policy *policy)
{
    uint64_t now_s = (uint64_t)(clock_real_ns() / 1000000000);
    uint64_t age_s = (uint64_t)policy->expire_days * DAY_S;
    uint8_t *marks = mem_zero(((size_t)l->n + 7) / 8, 1);
    struct md_victims victims = { l->n, marks, get_listed, l };
    struct md_outcome out;
    struct err e = { FAULT_NONE, "" };
    struct mdfind find;
    struct stat st;
    bool any = false;

    for (uint32_t i = 0; i < l->n; i++) {
        if (!is_live(&l->v[i]) || now_s < age_s || l->v[i].when >= now_s - age_s)
            continue;
        marks[i / 8] = (uint8_t)(marks[i / 8] | 1u << (i % 8));
        any = true;
    }
    if (any) {
        mdfind_init(&find, d);
        mdcommit_run(&find, &victims, policy->durable, &out, &e);
        mdfind_free(&find);
        event(out.failed ? LOG_ERROR : LOG_INFO, "messages-expired", F_STR("path", d->path),
              F_U64("removed", out.removed), F_U64("failed", out.failed), F_ERR(&e));
    }
    for (uint32_t i = 0; i < l->n && any; i++)
        if ((marks[i / 8] >> (i % 8) & 1) &&
            sys->fstatat(d->sub[l->v[i].sub], mdlist_name(l, &l->v[i]), &st, AT_SYMLINK_NOFOLLOW) != 0)
            l->v[i].gone = true;
    free(marks);
}

void mdtidy_move(struct mdlist *l, const struct mddir *d)
{
    char name[MDNAME_ROOM];

    for (uint32_t i = 0; i < l->n; i++) {
        struct md_msg *m = &l->v[i];
        size_t n;

        if (m->sub != MD_NEW || !is_live(m))
            continue;
        n = mdname_in_cur(name, mdlist_name_span(l, m), 0);
        if (!n)
            continue;
        if (mddir_move(d->sub[MD_NEW], mdlist_name(l, m), d->sub[MD_CUR], name)) {
            if (!mdlist_rename(l, m, MD_CUR, span_of(name, n)))
                l->unsure = m->gone = true;
        } else if (errno == EROFS || errno == EACCES || errno == EPERM) {
            event(LOG_WARNING, "new-not-moved", F_STR("path", d->path), F_STR("error", strerror(errno)));
            return;
        }
    }
}
