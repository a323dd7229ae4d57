/* t_sasl_client.c - the client's mechanisms against our own server side, against GNU SASL's, and against servers that lie.
 *
 * Proves: R5802-01, R5802-02, R5802-04, R5802-06, R5802-08, R5802-12, R5802-13, R5802-19, R5802-21, R9266-01, R9266-02,
 * R7628-01, R7628-02, R7628-07, R7628-11, XOA2-01, XOA2-03, XOA2-06, R4616-08, R4422-EXT-05, R2195-03
 * Does not know: POP3's lines, TLS.
 */
#include "sasl/client.h"

#include "auth_help.h"
#include "sasl/prep.h"
#include "sasl/sasl.h"

#include <gsasl.h>

static const char unique[] = "uuuuuuuuuuuu", exporter[] = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

struct talk {
    struct sasl_client_conf conf;
    struct sasl_client *c;
    struct buf line; /* what the client says last */
    bool has_initial;
};

static struct sasl_client_conf account(void)
{
    return (struct sasl_client_conf){ .user = "bob", .password = LIT("pw"), .token = LIT("tok"), .host = "mx.example",
                                      .port = 995, .tls = true };
}

static bool begin(struct talk *t, const struct sasl_client_conf *conf, const char *mech)
{
    struct err e = { FAULT_NONE, "" };

    *t = (struct talk){ .conf = *conf, .line = BUF(100000) };
    t->c = sasl_client_new(&t->conf, &e);
    assert_non_null(t->c);
    return sasl_client_start(t->c, span_str(mech), &t->line, &t->has_initial);
}

static bool answer(struct talk *t, struct span challenge)
{
    t->line.n = 0;
    return sasl_client_step(t->c, challenge, &t->line);
}

static void end(struct talk *t)
{
    sasl_client_free(&t->c);
    sasl_client_free(&t->c); /* once more does nothing */
    buf_free(&t->line);
}

static void expect_why(const struct talk *t, const char *words)
{
    if (!strstr(sasl_client_why(t->c), words))
        fail_msg("\"%s\", not \"%s\"", sasl_client_why(t->c), words);
}

static enum sasl_next give_keys(struct sasl *s, const char *password)
{
    struct scram_keys keys = { .iterations = 4096, .salt_n = 16 };
    struct buf prepared = BUF(200);
    uint8_t nonce[SCRAM_NONCE];

    assert_true(sasl_prep(span_str(password), PREP_STORED, &prepared));
    assert_true(scram_keys_derive(s->scram.hash, buf_span(&prepared), &keys));
    scram_nonce(nonce);
    buf_free(&prepared);
    return sasl_keys(s, &keys, span_of(nonce, sizeof nonce));
}

/* What our server says in the end; forge: its last challenge is altered on the way. */
static enum sasl_next serve(struct talk *t, enum mech_id id, const char *password, bool forge)
{
    struct scram_link link = { false, false, span_str(unique), span_str(exporter) };
    enum sasl_next next;
    struct sasl s;

    sasl_init(&s, id, &link);
    next = sasl_begin(&s, t->has_initial, buf_span(&t->line));
    for (;;) {
        if (next == SASL_KEYS)
            next = give_keys(&s, password);
        if (next != SASL_SEND && next != SASL_SEND_LAST)
            break;
        if (next == SASL_SEND_LAST)
            assert_false(sasl_client_complete(t->c)); /* it has not seen the server's proof */
        if (next == SASL_SEND_LAST && forge)
            s.challenge.p[4] ^= 1;
        if (!answer(t, buf_span(&s.challenge)))
            break;
        next = sasl_more(&s, buf_span(&t->line));
    }
    sasl_wipe(&s);
    return next;
}

static const struct { const char *name; enum mech_id id; bool plus; } scrams[] = {
    { "SCRAM-SHA-1", MECH_SCRAM_SHA_1, false }, { "SCRAM-SHA-256", MECH_SCRAM_SHA_256, false },
    { "scram-sha-1-plus", MECH_SCRAM_SHA_1_PLUS, true }, { "SCRAM-SHA-256-PLUS", MECH_SCRAM_SHA_256_PLUS, true },
};

