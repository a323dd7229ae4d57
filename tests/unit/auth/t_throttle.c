/* t_throttle.c - what the auth worker remembers: failures and their delays, sessions, last logins, by a fake
 * clock.
 *
 * Proves: R1939-USER-07, R2449-LD-01
 * Does not know: the auth worker, real time.
 */
#include "auth/grants.h"
#include "auth/keyed.h"
#include "auth/table.h"
#include "auth/throttle.h"

#include "auth_help.h"

static struct throttle_try try_of(const char *addr, const char *user, const char *secret)
{
    struct throttle_try try = {
        {{ 0 }, 0},
        span_str(user), span_str(secret)
    };
    char text[80];

    snprintf(text, sizeof text, strchr(addr, ':') ? "[%s]:1" : "%s:1", addr);
    assert_true(net_addr_parse(text, &try.addr));
    return try;
}

static uint32_t failed(struct throttle *t, const char *addr, const char *user, const char *secret, uint64_t now)
{
    struct throttle_try try = try_of(addr, user, secret);

    return throttle_failed(t, &try, now);
}

static uint32_t before(struct throttle *t, const char *addr, const char *user, uint64_t now)
{
    struct throttle_try try = try_of(addr, user, "any");

    return throttle_before(t, &try, now);
}

static struct throttle *make(uint32_t free_failures, uint32_t max_ms)
{
    struct throttle *t = throttle_new();

    throttle_set(t, free_failures, max_ms);
    return t;
}

static void delays_grow(void **state)
{
    static const uint32_t want[] = { 0, 0, 500, 1000, 2000, 4000, 8000, 10000, 10000 };
    struct throttle *t = make(2, 10000);
    char secret[24];

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++) {
        snprintf(secret, sizeof secret, "guess%zu", i);
        assert_int_equal(failed(t, "192.0.2.1", "bob", secret, 1000), want[i]);
    }
    assert_int_equal(before(t, "192.0.2.1", "bob", 1000), 10000);
    throttle_free(&t);
}

static void the_same_wrong_password_does_not_count_again(void **state)
{
    struct throttle *t = make(2, 10000);
    char secret[24];

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(failed(t, "192.0.2.1", "bob", "old", 1000), 0);
    for (int i = 0; i < 6; i++) { /* seven passwords, over and over: still seven */
        snprintf(secret, sizeof secret, "other%d", i);
        failed(t, "192.0.2.1", "bob", secret, 1000);
    }
    assert_int_equal(failed(t, "192.0.2.1", "bob", "old", 1000), 8000);
    assert_int_equal(failed(t, "192.0.2.1", "bob", "other0", 1000), 8000);
    /* Without a password to compare (SCRAM, APOP) each counts. */
    assert_int_equal(failed(t, "192.0.2.9", "ann", "", 1000), 0);
    assert_int_equal(failed(t, "192.0.2.9", "ann", "", 1000), 0);
    assert_int_equal(failed(t, "192.0.2.9", "ann", "", 1000), 500);
    throttle_free(&t);
}

/* One password tried on many users is many tries; the name as its own password is one, too. */
static void spraying_counts(void **state)
{
    struct throttle *t = make(2, 10000);
    char user[24];
    uint32_t last = 0;

    (void)state;
    for (int i = 0; i < 5; i++) {
        snprintf(user, sizeof user, "user%d", i);
        last = failed(t, "192.0.2.1", user, "Summer2026", 1000);
    }
    assert_int_equal(last, 2000);
    for (int i = 0; i < 5; i++) {
        snprintf(user, sizeof user, "u%d", i);
        last = failed(t, "192.0.2.2", user, user, 1000);
    }
    assert_int_equal(last, 2000);
    throttle_free(&t);
}

static void others_are_not_slowed(void **state)
{
    struct throttle *t = make(2, 10000);
    char secret[24];

    (void)state;
    for (int i = 0; i < 50; i++) {
        snprintf(secret, sizeof secret, "guess%d", i);
        failed(t, "192.0.2.1", "bob", secret, 1000);
    }
    assert_int_equal(before(t, "192.0.2.1", "ann", 1000), 0); /* another user behind the same address */
    assert_int_equal(before(t, "192.0.2.2", "bob", 1000), 0); /* the same user from elsewhere */
    throttle_free(&t);
}

