/* t_auth_login.c - the auth worker as a process: passwords, APOP, policies, and that nothing tells who exists.
 *
 * Proves: R1939-USER-05, R1939-USER-07, R1939-USER-12, R1939-APOP-03, R1939-APOP-05, R1939-APOP-07,
 * R1939-APOP-10, R2449-RC-05, R2449-RC-06, R2449-LD-01, R3206-01, R3206-03, R3206-04, R4422-04, R4422-05,
 * R4616-06, R6856-12, R6856-13, R6856-14, R6856-16
 * Does not know: SASL (t_auth_sasl.c), lost peers (t_auth_life.c).
 */
#include "auth_process.h"

#include "base/clock.h"

#include <openssl/evp.h>
#include <unistd.h>

#define STORED                                                                                   \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define BOB "bob:" STORED ":2000:2001\n"

static void right_password(void **state)
{
    struct world *w = world_new(BOB, NULL);

    (void)state;
    login_pass(w, SID(0, 1), "bob", "pencil");
    assert_string_equal(expect_hash(w, "pencil"), STORED);
    answer_hash(w, true);
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    assert_int_equal(w->m.expire_days, UINT32_MAX);
    assert_int_equal(w->m.flags, 0);
    login_pass(w, SID(1, 1), "bob", "pencil"); /* the store is known now, from the other front too */
    expect_hash(w, "pencil");
    answer_hash(w, true);
    expect_ok(w, SID(1, 1), "bob");
    assert_true(world_logged(w, "event=login-ok"));
    assert_false(world_logged(w, "pencil"));
    world_free(&w);
}

static void keep_for_a_minute(struct conf *conf)
{
    conf->auth.cache_s = 60;
}

static void come_in(struct world *w, uint64_t sid, bool asked)
{
    login_pass(w, sid, "bob", "pencil");
    if (asked) {
        expect_hash(w, "pencil");
        answer_hash(w, true);
    }
    if (w->store < 0)
        give_store(w);
    expect_ok(w, sid, "bob");
}

/* The file reaches auth through another channel than logins do. */
static void wait_for_users(struct world *w, const char *text)
{
    for (int i = 0; i < 1000 && !world_logged(w, text); i++)
        usleep(10000);
    assert_true(world_logged(w, text));
}

/* A right password is not hashed again; a wrong one is, each time, and whatever decides is asked each time. */
static void right_passwords_are_remembered(void **state)
{
    struct world *w = world_new(BOB "al:" STORED ":2000:2001\n", keep_for_a_minute);

    (void)state;
    come_in(w, SID(0, 1), true);
    come_in(w, SID(1, 1), false);
    for (int i = 0; i < 2; i++) { /* another password, another user with the same record */
        login_pass(w, SID(0, 2), "bob", "Pencil");
        expect_hash(w, "Pencil");
        answer_hash(w, false);
        expect_fail(w, w->front[0], RC_AUTH);
    }
    login_pass(w, SID(0, 2), "al", "pencil");
    expect_hash(w, "pencil");
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    come_in(w, SID(0, 3), false);
    world_users(w, "bob:" STORED ":2000:2001::::disabled\nal:" STORED ":2000:2001\ncy:" STORED ":2000:2001\n");
    wait_for_users(w, "accounts=3");
    login_pass(w, SID(0, 4), "bob", "pencil"); /* looks like any other that fails */
    expect_hash(w, NULL);
    answer_hash(w, true);
    expect_fail(w, w->front[0], RC_AUTH);
    world_users(w, "bob:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,XG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
                   "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=:2000:2001\n");
    wait_for_users(w, "accounts=1");
    login_pass(w, SID(0, 5), "bob", "pencil"); /* the old password of a record that is no more */
    expect_hash(w, "pencil");
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    assert_false(world_logged(w, "pencil"));
    world_free(&w);
}

static void what_the_store_is_told(void **state)
{
    struct world *w = world_new("bob:" STORED
                                ":2000:2001::/home/bob::userdb_mail=maildir:~/Maildir:INDEX=/x expire=9 "
                                "read_only login_delay=3\n",
                                NULL);
    struct msg *m;

    (void)state;
    login_pass(w, SID(0, 1), "bob", "pencil");
    expect_hash(w, NULL);
    answer_hash(w, true);
    give_store(w);
    m = expect_msg(w, w->store, MSG_GRANT);
    expect_span(m->path, "/home/bob/Maildir");
    assert_int_equal(m->expire_days, 9);
    assert_true(m->flags & MSGF_READ_ONLY);
    assert_true(m->flags & MSGF_EXCLUSIVE);
    assert_true(m->flags & MSGF_DURABLE);
    m = expect_msg(w, w->front[0], MSG_LOGIN_OK);
    assert_int_equal(m->flags, MSGF_READ_ONLY);
    assert_int_equal(m->expire_days, 9);
    assert_int_equal(m->login_delay_s, 3);
    world_free(&w);
}

