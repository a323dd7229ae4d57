/* t_plan.c - listings that strangers send, and the rules that decide what is fetched and what is deleted.
 *
 * Proves: R1939-UIDL-09, R1939-UIDL-13, R1939-LIST-09
 */
#include "client/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { DAY = 86400, NOW = 1000 * DAY };

static void list(struct listing *l, uint32_t count)
{
    struct err e;
    char uid[16];

    assert_true(listing_begin(l, count, 0, &e));
    for (uint32_t i = 1; i <= count; i++) {
        snprintf(uid, sizeof uid, "u%u", i);
        assert_true(listing_size(l, i, true, 100, &e));
        assert_true(listing_uid(l, i, span_str(uid), &e));
    }
    listing_finish(l);
}

static void test_numbers_of_strangers(void **state)
{
    struct listing l = { 0 };
    struct err e;

    (void)state;
    assert_false(listing_begin(&l, LISTING_MAX + 1, 0, &e));
    assert_true(listing_begin(&l, 2, 0, &e));
    assert_false(listing_size(&l, 0, true, 1, &e));
    assert_false(listing_size(&l, 3, true, 1, &e));
    assert_true(listing_size(&l, 2, true, 1, &e));
    assert_false(listing_size(&l, 2, true, 1, &e));
    assert_false(listing_uid(&l, UINT32_MAX, span_str("x"), &e));
    assert_true(listing_uid(&l, 1, span_str("x"), &e));
    assert_false(listing_uid(&l, 1, span_str("x"), &e));
    assert_false(listing_complete(&l));
    assert_true(listing_uid(&l, 2, span_str("y"), &e));
    assert_true(listing_complete(&l));
    listing_free(&l);
}

static void test_equal_uids(void **state)
{
    struct listing l = { 0 };
    struct err e;

    (void)state;
    assert_true(listing_begin(&l, 4, 0, &e));
    assert_true(listing_uid(&l, 1, span_str("same"), &e));
    assert_true(listing_uid(&l, 2, span_str("other"), &e));
    assert_true(listing_uid(&l, 3, span_str("same"), &e));
    assert_true(listing_uid(&l, 4, span_str("sam"), &e));
    listing_finish(&l);
    assert_int_equal(l.v[1].nth, 0);
    assert_int_equal(l.v[3].nth, 1);
    assert_true(l.v[1].flags & L_AMBIGUOUS);
    assert_true(l.v[3].flags & L_AMBIGUOUS);
    assert_false(l.v[2].flags & L_AMBIGUOUS);
    assert_false(l.v[4].flags & L_AMBIGUOUS);
    listing_free(&l);
}

static struct entry stored(int64_t first_seen)
{
    return (struct entry){ .id = 7, .state = ENTRY_STORED, .first_seen = first_seen, .has_size = true, .size = 100,
                           .has_digest = true };
}

/* Message 1 is stored, 40 days old; 2 is stored, 3 days old; 3 is new; 4 was only marked as seen. */
static void plan(const struct keep *keep, struct listing *l, struct plan_sums *sums)
{
    struct plan_rules rules = { .keep = *keep, .now = NOW };
    struct entry old = stored(NOW - 40 * DAY), young = stored(NOW - 3 * DAY);
    struct entry seen = { .id = 9, .state = ENTRY_SEEN, .first_seen = NOW - 40 * DAY };

    list(l, 4);
    plan_known(&rules, &l->v[1], &old);
    plan_known(&rules, &l->v[2], &young);
    plan_known(&rules, &l->v[3], NULL);
    plan_known(&rules, &l->v[4], &seen);
    plan_finish(&rules, l, sums);
}

static void expect(const struct keep *keep, const enum listed_action actions[4], bool new_goes)
{
    struct listing l = { 0 };
    struct plan_sums sums;

    plan(keep, &l, &sums);
    for (int i = 0; i < 4; i++)
        assert_int_equal(l.v[i + 1].action, actions[i]);
    assert_int_equal(!!(l.v[3].flags & L_DELETE), new_goes);
    assert_int_equal(sums.fetch, 1);
    listing_free(&l);
}

static void test_keep(void **state)
{
    const enum listed_action nothing[4] = { ACT_NONE, ACT_NONE, ACT_FETCH, ACT_NONE };
    const enum listed_action first[4] = { ACT_DELETE, ACT_NONE, ACT_FETCH, ACT_NONE };
    const enum listed_action both[4] = { ACT_DELETE, ACT_DELETE, ACT_FETCH, ACT_NONE };

    (void)state;
    expect(&(struct keep){ .kind = KEEP_ALL }, nothing, false);
    expect(&(struct keep){ .kind = KEEP_NONE }, both, true);
    expect(&(struct keep){ .kind = KEEP_DAYS, .days = 14 }, first, false);
    expect(&(struct keep){ .kind = KEEP_DAYS, .days = 0 }, both, true);
    expect(&(struct keep){ .kind = KEEP_NEWEST, .newest = 3 }, first, false);
    expect(&(struct keep){ .kind = KEEP_NEWEST, .newest = 1 }, both, true);
    expect(&(struct keep){ .kind = KEEP_NEWEST, .newest = 0 }, both, true);
    expect(&(struct keep){ .kind = KEEP_UNTIL, .octets = 400, .percent = 80 }, first, false);
    expect(&(struct keep){ .kind = KEEP_UNTIL, .octets = 1000, .percent = 80 }, nothing, false);
}

