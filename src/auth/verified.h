/* verified.h - passwords that were right a short while ago, so that a poll does not cost a hash each time.
 *
 * What is kept is a keyed digest (128 bits of SipHash, the keys made at the process's start) over everything that
 * decides the answer: user, stored record, password. A changed record has another digest; so a stale entry
 * cannot be found, whatever happened to the users file. Only right answers are kept: a wrong password costs the
 * whole hash each time. What else bars a login (disabled, addresses, TLS) is asked each time, elsewhere. Pure: the
 * clock is passed in; entries are bounded, the one used longest ago goes. Does not know: schemes, users files.
 */
#ifndef RESTANTE_AUTH_VERIFIED_H
#define RESTANTE_AUTH_VERIFIED_H

#include "base/span.h"

enum { VERIFIED_ENTRIES = 65536 };

struct verified;

struct verified *verified_new(void);
void verified_free(struct verified **v);

struct verified_try {
    struct span user;   /* the account, as the users file names it */
    struct span stored; /* the record that the password was checked against */
    struct span secret; /* the password, prepared */
};

/* Was this right at most life_ms before now_ms? A success found does not live longer for it. */
bool verified_has(struct verified *v, const struct verified_try *try, uint64_t now_ms, uint64_t life_ms);
void verified_put(struct verified *v, const struct verified_try *try, uint64_t now_ms);
void verified_clear(struct verified *v);

#endif