static void ipv6_counts_by_network(void **state)
{
    struct throttle *t = make(1, 10000);

    (void)state;
    failed(t, "2001:db8::1", "bob", "a", 1000);
    assert_int_equal(failed(t, "2001:db8::2", "bob", "b", 1000), 500);
    assert_int_equal(failed(t, "2001:db8:0:1::1", "bob", "c", 1000), 0);
    throttle_free(&t);
}

static void failures_are_forgotten(void **state)
{
    struct throttle *t = make(0, 10000);

    (void)state;
    assert_int_equal(failed(t, "192.0.2.1", "bob", "a", 1000), 500);
    assert_int_equal(failed(t, "192.0.2.1", "bob", "b", 1000), 1000);
    assert_int_equal(failed(t, "192.0.2.1", "bob", "c", 1000), 2000);
    assert_int_equal(before(t, "192.0.2.1", "bob", 1000 + 2 * THROTTLE_FORGET_MS), 500);
    assert_int_equal(before(t, "192.0.2.1", "bob", 1000 + 3 * THROTTLE_FORGET_MS), 0);
    assert_int_equal(failed(t, "192.0.2.1", "bob", "d", 1000 + 60 * THROTTLE_FORGET_MS), 500);
    throttle_free(&t);
}

static void success_ends_it(void **state)
{
    struct throttle *t = make(0, 10000);
    struct throttle_try try = try_of("192.0.2.1", "bob", "right");

    (void)state;
    failed(t, "192.0.2.1", "bob", "a", 1000);
    failed(t, "192.0.2.1", "bob", "b", 1000);
    assert_int_not_equal(before(t, "192.0.2.1", "bob", 1000), 0);
    throttle_passed(t, &try, 2000);
    assert_int_equal(before(t, "192.0.2.1", "bob", 2000), 0);
    assert_int_equal(failed(t, "192.0.2.1", "ann", "x", 2000), 2000); /* the address is not washed clean by it */
    throttle_free(&t);
}

/* Tries side by side do not all wait the same little while: they queue, and too many are turned away. */
static void tries_side_by_side_queue_up(void **state)
{
    struct throttle *t = make(0, 10000);

    (void)state;
    failed(t, "192.0.2.1", "bob", "a", 1000);
    for (uint32_t i = 1; i <= 4; i++)
        assert_int_equal(before(t, "192.0.2.1", "bob", 1000), i * 500);
    assert_int_equal(before(t, "192.0.2.1", "bob", 1000), UINT32_MAX);
    assert_int_equal(before(t, "192.0.2.1", "bob", 4000), 500);
    throttle_free(&t);
}

static void memory_is_bounded(void **state)
{
    struct throttle *t = make(0, 10000);
    char addr[32];

    (void)state;
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(addr, sizeof addr, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        failed(t, addr, "bob", "a", 1000);
    }
    assert_int_equal(throttle_entries(t), THROTTLE_ENTRIES);
    assert_int_not_equal(before(t, addr, "bob", 1000), 0);   /* the newest is there */
    assert_int_equal(before(t, "10.0.0.0", "bob", 1000), 0); /* the oldest has gone */
    throttle_free(&t);
}

static void clock_that_stands_or_jumps_back(void **state)
{
    struct throttle *t = make(0, 10000);

    (void)state;
    failed(t, "192.0.2.1", "bob", "a", 1000000);
    assert_int_equal(before(t, "192.0.2.1", "bob", 500), 500);
    assert_int_equal(failed(t, "192.0.2.1", "bob", "b", 500), 1000);
    throttle_free(&t);
}

static enum grants_verdict begin(struct grants *g, const char *user, uint64_t sid, uint64_t now)
{
    struct grants_ask ask = { span_str(user), sid, 5, 2 };

    return grants_begin(g, &ask, now);
}

#define SID(front, n) ((uint64_t)(front) << 48 | (n))

static void login_delay(void **state)
{
    struct grants *g = grants_new();

    (void)state;
    assert_int_equal(begin(g, "bob", SID(1, 1), 100), GRANTS_YES); /* at the clock's very beginning, too */
    grants_end(g, SID(1, 1));
    assert_int_equal(begin(g, "bob", SID(1, 2), 4100), GRANTS_TOO_SOON);
    assert_int_equal(begin(g, "bob", SID(1, 2), 5099), GRANTS_TOO_SOON); /* refusals do not prolong it */
    assert_int_equal(begin(g, "ann", SID(1, 3), 5099), GRANTS_YES);
    assert_int_equal(begin(g, "bob", SID(1, 2), 5100), GRANTS_YES);
    grants_end(g, SID(1, 2));
    assert_int_equal(begin(g, "bob", SID(1, 4), 10100), GRANTS_YES);
    grants_void(g, SID(1, 4)); /* it got no maildrop: the delay counts from the login before */
    assert_int_equal(begin(g, "bob", SID(1, 5), 10101), GRANTS_YES);
    grants_void(g, SID(1, 5));
    assert_int_equal(begin(g, "bob", SID(1, 6), 10099), GRANTS_TOO_SOON);
    grants_free(&g);
}