/* Whatever is wrong: a hash of the usual cost is computed, and its outcome does not matter. */
static void nothing_tells_who_exists(void **state)
{
    static const struct {
        const char *user, *password;
    } table[] = {
        {"bob",                 "wrong"   },
        { "nobody",             "pencil"  },
        { "off",                "pencil"  },
        { "old",                "pencil"  },
        { "net",                "pencil"  },
        { "bob\x07",            "pencil"  },
        { "bob",                "pen\x07" },
        { "bob",                "pen\ncil"},
        { "\xc3",               "pencil"  },
        { "bob",                "\xff"    },
        { "%0.1000000000u",     "x"       },
        { "apop",               "secret"  },
        { "bo\tb",              "pencil"  },
        { "../bob",             "pencil"  },
        { "bob:x",              "pencil"  },
        { "nobody@example.org", "x"       },
    };
    struct world *w = world_new(BOB "off:" STORED ":2000:2001::::disabled\nold:" STORED ":2000:2001::::nologin=y\n"
                                    "net:" STORED ":2000:2001::::allow_nets=198.51.100.0/24\n"
                                    "apop:{PLAIN}secret:2000:2001::::apop\n",
                                NULL);

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        login_pass(w, SID(0, 1), table[i].user, table[i].password);
        assert_string_equal(expect_hash(w, NULL), STORED); /* of the same scheme and cost */
        answer_hash(w, i != 0);
        expect_fail(w, w->front[0], RC_AUTH);
        assert_int_equal(w->m.flags, 0);
    }
    login_pass(w, SID(0, 1), "bob", "");
    expect_fail(w, w->front[0], RC_AUTH);
    login_pass(w, SID(0, 1), "", "pencil");
    expect_fail(w, w->front[0], RC_AUTH);
    expect_nothing(w, w->hash, 50);
    assert_true(world_logged(w, "reason=unknown-user"));
    assert_true(world_logged(w, "reason=disabled"));
    assert_false(world_logged(w, "pencil"));
    world_free(&w);
}

/* A password cannot be checked for reasons of ours: that is no matter of credentials. */
static void our_own_faults(void **state)
{
    struct world *w = world_new(BOB "bad:{NOSUCH}x:2000:2001\n", NULL);
    struct msg m;

    (void)state;
    login_pass(w, SID(0, 1), "bad", "pencil");
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    login_pass(w, SID(0, 1), "bob", "pencil");
    expect_hash(w, NULL);
    msg_init(&m, MSG_HASH_RESULT, w->m.sid);
    m.fault = FAULT_BAD;
    tell(w->hash, &m);
    expect_fail(w, w->front[0], RC_SYS_TEMP);
    world_free(&w);
}

static void clear_connection(struct world *w, const char *user, unsigned flags)
{
    struct msg m;

    msg_init(&m, MSG_LOGIN_PASS, SID(0, 1));
    m.addr[15] = 1; /* ::1 */
    m.flags = flags;
    m.user = span_str(user);
    m.secret = span_str("pencil");
    tell(w->front[0], &m);
    expect_hash(w, "pencil");
    answer_hash(w, true);
}

static void without_tls(void **state)
{
    struct world *w = world_new(BOB "tls:" STORED ":2000:2001::::require_tls\n", NULL);

    (void)state;
    clear_connection(w, "bob", 0); /* a front that forgot its policy */
    expect_fail(w, w->front[0], RC_AUTH);
    clear_connection(w, "tls", MSGF_TRUSTED);
    expect_fail(w, w->front[0], RC_AUTH);
    clear_connection(w, "bob", MSGF_TRUSTED);
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    clear_connection(w, "tls", MSGF_TLS);
    expect_ok(w, SID(0, 1), "tls");
    world_free(&w);
}

static void utf8_off(struct conf *conf)
{
    conf->auth.utf8_user = false;
}

