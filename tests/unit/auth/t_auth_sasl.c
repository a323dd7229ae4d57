/* t_auth_sasl.c - the auth worker as a process: SASL exchanges, authorization identities, certificates,
 * mechanisms.
 *
 * The client of the SCRAM exchanges is GNU SASL's.
 *
 * Proves: R5034-05, R5034-18, R5034-19, R5034-21, R5802-05, R5802-15, R5802-17, R5802-18, R9266-03, R4422-03,
 * R4422-04, R4422-EXT-01, R4422-EXT-02, R4422-EXT-04, R4616-01, R4616-03, R4616-05, XLOGIN-01, R6856-17
 * Does not know: the wire's Base64, CAPA.
 */
#include "auth_process.h"

#include <gsasl.h>
#include <unistd.h>

#define KEYS256                                                                   \
    "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define KEYS1 "4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE="
#define STORED "{SCRAM-SHA-256}" KEYS256
#define ACCOUNT(name) name ":" STORED ":2000:2001::::scram-sha-1=" KEYS1
#define USERS      \
    ACCOUNT("bob") \
    "\n" ACCOUNT("ann") "\n" ACCOUNT("boss") "\n" ACCOUNT("off") " disabled\n" ACCOUNT("I\xc2\xadX") "\n"
#define SCRAMS                                                                                       \
    (MECH_BIT(MECH_SCRAM_SHA_256) | MECH_BIT(MECH_SCRAM_SHA_256_PLUS) | MECH_BIT(MECH_SCRAM_SHA_1) | \
     MECH_BIT(MECH_SCRAM_SHA_1_PLUS))
#define PLAINS (MECH_BIT(MECH_PLAIN) | MECH_BIT(MECH_LOGIN))

static const struct span nothing = { NULL, 0 };
static const char binding[] = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

static void masters(struct conf *conf)
{
    world_list(&conf->users.masters, "boss");
}

static void which_mechanisms(void **state)
{
    static const struct {
        const char *users;
        uint32_t mechs;
    } table[] = {
        {USERS,                                                                                      PLAINS | SCRAMS},
        { "bob:" STORED ":2000:2001\n",
         PLAINS | MECH_BIT(MECH_SCRAM_SHA_256) | MECH_BIT(MECH_SCRAM_SHA_256_PLUS)                                  },
        { "bob:{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW:2000:2001\n", PLAINS         },
        { "",                                                                                        PLAINS         },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct world *w = world_new(table[i].users, NULL);

        assert_int_equal(w->mechs, table[i].mechs);
        world_free(&w);
    }
}

static void only_plain(struct conf *conf)
{
    world_list(&conf->auth.mechanisms, "PLAIN");
    world_list(&conf->auth.mechanisms, "EXTERNAL"); /* without tls.client_ca there are no certificates */
}

static void named_mechanisms(void **state)
{
    struct world *w = world_new(USERS, only_plain);

    (void)state;
    assert_int_equal(w->mechs, MECH_BIT(MECH_PLAIN));
    login_sasl(w, SID(0, 1), MECH_SCRAM_SHA_256, span_str("n,,n=bob,r=abc")); /* a front that does not care */
    expect_fail(w, w->front[0], RC_NONE);
    login_sasl(w, SID(0, 1), MECH_N, nothing);
    expect_fail(w, w->front[0], RC_NONE);
    world_free(&w);
}

