/* surrogate_field.h - one header field with octets above 0x7F, rewritten by RFC 6858 §2. Pure. */
#ifndef RESTANTE_MAIL_SURROGATE_FIELD_H
#define RESTANTE_MAIL_SURROGATE_FIELD_H

#include "base/buf.h"

/* Appends the surrogate of field (with its line ends; nothing when it is removed). False when out is full. */
bool surrogate_field(struct span field, struct buf *out);

#endif
