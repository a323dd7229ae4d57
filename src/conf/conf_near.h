/* conf_near.h - "did you mean": the known name that is nearest to an unknown one. Pure. */
#ifndef RESTANTE_CONF_CONF_NEAR_H
#define RESTANTE_CONF_CONF_NEAR_H

#include "base/span.h"

struct near {
    const char *name;
    const char *best; /* NULL = nothing is near */
    size_t distance;  /* of what comes next: it must be below */
};

struct near near_begin(const char *name);
void near_try(struct near *near, const char *candidate);

#endif
