/* sink_spool.c - the folder of spool files, and which names in it are ours.
 * Does not know: messages, digests.
 */
#include "client/sink_impl.h"

#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_PIECE = 32768 };

static bool sync_folder_of(char *path, char *slash)
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

/* mkdir -p, each new folder durable in its parent. */
static bool make_folders(char *path)
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
            return false;
        if (made && !sync_folder_of(path, slash))
            return false;
    }
    return true;
}

bool spool_open(struct sink *s, struct err *e)
{
    char *path;
    struct stat st;

    if (!s->conf.spool_dir || s->conf.spool_dir[0] != '/')
        return err_set(e, FAULT_BAD, "this destination needs an absolute spool folder");
    path = mem_str(s->conf.spool_dir);
    s->spool = sys_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (s->spool < 0 && errno == ENOENT && make_folders(path))
        s->spool = sys_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    free(path);
    if (s->spool < 0 || sys->fstat(s->spool, &st) != 0)
        return err_errno(e, "open the spool folder", s->conf.spool_dir);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return err_set(e, FAULT_PERM, "%s belongs to somebody else or others may write to it", s->conf.spool_dir);
    return true;
}

enum { MICROSECONDS = 1 + 6 }; /* "M" and digits */

/* "DIGITS.M<6 digits>R<tag><16 hex>.restante" */
bool spool_is_ours(const struct sink *s, struct span name)
{
    struct span when = span_until(&name, '.'), mark = span_until(&name, '.');

    if (!when.n || mark.n != MICROSECONDS + 1 + SINK_TAG + 16 || mark.p[0] != 'M' || !span_is(name, "restante") ||
        mark.p[MICROSECONDS] != 'R')
        return false;
    for (size_t i = 0; i < when.n; i++)
        if (!ascii_digit(when.p[i]))
            return false;
    span_take(&mark, MICROSECONDS);
    for (size_t i = 1; i < mark.n; i++)
        if (!ascii_digit(mark.p[i]) && (mark.p[i] < 'a' || mark.p[i] > 'f'))
            return false;
    return memcmp(mark.p + 1, s->tag, SINK_TAG) == 0;
}

static bool foreign(const char *path, struct err *e)
{
    return err_set(e, FAULT_PERM,
                   "%s belongs to another user, who could redirect what the administrator's account "
                   "writes there: run this account as that user",
                   path);
}

/* Whoever owns a folder can put a link in place of what is below it while we work (C-27). */
bool spool_path_trusted(const char *path, struct err *e)
{
    char *copy, *next;
    bool ok = true;

    if (geteuid() != 0)
        return true;
    copy = mem_str(path);
    for (char *slash = copy; ok && slash; slash = next) {
        struct stat at, link;

        next = slash[0] ? strchr(slash + 1, '/') : NULL;
        if (next)
            *next = '\0';
        if (sys->fstatat(AT_FDCWD, copy, &link, AT_SYMLINK_NOFOLLOW) == 0 && link.st_uid != 0)
            ok = foreign(copy, e);
        else if (sys->fstatat(AT_FDCWD, copy, &at, 0) == 0 && at.st_uid != 0)
            ok = foreign(copy, e);
        if (next)
            *next = '/';
    }
    free(copy);
    return ok;
}

static bool list_piece(const uint8_t *piece, size_t n, spool_visit *visit, void *ctx)
{
    for (size_t at = 0; at < n;) {
        const struct dirent64 *d = (const void *)(piece + at);

        if (d->d_reclen == 0)
            return true;
        if (d->d_name[0] != '.' && !visit(ctx, d->d_name))
            return false;
        at += d->d_reclen;
    }
    return true;
}

bool spool_list(int dir, spool_visit *visit, void *ctx)
{
    uint8_t *piece = mem_new(LIST_PIECE);
    ssize_t n = -1;
    bool ok = sys->lseek(dir, 0, SEEK_SET) == 0;

    while (ok && (n = sys->getdents(dir, piece, LIST_PIECE)) > 0)
        ok = list_piece(piece, (size_t)n, visit, ctx);
    free(piece);
    return ok && n == 0;
}

/* Only a hint: the fsync of a batch then waits for what is on its way already. */
void spool_start_writing(int fd)
{
    sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}
