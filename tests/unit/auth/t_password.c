/* t_password.c - stored passwords: known examples of each scheme, new ones, and files that would hang a process.
 *
 * Proves: R5802-11, R5802-16, R4616-05, R4616-06, R1939-USER-09, R1939-USER-12
 * Does not know: users, processes.
 */
#include "auth/password.h"

#include "auth_help.h"
#include "base/clock.h"

static enum password_verdict check(const char *stored, const char *password)
{
    return password_check(span_str(stored), span_str(password));
}

static void known_examples(void **state)
{
    static const struct {
        const char *stored, *password;
        enum password_scheme scheme;
    } table[] = {
        { "{SHA512-CRYPT}$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy"
          "/YTBmSK6H9qs/y3RnOaw5v.", "Hello world!", PASSWORD_SHA512_CRYPT },
        { "{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!",
          PASSWORD_SHA256_CRYPT },
        { "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", PASSWORD_BCRYPT },
        { "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", PASSWORD_BCRYPT },
        { "{crypt}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U", PASSWORD_BCRYPT },
        { "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
          "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", "pencil", PASSWORD_SCRAM_SHA_256 },
        { "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=", "pencil",
          PASSWORD_SCRAM_SHA_1 },
        { "{PLAIN}pencil", "pencil", PASSWORD_PLAIN },
        { "{plain}pen}cil", "pen}cil", PASSWORD_PLAIN },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct span rest;

        assert_int_equal(password_scheme_of(span_str(table[i].stored), &rest), table[i].scheme);
        assert_true(password_usable(span_str(table[i].stored), NULL));
        if (check(table[i].stored, table[i].password) != PASSWORD_RIGHT)
            fail_msg("row %zu", i);
        assert_int_equal(check(table[i].stored, "pencils"), PASSWORD_WRONG);
        assert_int_equal(check(table[i].stored, ""), PASSWORD_WRONG);
    }
}

static void new_ones(void **state)
{
    static const struct {
        enum password_scheme scheme;
        uint32_t cost;
    } table[] = { { PASSWORD_SCRAM_SHA_256, 0 },  { PASSWORD_SCRAM_SHA_1, 4096 }, { PASSWORD_YESCRYPT, 1 },
                  { PASSWORD_BCRYPT, 4 },         { PASSWORD_SHA512_CRYPT, 1000 }, { PASSWORD_SHA256_CRYPT, 1000 },
                  { PASSWORD_PLAIN, 0 } };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct buf a = BUF(1000), b = BUF(1000);
        struct err e = { FAULT_NONE, "" };

        if (!password_hash(table[i].scheme, span_str("tr\xc3\xa9s secret"), table[i].cost, &a, &e))
            fail_msg("row %zu: %s", i, e.text);
        assert_true(password_hash(table[i].scheme, span_str("tr\xc3\xa9s secret"), table[i].cost, &b, &e));
        assert_true(table[i].scheme == PASSWORD_PLAIN || !span_eq(buf_span(&a), buf_span(&b))); /* another salt */
        assert_true(password_usable(buf_span(&a), &e));
        assert_int_equal(password_check(buf_span(&a), span_str("tr\xc3\xa9s secret")), PASSWORD_RIGHT);
        assert_int_equal(password_check(buf_span(&a), span_str("tr\xc3\xa8s secret")), PASSWORD_WRONG);
        if (table[i].scheme != PASSWORD_PLAIN)
            assert_null(memmem(a.p, a.n, "secret", 6));
        buf_free(&a);
        buf_free(&b);
    }
}

static void yescrypt_of_the_system(void **state)
{
    struct buf made = BUF(1000);

    (void)state;
    assert_true(password_hash(PASSWORD_YESCRYPT, span_str("pw"), 0, &made, NULL));
    assert_memory_equal(made.p, "{CRYPT}$y$j9T$", 14);
    assert_int_equal(password_check(buf_span(&made), span_str("pw")), PASSWORD_RIGHT);
    buf_free(&made);
}

