/* fuzz_msg.c - libFuzzer entry: any octets as a message between workers; what decodes must encode to itself. */
#include "ipc/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[IPC_MAX_PACKET];
    struct msg m;

    if (size > IPC_MAX_PACKET || !msg_decode(span_of(data, size), &m))
        return 0;
    if (msg_encode(&m, again, sizeof again) != size || memcmp(again, data, size) != 0)
        __builtin_trap();
    return 0;
}
