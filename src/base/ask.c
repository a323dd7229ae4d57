/* ask.c - a secret from the keyboard: see ask.h. */
#include "base/ask.h"

#include <errno.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_C = 3, CTRL_D = 4, CTRL_U = 21, BACKSPACE = 8, DELETE = 127 };

static bool say(int fd, const char *text)
{
    return write(fd, text, strlen(text)) >= 0;
}

static ssize_t read_octet(int fd, uint8_t *c)
{
    ssize_t n;

    do
        n = read(fd, c, 1);
    while (n < 0 && errno == EINTR);
    return n;
}

/* A line typed with echo and signals off, so that an interrupt cannot leave the terminal mute. */
static bool read_keys(int fd, struct buf *secret, struct err *e)
{
    uint8_t c;

    for (;;) {
        if (read_octet(fd, &c) != 1) /* what was typed so far is no answer */
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

bool ask_secret(int in, int out, const char *prompt, struct buf *secret, struct err *e)
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
    ok = say(out, prompt) ? read_keys(in, secret, e) : err_errno(e, "write", "terminal");
    tcsetattr(in, TCSAFLUSH, &before);
    say(out, "\n");
    return ok;
}
