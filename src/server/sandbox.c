/* sandbox.c - giving up privileges: see sandbox.h. */
#include "server/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static bool become(uid_t uid, gid_t gid, struct err *e)
{
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return err_set(e, FAULT_PERM, "becoming uid %u gid %u: %s", (unsigned)uid, (unsigned)gid,
                       strerror(errno));
    if (uid != 0 && setuid(0) == 0)
        return err_set(e, FAULT_PERM, "root could be regained");
    return true;
}

bool sandbox_enter(const char *root_dir, uid_t uid, gid_t gid, struct err *e)
{
    struct rlimit none = { 0, 0 };
    bool root = geteuid() == 0;

    if (root && (uid == (uid_t)-1 || gid == (gid_t)-1))
        return err_set(e, FAULT_PERM, "a worker of root must be told whom to become");
    setrlimit(RLIMIT_CORE, &none); /* a core file would hold passwords and keys */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set(e, FAULT_PERM, "no_new_privs: %s", strerror(errno));
    if (root && root_dir && (chroot(root_dir) != 0 || chdir("/") != 0))
        return err_set(e, FAULT_PERM, "chroot %s: %s", root_dir, strerror(errno));
    if (root && !become(uid, gid, e))
        return false;
#ifndef __SANITIZE_ADDRESS__ /* the leak checker traces its own process, which this forbids */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    return true;
}

void sandbox_signals(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a full quota is an error to answer, not an end */
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGTERM, &ignore, NULL);
}
