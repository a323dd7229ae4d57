/* prep.h - SASLprep (RFC 4013) for names and passwords, and valid UTF-8 (RFC 3629).
 * Does not know: who compares what with the result.
 */
#ifndef RESTANTE_SASL_PREP_H
#define RESTANTE_SASL_PREP_H

#include "base/buf.h"
#include "base/span.h"

enum prep {
    PREP_QUERY, /* what a client says: unassigned code points of Unicode 3.2 pass */
    PREP_STORED /* what is kept: they do not */
};

/* No overlong forms, no surrogates, nothing above U+10FFFF. NUL is valid here. */
bool utf8_valid(struct span s);

/* Appends the prepared form. False, and nothing appended: invalid UTF-8, a prohibited character (controls, NUL,
 * CR, LF and TAB among them), a bidirectional mixture, an empty result, or no room in out. */
bool sasl_prep(struct span in, enum prep kind, struct buf *out);

#endif
