/* fuzz_import.c - libFuzzer entry: any octets as a file of what another program fetched. The first octet chooses the
 * format and whether an account is asked for; an entry that comes out fits into a journal. */
#include "client/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool look(void *ctx, struct entry *entry)
{
    size_t *n = ctx;

    if (entry->uid.n > JOURNAL_UID || entry->state < ENTRY_INTENT || entry->state > ENTRY_QUARANTINED ||
        entry->octets > INT64_MAX || entry->stored_octets > INT64_MAX || !memchr(entry->name, 0, JOURNAL_NAME) ||
        !memchr(entry->dest, 0, JOURNAL_NOTE) || !memchr(entry->note, 0, JOURNAL_NOTE) ||
        !memchr(entry->why, 0, JOURNAL_WHY))
        __builtin_trap();
    ++*n;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf report = BUF(65536);
    struct import_want want = { .format = IMPORT_GUESS, .file = "file" };
    size_t n = 0;

    if (size == 0)
        return 0;
    want.format = (enum import_format)(data[0] % (IMPORT_THUNDERBIRD + 1));
    want.user = data[0] & 0x40 ? "user" : NULL;
    want.host = data[0] & 0x80 ? "host" : NULL;
    bool ok = import_parse(span_of(data + 1, size - 1), &want, look, &n, &report);

    if (ok ? report.n != 0 : report.n == 0 || n != 0)
        __builtin_trap();
    buf_free(&report);
    return 0;
}
