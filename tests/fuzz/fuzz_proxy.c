/* fuzz_proxy.c - libFuzzer entry: any octets as a PROXY header. */
#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h;

    if (proxy_parse(span_of(data, size), &h) == PROXY_OK && h.octets > size)
        __builtin_trap();
    return 0;
}
