/* counters.h - a shared page of numbers: each worker writes its own slot, the supervisor (later the status
 * worker) reads all. Also the count of connections per client address over all fronts.
 *
 * The page is a memfd made by the supervisor, mapped shared by those who write. Nothing in it is trusted for more
 * than statistics and soft limits: a taken-over front could only miscount. Slots of dead workers are zeroed by
 * the supervisor. All access is relaxed atomic. Does not know: who presents the numbers.
 */
#ifndef RESTANTE_SERVER_COUNTERS_H
#define RESTANTE_SERVER_COUNTERS_H

#include "base/err.h"
#include "base/net_addr.h"

enum counter {
    CNT_CONNECTIONS, CNT_OPEN, CNT_LOGINS, CNT_LOGIN_FAILURES, CNT_COMMANDS, CNT_BAD_COMMANDS, CNT_RETR,
    CNT_DELETED, CNT_OCTETS_IN, CNT_OCTETS_OUT, CNT_TLS_HANDSHAKES, CNT_TLS_RESUMED, CNT_TLS_FAILURES,
    CNT_SHED, CNT_REFUSED, CNT_N
};

enum { COUNTER_SLOTS = 64, ADDRESS_BUCKETS = 16384 };

struct counters;

size_t counters_octets(void);
/* Maps the page of the memfd fd (closes fd). */
bool counters_map(int fd, struct counters **page, struct err *e);
void counters_add(struct counters *page, unsigned slot, enum counter which, int64_t by);
uint64_t counters_sum(const struct counters *page, enum counter which);
void counters_clear_slot(struct counters *page, unsigned slot);

/* Connections from one address (IPv6: /64) over all slots: an upper bound, since buckets are shared. */
void counters_address_add(struct counters *page, unsigned slot, const struct net_addr *a, int by);
uint32_t counters_address(const struct counters *page, const struct net_addr *a);

#endif
