/* credentials.c - passwords and tokens from files, commands and the terminal: see credentials.h. */
#include "client/credentials.h"

#include "base/ask.h"
#include "base/clock.h"
#include "base/sys.h"
#include "client/netrc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 * 1024, FILE_MAX = 1024 * 1024, COMMAND_MS = 120000, CHUNK = 4096, ENV_NEW = 4 };

extern char **environ;

/* The first line of text counts; what would end a line of the protocol early is refused (C-38). */
static bool take_line(struct span text, struct buf *secret, const char *what, struct err *e)
{
    struct span line = span_until(&text, '\n');

    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0)
        return err_set(e, FAULT_PERM, "%s gives nothing; its first line must be the secret", what);
    if (memchr(line.p, '\r', line.n) || memchr(line.p, 0, line.n))
        return err_set(e, FAULT_PERM, "%s gives a secret with CR or NUL inside", what);
    if (!buf_put_span(secret, line))
        return err_set(e, FAULT_PERM, "%s gives a secret longer than %zu octets", what, secret->cap - secret->n);
    return true;
}

/* The server, or the domain that names it. */
static const char *where(const struct account *a)
{
    const char *at = a->discover ? strrchr(a->discover, '@') : NULL;

    if (a->host && *a->host)
        return a->host;
    return at ? at + 1 : a->discover ? a->discover : "";
}

static char *variable(const char *name, const char *value)
{
    char *text = NULL;

    return asprintf(&text, "%s=%s", name, value ? value : "") < 0 ? NULL : text;
}

/* The environment, with what the command may want to know; the first ENV_NEW strings are ours to free. */
static char **environment(const struct account *a, bool fresh)
{
    size_t n = 0, k = ENV_NEW;
    char **env;

    while (environ[n])
        n++;
    env = mem_zero(n + ENV_NEW + 1, sizeof *env);
    env[0] = variable("RESTANTE_ACCOUNT", a->name);
    env[1] = variable("RESTANTE_USER", a->user);
    env[2] = variable("RESTANTE_HOST", where(a));
    env[3] = variable("RESTANTE_TOKEN", fresh ? "fresh" : "");
    for (size_t i = 0; i < ENV_NEW; i++)
        if (!env[i])
            abort(); /* out of memory */
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "RESTANTE_", 9) != 0)
            env[k++] = environ[i];
    return env;
}

static void environment_free(char **env)
{
    for (size_t i = 0; i < ENV_NEW; i++)
        free(env[i]);
    free(env);
}

/* This runs on a thread that blocks signals; the command starts with none blocked and none ignored. It leads a group
 * of its own, to be ended with all that it started. */
static bool start(const char *command, char **env, int out, pid_t *pid)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    rc = posix_spawn(pid, "/bin/sh", &files, &how, argv, env);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    errno = rc;
    return rc == 0;
}

/* All output until its end. */
static bool collect(int fd, struct buf *output, const char *what, struct err *e)
{
    uint64_t until = clock_mono_ms() + COMMAND_MS;

    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = { fd, POLLIN, 0 };
        uint8_t *room = buf_reserve(output, CHUNK);
        ssize_t n;

        if (!room)
            return err_set(e, FAULT_PERM, "%s prints more than %d octets", what, OUTPUT_MAX);
        if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
            return err_set(e, FAULT_TEMP, "%s takes longer than %d s", what, COMMAND_MS / 1000);
        n = read(fd, room, CHUNK);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "reading from", what);
        if (n == 0)
            return true;
        if (n > 0)
            output->n += (size_t)n;
    }
}

static bool ended_well(pid_t pid, const char *what, struct err *e)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status))
        return err_set(e, FAULT_PERM, "%s fails with exit code %d", what, WEXITSTATUS(status));
    return err_set(e, FAULT_PERM, "%s is ended by signal %d", what, WTERMSIG(status));
}

static bool from_command(const struct account *a, const char *command, bool fresh, struct buf *secret,
                         struct err *e)
{
    const char *what = command == a->token_command ? "token-command" : "password-command";
    struct buf output = BUF(OUTPUT_MAX + CHUNK);
    char **env;
    int ends[2];
    bool ok;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(e, "making a pipe for", what);
    env = environment(a, fresh);
    ok = start(command, env, ends[1], &pid) || err_errno(e, "starting", what);
    environment_free(env);
    sys_close(&ends[1]);
    if (ok) {
        struct err late;

        ok = collect(ends[0], &output, what, e);
        if (!ok)
            kill(-pid, SIGKILL);
        if (!ended_well(pid, what, ok ? e : &late))
            ok = false;
        ok = ok && take_line(buf_span(&output), secret, what, e);
    }
    sys_close(&ends[0]);
    buf_wipe(&output);
    return ok;
}