/* The password is prepared before it is hashed, as a stored string; what cannot be prepared is refused. */
static void new_ones_are_prepared(void **state)
{
    struct buf made = BUF(1000);
    char long_one[256] = { 0 };
    struct err e;

    (void)state;
    assert_true(password_hash(PASSWORD_PLAIN, span_str("I\xc2\xadX"), 0, &made, &e));
    expect_span(buf_span(&made), "{PLAIN}IX");
    assert_false(password_hash(PASSWORD_SCRAM_SHA_256, span_str(""), 0, &made, &e));
    assert_false(password_hash(PASSWORD_SCRAM_SHA_256, span_str("a\nb"), 0, &made, &e));
    assert_false(password_hash(PASSWORD_SCRAM_SHA_256, span_str("\xff"), 0, &made, &e));
    assert_false(password_hash(PASSWORD_SCRAM_SHA_256, span_str("\xc8\xa1"), 0, &made, &e)); /* unassigned */
    memset(long_one, 'x', 255);
    buf_free(&made);
    assert_true(password_hash(PASSWORD_SHA512_CRYPT, span_str(long_one), 1000, &made, &e));
    assert_int_equal(password_check(buf_span(&made), span_str(long_one)), PASSWORD_RIGHT);
    assert_false(password_hash(PASSWORD_BCRYPT, span_str(long_one), 4, &made, &e)); /* 72 octets count in it */
    assert_false(password_hash(PASSWORD_SCRAM_SHA_256, span_str("pw"), 4095, &made, &e));
    assert_false(password_hash(PASSWORD_SCRAM_SHA_256, span_str("pw"), 10000001, &made, &e));
    assert_false(password_hash(PASSWORD_UNKNOWN, span_str("pw"), 0, &made, &e));
    buf_free(&made);
}

static void default_cost(void **state)
{
    struct buf made = BUF(1000);
    struct scram_keys keys;
    struct span rest;

    (void)state;
    assert_true(password_hash(PASSWORD_SCRAM_SHA_256, span_str("pw"), 0, &made, NULL));
    password_scheme_of(buf_span(&made), &rest);
    assert_true(scram_keys_parse(rest, SCRAM_SHA_256, &keys));
    assert_true(keys.iterations >= 15000);
    assert_int_equal(keys.salt_n, 16);
    buf_free(&made);
}

/* Each is refused at once: nothing is computed. */
static void hostile_files(void **state)
{
    static const char *const table[] = {
        "", "{", "{}", "{SCRAM-SHA-256}", "{NOSUCH}abc", "{MD5-CRYPT}$1$x$y", "$1$abc$def", "abJnggxhB/yWI", "*", "!",
        "x", "{PLAIN}", "{SCRAM-SHA-256}4294967295,W22ZaJ0SNY7soEsUEjb6gQ==,"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "{BLF-CRYPT}$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "{BLF-CRYPT}$2y$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC", "{BLF-CRYPT}$2y$", "{BLF-CRYPT}$2", "{BLF-CRYPT}$6$saltstring$abc",
        "{BLF-CRYPT}$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "{SHA512-CRYPT}$6$rounds=999999999$salt$abc", "{SHA512-CRYPT}$6$rounds=99999999999999999999$salt$abc",
        "{SHA512-CRYPT}$6$rounds=-1$salt$abc", "{SHA512-CRYPT}$6$rounds=5000", "{SHA512-CRYPT}$6$sa:lt$abc",
        "{SHA512-CRYPT}$6$s\na", "{CRYPT}$y$jZT$saltsaltsaltsalt$hash", "{CRYPT}$y$j9z$saltsaltsaltsalt$hash",
        "{CRYPT}$y$j9T3$saltsaltsaltsalt$hash", "{CRYPT}$y$/9T$saltsaltsaltsalt$hash", "{CRYPT}$y$j9T", "{CRYPT}$y$",
        "{CRYPT}$7$abc", "{CRYPT}$gy$j9T$abc$def", "{YESCRYPT}$6$salt$abc",
    };
    struct buf huge = BUF(10000);
    uint64_t began = clock_mono_ms();

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        if (password_usable(span_str(table[i]), NULL))
            fail_msg("usable: %s", table[i]);
        assert_int_equal(check(table[i], "pw"), PASSWORD_BROKEN);
    }
    assert_true(buf_put_str(&huge, "{SHA512-CRYPT}$6$"));
    for (int i = 0; i < 4000; i++)
        assert_true(buf_put_str(&huge, "a"));
    assert_int_equal(password_check(buf_span(&huge), span_str("pw")), PASSWORD_BROKEN);
    buf_free(&huge);
    assert_true(clock_mono_ms() - began < 1000);
}