static void scram_with_our_server(void **state)
{
    static const struct { const char *user, *password, *stored; bool ok; } rows[] = {
        { "bob", "pw", "pw", true }, { "bob", "pw", "pv", false }, { "a,b=c", "pw", "pw", true },
        { "bob", "\xe2\x85\xa8", "IX", true }, { "bob", "I\xc2\xadX", "IX", true },
    };

    (void)state;
    for (size_t m = 0; m < COUNT(scrams); m++)
        for (size_t i = 0; i < 2 * COUNT(rows); i++) {
            struct sasl_client_conf conf = account();
            struct talk t;

            conf.user = rows[i / 2].user;
            conf.password = span_str(rows[i / 2].password);
            conf.binding_unique = i % 2 ? span_str(unique) : span_of(NULL, 0);
            conf.binding_exporter = span_str(exporter);
            assert_true(begin(&t, &conf, scrams[m].name));
            assert_true(t.has_initial);
            assert_int_equal(serve(&t, scrams[m].id, rows[i / 2].stored, false),
                             rows[i / 2].ok ? SASL_VERIFIED : SASL_REFUSED);
            assert_int_equal(sasl_client_complete(t.c), rows[i / 2].ok);
            end(&t);
        }
}

static void server_must_prove_itself(void **state)
{
    (void)state;
    for (size_t m = 0; m < COUNT(scrams); m++) {
        struct sasl_client_conf conf = account();
        struct talk t;

        conf.binding_exporter = span_str(exporter);
        assert_true(begin(&t, &conf, scrams[m].name));
        assert_int_equal(serve(&t, scrams[m].id, "pw", true), SASL_SEND_LAST);
        expect_why(&t, "could not prove");
        assert_false(sasl_client_complete(t.c));
        end(&t);
    }
}

