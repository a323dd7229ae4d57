/* ask.c - a secret from the keyboard: see ask.h. */
#include "base/ask.h"

#include "base/sys.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_C = 3, CTRL_D = 4, CTRL_U = 21, BACKSPACE = 8, DELETE = 127 };

static bool say(int fd, const char *text)
{
    return write(fd, text, strlen(text)) >= 0;
}

/* One octet from the terminal; not 1: its end, or one of the signals of "deadly" waits to be delivered. */
static ssize_t read_octet(int fd, int deadly, uint8_t *c)
{
    struct pollfd p[2] = { { fd, POLLIN, 0 }, { deadly, POLLIN, 0 } };
    ssize_t n;

    do {
        while ((n = poll(p, 2, -1)) < 0 && errno == EINTR)
            ;
        if (n < 0 || p[1].revents)
            return 0;
        n = read(fd, c, 1);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* A line typed with echo off; the terminal sends no signals for keys meanwhile. */
static bool read_keys(int fd, int deadly, struct buf *secret, struct err *e)
{
    uint8_t c;

    for (;;) {
        if (read_octet(fd, deadly, &c) != 1) /* what was typed so far is no answer */
            return err_set(e, FAULT_BAD, "cancelled: the terminal is gone; nothing was changed");
        if (c == '\n' || c == '\r')
            return true;
        if (c == CTRL_C || c == CTRL_D)
            return err_set(e, FAULT_BAD, "cancelled; nothing was changed");
        if (c == BACKSPACE || c == DELETE) {
            while (secret->n && (secret->p[secret->n - 1] & 0xc0) == 0x80)
                secret->n--;
            secret->n -= secret->n > 0;
        } else if (c == CTRL_U) {
            secret->n = 0;
        } else if (!buf_put(secret, &c, 1)) {
            return err_set(e, FAULT_BAD, "the password is longer than %zu octets", secret->cap);
        }
    }
}

/* Signals that would end the process here and now; not those that are ignored or that somebody handles. */
static void deadly_signals(sigset_t *set)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction now;

    sigemptyset(set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
            sigaddset(set, numbers[i]);
}

static bool ask_muted(int in, int out, const char *prompt, int deadly, struct buf *secret, struct err *e)
{
    struct termios before, quiet;
    bool ok;

    if (tcgetattr(in, &before) != 0)
        return err_errno(e, "tcgetattr", "terminal");
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    if (tcsetattr(in, TCSAFLUSH, &quiet) != 0) /* before the prompt: nothing typed after it may be seen */
        return err_errno(e, "tcsetattr", "terminal");
    ok = say(out, prompt) ? read_keys(in, deadly, secret, e) : err_errno(e, "write", "terminal");
    tcsetattr(in, TCSAFLUSH, &before);
    say(out, "\n");
    return ok;
}

/* A signal that comes meanwhile waits until the terminal echoes again, and is deadly then. */
bool ask_secret(int in, int out, const char *prompt, struct buf *secret, struct err *e)
{
    sigset_t deadly, mask;
    int fd;
    bool ok;

    deadly_signals(&deadly);
    fd = signalfd(-1, &deadly, SFD_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "signalfd", "terminal");
    pthread_sigmask(SIG_BLOCK, &deadly, &mask);
    ok = ask_muted(in, out, prompt, fd, secret, e);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sys_close(&fd);
    return ok;
}