static void plain(void **state)
{
    struct world *w = world_new(USERS, NULL);

    (void)state;
    login_sasl(w, SID(0, 1), MECH_PLAIN, LIT("\0bob\0pencil"));
    assert_string_equal(expect_hash(w, "pencil"), STORED);
    answer_hash(w, true);
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    login_sasl(w, SID(0, 2), MECH_PLAIN, nothing);
    assert_int_equal(expect_msg(w, w->front[0], MSG_CHALLENGE)->data.n, 0);
    sasl_more_line(w, SID(0, 2), LIT("\0\xe2\x85\xa8\0I\xc2\xadX")); /* prepared, whatever UTF8 says */
    expect_hash(w, "IX");
    answer_hash(w, true);
    expect_ok(w, SID(0, 2), "IX");
    login_sasl(w, SID(0, 3), MECH_PLAIN, LIT("\0bob\0wrong"));
    expect_hash(w, "wrong");
    answer_hash(w, false);
    expect_fail(w, w->front[0], RC_AUTH);
    login_sasl(w, SID(0, 3), MECH_PLAIN, LIT("\0bob\0"));
    expect_fail(w, w->front[0], RC_AUTH);
    login_sasl(w, SID(0, 3), MECH_PLAIN, LIT("bob\0pencil"));
    expect_fail(w, w->front[0], RC_NONE);
    login_sasl(w, SID(0, 3), MECH_PLAIN, LIT("\0bob\0pen\0cil"));
    expect_fail(w, w->front[0], RC_NONE);
    assert_false(world_logged(w, "pencil"));
    world_free(&w);
}

static void login_mechanism(void **state)
{
    struct world *w = world_new(USERS, NULL);

    (void)state;
    login_sasl(w, SID(0, 1), MECH_LOGIN, nothing);
    expect_span(expect_msg(w, w->front[0], MSG_CHALLENGE)->data, "Username:");
    sasl_more_line(w, SID(0, 1), span_str("bob"));
    expect_span(expect_msg(w, w->front[0], MSG_CHALLENGE)->data, "Password:");
    sasl_more_line(w, SID(0, 1), span_str("pencil"));
    expect_hash(w, "pencil");
    answer_hash(w, true);
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    world_free(&w);
}

/* PLAIN as one user for another. */
static void authorize(struct world *w, struct span message, const char *as)
{
    login_sasl(w, SID(0, 1), MECH_PLAIN, message);
    expect_hash(w, "pencil");
    answer_hash(w, true);
    if (as)
        expect_ok(w, SID(0, 1), as);
    else
        expect_fail(w, w->front[0], RC_AUTH);
}

static void for_another(void **state)
{
    struct world *w = world_new(USERS "joe@example.org:" STORED ":2000:2001\n", masters);

    (void)state;
    login_sasl(w, SID(0, 1), MECH_PLAIN, LIT("bob\0bob\0pencil"));
    expect_hash(w, "pencil");
    answer_hash(w, true);
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    authorize(w, LIT("ann\0bob\0pencil"), NULL);
    authorize(w, LIT("ann\0boss\0pencil"), "ann"); /* a master may */
    assert_true(world_logged(w, "user=ann as=boss"));
    authorize(w, LIT("off\0boss\0pencil"), NULL);
    authorize(w, LIT("nobody\0boss\0pencil"), NULL);
    authorize(w, LIT("\xe2\x85\xa8\0boss\0pencil"), "IX"); /* prepared */
    authorize(w, LIT("\x07\0boss\0pencil"), NULL);         /* cannot be prepared */
    authorize(w, LIT("\xc2\xad\0bob\0pencil"), NULL);      /* nothing is left of it: not "no identity" */
    authorize(w, LIT("ann\0boss\0pencil"), "ann");
    world_free(&w);
}

/* GNU SASL's client talks to the worker; the worker's last word is in w->m. */
struct talk {
    const char *name;
    enum mech_id mech;
    const char *user, *authzid, *password;
    bool bound, announced; /* the client binds; the front brings a binding */
};

static Gsasl_session *client_of(Gsasl *gsasl, const struct talk *t)
{
    Gsasl_session *c;
    char text[64];

    assert_int_equal(gsasl_client_start(gsasl, t->name, &c), GSASL_OK);
    gsasl_property_set(c, GSASL_AUTHID, t->user);
    gsasl_property_set(c, GSASL_PASSWORD, t->password);
    if (t->authzid)
        gsasl_property_set(c, GSASL_AUTHZID, t->authzid);
    text[base64_put((uint8_t *)text, span_str(binding))] = '\0';
    if (t->bound)
        gsasl_property_set(c, GSASL_CB_TLS_EXPORTER, text);
    return c;
}

static void begin_bound(struct world *w, const struct talk *t, struct span initial)
{
    struct msg m;

    msg_init(&m, MSG_LOGIN_SASL, SID(0, 1));
    m.flags = MSGF_TLS | MSGF_HAS_DATA;
    m.mech = (uint8_t)t->mech;
    m.data = initial;
    if (t->announced)
        m.binding_exporter = span_str(binding);
    tell(w->front[0], &m);
}

