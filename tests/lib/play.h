/* play.h - plays a transcript's dialogue against the simulator, cut in a chosen way. Does not
 * know: TAP. */
#ifndef RESTANTE_TESTS_PLAY_H
#define RESTANTE_TESTS_PLAY_H

#include "stage.h"

enum cuts {
    CUTS_WHOLE,  /* what stands together in the dialogue goes in together */
    CUTS_OCTETS, /* octet by octet */
    CUTS_RANDOM, /* at random places */
    CUTS_NONE    /* all that the client ever sends at once: only without TLS line */
};

struct replay {
    enum door door;
    enum cuts cuts;
    uint32_t seed; /* of the cuts and of the rooms for pulling */
};

/* True: the dialogue went as written. Else *error tells where not, in printable characters. */
bool play(const struct script *script, const struct replay *how, struct buf *error);

/* A transcript with a TLS line cannot be sent at once. */
bool play_has_tls(const struct script *script);

#endif
