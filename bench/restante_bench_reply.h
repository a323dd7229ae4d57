/* restante_bench_reply.h - what the server's answers must be, line by line.
 *
 * Does not know: what is said next (restante_bench_session.c).
 */
#ifndef RESTANTE_BENCH_REPLY_H
#define RESTANTE_BENCH_REPLY_H

#include "restante_bench_session.h"

enum verdict { VERDICT_MORE, VERDICT_DONE };

/* Takes a line of the answer that the session waits for; inside a message (s->in_body) its end. DONE: the answer is
 * complete. A fault fails the session. */
enum verdict reply_take(struct session *s, const struct desk *desk, struct span line);

#endif