/* Runs until the worker has sent something else than a challenge; true = the client is satisfied. */
static bool converse(struct world *w, const struct talk *t)
{
    struct err e;
    Gsasl *gsasl;
    Gsasl_session *c;
    char *line = NULL;
    size_t n = 0;
    bool last = false;
    int rc = GSASL_OK;

    assert_int_equal(gsasl_init(&gsasl), GSASL_OK);
    c = client_of(gsasl, t);
    rc = gsasl_step(c, NULL, 0, &line, &n);
    begin_bound(w, t, span_of(line, n));
    gsasl_free(line);
    for (int fd = w->front[0]; (rc == GSASL_OK || rc == GSASL_NEEDS_MORE) && !last;) {
        assert_int_equal(msg_recv(fd, w->packet, sizeof w->packet, &w->m, &e), 1);
        if (w->m.type != MSG_CHALLENGE)
            break;
        last = w->m.flags & MSGF_LAST_STEP;
        line = NULL;
        rc = gsasl_step(c, (const char *)w->m.data.p, w->m.data.n, &line, &n);
        sasl_more_line(w, SID(0, 1), span_of(line, n));
        gsasl_free(line);
    }
    gsasl_finish(c);
    gsasl_done(gsasl);
    return last && rc == GSASL_OK;
}

static void scram_right(void **state)
{
    static const struct talk table[] = {
        {"SCRAM-SHA-256",       MECH_SCRAM_SHA_256,      "bob", NULL,  "pencil", false, false},
        { "SCRAM-SHA-1",        MECH_SCRAM_SHA_1,        "bob", "bob", "pencil", false, false},
        { "SCRAM-SHA-256-PLUS", MECH_SCRAM_SHA_256_PLUS, "bob", NULL,  "pencil", true,  true },
        { "SCRAM-SHA-1-PLUS",   MECH_SCRAM_SHA_1_PLUS,   "bob", NULL,  "pencil", true,  true },
        { "SCRAM-SHA-256",      MECH_SCRAM_SHA_256,      "bob", NULL,  "pencil", false,
         true                                                                                }, /* binding there, client says "n" */
    };
    struct world *w = world_new(USERS, masters);

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_true(converse(w, &table[i]));
        if (i == 0)
            give_store(w);
        expect_ok(w, SID(0, 1), "bob");
    }
    assert_true(converse(
        w, &(struct talk){ "SCRAM-SHA-256", MECH_SCRAM_SHA_256, "I\xc2\xadX", NULL, "pencil", false, false }));
    expect_ok(w, SID(0, 1), "IX");
    assert_true(
        converse(w, &(struct talk){ "SCRAM-SHA-256", MECH_SCRAM_SHA_256, "boss", "ann", "pencil", false, false }));
    expect_ok(w, SID(0, 1), "ann");
    expect_nothing(w, w->hash, 0); /* SCRAM needs no hash worker */
    world_free(&w);
}

static void expect_refused(struct world *w, const struct talk *t, enum resp_code code, bool close)
{
    assert_false(converse(w, t));
    assert_int_equal(w->m.type, MSG_LOGIN_FAIL);
    assert_int_equal(w->m.code, code);
    assert_int_equal(w->m.flags, close ? MSGF_CLOSE : 0);
}

static void scram_wrong(void **state)
{
    struct world *w = world_new(USERS, NULL);
    struct talk t = { "SCRAM-SHA-256", MECH_SCRAM_SHA_256, "bob", NULL, "pen", false, false };

    (void)state;
    expect_refused(w, &t, RC_AUTH, false);
    t.user = "nobody";
    expect_refused(w, &t, RC_AUTH, false);
    t.user = "off";
    expect_refused(w, &t, RC_AUTH, false);
    t.password = "pencil"; /* right, and the account is disabled: no server signature comes back */
    expect_refused(w, &t, RC_AUTH, false);
    /* A binding serves one exchange: whatever fails under -PLUS ends the connection. */
    t = (struct talk){ "SCRAM-SHA-256-PLUS", MECH_SCRAM_SHA_256_PLUS, "bob", NULL, "pen", true, true };
    expect_refused(w, &t, RC_AUTH, true);
    t.announced = false; /* a front without a binding: none can be right */
    expect_refused(w, &t, RC_NONE, true);
    assert_true(converse(w, &(struct talk){ "SCRAM-SHA-256", MECH_SCRAM_SHA_256, "bob", NULL, "pencil", false,
                                            false })); /* after failures the right one still works */
    give_store(w);
    expect_ok(w, SID(0, 1), "bob");
    assert_false(world_logged(w, "pencil"));
    world_free(&w);
}

