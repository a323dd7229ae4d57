/* plan.h - what is to be done with each listed message: a pure function of listing, journal and rules.
 *
 * In two steps: plan_known is told what the journal knows of a message, plan_finish applies the rules that look at the
 * whole (newest N, until N % of a quota). The result stands in the listing (action, flags). Deletion is only ever
 * planned for what is, or will first be, durable here. Does not know: sessions, SQLite, the clock.
 */
#ifndef RESTANTE_CLIENT_PLAN_H
#define RESTANTE_CLIENT_PLAN_H

#include "client/journal.h"
#include "client/listing.h"
#include "client/settings.h"

struct plan_rules {
    struct keep keep;
    uint64_t skip_larger;
    bool filter;         /* a filter command decides on new messages */
    bool retry;          /* quarantined messages get another chance */
    bool by_content;     /* no unique-ids: everything is fetched and compared */
    bool renumbered;     /* the server seems to have changed its unique-ids: compare what seems new */
    int64_t now;         /* seconds since 1970 */
};

struct plan_sums {
    uint64_t fetch, fetch_octets, skip, quarantined, keep;
    uint64_t remove;     /* now, or once they are stored … */
    uint64_t remove_now; /* … of these the ones that are stored already */
};

/* entry NULL: not in the journal. */
void plan_known(const struct plan_rules *rules, struct listed *m, const struct entry *entry);
void plan_finish(const struct plan_rules *rules, struct listing *l, struct plan_sums *sums);

/* Have so many known unique-ids vanished at once that the server must have changed them? (R1939-UIDL-13) */
bool plan_renumbered(uint64_t known, uint64_t vanished, uint64_t unknown);

#endif
