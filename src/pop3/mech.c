/* mech.c - the table of SASL mechanisms: see mech.h. Strongest first, which is the order CAPA lists them in. */
#include "pop3/mech.h"

const struct mech mechs[MECH_N] = {
    [MECH_SCRAM_SHA_256_PLUS] = { "SCRAM-SHA-256-PLUS", .client_first = true, .binding = true },
    [MECH_SCRAM_SHA_256] = { "SCRAM-SHA-256", .client_first = true },
    [MECH_SCRAM_SHA_1_PLUS] = { "SCRAM-SHA-1-PLUS", .client_first = true, .binding = true },
    [MECH_SCRAM_SHA_1] = { "SCRAM-SHA-1", .client_first = true },
    [MECH_EXTERNAL] = { "EXTERNAL", .client_first = true, .certificate = true },
    [MECH_PLAIN] = { "PLAIN", .client_first = true, .plaintext = true },
    [MECH_LOGIN] = { "LOGIN", .plaintext = true },
};

enum mech_id mech_find(struct span name)
{
    for (unsigned i = 0; i < MECH_N; i++)
        if (span_iis(name, mechs[i].name))
            return (enum mech_id)i;
    return MECH_NONE;
}
