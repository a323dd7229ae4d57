/* srv.h - RFC 6186/8314: which servers a mail domain names for POP3. Setup only, never on every connection.
 *
 * Uses the system's resolver (res_nsearch). The parser is pure and bounded: it is fed by a fuzzer.
 */
#ifndef RESTANTE_NET_SRV_H
#define RESTANTE_NET_SRV_H

#include "base/err.h"
#include "base/span.h"

enum { SRV_MAX = 32, SRV_NAME = 256 };

struct srv_target {
    char host[SRV_NAME];
    uint16_t port, priority, weight;
    bool implicit_tls; /* from _pop3s */
    bool in_domain;    /* the target is the queried domain or inside it (R6186-05) */
};

/* A DNS answer to targets, "." left out; false when malformed. */
bool srv_parse(struct span answer, const char *domain, bool implicit_tls, struct srv_target *out, size_t *n, size_t room);

/* Order of RFC 2782 with the preference of RFC 8314 §5.1 (_pop3s first); random: one value per pick. */
void srv_order(struct srv_target *targets, size_t n, uint64_t random);

/* Both services of a domain, ordered. False: FAULT_GONE when none is named, FAULT_TEMP when DNS failed.
 * nameserver: "127.0.0.1:5353" for tests, NULL = the system's. */
bool srv_lookup(const char *domain, const char *nameserver, struct srv_target *targets, size_t *n, struct err *e);

#endif