/* A file that nobody else may read (XCL-10), whole. */
static bool read_private(const char *path, struct buf *text, struct err *e)
{
    int fd = sys_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    struct stat st;
    bool ok = false;

    if (fd < 0 || sys->fstat(fd, &st) != 0) {
        err_errno(e, "opening", path);
    } else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
        err_set(e, FAULT_PERM, "%s must be a file of yours that nobody else can read: chmod 600 it", path);
    } else if (st.st_size > FILE_MAX) {
        err_set(e, FAULT_PERM, "%s is larger than %d octets", path, FILE_MAX);
    } else {
        size_t n = (size_t)st.st_size;
        uint8_t *room = buf_reserve(text, n ? n : 1);

        ok = room && sys_pread_all(fd, room, n, 0);
        if (ok)
            text->n += n;
        else
            err_errno(e, "reading", path);
    }
    sys_close(&fd);
    return ok;
}

static bool from_file(const char *path, struct buf *secret, struct err *e)
{
    struct buf text = BUF(FILE_MAX + 1);
    bool ok = read_private(path, &text, e) && take_line(buf_span(&text), secret, path, e);

    buf_wipe(&text);
    return ok;
}

static bool from_netrc(const struct account *a, struct buf *secret, struct err *e)
{
    struct buf text = BUF(FILE_MAX + 1), word = BUF(secret->cap);
    const char *home = getenv("HOME");
    char path[4096];
    bool ok = snprintf(path, sizeof path, "%s/.netrc", home ? home : "") < (int)sizeof path ||
              err_set(e, FAULT_PERM, "the path of ~/.netrc is too long");

    ok = ok && read_private(path, &text, e) && netrc_password(buf_span(&text), where(a), a->user, &word, e) &&
         take_line(buf_span(&word), secret, "~/.netrc", e);
    buf_wipe(&text);
    buf_wipe(&word);
    return ok;
}

/* Several accounts may ask at once; the lock lets one speak at a time. */
static bool from_terminal(const struct account *a, struct buf *secret, struct err *e)
{
    int fd = sys_open(AT_FDCWD, "/dev/tty", O_RDWR | O_CLOEXEC, 0);
    struct buf typed = BUF(secret->cap);
    char prompt[600];
    bool ok;

    if (fd < 0 || tcgetpgrp(fd) != getpgrp()) {
        sys_close(&fd);
        return err_set(e, FAULT_PERM,
                       "there is no password, and no terminal to ask for it: set password-command, "
                       "password-file or netrc");
    }
    (void)flock(fd, LOCK_EX); /* at worst two prompts mix */
    snprintf(prompt, sizeof prompt, "Password of %.250s at %.250s: ", a->user, where(a));
    ok = ask_secret(fd, fd, prompt, &typed, e) && take_line(buf_span(&typed), secret, "the terminal", e);
    sys_close(&fd);
    buf_wipe(&typed);
    return ok;
}

static bool given(const char *text)
{
    return text && *text;
}

bool credentials_asks(const struct account *account)
{
    return !given(account->password) && !given(account->password_command) && !given(account->password_file) &&
           !given(account->token_command) && !account->netrc &&
           !(account->auth && span_iis(span_str(account->auth), "EXTERNAL"));
}

bool credentials_password(const struct account *account, struct buf *secret, struct err *e)
{
    if (given(account->password))
        return take_line(span_str(account->password), secret, "password", e);
    if (given(account->password_command))
        return from_command(account, account->password_command, false, secret, e);
    if (given(account->password_file))
        return from_file(account->password_file, secret, e);
    if (account->netrc)
        return from_netrc(account, secret, e);
    return from_terminal(account, secret, e);
}

bool credentials_token(const struct account *account, bool fresh, struct buf *token, struct err *e)
{
    if (!given(account->token_command))
        return err_set(e, FAULT_PERM, "there is no token-command");
    return from_command(account, account->token_command, fresh, token, e);
}
