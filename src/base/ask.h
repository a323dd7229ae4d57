/* ask.h - a secret typed at a terminal, without echo.
 * Does not know: what it is for, whether it has to be typed twice.
 */
#ifndef RESTANTE_BASE_ASK_H
#define RESTANTE_BASE_ASK_H

#include "base/buf.h"
#include "base/err.h"

/* Writes the prompt to out and appends a line from the terminal in to secret. FAULT_BAD: longer than the cap, or
 * cancelled (Ctrl-C, Ctrl-D). The terminal is as before in any case, also when
 * SIGINT, SIGTERM, SIGHUP or SIGQUIT end the process meanwhile, as long as no other thread is there to take them. */
bool ask_secret(int in, int out, const char *prompt, struct buf *secret, struct err *e);

#endif
