/* state.c - the states of a session (RFC 1939 §3): which moves are legal and what holds in each.
 * Does not know: commands, replies.
 */
#include "pop3/engine_impl.h"

#include <assert.h>

#define BIT(state) (1u << (state))

static const uint8_t legal_moves[ST_N] = {
    [ST_GREET] = BIT(ST_AUTH) | BIT(ST_CLOSED),
    [ST_AUTH] = BIT(ST_AUTH) | BIT(ST_SASL) | BIT(ST_TRANS) | BIT(ST_CLOSED),
    [ST_SASL] = BIT(ST_AUTH) | BIT(ST_TRANS) | BIT(ST_CLOSED),
    [ST_TRANS] = BIT(ST_UPDATE) | BIT(ST_CLOSED),
    [ST_UPDATE] = BIT(ST_CLOSED),
};

/* ST_GREET, ST_AUTH: no maildrop. ST_SASL: the same, a mechanism, no pending name. ST_TRANS, ST_UPDATE: a
 * maildrop, no name, no mechanism. ST_CLOSED: nothing of these. */
static bool invariant(const struct engine *e)
{
    bool mail = e->state == ST_TRANS || e->state == ST_UPDATE;

    if (mail != (e->view != NULL) || (e->state == ST_SASL) != (e->mech != MECH_NONE))
        return false;
    return e->name_n == 0 || e->state == ST_AUTH;
}

void state_set(struct engine *e, enum engine_state to)
{
    assert(legal_moves[e->state] & BIT(to));
    e->state = to;
    if (to != ST_SASL) {
        e->mech = MECH_NONE;
        e->asked = false;
        e->rounds = 0;
    }
    login_forget_name(e);
    if (to == ST_CLOSED)
        e->view = NULL;
    assert(invariant(e));
}
