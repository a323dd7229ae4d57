/* stage.h - sets up the simulator as the header of a transcript wants it: users, settings, door,
 * fault. Does not know: the dialogue. */
#ifndef RESTANTE_TESTS_STAGE_H
#define RESTANTE_TESTS_STAGE_H

#include "script.h"
#include "sim.h"

enum door {
    DOOR_NONE,
    DOOR_STLS,
    DOOR_STRICT,
    DOOR_NEEDS,
    DOOR_BROKEN,
    DOOR_IMPLICIT,
    DOOR_INSIDE,
    DOOR_N
};

extern const char *const door_names[DOOR_N];

/* The doors at which a transcript must be replayed; their number, 0 when the header names none
 * that exists. */
unsigned stage_doors(const struct script *script, enum door doors[DOOR_N]);

/* What outlives sim_free: users of the runner and those of the script together. */
struct stage {
    struct sim sim;
    struct sim_user users[16 + SCRIPT_USERS + 1];
};

/* NULL: good, and sim_start may follow; else what is wrong with the header. */
const char *stage_set(struct stage *st, const struct script *script, enum door door);

#endif
