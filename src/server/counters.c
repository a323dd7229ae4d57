/* counters.c - the shared page of numbers: see counters.h. */
#include "server/counters.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

/* Per slot: its counters and two rows of buckets (count-min: the smaller of two hashes bounds the count). */
struct slot {
    _Atomic uint64_t c[CNT_N];
    _Atomic uint16_t address[2][ADDRESS_BUCKETS];
};

struct counters {
    struct slot slot[COUNTER_SLOTS];
    _Atomic uint32_t used; /* slots that were ever written to: no others need be summed */
};

/* How many slots are in use; a writer of the shared page could claim more than there are. */
static unsigned slots_used(const struct counters *page)
{
    uint32_t used = atomic_load_explicit(&page->used, memory_order_relaxed);

    return used < COUNTER_SLOTS ? used : COUNTER_SLOTS;
}

static void use_slot(struct counters *page, unsigned slot)
{
    uint32_t used = atomic_load_explicit(&page->used, memory_order_relaxed);

    while (used <= slot && !atomic_compare_exchange_weak_explicit(&page->used, &used, slot + 1,
                                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

size_t counters_octets(void)
{
    return sizeof(struct counters);
}

bool counters_map(int fd, struct counters **page, struct err *e)
{
    void *p = mmap(NULL, sizeof **page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    close(fd);
    if (p == MAP_FAILED)
        return err_set(e, FAULT_TEMP, "mapping the counters: %s", strerror(errno));
    *page = p;
    return true;
}

void counters_add(struct counters *page, unsigned slot, enum counter which, int64_t by)
{
    if (!page || slot >= COUNTER_SLOTS)
        return;
    use_slot(page, slot);
    atomic_fetch_add_explicit(&page->slot[slot].c[which], (uint64_t)by, memory_order_relaxed);
}

uint64_t counters_sum(const struct counters *page, enum counter which)
{
    unsigned used = slots_used(page);
    uint64_t sum = 0;

    for (unsigned i = 0; i < used; i++)
        sum += atomic_load_explicit(&page->slot[i].c[which], memory_order_relaxed);
    return sum;
}

void counters_clear_slot(struct counters *page, unsigned slot)
{
    struct slot *s = &page->slot[slot];

    for (unsigned i = 0; i < CNT_N; i++)
        if (i == CNT_OPEN)
            atomic_store_explicit(&s->c[i], 0, memory_order_relaxed);
    for (unsigned i = 0; i < ADDRESS_BUCKETS; i++) {
        atomic_store_explicit(&s->address[0][i], 0, memory_order_relaxed);
        atomic_store_explicit(&s->address[1][i], 0, memory_order_relaxed);
    }
}

static uint32_t bucket(const uint8_t key[16], uint32_t seed)
{
    uint32_t h = seed;

    for (int i = 0; i < 16; i++)
        h = (h ^ key[i]) * 0x01000193u;
    return (h ^ h >> 15) % ADDRESS_BUCKETS;
}

void counters_address_add(struct counters *page, unsigned slot, const struct net_addr *a, int by)
{
    uint8_t key[16];

    if (!page || slot >= COUNTER_SLOTS)
        return;
    use_slot(page, slot);
    net_addr_key(a, key);
    for (uint32_t row = 0; row < 2; row++)
        atomic_fetch_add_explicit(&page->slot[slot].address[row][bucket(key, 0x811c9dc5u + row * 977u)],
                                  (uint16_t)by, memory_order_relaxed);
}

uint32_t counters_address(const struct counters *page, const struct net_addr *a)
{
    uint8_t key[16];
    uint32_t sum[2] = { 0, 0 };
    unsigned used;

    if (!page)
        return 0;
    used = slots_used(page);
    net_addr_key(a, key);
    for (uint32_t row = 0; row < 2; row++)
        for (unsigned i = 0; i < used; i++)
            sum[row] += atomic_load_explicit(
                &page->slot[i].address[row][bucket(key, 0x811c9dc5u + row * 977u)], memory_order_relaxed);
    return sum[0] < sum[1] ? sum[0] : sum[1];
}