static void utf8_off_raw(struct conf *conf)
{
    conf->auth.utf8_user = false;
    conf->auth.legacy_8bit = true;
}

static void passwords_beyond_ascii(void **state)
{
    static const char users[] = "I\xc2\xadX:{PLAIN}IX:2000:2001\nraw:{PLAIN}caf\xe9:2000:2001::::raw_password\n";
    struct world *w = world_new(users, NULL);

    (void)state;
    login_pass(w, SID(0, 1), "\xe2\x85\xa8", "I\xc2\xadX"); /* U+2168 and a soft hyphen: both are IX */
    expect_hash(w, "IX");
    answer_hash(w, true);
    give_store(w);
    expect_ok(w, SID(0, 1), "IX");
    login_pass(w, SID(0, 2), "raw", "caf\xe9"); /* hashed from raw octets: compared as such */
    expect_hash(w, "caf\xe9");
    answer_hash(w, true);
    expect_ok(w, SID(0, 2), "raw");
    login_pass(w, SID(0, 3), "IX", "caf\xe9"); /* not so for others */
    expect_hash(w, NULL);
    answer_hash(w, true);
    expect_fail(w, w->front[0], RC_AUTH);
    world_free(&w);

    w = world_new(users, utf8_off);
    login_pass(w, SID(0, 1), "IX", "I\xc2\xadX");
    expect_hash(w, NULL);
    answer_hash(w, true);
    expect_fail(w, w->front[0], RC_AUTH);
    world_free(&w);

    w = world_new(users, utf8_off_raw);
    login_pass(w, SID(0, 1), "IX", "\xe9\xc2\xad");
    expect_hash(w, "\xe9\xc2\xad"); /* the octets, nothing else */
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    world_free(&w);
}

static void apop_on(struct conf *conf)
{
    conf->auth.apop = true;
}

static void login_apop(struct world *w, const char *user, const char *timestamp, const char *secret)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char text[300];
    struct msg m;

    snprintf(text, sizeof text, "%s%s", timestamp, secret);
    assert_int_equal(EVP_Digest(text, strlen(text), digest, NULL, EVP_md5(), NULL), 1);
    msg_init(&m, MSG_LOGIN_APOP, SID(0, 1));
    m.flags = MSGF_TLS;
    m.user = span_str(user);
    m.secret = span_of(digest, 16);
    m.data = span_str(timestamp);
    tell(w->front[0], &m);
}

static void apop(void **state)
{
    static const char stamp[] = "<1896.697170952@dbc.mtview.ca.us>";
    static const char users[] = "mrose:{PLAIN}tanstaaf:2000:2001::::apop\nbob:{PLAIN}tanstaaf:2000:2001\n"
                                "u\xc2\xadser:{PLAIN}\xe2\x85\xa8:2000:2001::::apop\n";
    static const uint8_t rfc[16] = { 0xc4, 0xc9, 0x33, 0x4b, 0xac, 0x56, 0x0e, 0xcc,
                                     0x97, 0x9e, 0x58, 0x00, 0x1b, 0x3e, 0x22, 0xfb };
    struct world *w = world_new(users, apop_on);
    struct msg m;

    (void)state;
    msg_init(&m, MSG_LOGIN_APOP, SID(0, 1));
    m.flags = MSGF_TLS;
    m.user = span_str("mrose");
    m.secret = span_of(rfc, sizeof rfc);
    m.data = span_str(stamp);
    tell(w->front[0], &m);
    give_store(w);
    expect_ok(w, SID(0, 1), "mrose");
    login_apop(w, "mrose", stamp, "wrong");
    expect_fail(w, w->front[0], RC_AUTH);
    login_apop(w, "bob", stamp, "tanstaaf"); /* reachable by passwords: not by APOP */
    expect_fail(w, w->front[0], RC_AUTH);
    login_apop(w, "nobody", stamp, "not a password");
    expect_fail(w, w->front[0], RC_AUTH);
    login_apop(w, "u\xc2\xadser", stamp, "IX"); /* RFC 6856 §2.2: prepared forms */
    expect_ok(w, SID(0, 1), "user");
    login_apop(w, "user", stamp, "\xe2\x85\xa8");
    expect_fail(w, w->front[0], RC_AUTH);
    world_free(&w);

    w = world_new(users, NULL); /* off by default */
    login_apop(w, "mrose", stamp, "tanstaaf");
    expect_fail(w, w->front[0], RC_AUTH);
    world_free(&w);
}

