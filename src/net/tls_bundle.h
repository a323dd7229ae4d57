/* tls_bundle.h - the reader's side of a bundle (see tls.h for the writer's). Pure. */
#ifndef RESTANTE_NET_TLS_BUNDLE_H
#define RESTANTE_NET_TLS_BUNDLE_H

#include "net/tls.h"

struct tls_bundle_part {
    bool end;                  /* the last part: first = client CA, second = CRL */
    struct span first, second; /* else chain and key */
};

bool tls_bundle_next(struct span *in, struct tls_bundle_part *part);

#endif
