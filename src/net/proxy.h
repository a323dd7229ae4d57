/* proxy.h - the PROXY protocol header, versions 1 and 2, as a pure parser over the octets received so far.
 *
 * Nothing of a connection is used before a complete valid header (haproxy's proxy-protocol.txt §2; rows PP-*).
 * The caller decides who may send one. Does not know: sockets, time-outs, trust.
 */
#ifndef RESTANTE_NET_PROXY_H
#define RESTANTE_NET_PROXY_H

#include "base/net_addr.h"

enum proxy_result {
    PROXY_MORE,    /* valid so far, incomplete */
    PROXY_OK,
    PROXY_BAD      /* close without a word */
};

enum { PROXY_V1_MAX = 107, PROXY_V2_MAX = 16 + 65535 };

struct proxy_header {
    bool has_addr;          /* src and dst are the announced ones; else use the socket's */
    struct net_addr src, dst;
    bool tls;               /* the proxy ended TLS for the client (SSL TLV) */
    struct span authority;  /* TLV 0x02, borrowed from the input; empty = none */
    struct span unique_id;  /* TLV 0x05 */
    size_t octets;          /* length of the header: what follows belongs to POP3 or TLS */
};

enum proxy_result proxy_parse(struct span in, struct proxy_header *h);

#endif
