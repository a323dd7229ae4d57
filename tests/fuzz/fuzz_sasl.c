/* fuzz_sasl.c - libFuzzer entry: any octets as the client's lines of a SASL exchange.
 *
 * The first octet chooses mechanism and bindings; lines are divided by 0xFE, which occurs in no UTF-8. The
 * keys are those of a password that no input knows, so that SASL_VERIFIED is a crash.
 */
#include "sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum sasl_next give_keys(struct sasl *s)
{
    struct scram_keys keys = { .iterations = 4096, .salt_n = 16 };

    if (!scram_keys_fake(span_str("fuzz"), span_str("nobody"), &keys))
        __builtin_trap();
    return sasl_keys(s, &keys, span_str("3rfcNHYJY1ZVvWVs7j"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct scram_link link = {
        false, false, {NULL,  0},
          { NULL, 0}
    };
    enum sasl_next next;
    struct sasl s;
    uint8_t choice;

    if (!size)
        return 0;
    choice = *span_take(&in, 1).p;
    link.plus_offered = choice & 16;
    link.unique = span_str(choice & 32 ? "uuuuuuuuuuuu" : "");
    link.exporter = span_str(choice & 64 ? "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee" : "");
    sasl_init(&s, (enum mech_id)(choice & 7), &link);
    next = choice & 128 ? sasl_begin(&s, false, span_str("")) : sasl_begin(&s, true, span_until(&in, 0xfe));
    for (int lines = 0; lines < 10; lines++) {
        if (next == SASL_KEYS)
            next = give_keys(&s);
        if (next == SASL_VERIFIED || next == SASL_SEND_LAST)
            __builtin_trap();
        if (next == SASL_CHECK && (s.user.n == 0 || s.secret.n == 0))
            __builtin_trap();
        next = sasl_more(&s, span_until(&in, 0xfe));
    }
    sasl_wipe(&s);
    return 0;
}