/* What passes the bounds but is no hash comes to an end, too. */
static void garbage_behind_a_good_prefix(void **state)
{
    static const char *const table[] = {
        "{SHA512-CRYPT}$6$", "{SHA512-CRYPT}$6$$", "{SHA512-CRYPT}$6$rounds=1000$$x", "{CRYPT}$y$j75$saltsaltsaltsalt$h",
        "{BLF-CRYPT}$2y$04$////////////////////////////////////////////////////.",
        "{CRYPT}$y$j75$....................$",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        assert_true(check(table[i], "pw") != PASSWORD_RIGHT);
}

static void hostile_passwords(void **state)
{
    char huge[4097];

    (void)state;
    memset(huge, 'x', sizeof huge);
    huge[4096] = '\0';
    assert_int_equal(check("{SHA512-CRYPT}$6$rounds=1000$salt$x", huge), PASSWORD_WRONG);
    assert_int_equal(check("{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", huge),
                     PASSWORD_WRONG);
    assert_int_equal(password_check(span_str("{PLAIN}a"), LIT("a\0b")), PASSWORD_WRONG);
    assert_int_equal(password_check(span_str("{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
                                    LIT("U*U\0x")), PASSWORD_WRONG);
}

/* A clear password in the file is prepared as a stored string; accounts of raw octets match these as well. */
static void clear_passwords(void **state)
{
    (void)state;
    assert_int_equal(check("{PLAIN}\xe2\x85\xa8", "IX"), PASSWORD_RIGHT);
    assert_int_equal(check("{PLAIN}I\xc2\xadX", "IX"), PASSWORD_RIGHT);
    assert_int_equal(check("{PLAIN}caf\xe9", "caf\xe9"), PASSWORD_RIGHT);
    assert_int_equal(check("{PLAIN}caf\xe9", "cafe"), PASSWORD_WRONG);
}

static void cost_classes(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } table[] = {
        { "{SCRAM-SHA-256}4096,AAAA,x,y", "{SCRAM-SHA-256}4096,BBBB,x,y", true },
        { "{SCRAM-SHA-256}4096,AAAA,x,y", "{SCRAM-SHA-256}15000,AAAA,x,y", false },
        { "{SCRAM-SHA-256}4096,AAAA,x,y", "{SCRAM-SHA-1}4096,AAAA,x,y", false },
        { "{CRYPT}$y$j9T$aaa$bbb", "$y$j9T$ccc$ddd", true },
        { "{CRYPT}$y$j9T$aaa$bbb", "{CRYPT}$y$jAT$aaa$bbb", false },
        { "$2y$05$abc", "{BLF-CRYPT}$2y$05$def", true },
        { "$2y$05$abc", "$2y$06$abc", false },
        { "$6$abc$def", "$6$ghi$jkl", true },
        { "$6$rounds=9000$abc$def", "$6$ghi$jkl", false },
        { "$6$rounds=9000$abc$def", "$6$rounds=9000$ghi$jkl", true },
        { "{PLAIN}a", "{PLAIN}bbbbbb", true },
    };
    char a[48], b[48];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        password_cost_class(span_str(table[i].a), a, sizeof a);
        password_cost_class(span_str(table[i].b), b, sizeof b);
        if ((strcmp(a, b) == 0) != table[i].same)
            fail_msg("row %zu: \"%s\" \"%s\"", i, a, b);
    }
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(password_scheme_find(span_str("scram-sha-256")), PASSWORD_SCRAM_SHA_256);
    assert_int_equal(password_scheme_find(span_str("bcrypt")), PASSWORD_BCRYPT);
    assert_int_equal(password_scheme_find(span_str("rot13")), PASSWORD_UNKNOWN);
    assert_string_equal(password_scheme_name(PASSWORD_BCRYPT), "BLF-CRYPT");
    assert_string_equal(password_scheme_name(PASSWORD_UNKNOWN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_examples),
        cmocka_unit_test(new_ones),
        cmocka_unit_test(yescrypt_of_the_system),
        cmocka_unit_test(new_ones_are_prepared),
        cmocka_unit_test(default_cost),
        cmocka_unit_test(hostile_files),
        cmocka_unit_test(garbage_behind_a_good_prefix),
        cmocka_unit_test(hostile_passwords),
        cmocka_unit_test(clear_passwords),
        cmocka_unit_test(cost_classes),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
