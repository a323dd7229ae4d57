/* journal.c - opening, creating and locking a journal: see journal.h. Does not know: SQL. */
#include "client/journal_impl.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEADER = 100, AT_VERSION = 60, AT_APPLICATION = 68, REOPEN_TRIES = 5 };

static bool is_name(const char *account)
{
    size_t n = strnlen(account, JOURNAL_NAME);

    if (n == 0 || n > 100 || account[0] == '.')
        return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)account[i];

        if (!ascii_digit(c) && !(ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool journal_path(const char *dir, const char *account, const char *suffix, char path[JOURNAL_PATH], struct err *e)
{
    if (!is_name(account))
        return err_set(e, FAULT_BAD, "an account's name has 1 to 100 of A-Z a-z 0-9 . _ - and no dot in front");
    int n = snprintf(path, JOURNAL_PATH, "%s/%s.%s", dir, account, suffix);

    return (n > 0 && n < JOURNAL_PATH - 64) || err_set(e, FAULT_BAD, "the folder of journals has too long a name");
}

static bool sync_folder_of(const char *path, struct err *e)
{
    char folder[JOURNAL_PATH];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 0, path);
    if (!folder[0])
        snprintf(folder, sizeof folder, "%s", slash ? "/" : ".");
    int fd = sys_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    bool ok = (fd >= 0 && sys->fsync(fd) == 0) || err_errno(e, "sync", folder);

    sys_close(&fd);
    return ok;
}

/* Parents that are absent are made, too: 0700 as everything here. */
static bool make_folder(const char *dir, struct err *e)
{
    char path[JOURNAL_PATH];
    size_t n = strlen(dir);
    struct stat st;

    if (n == 0 || n >= sizeof path - 64)
        return err_set(e, FAULT_BAD, "the folder of journals has no name or too long a one");
    for (size_t i = 1; i <= n; i++) {
        if (i < n && dir[i] != '/')
            continue;
        snprintf(path, sizeof path, "%.*s", (int)i, dir);
        if (sys->mkdirat(AT_FDCWD, path, 0700) == 0) {
            if (!sync_folder_of(path, e))
                return false;
        } else if (errno != EEXIST && (errno != EACCES && errno != EROFS)) {
            return err_errno(e, "create", path);
        }
    }
    if (sys->fstatat(AT_FDCWD, dir, &st, 0) != 0)
        return err_errno(e, "look at", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, FAULT_PERM, "%.200s is no folder", dir);
    return !(st.st_mode & S_IWOTH) || err_set(e, FAULT_PERM, "%.200s can be written by others: chmod o-w", dir);
}

static bool is_still_there(const char *path, int fd)
{
    struct stat open, named;

    return sys->fstat(fd, &open) == 0 && S_ISREG(open.st_mode) &&
           sys->fstatat(AT_FDCWD, path, &named, AT_SYMLINK_NOFOLLOW) == 0 && open.st_ino == named.st_ino &&
           open.st_dev == named.st_dev;
}

bool journal_lock(const char *dir, const char *account, int *fd, struct err *e)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char path[JOURNAL_PATH];

    if (!journal_path(dir, account, "lock", path, e))
        return false;
    for (int i = 0; i < REOPEN_TRIES; i++) {
        *fd = sys_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (*fd < 0)
            return err_errno(e, "open", path);
        if (sys->lock(*fd, &whole) != 0) {
            bool taken = errno == EAGAIN || errno == EACCES;

            err_errno(e, "lock", path);
            sys_close(fd);
            return taken ? err_set(e, FAULT_IN_USE, "account %s is being fetched by another run", account) : false;
        }
        if (is_still_there(path, *fd))
            return true;
        sys_close(fd);
    }
    return err_set(e, FAULT_TEMP, "%.200s is no regular file or is being replaced", path);
}

