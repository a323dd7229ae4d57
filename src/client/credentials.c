/* credentials.c - the password or token of an account: see credentials.h.
 *
 * Commands run with /bin/sh -c, their output bounded in size and time. Does not know: what the secret is for.
 */
#include "client/credentials.h"

#include "base/clock.h"
#include "base/sys.h"
#include "client/netrc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 32768, COMMAND_MS = 120000 };

extern char **environ;

/* The first line counts; what cannot stand in a line of the protocol is refused (C-38). */
static bool first_line(struct buf *secret, const char *from, struct err *e)
{
    struct span rest = buf_span(secret), line = span_until(&rest, '\n');

    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    secret->n = line.n;
    if (line.n == 0)
        return err_set(e, FAULT_PERM, "%s gave nothing", from);
    if (memchr(line.p, '\r', line.n) || memchr(line.p, '\0', line.n))
        return err_set(e, FAULT_PERM, "%s gave a secret with CR or NUL inside", from);
    return true;
}

static bool read_private(const char *path, struct buf *secret, struct err *e)
{
    int fd = sys_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    struct stat st;
    ssize_t got = -1;
    uint8_t *p;

    if (fd < 0)
        return err_errno(e, "opening", path);
    if (sys->fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
        sys_close(&fd);
        return err_set(e, FAULT_PERM, "%s must be a file of yours that nobody else can read: chmod 600 it", path);
    }
    p = buf_reserve(secret, PIECE);
    if (p)
        got = sys_read_some(fd, p, PIECE);
    sys_close(&fd);
    if (got < 0)
        return err_errno(e, "reading", path);
    secret->n += (size_t)got;
    return true;
}

static bool from_netrc(const struct account *account, struct buf *secret, struct err *e)
{
    const char *home = getenv("HOME");
    struct buf path = BUF(4096), text = BUF(65536);
    bool ok = buf_printf(&path, "%s/.netrc", home ? home : "") && buf_put(&path, "", 1);

    ok = ok ? read_private((const char *)path.p, &text, e) : err_set(e, FAULT_BAD, "the path of ~/.netrc is too long");
    ok = ok && netrc_password(buf_span(&text), account->host, account->user, secret, e);
    buf_free(&path);
    buf_wipe(&text);
    return ok;
}

static bool launch(const char *command, bool fresh, int out, pid_t *pid)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    char **env = environ, **mine = NULL;
    size_t n = 0;
    int rc;

    if (fresh) {
        while (environ[n])
            n++;
        mine = mem_zero(n + 2, sizeof *mine);
        memcpy(mine, environ, n * sizeof *mine);
        mine[n] = (char *)"RESTANTE_TOKEN=fresh";
        env = mine;
    }
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
    rc = posix_spawn(pid, "/bin/sh", &files, &how, argv, env);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    free(mine);
    return rc == 0;
}

/* Reads until the end of the output; false when it does not come. */
static bool collect(int fd, struct buf *out)
{
    uint64_t until = clock_mono_ms() + COMMAND_MS;

    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = { fd, POLLIN, 0 };
        uint8_t *room = buf_reserve(out, PIECE);
        ssize_t got;

        if (!room || now >= until || poll(&p, 1, (int)(until - now)) == 0)
            return false;
        got = read(fd, room, PIECE);
        if (got < 0 && errno != EINTR)
            return false;
        if (got == 0)
            return true;
        if (got > 0)
            out->n += (size_t)got;
    }
}

static bool from_command(const char *command, bool fresh, struct buf *secret, struct err *e)
{
    int ends[2], status = -1;
    bool whole;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(e, "making", "a pipe");
    if (!launch(command, fresh, ends[1], &pid)) {
        close(ends[0]);
        close(ends[1]);
        return err_set(e, FAULT_TEMP, "starting /bin/sh: %s", strerror(errno));
    }
    close(ends[1]);
    whole = collect(ends[0], secret);
    close(ends[0]);
    if (!whole)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!whole)
        return err_set(e, FAULT_TEMP, "the command for the secret did not end in time, or says too much");
    if (status != 0)
        return err_set(e, FAULT_PERM, "the command for the secret failed (exit code %d)",
                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return first_line(secret, "the command for the secret", e);
}

static bool given(const char *text)
{
    return text && *text;
}

bool credentials_password(const struct account *account, struct buf *secret, struct err *e)
{
    if (given(account->password))
        return buf_put_str(secret, account->password) || err_set(e, FAULT_BAD, "the password is too long");
    if (given(account->password_command))
        return from_command(account->password_command, false, secret, e);
    if (given(account->password_file))
        return read_private(account->password_file, secret, e) && first_line(secret, account->password_file, e);
    if (account->netrc)
        return from_netrc(account, secret, e);
    return err_set(e, FAULT_PERM, "there is no password: set password-command, password-file, netrc or password");
}

bool credentials_token(const struct account *account, bool fresh, struct buf *token, struct err *e)
{
    return from_command(account->token_command, fresh, token, e);
}
