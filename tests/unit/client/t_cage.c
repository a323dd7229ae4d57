/* t_cage.c - what the fetcher's cage lets through and what it ends: each in a process of its own.
 *
 * Does not know: the fetcher.
 */
#include "client/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* The signal that ended act inside of the cage, 0 when it was let through. */
static int caged(void (*act)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct err e;

        if (!cage_enter(&e))
            _exit(1);
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void memory(void)
{
    void *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) != 0 || munmap(p, 8192) != 0)
        _exit(2);
}

static void run_memory(void)
{
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void make_runnable(void)
{
    static char page[3 * 4096];

    mprotect(page + 4096 - (uintptr_t)page % 4096, 4096, PROT_READ | PROT_EXEC);
}

static void open_file(void)
{
    open("/dev/null", O_RDONLY);
}

static void connect_somewhere(void)
{
    socket(AF_INET, SOCK_STREAM, 0);
}

static void start_program(void)
{
    execl("/bin/true", "true", (char *)NULL);
}

static void signal_parent(void)
{
    kill(getppid(), 0);
}

static void signal_thread_of_parent(void)
{
    tgkill(getppid(), getppid(), 0);
}

static void test_cage(void **state)
{
    (void)state;
    assert_int_equal(caged(memory), 0);
    assert_int_equal(caged(abort), SIGABRT); /* a failed assertion shows as one */
    assert_int_equal(caged(run_memory), SIGSYS);
    assert_int_equal(caged(make_runnable), SIGSYS);
    assert_int_equal(caged(open_file), SIGSYS);
    assert_int_equal(caged(connect_somewhere), SIGSYS);
    assert_int_equal(caged(start_program), SIGSYS);
    assert_int_equal(caged(signal_parent), SIGSYS);
    assert_int_equal(caged(signal_thread_of_parent), SIGSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cage) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
