/* scene.h - a session of the client's dialog as a text: what the server says, what the client must send, what
 * the caller must be told.
 *
 * A line is "S: text" (the server, CRLF is added), "S- text" (the same, nothing added), "C: text" (the client
 * sends this line now and no more than the C: lines that stand together), "E: text" (an event, in the words of
 * scene.c), "O: RETR 2 120" (an order), "Q:" (dialog_quit), "T:" (TLS is up), "X:" (the end), "I:" (idle now).
 * In texts \r \n \t \0 \\ \xHH are octets. Each scene is played whole, octet by octet and cut at random places.
 * Does not know: sockets, real mechanisms.
 */
#ifndef RESTANTE_TESTS_SCENE_H
#define RESTANTE_TESTS_SCENE_H

#include "pop3/dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* TLS from the first octet, bob, USER/PASS, everything else on. */
struct dialog_conf scene_conf(void);

/* A SASL layer that answers "I <name>" at first (PLAIN, SCRAM…, EXTERNAL, XOAUTH2) and "R <challenge>" then; the
 * challenge "bad" makes it stop, "unproven" makes it incomplete. ctx: the names it knows, or NULL for all. */
extern const struct dialog_sasl scene_sasl;

void scene_play(const struct dialog_conf *conf, const struct dialog_sasl *sasl, const char *text);

/* With scene_conf and scene_sasl. */
void scene(const char *text);

/* Appends what a text stands for. */
void scene_unescape(struct buf *out, struct span text);

#endif
