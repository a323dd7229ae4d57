/* args.h - a command's arguments, parsed once; handlers get typed values.
 *
 * Arguments are separated by SP; more SPs than needed and SPs at the end are let pass (R1939-GEN-05), surplus
 * arguments are not (C07). Numbers are digits only; one that does not fit is a number no message has
 * (R1939-GEN-27). Does not know: which messages exist, sessions.
 */
#ifndef RESTANTE_POP3_ARGS_H
#define RESTANTE_POP3_ARGS_H

#include "base/span.h"

enum args_shape {
    ARGS_NONE,
    ARGS_MSG,     /* n */
    ARGS_MSG_OPT, /* [n] */
    ARGS_TOP,     /* n lines */
    ARGS_RAW,     /* every octet behind the first SP (R1939-USER-04), at least one */
    ARGS_APOP,    /* name digest; the name may hold SPs */
    ARGS_AUTH,    /* [mechanism [initial-response]] */
    ARGS_LANG     /* [range] */
};

struct call {
    uint32_t msg;      /* 1 .. ; 0 = a number that no message has */
    uint64_t lines;    /* of TOP; a number that is too large becomes UINT64_MAX */
    bool has_msg;
    bool has_a, has_b;
    struct span a, b;  /* in the order of the shape */
};

/* rest: the line behind the command word, empty or beginning with SP. False: wrong arguments. */
bool call_parse(enum args_shape shape, struct span rest, struct call *c);

/* True when names and passwords may stand in the arguments: octets that other commands may not have. */
bool args_are_secret(enum args_shape shape);

#endif
