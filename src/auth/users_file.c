/* users_file.c - noticing a changed users file: see users_file.h. */
#include "auth/users_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What tells one version of a file from another. rename() brings another inode, an editor another time. */
struct version {
    uint64_t inode, device, size;
    struct timespec mtime, ctime;
};

struct users_file {
    char *path;
    struct users *table;
    struct version seen;
    uint64_t looked_ms;
    bool ever, given, good;
    int fd;
};

struct users_file *users_file_new(const char *path)
{
    struct users_file *f = mem_zero(1, sizeof *f);

    f->path = mem_str(path);
    f->fd = -1;
    users_parse(span_of("", 0), path, &f->table, NULL);
    return f;
}

void users_file_free(struct users_file **fp)
{
    struct users_file *f = *fp;

    *fp = NULL;
    if (!f)
        return;
    users_free(&f->table);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f);
}

static struct version version_of(const char *path)
{
    struct version v;
    struct stat st;

    memset(&v, 0, sizeof v); /* a missing file is a version too */
    if (stat(path, &st) != 0)
        return v;
    v.inode = st.st_ino;
    v.device = st.st_dev;
    v.size = (uint64_t)st.st_size;
    v.mtime = st.st_mtim;
    v.ctime = st.st_ctim;
    return v;
}

static bool same(const struct version *a, const struct version *b)
{
    return a->inode == b->inode && a->device == b->device && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
           a->ctime.tv_sec == b->ctime.tv_sec && a->ctime.tv_nsec == b->ctime.tv_nsec;
}

void users_file_give(struct users_file *f, int fd)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
    f->given = true;
}

/* What was given: read when told to, since whoever gives it says when it has changed. */
static enum users_news look_given(struct users_file *f, bool force, struct buf *report)
{
    struct users *table = NULL;

    if (!force)
        return USERS_SAME;
    if (f->fd < 0)
        errno = ENOENT;
    if (!users_load_fd(f->fd, f->path, &table, report)) {
        table = f->good || f->fd < 0 ? NULL : users_load_good(f->fd, f->path);
        if (table) { /* the start: whoever stands on a good line can log in */
            users_free(&f->table);
            f->table = table;
        }
        return USERS_BROKEN;
    }
    users_free(&f->table);
    f->table = table;
    f->good = true;
    return USERS_NEW;
}

enum users_news users_file_look(struct users_file *f, uint64_t now_ms, bool force, struct buf *report)
{
    struct users *table = NULL;
    struct version now;

    if (f->given)
        return look_given(f, force, report);
    if (!f->path[0] || (!force && f->ever && now_ms - f->looked_ms < USERS_LOOK_MS))
        return USERS_SAME;
    f->looked_ms = now_ms;
    now = version_of(f->path); /* before reading: a change in between is seen at the next look */
    if (!force && f->ever && same(&now, &f->seen))
        return USERS_SAME;
    f->seen = now;
    f->ever = true;
    if (!users_load(f->path, &table, report))
        return USERS_BROKEN;
    users_free(&f->table);
    f->table = table;
    return USERS_NEW;
}

const struct users *users_file_table(const struct users_file *f)
{
    return f->table;
}

const char *users_file_path(const struct users_file *f)
{
    return f->path;
}
