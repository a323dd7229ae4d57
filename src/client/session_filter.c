/* session_filter.c - a command looks at the beginning of a message (TOP) and decides: 0 fetch, 1 delete, 2 skip.
 *
 * The message comes on standard input; nothing of the server stands in the command line or the environment. Any other
 * exit code, a signal or the time limit counts as "fetch": a broken filter must not cost mail. On a worker thread.
 * Does not know: the connection.
 */
#include "client/session.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP_US = 20000 };

extern char **environ;

static bool launch(const char *command, int in, pid_t *pid)
{
    char *argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    int rc;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, 2, 1);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
    rc = posix_spawn(pid, "/bin/sh", &files, &how, argv, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc == 0;
}

/* The exit code, or -1. */
static int wait_for(pid_t pid, uint32_t timeout_s)
{
    uint64_t until = clock_mono_ms() + (uint64_t)timeout_s * 1000;
    int status;
    pid_t got;

    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && clock_mono_ms() < until)
        usleep(STEP_US);
    if (got == 0) {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        return -1;
    }
    return got == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_filter(struct session *s)
{
    int fd = memfd_create("restante-filter", MFD_CLOEXEC), code = -1;
    pid_t pid;

    if (fd >= 0 && sys_write_all(fd, buf_span(&s->top)) && lseek(fd, 0, SEEK_SET) == 0 &&
        launch(s->account->filter_command, fd, &pid))
        code = wait_for(pid, s->account->read_s);
    sys_close(&fd);
    return code;
}

/* A message that the user's filter wants gone unread: written down before DELE, like every deletion. */
static bool journal_removal(struct session *s, struct err *e)
{
    const struct listed *m = &s->listing.v[s->filter_number];
    struct entry entry = { .state = ENTRY_DELE_SENT, .nth = m->nth, .has_size = m->flags & L_SIZE, .size = m->size,
                           .first_seen = clock_real_ns() / 1000000000, .why = "removed by filter" };

    entry.uid = listing_uid_of(&s->listing, m);
    if (entry.uid.n == 0)
        return err_set(e, FAULT_BAD, "filter: without unique-ids nothing is deleted unread");
    return journal_begin(s->journal, e) && journal_put(s->journal, &entry, e) && journal_commit(s->journal, e);
}

void session_do_filter(struct session *s)
{
    int code = run_filter(s);

    s->filter_verdict = code == 1 ? FILTER_DELETE : code == 2 ? FILTER_SKIP : FILTER_FETCH;
    if (code < 0 || code > 2)
        err_set(&s->work_err, FAULT_TEMP, "filter-command failed (%d); the message is fetched", code);
    if (code == 1 && !journal_removal(s, &s->work_err)) {
        journal_rollback(s->journal);
        s->filter_verdict = FILTER_FETCH;
    }
}
