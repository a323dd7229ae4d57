/* password.h - stored passwords: recognising, checking and making them.
 *
 * A stored password is text as it stands in the users file, "{SCHEME}rest"; without a scheme it is what
 * crypt(3) makes ("$6$…"), as Dovecot reads it. Costs that a hostile or mistyped file could use to hang a
 * process are refused before any hashing (password.c has the bounds). Checking blocks for as long as the hash
 * takes: the server does it in hash workers only. Does not know: users, files, who asks.
 */
#ifndef RESTANTE_AUTH_PASSWORD_H
#define RESTANTE_AUTH_PASSWORD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "sasl/scram.h"

enum password_scheme {
    PASSWORD_SCRAM_SHA_256, /* {SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey (RFC 5803's parts, as Dovecot) */
    PASSWORD_SCRAM_SHA_1,   /* {SCRAM-SHA-1} likewise */
    PASSWORD_YESCRYPT,      /* {CRYPT}$y$…, {YESCRYPT}… */
    PASSWORD_BCRYPT,        /* {BLF-CRYPT}$2y$… */
    PASSWORD_SHA512_CRYPT,  /* {SHA512-CRYPT}$6$… */
    PASSWORD_SHA256_CRYPT,  /* {SHA256-CRYPT}$5$… */
    PASSWORD_PLAIN,         /* {PLAIN}secret: for tests and for APOP, which needs the secret itself */
    PASSWORD_UNKNOWN
};

enum password_verdict {
    PASSWORD_WRONG,
    PASSWORD_RIGHT,
    PASSWORD_BROKEN /* unknown scheme, malformed or too costly: nobody can log in with it */
};

/* The scheme by the name that an administrator writes ("SCRAM-SHA-256", "yescrypt"), or PASSWORD_UNKNOWN. */
enum password_scheme password_scheme_find(struct span name);
const char *password_scheme_name(enum password_scheme scheme);

/* The scheme of a stored password; *rest gets what follows "{SCHEME}". */
enum password_scheme password_scheme_of(struct span stored, struct span *rest);

/* Can this stored password be checked at all? False (FAULT_BAD) says what is wrong with it, never the value. */
bool password_usable(struct span stored, struct err *e);

/* password: prepared by the caller (SASLprep query string) or raw where the account says so. */
enum password_verdict password_check(struct span stored, struct span password);

/* Appends "{SCHEME}…" for a new password, with a fresh salt. The password is prepared as a stored string
 * (RFC 4013); false (FAULT_BAD) when that fails or it is empty. cost: iterations of SCRAM, rounds of the crypt
 * methods as crypt_gensalt(3) counts them; 0 = our default. */
bool password_hash(enum password_scheme scheme, struct span password, uint32_t cost, struct buf *out,
                   struct err *e);

/* Two stored passwords with the same class take equally long to check; for decoys. Shorter than room. */
void password_cost_class(struct span stored, char *dst, size_t room);

#endif
