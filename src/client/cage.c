/* cage.c - Landlock and seccomp for the fetcher: see cage.h.
 *
 * The allow-list is what poll(2), the two sockets, OpenSSL and malloc need. Everything else ends the process
 * (SECCOMP_RET_KILL_PROCESS): a call that is not here is a fault or an attack, never a thing to go on from. open(2) and
 * socket(2) are not in it, so even a kernel without Landlock gives no file and no connection away.
 * Does not know: the protocol.
 */
#include "client/cage.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int allowed[] = {
    SCMP_SYS(read),          SCMP_SYS(write),        SCMP_SYS(writev),         SCMP_SYS(readv),
    SCMP_SYS(recvfrom),      SCMP_SYS(recvmsg),      SCMP_SYS(sendto),         SCMP_SYS(sendmsg),
    SCMP_SYS(poll),          SCMP_SYS(ppoll),        SCMP_SYS(close),          SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),    SCMP_SYS(setsockopt),   SCMP_SYS(brk),            SCMP_SYS(munmap),
    SCMP_SYS(mremap),        SCMP_SYS(madvise),
    SCMP_SYS(futex),         SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),  SCMP_SYS(time),
    SCMP_SYS(getrandom),     SCMP_SYS(getpid),       SCMP_SYS(gettid),         SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_yield),  SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),          SCMP_SYS(exit_group),   SCMP_SYS(fcntl),          SCMP_SYS(lseek),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),  SCMP_SYS(sigaltstack),
};

/* Handles every right that this kernel knows and grants none of them anywhere. */
static bool no_files(struct err *e)
{
    struct landlock_ruleset_attr rules = { 0 };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int fd;

    if (version < 1)
        return true;
    rules.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
#ifdef LANDLOCK_ACCESS_FS_REFER
    if (version >= 2)
        rules.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
#endif
    fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (fd < 0)
        return err_set(e, FAULT_PERM, "Landlock: %s", strerror(errno));
    if (syscall(SYS_landlock_restrict_self, fd, 0) != 0) {
        close(fd);
        return err_set(e, FAULT_PERM, "Landlock: %s", strerror(errno));
    }
    close(fd);
    return true;
}

static bool few_calls(struct err *e)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = filter ? 0 : -ENOMEM;

    for (size_t i = 0; rc == 0 && i < sizeof allowed / sizeof *allowed; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    /* No new code, and no signal to another process: abort(3) is the one use. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (rc == 0)
        rc = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return rc == 0 || err_set(e, FAULT_PERM, "seccomp: %s", strerror(-rc));
}

bool cage_enter(struct err *e)
{
    struct rlimit none = { 0, 0 }, descriptors = { 64, 64 };

    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &none);
    setrlimit(RLIMIT_NOFILE, &descriptors);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set(e, FAULT_PERM, "no_new_privs: %s", strerror(errno));
#ifndef __SANITIZE_ADDRESS__ /* the leak checker traces its own process, which this forbids */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    return no_files(e) && few_calls(e);
}
