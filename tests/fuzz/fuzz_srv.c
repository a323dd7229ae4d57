/* fuzz_srv.c - libFuzzer entry: any octets as the answer of a name server, then in the order of RFC 2782. */
#include "net/srv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct srv_target targets[SRV_MAX];
    size_t n = 0, room = size ? data[0] % (SRV_MAX + 1u) : 0;
    bool ok = srv_parse(span_of(data, size), "example.com", size % 2, targets, &n, room);

    if (n > room)
        abort();
    for (size_t i = 0; i < n; i++)
        if (!memchr(targets[i].host, 0, SRV_NAME) || !targets[i].host[0] || !targets[i].port)
            abort();
    srv_order(targets, n, size);
    for (size_t i = 0; ok && i + 1 < n; i++)
        if (targets[i].priority > targets[i + 1].priority)
            abort();
    return 0;
}