static void scram_downgraded(void **state)
{
    struct world *w = world_new(USERS, NULL);
    struct talk t = { "SCRAM-SHA-256", MECH_SCRAM_SHA_256, "bob", NULL, NULL, false, true };

    (void)state;
    begin_bound(w, &t, span_str("y,,n=bob,r=abc")); /* -PLUS was on offer, the client did not see it */
    expect_fail(w, w->front[0], RC_NONE);
    t.announced = false;
    begin_bound(w, &t, span_str("y,,n=bob,r=abc"));
    expect_msg(w, w->front[0], MSG_CHALLENGE);
    sasl_more_line(w, SID(0, 1), span_str("c=eSws,r=abc,p=AAAA"));
    expect_fail(w, w->front[0], RC_NONE);
    world_free(&w);
}

static void challenge_of(struct world *w, const char *user, char text[300])
{
    struct msg cancel;
    struct span s;

    snprintf(text, 300, "n,,n=%s,r=abc", user);
    login_sasl(w, SID(0, 1), MECH_SCRAM_SHA_256, span_str(text));
    s = expect_msg(w, w->front[0], MSG_CHALLENGE)->data;
    while (s.n > 2 && memcmp(s.p, ",s=", 3) != 0) /* the nonce is fresh each time */
        span_take(&s, 1);
    snprintf(text, 300, "%.*s", (int)s.n, (const char *)s.p);
    msg_init(&cancel, MSG_LOGIN_CANCEL, SID(0, 1));
    tell(w->front[0], &cancel);
}

