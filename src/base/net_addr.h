/* net_addr.h - IP addresses as 16 octets (IPv4 mapped into IPv6) and networks, for policies and logs.
 * Pure. Does not know: sockets, names.
 */
#ifndef RESTANTE_BASE_NET_ADDR_H
#define RESTANTE_BASE_NET_ADDR_H

#include "base/span.h"

struct net_addr {
    uint8_t b[16];
    uint16_t port;
};

struct net_block {
    uint8_t b[16];
    unsigned bits; /* 0..128 */
};

enum { NET_ADDR_TEXT = 64 };

/* "192.0.2.1", "2001:db8::1" without brackets and port; NUL-terminated. */
void net_addr_text(const struct net_addr *a, char text[NET_ADDR_TEXT]);

/* "192.0.2.0/24", "::1", "127.0.0.1": false when malformed. */
bool net_block_parse(const char *text, struct net_block *block);
bool net_block_has(const struct net_block *block, const struct net_addr *a);

/* "127.0.0.1:1110", "[::1]:995", "*:110" (= "[::]:110"); false when malformed. */
bool net_addr_parse(const char *text, struct net_addr *a);

struct sockaddr;
struct sockaddr_storage;
bool net_addr_from(const struct sockaddr *sa, struct net_addr *a);
unsigned net_addr_to(const struct net_addr *a, struct sockaddr_storage *ss); /* v4-mapped becomes AF_INET */

/* The key that limits and throttles count by: an IPv4 address, or the /64 of an IPv6 address. */
void net_addr_key(const struct net_addr *a, uint8_t key[16]);

#endif
