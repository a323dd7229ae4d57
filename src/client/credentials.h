/* credentials.h - the password or token of an account: from the configuration, a command, a file of its own, netrc, or
 * whoever sits at the terminal.
 *
 * Order: password, password_command, password_file, netrc, and a prompt when this process is in the foreground of a
 * terminal. Files must be the user's own and 0600. Never from argv or the environment (XCL-10); CR and NUL inside are
 * refused (C-38). Commands run with /bin/sh -c, the first line of their output counts; size and time are bounded.
 * Blocking: called on a worker thread. Does not know: what the secret is for.
 */
#ifndef RESTANTE_CLIENT_CREDENTIALS_H
#define RESTANTE_CLIENT_CREDENTIALS_H

#include "client/settings.h"

/* secret (cap set by the caller) is wiped by the caller: buf_wipe. */
bool credentials_password(const struct account *account, struct buf *secret, struct err *e);

/* Would a password come from the terminal and nowhere else? Then it is asked for before a run paints anything. */
bool credentials_asks(const struct account *account);

/* token_command; fresh: the old one was rejected: RESTANTE_TOKEN=fresh in the command's environment (R7628-10). */
bool credentials_token(const struct account *account, bool fresh, struct buf *token, struct err *e);

#endif
