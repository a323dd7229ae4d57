/* t_verified.c - the memory of right passwords: found only for the very same user, record and password, for its time,
 * and bounded.
 *
 * Does not know: hash workers (t_auth_login.c asks the auth worker as a process).
 */
#include "auth/verified.h"

#include "auth_help.h"

static struct verified_try try_of(const char *user, const char *stored, const char *secret)
{
    return (struct verified_try){ span_str(user), span_str(stored), span_str(secret) };
}

static bool has(struct verified *v, const char *user, const char *stored, const char *secret, uint64_t now)
{
    struct verified_try try = try_of(user, stored, secret);

    return verified_has(v, &try, now, 1000);
}

static void everything_decides(void **state)
{
    struct verified *v = verified_new();
    struct verified_try try = try_of("bob", "{X}abc", "secret");

    (void)state;
    assert_false(has(v, "bob", "{X}abc", "secret", 0));
    verified_put(v, &try, 0);
    assert_true(has(v, "bob", "{X}abc", "secret", 0));
    assert_false(has(v, "bobby", "{X}abc", "secret", 0));
    assert_false(has(v, "bob", "{X}abd", "secret", 0)); /* the record changed */
    assert_false(has(v, "bob", "{X}abc", "Secret", 0));
    assert_false(has(v, "bob", "{X}abc", "", 0));
    assert_false(has(v, "bob{X}", "abc", "secret", 0)); /* the parts do not run together */
    assert_false(has(v, "bob", "{X}abcs", "ecret", 0));
    verified_free(&v);
}

static void a_success_has_its_time(void **state)
{
    struct verified *v = verified_new();
    struct verified_try try = try_of("bob", "{X}abc", "secret");

    (void)state;
    verified_put(v, &try, 5000);
    assert_true(has(v, "bob", "{X}abc", "secret", 5999));
    assert_true(has(v, "bob", "{X}abc", "secret", 5999)); /* asking does not prolong it */
    assert_false(has(v, "bob", "{X}abc", "secret", 6000));
    assert_false(verified_has(v, &try, 5000, 0));
    verified_put(v, &try, 6000);
    assert_true(has(v, "bob", "{X}abc", "secret", 6999));
    verified_clear(v);
    assert_false(has(v, "bob", "{X}abc", "secret", 6001));
    verified_free(&v);
}

static void the_oldest_goes(void **state)
{
    struct verified *v = verified_new();
    char user[24];

    (void)state;
    for (unsigned i = 0; i <= VERIFIED_ENTRIES; i++) {
        struct verified_try try;

        snprintf(user, sizeof user, "user%u", i);
        try = try_of(user, "{X}abc", "secret");
        verified_put(v, &try, 1);
    }
    assert_false(has(v, "user0", "{X}abc", "secret", 1));
    assert_true(has(v, "user1", "{X}abc", "secret", 1));
    assert_true(has(v, user, "{X}abc", "secret", 1));
    verified_free(&v);
}

static void too_long_is_not_kept(void **state)
{
    static uint8_t longer[64 * 1024];
    struct verified *v = verified_new();
    struct verified_try try = { span_str("bob"), span_str("{X}abc"), span_of(longer, sizeof longer) };

    (void)state;
    verified_put(v, &try, 1);
    assert_false(verified_has(v, &try, 1, 1000));
    verified_free(&v);
    assert_null(v);
    verified_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_decides),
        cmocka_unit_test(a_success_has_its_time),
        cmocka_unit_test(the_oldest_goes),
        cmocka_unit_test(too_long_is_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
