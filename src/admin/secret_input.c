/* secret_input.c - passwords from people, pipes and the random generator: see secret_input.h. */
#include "admin/secret_input.h"

#include "base/ask.h"
#include "base/secret.h"

#include <errno.h>
#include <unistd.h>

enum { GENERATED = 20, GROUP = 4 };

static ssize_t read_octet(int fd, uint8_t *c)
{
    ssize_t n;

    do
        n = read(fd, c, 1);
    while (n < 0 && errno == EINTR);
    return n;
}

bool secret_from_line(int fd, struct buf *secret, struct err *e)
{
    uint8_t c;
    ssize_t n;

    while ((n = read_octet(fd, &c)) == 1 && c != '\n')
        if (!buf_put(secret, &c, 1))
            return err_set(e, FAULT_BAD, "the password is longer than %d octets", SECRET_MAX);
    if (n < 0)
        return err_errno(e, "read", "standard input");
    if (secret->n && secret->p[secret->n - 1] == '\r')
        secret->n--;
    return secret->n > 0 || err_set(e, FAULT_BAD, "the password is empty; write it as one line");
}

bool secret_ask(const char *prompt, struct buf *secret, struct err *e)
{
    struct buf again = BUF(SECRET_MAX);
    bool ok;

    if (!isatty(0))
        return err_set(e, FAULT_BAD, "no terminal to ask for the password; use --password-stdin or --generate");
    ok = ask_secret(0, 2, prompt, secret, e) && ask_secret(0, 2, "The same again: ", &again, e);
    if (ok && secret->n == 0)
        ok = err_set(e, FAULT_BAD, "the password is empty; nothing was changed");
    else if (ok && !secret_eq(buf_span(secret), buf_span(&again)))
        ok = err_set(e, FAULT_BAD, "the two passwords differ; nothing was changed");
    buf_wipe(&again);
    return ok;
}

bool secret_generate(struct buf *secret)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789-"; /* 31 and an unused one */
    uint8_t made = 0, raw;

    while (made < GENERATED) {
        secret_random(&raw, 1);
        raw &= 31;
        if (raw == 31)
            continue;
        if ((made && made % GROUP == 0 && !buf_put_str(secret, "-")) || !buf_put(secret, letters + raw, 1))
            return false;
        made++;
    }
    return true;
}
