/* socks.h - the client's side of SOCKS5 (RFC 1928, 1929) as a pure machine: octets in, octets out.
 * The host name goes to the proxy unresolved. Does not know: sockets.
 */
#ifndef RESTANTE_NET_SOCKS_H
#define RESTANTE_NET_SOCKS_H

#include "base/buf.h"
#include "base/err.h"

struct socks_conf {
    const char *host;
    uint16_t port;
    const char *user, *password; /* NULL = no authentication */
};

enum socks_next { SOCKS_MORE, SOCKS_DONE, SOCKS_FAILED };

struct socks {
    const struct socks_conf *conf;
    unsigned step;
    uint8_t in[300];
    size_t n;
};

/* The first octets to send go to out. */
void socks_begin(struct socks *s, const struct socks_conf *conf, struct buf *out);

/* Consumes exactly what belongs to SOCKS from *in: the rest is the server's. */
enum socks_next socks_input(struct socks *s, struct span *in, struct buf *out, struct err *e);

#endif
