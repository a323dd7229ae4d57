/* destination.h - the sink that an account's settings describe. Does not know: who asks (a run, or "verify"). */
#ifndef RESTANTE_CLIENT_DESTINATION_H
#define RESTANTE_CLIENT_DESTINATION_H

#include "client/settings.h"

struct destination {
    const struct account *account;
    const char *host;      /* of the server, for a Received: line */
    const char *state_dir; /* spool files of mbox, LMTP and commands lie below it */
    sink_note *note;       /* as in sink.h; NULL = nothing will be committed */
    void *ctx;
};

bool destination_open(const struct destination *d, struct sink **s, struct err *e);

#endif
