/* secret_input.h - passwords from a terminal, a pipe or the random generator; never from arguments, which
 * every user of the system can read. Does not know: users, hashing.
 */
#ifndef RESTANTE_ADMIN_SECRET_INPUT_H
#define RESTANTE_ADMIN_SECRET_INPUT_H

#include "base/buf.h"
#include "base/err.h"

enum { SECRET_MAX = 1024 };

/* The first line of a descriptor, without its end. */
bool secret_from_line(int fd, struct buf *secret, struct err *e);

/* Asks twice on the terminal of standard input, without echo. */
bool secret_ask(const char *prompt, struct buf *secret, struct err *e);

/* 99 random bits: twenty letters and digits that nobody mistakes for others, "7kq4-…". */
bool secret_generate(struct buf *secret);

#endif