bool journal_place(const char *from, const char *to, struct err *e)
{
    int fd = sys_open(AT_FDCWD, from, O_RDONLY | O_NOFOLLOW, 0);
    bool ok = (fd >= 0 && sys->fsync(fd) == 0) || err_errno(e, "sync", from);

    sys_close(&fd);
    if (ok && sys->renameat2(AT_FDCWD, from, AT_FDCWD, to, 0) != 0)
        ok = err_errno(e, "rename", from);
    return ok && sync_folder_of(to, e);
}

static void remove_beside(const char *path, const char *suffix)
{
    char beside[JOURNAL_PATH_ROOM + 16];

    snprintf(beside, sizeof beside, "%s%s", path, suffix);
    sys->unlinkat(AT_FDCWD, beside, 0);
}

/* Under the lock: whatever an earlier try left is nobody's, and so is a write-ahead log without its journal. */
static bool create(const struct journal *j, struct err *e)
{
    char fresh[JOURNAL_PATH_ROOM + 8];

    snprintf(fresh, sizeof fresh, "%s.new", j->path);
    remove_beside(fresh, "");
    remove_beside(fresh, "-journal");
    remove_beside(fresh, "-wal");
    remove_beside(fresh, "-shm");
    remove_beside(j->path, "-wal");
    remove_beside(j->path, "-shm");
    return journal_make(fresh, e) && journal_place(fresh, j->path, e);
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Looks at the file before SQLite may touch it: what is not ours, or newer than we are, stays as it is. */
static bool check_header(struct journal *j, struct err *e)
{
    uint8_t head[HEADER];
    struct stat st;
    int fd = sys_open(AT_FDCWD, j->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    bool ok = (fd >= 0 && sys->fstat(fd, &st) == 0) || err_errno(e, "open", j->path);

    if (ok && !S_ISREG(st.st_mode))
        ok = err_set(e, FAULT_PERM, "%.200s is no regular file", j->path);
    if (ok && st.st_size < HEADER)
        ok = journal_fail(j, SQLITE_NOTADB, e);
    if (ok && !sys_pread_all(fd, head, sizeof head, 0))
        ok = err_errno(e, "read", j->path);
    sys_close(&fd);
    if (!ok)
        return false;
    if (memcmp(head, "SQLite format 3", 16) != 0 || big_endian(head + AT_APPLICATION) != JOURNAL_APPLICATION)
        return journal_fail(j, SQLITE_NOTADB, e);
    if (big_endian(head + AT_VERSION) > JOURNAL_VERSION)
        return err_set(e, FAULT_BAD, "%.160s is of version %u; this program knows version %d: use a newer one", j->path,
                       big_endian(head + AT_VERSION), JOURNAL_VERSION);
    return true;
}

static bool open_existing(struct journal *j, const char *dir, struct err *e)
{
    struct stat st;

    if (!j->read_only) {
        if (!make_folder(dir, e) || !journal_lock(dir, j->account, &j->lock, e))
            return false;
        if (sys->fstatat(AT_FDCWD, j->path, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
            (errno == ENOENT ? !create(j, e) : !err_errno(e, "look at", j->path)))
            return false;
    }
    return check_header(j, e) && journal_attach(j, j->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, e) &&
           (j->read_only || journal_check(j, e));
}

bool journal_open(const char *dir, const char *account, bool read_only, struct journal **j, struct err *e)
{
    struct journal *made = mem_zero(1, sizeof *made);
    bool ok = journal_path(dir, account, "journal", made->path, e);

    made->lock = -1;
    made->read_only = read_only;
    *j = NULL;
    if (ok) {
        snprintf(made->account, sizeof made->account, "%s", account);
        ok = open_existing(made, dir, e);
    }
    if (ok)
        *j = made;
    else
        journal_close(&made);
    return ok;
}

void journal_close(struct journal **j)
{
    if (!*j)
        return;
    if ((*j)->db) {
        journal_rollback(*j);
        journal_detach(*j);
    }
    sys_close(&(*j)->lock);
    free(*j);
    *j = NULL;
}
