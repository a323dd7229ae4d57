/* text.h - every text of the server, in every language (RFC 6856 §3).
 *
 * In a text "#" stands for the next number of the reply and "@" for its string. English is ASCII (what a client
 * reads that never said LANG), the others are UTF-8. No text begins with "[": that is for response codes.
 * Does not know: response codes, replies, which language a session has.
 */
#ifndef RESTANTE_POP3_TEXT_H
#define RESTANTE_POP3_TEXT_H

#include "base/span.h"

enum lang { LANG_EN, LANG_DE, LANG_FR, LANG_N };

enum text_id {
    /* the same in all languages */
    TEXT_CUSTOM, TEXT_NUMBERS,
    /* of +OK */
    TEXT_GREETING, TEXT_CAPA, TEXT_USER, TEXT_LOGGED_IN_1, TEXT_LOGGED_IN_N, TEXT_LISTING_1, TEXT_LISTING_N,
    TEXT_UIDL, TEXT_OCTETS, TEXT_TOP, TEXT_DELETED, TEXT_NOOP, TEXT_RESET, TEXT_BYE, TEXT_BYE_REMOVED,
    TEXT_STLS, TEXT_MECHS, TEXT_UTF8, TEXT_LANGS, TEXT_LANG_SET,
    /* of -ERR: the command */
    TEXT_UNKNOWN, TEXT_BEFORE_LOGIN, TEXT_AFTER_LOGIN, TEXT_BAD_ARGS, TEXT_BAD_OCTETS, TEXT_LONG_LINE,
    TEXT_TOO_MANY_BAD, TEXT_FOREIGN,
    /* logging in */
    TEXT_USER_FIRST, TEXT_NEEDS_TLS, TEXT_NO_APOP, TEXT_NO_MECH, TEXT_BAD_BASE64, TEXT_CANCELLED,
    TEXT_MALFORMED, TEXT_LOGIN_FAILED, TEXT_IN_USE, TEXT_LOGIN_DELAY, TEXT_SYS_TEMP, TEXT_SYS_PERM,
    TEXT_HAVE_TLS, TEXT_NO_STLS, TEXT_STLS_BROKEN, TEXT_STLS_AFTER_UTF8,
    /* mail */
    TEXT_NO_MSG, TEXT_MSG_DELETED, TEXT_MSG_GONE, TEXT_NEEDS_UTF8, TEXT_TOP_REFUSED, TEXT_UTF8_LATE,
    TEXT_NO_LANG, TEXT_COMMIT_FAILED,
    TEXT_N
};

const char *text_get(enum lang lang, enum text_id id);

/* What the command LANG offers: a tag of RFC 5646, the language's own name for itself. */
struct text_lang {
    const char *tag, *name;
    enum lang lang;
};

enum { TEXT_LANGS_N = LANG_N + 1 };
extern const struct text_lang text_langs[TEXT_LANGS_N];

/* The first language that matches a basic language range (RFC 4647 §3.3.1); "*" is preferred (a tag, NULL =
 * English). NULL: none matches. */
const struct text_lang *text_lang_find(struct span range, const char *preferred);

#endif