static void limits(struct conf *conf)
{
    conf->limits.connections_per_user = 2;
}

static void log_in(struct world *w, uint64_t sid, const char *user, bool first)
{
    login_pass(w, sid, user, "pencil");
    expect_hash(w, NULL);
    answer_hash(w, true);
    if (first)
        give_store(w);
}

static void end_session(struct world *w, uint64_t sid)
{
    struct msg m;

    msg_init(&m, MSG_SESSION_END, sid);
    tell(w->front[sid >> 48], &m);
}

static void sessions_per_user(void **state)
{
    struct world *w = world_new(BOB, limits);

    (void)state;
    log_in(w, SID(0, 1), "bob", true);
    expect_ok(w, SID(0, 1), "bob");
    log_in(w, SID(1, 1), "bob", false);
    expect_ok(w, SID(1, 1), "bob");
    log_in(w, SID(0, 2), "bob", false);
    expect_fail(w, w->front[0], RC_IN_USE);
    login_pass(w, SID(0, 2), "bob", "wrong"); /* it is told only to who knows the password */
    expect_hash(w, "wrong");
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    end_session(w, SID(0, 1));
    log_in(w, SID(0, 2), "bob", false);
    expect_ok(w, SID(0, 2), "bob");
    close(w->front[1]); /* the front dies: its sessions are over */
    w->front[1] = world_peer(w, ROLE_FRONT, 1);
    expect_msg(w, w->front[1], MSG_MECHS);
    log_in(w, SID(1, 7), "bob", false);
    expect_ok(w, SID(1, 7), "bob");
    world_free(&w);
}

static void login_delay(void **state)
{
    struct world *w = world_new("bob:" STORED ":2000:2001::::login_delay=2\n", NULL);
    uint64_t began;

    (void)state;
    log_in(w, SID(0, 1), "bob", true);
    expect_ok(w, SID(0, 1), "bob");
    began = clock_mono_ms();
    end_session(w, SID(0, 1));
    log_in(w, SID(0, 2), "bob", false);
    expect_fail(w, w->front[0], RC_LOGIN_DELAY);
    login_pass(w, SID(0, 2), "bob", "wrong");
    expect_hash(w, "wrong");
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    while (clock_mono_ms() - began < 2100)
        expect_nothing(w, w->front[0], 100);
    log_in(w, SID(0, 3), "bob", false);
    expect_ok(w, SID(0, 3), "bob");
    world_free(&w);
}

static void throttle_on(struct conf *conf)
{
    conf->auth.throttle = true;
    conf->auth.throttle_free = 1;
    conf->auth.throttle_max_s = 2;
    world_list(&conf->auth.throttle_exempt, "198.51.100.0/24");
}

/* The time that a wrong password takes, the hash aside. */
static uint64_t wrong(struct world *w, const char *password)
{
    uint64_t began = clock_mono_ms();

    login_pass(w, SID(0, 1), "bob", password);
    expect_hash(w, password);
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    return clock_mono_ms() - began;
}

static void wrong_passwords_wait(void **state)
{
    struct world *w = world_new(BOB "ann:" STORED ":2000:2001\n", throttle_on);
    uint64_t began;

    (void)state;
    assert_true(wrong(w, "first") < 400);
    assert_true(wrong(w, "first") < 400); /* the same again is no attack */
    assert_true(wrong(w, "second") >= 500);
    login_pass(w, SID(0, 1), "bob", "third"); /* waits; meanwhile others log in */
    began = clock_mono_ms();
    log_in(w, SID(0, 2), "ann", true);
    expect_ok(w, SID(0, 2), "ann");
    assert_true(clock_mono_ms() - began < 400);
    expect_hash(w, "third");
    assert_true(clock_mono_ms() - began >= 450); /* its own pair waits before the check */
    answer_hash(w, true);
    expect_ok(w, SID(0, 1), "bob");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_password),
        cmocka_unit_test(right_passwords_are_remembered),
        cmocka_unit_test(what_the_store_is_told),
        cmocka_unit_test(nothing_tells_who_exists),
        cmocka_unit_test(our_own_faults),
        cmocka_unit_test(without_tls),
        cmocka_unit_test(passwords_beyond_ascii),
        cmocka_unit_test(apop),
        cmocka_unit_test(sessions_per_user),
        cmocka_unit_test(login_delay),
        cmocka_unit_test(wrong_passwords_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
