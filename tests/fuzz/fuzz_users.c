/* fuzz_users.c - libFuzzer entry: any octets as a users file; every account of a table that results can be
 * found. */
#include "auth/users.h"

#include "auth/password.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct users *t, const struct users_entry *entry)
{
    struct scram_keys keys;
    char text[48];

    if (users_find(t, span_str(entry->name), "example.org") != entry)
        __builtin_trap();
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        users_scram(entry, hash, &keys);
    if (entry->password)
        password_cost_class(span_str(entry->password), text, sizeof text);
    if (entry->cert && users_by_cert(t, span_str(entry->cert)) != entry)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf report = BUF(65536);
    struct users *t = NULL;

    if (users_parse(span_of(data, size), "users", &t, &report))
        for (uint32_t i = 0; i < users_count(t); i++)
            look(t, users_at(t, i));
    users_free(&t);
    buf_free(&report);
    return 0;
}