/* The gs2-header by what the connection has and what the server offers, and c= of client-final. */
static void binding_flags(void **state)
{
    static const struct { const char *mech; bool has_unique, has_exporter, offered; const char *head; bool data; } rows[] = {
        { "SCRAM-SHA-256", false, false, false, "n,,", false },
        { "SCRAM-SHA-256", true, false, false, "y,,", false },
        { "SCRAM-SHA-256", false, true, false, "y,,", false },
        { "SCRAM-SHA-1", false, true, false, "y,,", false },
        { "SCRAM-SHA-256", true, true, true, "n,,", false },
        { "SCRAM-SHA-256-PLUS", true, false, true, "p=tls-unique,,", true },
        { "SCRAM-SHA-256-PLUS", true, true, true, "p=tls-unique,,", true },
        { "SCRAM-SHA-256-PLUS", false, true, true, "p=tls-exporter,,", true },
        { "SCRAM-SHA-1-PLUS", false, true, true, "p=tls-exporter,,", true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sasl_client_conf conf = account();
        char first[400], want[100], *comma;
        uint8_t coded[200];
        struct talk t;

        conf.binding_unique = span_str(rows[i].has_unique ? unique : "");
        conf.binding_exporter = span_str(rows[i].has_exporter ? exporter : "");
        conf.server_offers_plus = rows[i].offered;
        assert_true(begin(&t, &conf, rows[i].mech));
        snprintf(first, sizeof first, "%.*s", (int)t.line.n, (const char *)t.line.p);
        snprintf(want, sizeof want, "%sn=bob,r=", rows[i].head);
        if (strncmp(first, want, strlen(want)) != 0)
            fail_msg("row %zu: %s, not %s…", i, first, want);
        snprintf(first, sizeof first, "r=%.*sxyz,s=QSXCR+Q6sek8bf92,i=4096", (int)(t.line.n - strlen(want)),
                 (const char *)t.line.p + strlen(want));
        assert_true(answer(&t, span_str(first)));
        snprintf(want, sizeof want, "%s%s", rows[i].head,
                 !rows[i].data ? "" : rows[i].has_unique ? unique : exporter);
        coded[base64_put(coded, span_str(want))] = '\0';
        snprintf(first, sizeof first, "%.*s", (int)t.line.n, (const char *)t.line.p);
        comma = strchr(first, ',');
        assert_non_null(comma);
        *comma = '\0';
        assert_true(strncmp(first, "c=", 2) == 0);
        assert_string_equal(first + 2, (const char *)coded);
        end(&t);
    }
}

/* One server-first after our nonce: text with "%s" where the nonce belongs. */
static bool first_answer(const struct sasl_client_conf *conf, const char *before, struct span after, const char *why)
{
    struct buf message = BUF(20000);
    struct talk t;
    bool ok;

    assert_true(begin(&t, conf, "SCRAM-SHA-256"));
    assert_true(memcmp(t.line.p, "n,,n=bob,r=", 11) == 0);
    assert_true(buf_put_str(&message, before) && buf_put(&message, t.line.p + 11, t.line.n - 11) &&
                buf_put_span(&message, after));
    ok = answer(&t, buf_span(&message));
    if (why)
        expect_why(&t, why);
    if (!ok) {
        assert_int_equal(t.line.n, 0);
        assert_false(answer(&t, LIT("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))); /* of no key */
    }
    assert_false(sasl_client_complete(t.c));
    buf_free(&message);
    end(&t);
    return ok;
}

static void hostile_first_answers(void **state)
{
    static const struct { const char *before, *after, *why; } bad[] = {
        { "r=", "x,s=QUFB,i=4294967295", "iteration count 4294967295 is not within 4096 to 10000000" },
        { "r=", "x,s=QUFB,i=10000001", "iteration count" }, { "r=", "x,s=QUFB,i=4095", "iteration count 4095" },
        { "r=", "x,s=QUFB,i=0", "iteration count 0" }, { "r=", "x,s=QUFB,i=", "iteration count" },
        { "r=", "x,s=QUFB,i=99999999999999999999999999", "iteration count" },
        { "r=", "x,i=4096,s=QUFB", "malformed" },
        { "r=", "x,s=QUFB,i=-4096", "no number" }, { "r=", "x,s=QUFB,i=\x1b[2J", "no number" },
        { "r=", "x,s=QUFB", NULL }, { "r=", "x,i=4096", NULL }, { "r=", "x", NULL }, { "r=", "x,s=!,i=4096", NULL },
        { "r=", ",s=QUFB,i=4096", "nonce" }, { "r=", "", "nonce" }, { "r=x", "x,s=QUFB,i=4096", "nonce" },
        { "", "x,s=QUFB,i=4096", "nonce" }, { "m=x,r=", "x,s=QUFB,i=4096", "nonce" }, { "e=other-error,r=", "x", "nonce" },
    };
    struct sasl_client_conf conf = account();
    struct buf long_one = BUF(20000);

    (void)state;
    assert_true(first_answer(&conf, "r=", span_str("x,s=QUFB,i=4096"), NULL));
    assert_true(first_answer(&conf, "r=", span_str("x,s=QUFB,i=4096,x=some extension"), NULL));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (first_answer(&conf, bad[i].before, span_str(bad[i].after), bad[i].why))
            fail_msg("row %zu was accepted", i);
    conf.min_iterations = 100;
    assert_true(first_answer(&conf, "r=", span_str("x,s=QUFB,i=100"), NULL));
    assert_false(first_answer(&conf, "r=", span_str("x,s=QUFB,i=99"), "100 to"));
    assert_true(buf_put_str(&long_one, "x,s="));
    for (int i = 0; i < 1372; i++)
        assert_true(buf_put(&long_one, "A", 1));
    assert_true(buf_put_str(&long_one, ",i=4096"));
    assert_false(first_answer(&conf, "r=", buf_span(&long_one), "salt is too long"));
    while (long_one.n < 8300)
        assert_true(buf_put(&long_one, "A", 1));
    assert_false(first_answer(&conf, "r=", buf_span(&long_one), "message is too long"));
    buf_free(&long_one);
}

static int on_gsasl(Gsasl *lib, Gsasl_session *s, Gsasl_property p)
{
    char text[64];

    (void)lib;
    if (p == GSASL_PASSWORD)
        return gsasl_property_set(s, p, "pw");
    if (p == GSASL_SCRAM_ITER)
        return gsasl_property_set(s, p, "5000");
    if (p != GSASL_CB_TLS_UNIQUE)
        return GSASL_NO_CALLBACK;
    text[base64_put((uint8_t *)text, span_str(unique))] = '\0';
    return gsasl_property_set(s, p, text);
}

/* GNU SASL's server side, written by others. */
static void with_gsasl(void **state)
{
    static const char *const names[] = { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256",
                                         "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS" };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(names); i++) {
        const char *mech = names[i / 2];
        struct sasl_client_conf conf = account();
        Gsasl_session *s;
        Gsasl *lib;
        struct talk t;
        int rc;

        conf.password = i % 2 ? LIT("wrong") : LIT("pw");
        conf.binding_unique = span_str(strstr(mech, "PLUS") ? unique : "");
        assert_int_equal(gsasl_init(&lib), GSASL_OK);
        gsasl_callback_set(lib, on_gsasl);
        assert_int_equal(gsasl_server_start(lib, mech, &s), GSASL_OK);
        assert_true(begin(&t, &conf, mech));
        assert_int_equal(t.has_initial, strcmp(mech, "LOGIN") != 0 && strcmp(mech, "CRAM-MD5") != 0);
        do {
            char *made = NULL;
            size_t n = 0;

            rc = gsasl_step(s, (const char *)t.line.p, t.line.n, &made, &n);
            if (rc == GSASL_NEEDS_MORE || (rc == GSASL_OK && n))
                assert_true(answer(&t, span_of(made, n)));
            gsasl_free(made);
        } while (rc == GSASL_NEEDS_MORE);
        if ((rc == GSASL_OK) != !(i % 2))
            fail_msg("%s: %s", mech, gsasl_strerror_name(rc));
        assert_true(i % 2 || sasl_client_complete(t.c));
        end(&t);
        gsasl_finish(s);
        gsasl_done(lib);
    }
}

/* CRAM-MD5's name may hold blanks; PLAIN's and EXTERNAL's authzid only when there is one. */
static void plain_forms(void **state)
{
    struct sasl_client_conf conf = account();
    struct talk t;

    (void)state;
    assert_true(begin(&t, &conf, "plain"));
    assert_true(span_eq(buf_span(&t.line), LIT("\0bob\0pw")));
    end(&t);
    conf.authzid = "";
    assert_false(begin(&t, &conf, "EXTERNAL"));
    expect_why(&t, "certificate");
    end(&t);
    conf.has_certificate = true;
    conf.password = span_of(NULL, 0);
    assert_true(begin(&t, &conf, "EXTERNAL"));
    assert_true(t.has_initial && t.line.n == 0);
    end(&t);
    conf.authzid = "alice";
    assert_true(begin(&t, &conf, "EXTERNAL"));
    expect_span(buf_span(&t.line), "alice");
    end(&t);
    conf.password = LIT("pw");
    assert_true(begin(&t, &conf, "PLAIN"));
    assert_true(span_eq(buf_span(&t.line), LIT("alice\0bob\0pw")));
    end(&t);
    conf.user = "a b";
    conf.password = LIT("tanstaaftanstaaf");
    assert_true(begin(&t, &conf, "CRAM-MD5"));
    assert_true(answer(&t, LIT("<1896.697170952@postoffice.reston.mci.net>")));
    expect_span(buf_span(&t.line), "a b b913a602c7eda7a495b4e6e7334d3890");
    end(&t);
}

static void cannot_start(void **state)
{
    static const char *const need_password[] = { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS" };
    struct sasl_client_conf conf = account();
    struct talk t;

    (void)state;
    conf.password = span_of(NULL, 0);
    conf.binding_exporter = span_str(exporter);
    for (size_t i = 0; i < COUNT(need_password); i++) {
        assert_false(begin(&t, &conf, need_password[i]));
        expect_why(&t, "no password");
        assert_false(answer(&t, LIT("")));
        end(&t);
    }
    conf = account();
    assert_false(begin(&t, &conf, "SCRAM-SHA-256-PLUS"));
    expect_why(&t, "no channel binding");
    end(&t);
    assert_false(begin(&t, &conf, "NO-SUCH-THING"));
    end(&t);
    assert_false(begin(&t, &conf, "A-NAME-THAT-IS-LONGER-THAN-ANY-MECHANISM"));
    end(&t);
    conf.password = LIT("a\0b");
    assert_false(begin(&t, &conf, "PLAIN"));
    end(&t);
    conf.password = LIT("\xf0\x9f\x99\x82"); /* not in Unicode 3.2: SCRAM gives way to another mechanism at once */
    assert_false(begin(&t, &conf, "SCRAM-SHA-256"));
    expect_why(&t, "password");
    end(&t);
    assert_true(begin(&t, &conf, "PLAIN"));
    end(&t);
    conf = account();
    conf.user = "\xf0\x9f\x99\x82"; /* a name may be newer: it is what the server has to know */
    assert_true(begin(&t, &conf, "SCRAM-SHA-256"));
    end(&t);
    conf = account();
    assert_true(begin(&t, &conf, "OAUTHBEARER"));
    assert_true(sasl_client_start(t.c, LIT("XOAUTH2"), &t.line, &t.has_initial)); /* another try on the same object */
    end(&t);
}

static void oauth_forms(void **state)
{
    struct sasl_client_conf conf = account();
    struct talk t;

    (void)state;
    conf.user = "user@example.com";
    conf.host = "server.example.com";
    conf.port = 143;
    conf.token = LIT("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    assert_true(begin(&t, &conf, "OAUTHBEARER"));
    expect_span(buf_span(&t.line), "n,a=user@example.com,\001host=server.example.com\001port=143\001"
                                   "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001");
    assert_true(sasl_client_complete(t.c));
    end(&t);
    assert_true(begin(&t, &conf, "XOAUTH2"));
    expect_span(buf_span(&t.line), "user=user@example.com\001"
                                   "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001");
    end(&t);
    conf.authzid = "shared@example.com"; /* R7628-02: the identity acted for, not the owner of the token */
    assert_true(begin(&t, &conf, "OAUTHBEARER"));
    assert_true(memcmp(t.line.p, "n,a=shared@example.com,\001", 24) == 0);
    end(&t);
    conf.authzid = "a\001b";
    assert_false(begin(&t, &conf, "OAUTHBEARER"));
    end(&t);
    conf.authzid = "";
    conf.user = "a,b=c";
    assert_true(begin(&t, &conf, "OAUTHBEARER"));
    assert_true(memcmp(t.line.p, "n,a=a=2Cb=3Dc,\001", 15) == 0);
    end(&t);
    for (int i = 0; i < 8; i++) {
        conf = account();
        conf.tls = i / 2 != 0;
        conf.token = i / 2 == 1 ? span_of(NULL, 0) : i / 2 == 2 ? LIT("a\001b") : LIT("tok");
        conf.user = i / 2 == 3 ? "a\001b" : "bob";
        assert_false(begin(&t, &conf, i % 2 ? "XOAUTH2" : "OAUTHBEARER"));
        assert_int_equal(t.line.n, 0);
        end(&t);
    }
}

static void oauth_errors(void **state)
{
    static const struct { const char *json; bool fresh_token; } rows[] = {
        { "{\"status\":\"invalid_token\",\"scope\":\"mail\"}", true }, { "{\"status\":\"401\",\"schemes\":\"bearer\"}", true },
        { "", true }, { "{\"status\":\"insufficient_scope\"}", false }, { "{\"status\":\"invalid_request\"}", false },
    };
    struct sasl_client_conf conf = account();
    uint8_t hostile[9000];
    struct talk t;

    (void)state;
    memset(hostile, 0x1b, sizeof hostile);
    for (size_t i = 0; i < 2 * COUNT(rows) + 2; i++) {
        bool x = i % 2, wild = i / 2 == COUNT(rows);

        assert_true(begin(&t, &conf, x ? "XOAUTH2" : "OAUTHBEARER"));
        assert_false(sasl_client_token_rejected(t.c));
        assert_true(answer(&t, wild ? span_of(hostile, sizeof hostile) : span_str(rows[i / 2].json)));
        expect_span(buf_span(&t.line), x ? "" : "\001");
        assert_int_equal(sasl_client_token_rejected(t.c), wild || rows[i / 2].fresh_token);
        assert_false(sasl_client_complete(t.c));
        if (!wild)
            assert_string_equal(sasl_client_why(t.c), rows[i / 2].json);
        assert_null(strchr(sasl_client_why(t.c), 0x1b));
        assert_true(strlen(sasl_client_why(t.c)) < 8192);
        assert_false(answer(&t, LIT("{}"))); /* there is no second one */
        end(&t);
    }
}

static void apop(void **state)
{
    char hex[33];

    (void)state;
    sasl_apop_digest(LIT("<1896.697170952@dbc.mtview.ca.us>"), LIT("tanstaaf"), hex);
    assert_string_equal(hex, "c4c9334bac560ecc979e58001b3e22fb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scram_with_our_server), cmocka_unit_test(server_must_prove_itself),
        cmocka_unit_test(binding_flags),         cmocka_unit_test(hostile_first_answers),
        cmocka_unit_test(with_gsasl),            cmocka_unit_test(plain_forms),
        cmocka_unit_test(cannot_start),          cmocka_unit_test(oauth_forms),
        cmocka_unit_test(oauth_errors),          cmocka_unit_test(apop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
