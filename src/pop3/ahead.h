/* ahead.h - which messages a client is about to ask for, read from the commands it has sent ahead (RFC 2449 §6.8).
 *
 * For embedders that want to have a message at hand before the engine asks for it. Nothing is consumed and nothing
 * is decided: the engine runs each command when its turn comes, and what it asks for then counts.
 * Does not know: the effect of commands between, descriptors.
 */
#ifndef RESTANTE_POP3_AHEAD_H
#define RESTANTE_POP3_AHEAD_H

#include "pop3/engine.h"

/* Of the whole lines at the front of unread, behind the command being carried out: the messages (from 0) that RETR
 * and TOP name and that are there, each once, in their order, no more than room. Stops at a command that ends or
 * changes more than one message, and at anything that is no command. */
size_t ahead_messages(const struct engine *e, struct span unread, uint32_t *msgs, size_t room);

#endif