static void sessions_per_user(void **state)
{
    struct grants *g = grants_new();

    (void)state;
    assert_int_equal(begin(g, "bob", SID(1, 1), 10000), GRANTS_YES);
    assert_int_equal(begin(g, "bob", SID(2, 1), 20000), GRANTS_YES);
    assert_int_equal(begin(g, "bob", SID(2, 2), 30000), GRANTS_TOO_MANY);
    grants_end(g, SID(9, 9)); /* nobody's */
    grants_end_front(g, 2);
    assert_int_equal(begin(g, "bob", SID(1, 2), 40000), GRANTS_YES);
    assert_int_equal(begin(g, "bob", SID(1, 2), 50000), GRANTS_YES); /* the same session anew */
    grants_end_front(g, 1);
    grants_end_front(g, 1);
    grants_free(&g);
}

static void grant_ids_differ(void **state)
{
    enum { MANY = 200 };
    static const uint8_t zeros[GRANTS_ID];
    static uint8_t ids[MANY][GRANTS_ID];
    struct grants *g = grants_new();

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        grants_id(g, ids[i]);
        assert_memory_not_equal(ids[i], zeros, GRANTS_ID);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(ids[i], ids[k], GRANTS_ID);
    }
    grants_free(&g);
}

/* Against a plain array: made, found, dropped, pushed out. */
static void table_against_a_model(void **state)
{
    enum { KEYS = 300, MAX = 100 };
    struct table *t = table_new(sizeof(uint32_t), MAX);
    uint32_t used[KEYS] = { 0 }, now = 0, rnd = 1;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint32_t k, oldest = 0, n = 0, *value;
        struct table_key key;
        bool fresh;

        rnd = rnd * 1103515245u + 12345u;
        k = (rnd >> 8) % KEYS;
        key = (struct table_key){ k, 7 };
        if ((rnd >> 20) % 4 == 0) {
            table_drop(t, &key);
            used[k] = 0;
            continue;
        }
        for (uint32_t j = 0; j < KEYS; j++) {
            n += used[j] != 0;
            if (used[j] && (!used[oldest] || used[j] < used[oldest]))
                oldest = j;
        }
        value = table_make(t, &key, &fresh);
        assert_int_equal(fresh, used[k] == 0);
        assert_int_equal(*value, fresh ? 0 : k + 1);
        *value = k + 1;
        if (fresh && n == MAX)
            used[oldest] = 0;
        used[k] = ++now;
    }
    for (uint32_t k = 0; k < KEYS; k++)
        assert_int_equal(table_find(t, &(struct table_key){ k, 7 }) != NULL, used[k] != 0);
    table_free(&t);
}

static void siphash_examples(void **state)
{
    static const struct {
        size_t n;
        uint64_t want;
    } table[] = {
        {0,   0x726fdb47dd0e0e31u},
        { 1,  0x74f839c593dc67fdu},
        { 7,  0xab0200f58b01d137u},
        { 8,  0x93f5f5799a932462u},
        { 15, 0xa129ca6149be45e5u},
        { 63, 0x958a324ceb064572u}
    };
    struct keyed key = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
    uint8_t in[64];

    (void)state;
    for (uint8_t i = 0; i < sizeof in; i++)
        in[i] = i;
    for (size_t i = 0; i < COUNT(table); i++)
        assert_true(keyed_hash(&key, span_of(in, table[i].n)) == table[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_grow),
        cmocka_unit_test(the_same_wrong_password_does_not_count_again),
        cmocka_unit_test(spraying_counts),
        cmocka_unit_test(others_are_not_slowed),
        cmocka_unit_test(ipv6_counts_by_network),
        cmocka_unit_test(failures_are_forgotten),
        cmocka_unit_test(success_ends_it),
        cmocka_unit_test(tries_side_by_side_queue_up),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(clock_that_stands_or_jumps_back),
        cmocka_unit_test(login_delay),
        cmocka_unit_test(sessions_per_user),
        cmocka_unit_test(grant_ids_differ),
        cmocka_unit_test(table_against_a_model),
        cmocka_unit_test(siphash_examples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
