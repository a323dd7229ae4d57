/* mddir.c - a Maildir as open directories: see mddir.h. */
#include "store/mddir.h"

#include "base/buf.h"
#include "base/secret.h"
#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

static const char *const sub_names[MD_SUBS] = { [MD_NEW] = "new", [MD_CUR] = "cur", [MD_TMP] = "tmp" };

/* A private copy of the path without slashes at its end (behind one, O_NOFOLLOW would follow). NULL unless
 * it is absolute, short enough and free of "..". */
static char *checked_path(const char *path)
{
    struct span rest = span_str(path);

    if (rest.n < 2 || rest.n >= PATH_MAX || rest.p[0] != '/')
        return NULL;
    while (rest.n > 1 && rest.p[rest.n - 1] == '/')
        rest.n--;
    for (struct span s = rest; s.n;)
        if (span_is(span_until(&s, '/'), ".."))
            return NULL;
    return rest.n > 1 ? mem_strn(rest) : NULL;
}

static bool sync_parent(char *path, char *slash)
{
    char kept = *slash;
    int fd;
    bool ok;

    *slash = '\0';
    fd = sys_open(AT_FDCWD, slash == path ? "/" : path, O_RDONLY | O_DIRECTORY, 0);
    *slash = kept;
    ok = fd >= 0 && sys->fsync(fd) == 0;
    sys_close(&fd);
    return ok;
}

/* mkdir -p, each new directory durable in its parent. path is given back unchanged. */
static bool make_path(char *path)
{
    for (char *slash = path, *next; slash; slash = next) {
        bool made;

        next = strchr(slash + 1, '/');
        if (next)
            *next = '\0';
        made = sys->mkdirat(AT_FDCWD, path, 0700) == 0;
        if (next)
            *next = '/';
        if (!made && errno != EEXIST && (!next || (errno != EACCES && errno != EROFS)))
            return false; /* above the mail roots even looking may be forbidden: the open will tell */
        if (made && !sync_parent(path, slash))
            return false;
    }
    return true;
}

static bool open_subs(struct mddir *d, bool create, struct err *e)
{
    bool made = false;

    for (int i = 0; i < MD_SUBS; i++) {
        d->sub[i] = sys_open(d->root, sub_names[i], OPEN_DIR, 0);
        if (d->sub[i] < 0 && errno == ENOENT && create) {
            if (sys->mkdirat(d->root, sub_names[i], 0700) != 0 && errno != EEXIST)
                return mddir_fail(d, e, "mkdir", sub_names[i]);
            made = true;
            d->sub[i] = sys_open(d->root, sub_names[i], OPEN_DIR, 0);
        }
        if (d->sub[i] < 0 && i != MD_TMP) /* without tmp/ mail can still be read and removed */
            return mddir_fail(d, e, "open", sub_names[i]);
    }
    if (made && sys->fsync(d->root) != 0)
        return mddir_fail(d, e, "fsync", ".");
    return true;
}

static bool open_root(struct mddir *d, bool create, struct err *e)
{
    d->root = sys_open(AT_FDCWD, d->path, OPEN_DIR, 0);
    if (d->root < 0 && errno == ENOENT && create) {
        if (!make_path(d->path))
            return err_errno(e, "mkdir", d->path);
        d->root = sys_open(AT_FDCWD, d->path, OPEN_DIR, 0);
    }
    return d->root >= 0 || err_errno(e, "open", d->path);
}

bool mddir_open(struct mddir *d, const char *path, bool create, struct err *e)
{
    if (mddir_name(d, path, e) && open_root(d, create, e) && open_subs(d, create, e))
        return true;
    mddir_close(d);
    return false;
}

bool mddir_name(struct mddir *d, const char *path, struct err *e)
{
    *d = (struct mddir){ .root = -1, .path = checked_path(path) };
    for (int i = 0; i < MD_SUBS; i++)
        d->sub[i] = -1;
    return d->path || err_set(e, FAULT_BAD, "the path of a maildrop is absolute, without \"..\": %s", path);
}

bool mddir_open_root(struct mddir *d, struct err *e)
{
    d->root = sys_open(AT_FDCWD, d->path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    return d->root >= 0 || err_errno(e, "open", d->path);
}

void mddir_rest(struct mddir *d)
{
    for (int i = 0; i < MD_SUBS; i++)
        sys_close(&d->sub[i]);
    sys_close(&d->root);
}

void mddir_close(struct mddir *d)
{
    mddir_rest(d);
    free(d->path);
    d->path = NULL;
}

bool mddir_wake(struct mddir *d, struct err *e)
{
    if (d->root >= 0 || (open_root(d, false, e) && open_subs(d, false, e)))
        return true;
    mddir_rest(d);
    return false;
}

const char *mddir_sub_name(enum md_sub sub)
{
    return sub_names[sub];
}

bool mddir_fail(const struct mddir *d, struct err *e, const char *what, const char *name)
{
    int code = errno;

    return err_set(e, fault_of_errno(code), "%s %s/%s: %s", what, d->path, name, strerror(code));
}

bool mddir_move(int from_dir, const char *from, int to_dir, const char *to)
{
    struct stat st;

    if (sys->renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    /* NFS and others do not know NOREPLACE: a link never replaces anything either. */
    if (sys->linkat(from_dir, from, to_dir, to, 0) == 0)
        return sys->unlinkat(from_dir, from, 0) == 0 || errno == ENOENT;
    if (errno != EPERM && errno != EOPNOTSUPP)
        return false;
    if (sys->fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return false;
    }
    return errno == ENOENT && sys->renameat2(from_dir, from, to_dir, to, 0) == 0;
}

int mddir_open_own(const struct mddir *d, const char *name, uint64_t *octets)
{
    struct stat st;
    int fd = sys_open(d->root, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (sys->fstat(fd, &st) != 0) {
        sys_close(&fd);
    } else if (!S_ISREG(st.st_mode)) {
        sys_close(&fd);
        errno = EINVAL;
    } else {
        *octets = (uint64_t)st.st_size;
    }
    return fd;
}

int mddir_new_own(const struct mddir *d, char tmp_name[MDDIR_TMP_NAME])
{
    uint64_t mark[2];

    if (d->sub[MD_TMP] < 0) {
        errno = ENOENT;
        return -1;
    }
    secret_random(mark, sizeof mark);
    snprintf(tmp_name, MDDIR_TMP_NAME, "restante.%016llx%016llx", (unsigned long long)mark[0],
             (unsigned long long)mark[1]);
    return sys_open(d->sub[MD_TMP], tmp_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

bool mddir_put_own(const struct mddir *d, const char *tmp_name, const char *name)
{
    return sys->renameat2(d->sub[MD_TMP], tmp_name, d->root, name, 0) == 0;
}

void mddir_drop_own(const struct mddir *d, const char *tmp_name)
{
    int code = errno;

    sys->unlinkat(d->sub[MD_TMP], tmp_name, 0);
    errno = code;
}
