/* credentials.h - the password or token of an account: from the file, a command, a file of its own, netrc, or a prompt.
 *
 * Order: password, password_command, password_file (must be 0600 and the user's own), netrc (the same), prompt when a
 * terminal is there. Never from argv or the environment (XCL-10); CR, LF and NUL inside are refused (C-38). Commands run
 * with /bin/sh -c, output's first line counts, bounded in size (64 KiB) and time. Blocking: called on a worker
 * thread. Does not know: what the secret is for.
 */
#ifndef RESTANTE_CLIENT_CREDENTIALS_H
#define RESTANTE_CLIENT_CREDENTIALS_H

#include "client/settings.h"

/* may_prompt: a terminal may be asked. secret (cap set by the caller) is wiped by the caller: buf_wipe. */
bool credentials_password(const struct account *account, bool may_prompt, struct buf *secret, struct err *e);

/* token_command; fresh: the old one was rejected: RESTANTE_TOKEN=fresh in the command's environment (R7628-10). */
bool credentials_token(const struct account *account, bool fresh, struct buf *token, struct err *e);

#endif