static void salts_of_nobody(void **state)
{
    struct world *w = world_new(USERS, NULL);
    char bob[300], one[300], again[300], other[300];

    (void)state;
    challenge_of(w, "bob", bob);
    assert_string_equal(bob, ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    challenge_of(w, "bo\xc2\xad"
                    "b",
                 again); /* RFC 5802 §5.1: looked up as prepared */
    assert_string_equal(again, bob);
    challenge_of(w, "nobody", one);
    challenge_of(w, "nobody", again);
    challenge_of(w,
                 "no\xc2\xad"
                 "body",
                 other); /* the same name, prepared */
    assert_string_equal(one, again);
    assert_string_equal(one, other);
    challenge_of(w, "nobody2", other);
    assert_string_not_equal(one, other);
    assert_int_equal(strlen(one), strlen(bob)); /* as long a salt, as many iterations as others have */
    assert_string_equal(one + strlen(one) - 7, ",i=4096");
    world_free(&w);
}

/* Unexpected lines at every step end the exchange, and the next one works. */
static void broken_exchanges(void **state)
{
    static const enum mech_id mechs_of[] = { MECH_PLAIN, MECH_LOGIN, MECH_SCRAM_SHA_256, MECH_SCRAM_SHA_1 };
    static const char *const lines[] = { "", "=", "x", "n,,n=bob,r=abc", "\x01\x02\x03", "QUIT" };
    struct world *w = world_new(USERS, NULL);

    (void)state;
    for (size_t i = 0; i < COUNT(mechs_of); i++)
        for (size_t k = 0; k < COUNT(lines); k++) {
            struct err e;
            int steps = 0;

            login_sasl(w, SID(0, 1), mechs_of[i], nothing);
            for (;; steps++) {
                assert_true(steps < 5);
                assert_int_equal(msg_recv(w->front[0], w->packet, sizeof w->packet, &w->m, &e), 1);
                if (w->m.type != MSG_CHALLENGE)
                    break;
                sasl_more_line(w, SID(0, 1), span_str(lines[k]));
                if (mechs_of[i] == MECH_LOGIN && steps == 1 && lines[k][0]) {
                    expect_hash(w, NULL);
                    answer_hash(w, true);
                }
            }
            assert_int_equal(w->m.type, MSG_LOGIN_FAIL);
        }
    sasl_more_line(w, SID(0, 1), span_str("late")); /* nobody waits for it */
    sasl_more_line(w, SID(0, 99), span_str("never begun"));
    expect_nothing(w, w->front[0], 50);
    world_free(&w);
}

static void client_ca(struct conf *conf)
{
    world_set(&conf->tls.client_ca, "/ca.pem");
    world_list(&conf->users.masters, "boss");
    world_set(&conf->users.default_domain, "example.org");
}

static void external(struct world *w, struct span identities, const char *authzid)
{
    struct msg m;

    msg_init(&m, MSG_LOGIN_SASL, SID(0, 1));
    m.flags = MSGF_TLS | MSGF_HAS_DATA;
    m.mech = MECH_EXTERNAL;
    m.data = span_str(authzid);
    m.certificate = identities;
    tell(w->front[0], &m);
}

#define PRINT "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void certificates(void **state)
{
    static const char users[] = "bob:*:2000:2001\nann:*:2000:2001::::cert=" PRINT
                                "\njoe:*:2000:2001::::cert=x@example.com\n"
                                "boss@example.org:*:2000:2001\noff:*:2000:2001::::disabled\n";
    static const struct {
        const char *identities;
        size_t n;
        const char *authzid, *user;
    } table[] = {
#define CERT(identities, authzid, user) { (identities), sizeof(identities) - 1, (authzid), (user) }
        CERT("email:bob@example.org\0", "", "bob"),
        CERT("email:bob@EXAMPLE.org\0", "bob", "bob"),
        CERT("email:bob@example.org\0", "bob@example.org", "bob"),
        CERT("email:bob@example.org\0", "ann", NULL),
        CERT("email:bob@example.org\0", "nobody", NULL),
        CERT("email:bob@example.org\0", "\x07", NULL),
        CERT(PRINT "\0", "", "ann"),
        CERT("email:ann@example.org\0", "", NULL), /* ann has another certificate */
        CERT("email:joe@example.org\0", "", NULL),
        CERT("email:x@example.com\0", "", "joe"),
        CERT("email:x@example.com\0" PRINT "\0", "", NULL), /* two accounts: which one? */
        CERT("email:x@example.com\0" PRINT "\0", "ann", "ann"),
        CERT("email:x@example.com\0" PRINT "\0", "joe", "joe"),
        CERT("email:nobody@example.org\0", "", NULL),
        CERT("email:off@example.org\0", "", NULL),
        CERT("", "", NULL),
        CERT("", "bob", NULL),
        CERT("email:\0", "", NULL),
        CERT("\0\0\0", "", NULL),
        CERT("dns:bob\0", "bob", NULL),
        CERT("email:boss@example.org\0", "bob", "bob"), /* a master */
        CERT("email:boss@example.org\0", "off", NULL),
    };
    struct world *w = world_new(users, client_ca);
    bool first = true;

    (void)state;
    assert_true(w->mechs & MECH_BIT(MECH_EXTERNAL));
    for (size_t i = 0; i < COUNT(table); i++) {
        external(w, span_of(table[i].identities, table[i].n), table[i].authzid);
        if (!table[i].user) {
            expect_fail(w, w->front[0], RC_AUTH);
            continue;
        }
        if (first)
            give_store(w);
        first = false;
        expect_ok(w, SID(0, 1), table[i].user);
    }
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_mechanisms), cmocka_unit_test(named_mechanisms), cmocka_unit_test(plain),
        cmocka_unit_test(login_mechanism),  cmocka_unit_test(for_another),      cmocka_unit_test(scram_right),
        cmocka_unit_test(scram_wrong),      cmocka_unit_test(scram_downgraded), cmocka_unit_test(salts_of_nobody),
        cmocka_unit_test(broken_exchanges), cmocka_unit_test(certificates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
