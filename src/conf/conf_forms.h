/* conf_forms.h - forms that values of any configuration have: flags, keywords, numbers with units, plain text.
 *
 * Faults say what is wrong and what to write. Pure. Does not know: settings.
 */
#ifndef RESTANTE_CONF_FORMS_H
#define RESTANTE_CONF_FORMS_H

#include "base/buf.h"
#include "base/err.h"

/* yes, true, on; no, false, off. */
bool conf_take_flag(const char *text, bool *v, struct err *e);

/* One of the words (NULL at the end), whatever its case; a word "" cannot be chosen. *at is its place. */
bool conf_take_word(const char *text, const char *const *words, uint32_t *at, struct err *e);
bool conf_put_words(const char *const *words, struct buf *out); /* "a|b|c" */

/* Nothing that a peer or a terminal could take for the end of a line (C-38). */
bool conf_is_text(const char *text, struct err *e);

/* Largest first: values are put in the largest unit that divides them, and 0 without any. NULL at the end. */
struct conf_unit {
    const char *name;
    uint64_t worth;
};
bool conf_put_units(struct buf *out, const struct conf_unit *units, uint64_t v);

/* Digits and the name of a unit; without one the number counts bare. False: malformed, or too large. */
bool conf_take_units(struct span in, const struct conf_unit *units, uint64_t bare, uint64_t *v);

#endif
