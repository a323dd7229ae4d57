/* fuzz_socks.c - libFuzzer entry: any octets as a SOCKS proxy's answers; whole and octet by octet must agree. */
#include "net/socks.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum socks_next talk(const struct socks_conf *conf, struct span in, size_t piece, size_t *left)
{
    struct buf out = BUF(4096);
    struct err e = { FAULT_NONE, "" };
    struct socks s;
    enum socks_next next = SOCKS_MORE;

    socks_begin(&s, conf, &out);
    while (next == SOCKS_MORE && in.n) {
        struct span part = span_take(&in, in.n < piece ? in.n : piece);

        next = socks_input(&s, &part, &out, &e);
        if (next == SOCKS_MORE && part.n)
            abort();
        *left = part.n + in.n;
    }
    if ((next == SOCKS_FAILED) != (e.text[0] != '\0') || (next == SOCKS_DONE && out.n < 13))
        abort();
    buf_free(&out);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socks_conf conf = { "mx.example", 995, NULL, NULL };
    size_t whole = size, single = size;

    if (!size)
        return 0;
    conf.user = data[0] & 1 ? "bob" : NULL;
    conf.password = data[0] & 2 ? "secret" : NULL;
    if (talk(&conf, span_of(data + 1, size - 1), size, &whole) != talk(&conf, span_of(data + 1, size - 1), 1, &single) ||
        whole != single)
        abort();
    return 0;
}