static void test_states(void **state)
{
    static const struct {
        enum entry_state state;
        enum listed_action none, all; /* keep = none, keep = all */
    } rows[] = {
        { ENTRY_INTENT, ACT_FETCH, ACT_FETCH },     { ENTRY_STORED, ACT_DELETE, ACT_NONE },
        { ENTRY_DELE_SENT, ACT_DELETE, ACT_NONE },  { ENTRY_GONE, ACT_DELETE, ACT_NONE },
        { ENTRY_SEEN, ACT_NONE, ACT_NONE },         { ENTRY_QUARANTINED, ACT_NONE, ACT_NONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int all = 0; all < 2; all++) {
            struct plan_rules rules = { .keep.kind = all ? KEEP_ALL : KEEP_NONE, .now = NOW };
            struct entry entry = { .id = 1, .state = rows[i].state, .first_seen = NOW, .has_digest = true };
            struct listing l = { 0 };
            struct plan_sums sums;

            list(&l, 1);
            plan_known(&rules, &l.v[1], &entry);
            plan_finish(&rules, &l, &sums);
            assert_int_equal(l.v[1].action, all ? rows[i].all : rows[i].none);
            listing_free(&l);
        }
}

/* What was deleted and is back stays when the rule has changed; what a filter wanted gone goes. */
static void test_back_again(void **state)
{
    static const enum entry_state states[] = { ENTRY_DELE_SENT, ENTRY_GONE };

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int filtered = 0; filtered < 2; filtered++) {
            struct plan_rules rules = { .keep = { .kind = KEEP_DAYS, .days = 14 }, .now = NOW };
            struct entry entry = stored(NOW - DAY);
            struct listing l = { 0 };
            struct plan_sums sums;

            entry.state = states[i];
            entry.has_digest = !filtered;
            list(&l, 1);
            plan_known(&rules, &l.v[1], &entry);
            plan_finish(&rules, &l, &sums);
            assert_int_equal(l.v[1].action, filtered ? ACT_DELETE : ACT_NONE);
            assert_int_equal(sums.remove_now, filtered);
            listing_free(&l);
        }
}

/* The same unique-id with another size: looked at again, and never deleted by that name alone. */
static void test_another_size(void **state)
{
    struct plan_rules rules = { .keep.kind = KEEP_NONE, .now = NOW };
    struct entry entry = stored(NOW);
    struct listing l = { 0 };
    struct plan_sums sums;

    (void)state;
    entry.size = 99;
    list(&l, 1);
    plan_known(&rules, &l.v[1], &entry);
    plan_finish(&rules, &l, &sums);
    assert_int_equal(l.v[1].action, ACT_FETCH);
    assert_true(l.v[1].flags & L_CHECK);
    listing_free(&l);
}

/* Two messages of one unique-id, both stored in an earlier session: which is which is not certain. */
static void test_ambiguous_is_not_deleted_by_name(void **state)
{
    struct plan_rules rules = { .keep.kind = KEEP_NONE, .now = NOW };
    struct entry entry = stored(NOW);
    struct listing l = { 0 };
    struct plan_sums sums;
    struct err e;

    (void)state;
    assert_true(listing_begin(&l, 2, 0, &e));
    assert_true(listing_uid(&l, 1, span_str("same"), &e));
    assert_true(listing_uid(&l, 2, span_str("same"), &e));
    listing_finish(&l);
    plan_known(&rules, &l.v[1], &entry);
    plan_known(&rules, &l.v[2], &entry);
    plan_finish(&rules, &l, &sums);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(l.v[i].action, ACT_FETCH);
        assert_true(l.v[i].flags & L_CHECK);
    }
    listing_free(&l);
}

static void test_too_large(void **state)
{
    struct plan_rules rules = { .keep.kind = KEEP_NONE, .skip_larger = 99, .now = NOW };
    struct listing l = { 0 };
    struct plan_sums sums;

    (void)state;
    list(&l, 2);
    l.v[2].size = 99;
    plan_known(&rules, &l.v[1], NULL);
    plan_known(&rules, &l.v[2], NULL);
    plan_finish(&rules, &l, &sums);
    assert_int_equal(l.v[1].action, ACT_SKIP);
    assert_int_equal(l.v[2].action, ACT_FETCH);
    assert_int_equal(sums.skip, 1);
    assert_int_equal(sums.fetch, 1);
    listing_free(&l);
}

static void test_renumbered(void **state)
{
    (void)state;
    assert_false(plan_renumbered(9, 9, 9));      /* too few to tell */
    assert_true(plan_renumbered(100, 100, 100));
    assert_true(plan_renumbered(100, 51, 60));
    assert_false(plan_renumbered(100, 50, 60));  /* half: somebody tidied up */
    assert_false(plan_renumbered(100, 100, 10)); /* the maildrop was emptied */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_strangers), cmocka_unit_test(test_equal_uids),
        cmocka_unit_test(test_keep),                 cmocka_unit_test(test_states),
        cmocka_unit_test(test_back_again),           cmocka_unit_test(test_another_size),         cmocka_unit_test(test_ambiguous_is_not_deleted_by_name),
        cmocka_unit_test(test_too_large),            cmocka_unit_test(test_renumbered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
