/* fuzz_index.c - libFuzzer entry: any octets as a listing.
 *
 * The reader must refuse or answer; what it answers is legal for a UIDL reply and lies inside the file.
 * Does not know: the store.
 */
#include "store/index.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int fd = memfd_create("listing", MFD_CLOEXEC);
    struct index_reader r;
    struct index_record rec;
    struct span uid, name;

    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    if (!index_reader_open(&r, fd, n, NULL))
        return 0;
    for (uint32_t i = 0; i < r.h.count && i < 600; i++) {
        uint32_t at = i % 3 == 2 ? r.h.count - 1 - i / 3 : i; /* forwards, with jumps */

        if (!index_reader_get(&r, at % r.h.count, &rec, &uid, &name))
            continue;
        if (uid.n < 1 || uid.n > INDEX_MAX_UID || name.n > INDEX_MAX_NAME || rec.octets > r.h.octets)
            abort();
        for (size_t k = 0; k < uid.n; k++)
            if (uid.p[k] < 0x21 || uid.p[k] > 0x7e)
                abort();
        for (size_t k = 0; k < name.n; k++) /* touch it: the sanitizer watches */
            if (name.p[k] == 0 && uid.p[0] == 0)
                abort();
    }
    index_reader_close(&r);
    return 0;
}
