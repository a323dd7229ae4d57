/* sink_command.c - a command as destination: at least once, the message complete on its standard input.
 *
 * The command line is the administrator's and goes to /bin/sh as it is; what the server sent reaches it by standard
 * input alone. Exit status in the words of sysexits.h. Does not know: what the command does.
 */
#include "client/sink_impl.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMEOUT_S = 300, GRACE_MS = 2000, OURS = 4 };

static const char prefix[] = "RESTANTE_";

static bool open_command(struct sink *s, struct err *e)
{
    if (!s->conf.timeout_s)
        s->conf.timeout_s = TIMEOUT_S;
    return spool_open(s, e);
}

static char *variable(const char *name, const char *value)
{
    struct buf text = BUF(65536);
    char *copy;

    if (!buf_printf(&text, "%s%s=%s", prefix, name, value ? value : ""))
        text.n = 0;
    copy = mem_strn(buf_span(&text));
    buf_free(&text);
    return copy;
}

/* The environment of this process, with ours in place of any RESTANTE_…; the first OURS strings are to be freed. */
static char **environment(const struct sink *s, const struct sink_item *item)
{
    char size[24], **all;
    size_t n = 0, count = 0;

    while (environ && environ[count])
        count++;
    all = mem_zero(count + OURS + 1, sizeof *all);
    snprintf(size, sizeof size, "%llu", (unsigned long long)item->entry.stored_octets);
    all[n++] = variable("ACCOUNT", s->conf.account);
    all[n++] = variable("RECIPIENT", s->conf.recipient);
    all[n++] = variable("SENDER", s->conf.sender);
    all[n++] = variable("SIZE", size);
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], prefix, sizeof prefix - 1) != 0)
            all[n++] = environ[i];
    return all;
}

static void free_environment(char **all)
{
    for (int i = 0; i < OURS; i++)
        free(all[i]);
    free(all);
}

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attr, int in)
{
    sigset_t none, all;
    int code;

    sigemptyset(&none);
    sigfillset(&all);
    code = posix_spawn_file_actions_adddup2(files, in, STDIN_FILENO);
    if (!code)
        code = posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
    if (!code)
        code = posix_spawnattr_setflags(attr,
                                        POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!code)
        code = posix_spawnattr_setsigmask(attr, &none);
    return code ? code : posix_spawnattr_setsigdefault(attr, &all);
}

static int start(const struct sink *s, const struct sink_item *item, int in, pid_t *pid)
{
    char sh[] = "/bin/sh", option[] = "-c", *line = mem_str(s->conf.target);
    char *argv[] = { sh, option, line, NULL }, **env = environment(s, item);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int code;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    code = prepare(&files, &attr, in);
    if (!code)
        code = posix_spawn(pid, sh, &files, &attr, argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    free_environment(env);
    free(line);
    return code;
}

/* Whether it has ended when the time is over. */
static bool ends_within(int pidfd, uint64_t ms)
{
    uint64_t end = clock_mono_ms() + ms;

    for (;;) {
        struct pollfd p = { .fd = pidfd, .events = POLLIN };
        uint64_t now = clock_mono_ms();

        if (now >= end)
            return false;
        if (poll(&p, 1, end - now > 60000 ? 60000 : (int)(end - now)) > 0)
            return true;
    }
}

/* Waits; a command that takes too long is ended with all of its process group. */
static bool wait_for(const struct sink *s, pid_t pid, int *status)
{
    int pidfd = pidfd_open(pid, 0);
    bool in_time = pidfd >= 0 && ends_within(pidfd, (uint64_t)s->conf.timeout_s * 1000);
    pid_t got;

    if (!in_time) {
        kill(-pid, SIGTERM);
        if (pidfd >= 0)
            ends_within(pidfd, GRACE_MS);
        kill(-pid, SIGKILL);
    }
    do
        got = waitpid(pid, status, 0);
    while (got < 0 && errno == EINTR);
    if (pidfd >= 0)
        sys_close(&pidfd);
    return in_time && got == pid;
}

static enum sink_result judge(int status, struct err *e)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    if (code == 0)
        return SINK_DELIVERED;
    if (code < 0) {
        err_set(e, FAULT_TEMP, "the command was ended by signal %d", WTERMSIG(status));
        return SINK_TEMP;
    }
    err_set(e, FAULT_TEMP, "the command exited with %d", code);
    switch (code) {
    case 71:  /* EX_OSERR */
    case 73:  /* EX_CANTCREAT */
    case 74:  /* EX_IOERR */
    case 75:  /* EX_TEMPFAIL */
    case 126: /* cannot be executed */
    case 127: /* not found */ return SINK_TEMP;
    default: return SINK_REFUSED;
    }
}

/* The command gets the file opened for reading, at its beginning. */
static enum sink_result run(const struct sink *s, const struct sink_item *item, struct err *e)
{
    int in = sys_open(s->spool, item->entry.name, O_RDONLY | O_NOFOLLOW, 0), status = 0, code;
    pid_t pid = -1;

    if (in < 0) {
        err_errno(e, "open", "the spool file");
        return SINK_TEMP;
    }
    code = start(s, item, in, &pid);
    sys_close(&in);
    if (code) {
        err_set(e, FAULT_TEMP, "the command cannot be started: %s", strerror(code));
        return SINK_TEMP;
    }
    if (!wait_for(s, pid, &status)) {
        err_set(e, FAULT_TEMP, "the command did not end within %u seconds", s->conf.timeout_s);
        return SINK_TEMP;
    }
    return judge(status, e);
}

static void commit_command(struct sink *s, struct sink_item *items)
{
    for (struct sink_item *i = items; i; i = i->next) {
        if (!i->state)
            continue;
        i->err = (struct err){ 0 };
        item_done(s, i, run(s, i, &i->err));
    }
}

/* Nobody can tell whether the command had done its work: it gets the message again. */
static bool recover_command(struct sink *s, struct entry *entry, bool *stored, struct err *e)
{
    (void)s, (void)entry, (void)e;
    *stored = false;
    return true;
}

static bool verify_command(struct sink *s, const struct entry *entry, struct err *e)
{
    (void)entry, (void)s;
    return err_set(e, FAULT_GONE, "what was given to a command cannot be looked at");
}

const struct sink_ops sink_command = {
    .open = open_command, .commit = commit_command, .recover = recover_command, .verify = verify_command
};
