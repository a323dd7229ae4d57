/* t_scram_peer.c - our SCRAM server against GNU SASL's client, written by others from the same RFCs.
 *
 * Every mechanism, with and without bindings, right and wrong passwords, names that need escapes and
 * SASLprep. The client checks our server-final: a wrong one fails the test.
 *
 * Proves: R5802-01, R5802-04, R5802-06, R5802-21, R5929-01, R9266-01
 * Does not know: the auth worker.
 */
#include "sasl/sasl.h"

#include "auth_help.h"
#include "sasl/prep.h"

#include <gsasl.h>

static const char unique[] = "uuuuuuuuuuuu", exporter[] = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

struct talk {
    const char *mech;
    enum mech_id id;
    const char *user, *authzid, *password; /* of the client */
    const char *stored;                    /* the password that the server's keys were made of */
    bool bind_unique, bind_exporter;       /* what the client has */
    bool other_end;                        /* the server's TLS connection is another one */
};

static void set_base64(Gsasl_session *c, Gsasl_property property, const char *octets)
{
    char text[100];
    size_t n = base64_put((uint8_t *)text, span_str(octets));

    text[n] = '\0';
    gsasl_property_set(c, property, text);
}

static Gsasl_session *client_of(Gsasl *gsasl, const struct talk *t)
{
    Gsasl_session *c;

    assert_int_equal(gsasl_client_start(gsasl, t->mech, &c), GSASL_OK);
    gsasl_property_set(c, GSASL_AUTHID, t->user);
    gsasl_property_set(c, GSASL_PASSWORD, t->password);
    if (t->authzid)
        gsasl_property_set(c, GSASL_AUTHZID, t->authzid);
    if (t->bind_unique)
        set_base64(c, GSASL_CB_TLS_UNIQUE, unique);
    if (t->bind_exporter)
        set_base64(c, GSASL_CB_TLS_EXPORTER, exporter);
    return c;
}

static enum sasl_next give_keys(struct sasl *s, const struct talk *t)
{
    struct scram_keys keys = { .iterations = 4096, .salt_n = 16 };
    struct buf prepared = BUF(200);
    uint8_t nonce[SCRAM_NONCE];

    assert_true(sasl_prep(span_str(t->stored), PREP_STORED, &prepared));
    assert_true(scram_keys_derive(s->scram.hash, buf_span(&prepared), &keys));
    scram_nonce(nonce);
    buf_free(&prepared);
    return sasl_keys(s, &keys, span_of(nonce, sizeof nonce));
}

/* The whole dialogue; the server's last word. */
static enum sasl_next converse(const struct talk *t, struct sasl *s)
{
    struct scram_link link = { false, false, span_str(t->other_end ? "vvvvvvvvvvvv" : unique),
                               span_str(t->other_end ? "ffffffffffffffffffffffffffffffff" : exporter) };
    enum sasl_next next;
    Gsasl *gsasl;
    Gsasl_session *c;
    char *line = NULL;
    size_t n = 0;
    int rc;

    assert_int_equal(gsasl_init(&gsasl), GSASL_OK);
    c = client_of(gsasl, t);
    sasl_init(s, t->id, &link);
    rc = gsasl_step(c, NULL, 0, &line, &n);
    assert_true(rc == GSASL_NEEDS_MORE || rc == GSASL_OK);
    next = sasl_begin(s, true, span_of(line, n));
    gsasl_free(line);
    if (next == SASL_KEYS)
        next = give_keys(s, t);
    while (next == SASL_SEND || next == SASL_SEND_LAST) {
        line = NULL;
        rc = gsasl_step(c, (char *)s->challenge.p, s->challenge.n, &line, &n);
        if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
            fail_msg("%s: the client says %s", t->mech, gsasl_strerror_name(rc));
        next = sasl_more(s, span_of(line, n));
        gsasl_free(line);
    }
    gsasl_finish(c);
    gsasl_done(gsasl);
    return next;
}

static void expect_talk(const struct talk *t, enum sasl_next want, const char *user)
{
    struct sasl s;
    enum sasl_next next = converse(t, &s);

    if (next != want)
        fail_msg("%s as %s: %d, want %d", t->mech, t->user, (int)next, (int)want);
    if (user)
        expect_span(buf_span(&s.user), user);
    if (t->authzid && want == SASL_VERIFIED)
        expect_span(buf_span(&s.authzid), t->authzid);
    sasl_wipe(&s);
}

#define S256 "SCRAM-SHA-256", MECH_SCRAM_SHA_256
#define S1 "SCRAM-SHA-1", MECH_SCRAM_SHA_1
#define S256P "SCRAM-SHA-256-PLUS", MECH_SCRAM_SHA_256_PLUS
#define S1P "SCRAM-SHA-1-PLUS", MECH_SCRAM_SHA_1_PLUS

static void right_and_wrong(void **state)
{
    (void)state;
    expect_talk(&(struct talk){ S256, "bob", NULL, "pw", "pw", false, false, false }, SASL_VERIFIED, "bob");
    expect_talk(&(struct talk){ S1, "bob", NULL, "pw", "pw", false, false, false }, SASL_VERIFIED, "bob");
    expect_talk(&(struct talk){ S256, "bob", NULL, "pw", "pv", false, false, false }, SASL_REFUSED, "bob");
    expect_talk(&(struct talk){ S1, "bob", NULL, "pw", "pv", false, false, false }, SASL_REFUSED, "bob");
    expect_talk(&(struct talk){ S256, "bob", "alice", "pw", "pw", false, false, false }, SASL_VERIFIED, "bob");
}

static void names_and_passwords(void **state)
{
    (void)state;
    expect_talk(&(struct talk){ S256, "a,b=c", NULL, "pw", "pw", false, false, false }, SASL_VERIFIED, "a,b=c");
    expect_talk(&(struct talk){ S256, "a,b=c", "x=,y", "pw", "pw", false, false, false }, SASL_VERIFIED, "a,b=c");
    expect_talk(&(struct talk){ S256, "I\xc2\xadX", NULL, "pw", "pw", false, false, false }, SASL_VERIFIED, NULL);
    expect_talk(&(struct talk){ S256, "bob", NULL, "\xe2\x85\xa8", "IX", false, false, false }, SASL_VERIFIED,
                "bob");
    expect_talk(&(struct talk){ S256, "bob", NULL, "\xc2\xbd", "\xc2\xbd", false, false, false }, SASL_VERIFIED,
                "bob");
}

static void bindings(void **state)
{
    (void)state;
    expect_talk(&(struct talk){ S256P, "bob", NULL, "pw", "pw", false, true, false }, SASL_VERIFIED, "bob");
    expect_talk(&(struct talk){ S1P, "bob", NULL, "pw", "pw", false, true, false }, SASL_VERIFIED, "bob");
    expect_talk(&(struct talk){ S256P, "bob", NULL, "pw", "pw", true, false, false }, SASL_VERIFIED, "bob");
    expect_talk(&(struct talk){ S1P, "bob", NULL, "pw", "pw", true, false, false }, SASL_VERIFIED, "bob");
    expect_talk(&(struct talk){ S256P, "bob", NULL, "pw", "pv", false, true, false }, SASL_REFUSED, "bob");
    /* A man in the middle has another connection to us than the client has to him. */
    expect_talk(&(struct talk){ S256P, "bob", NULL, "pw", "pw", false, true, true }, SASL_MALFORMED, "bob");
    expect_talk(&(struct talk){ S1P, "bob", NULL, "pw", "pw", true, false, true }, SASL_MALFORMED, "bob");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_and_wrong),
        cmocka_unit_test(names_and_passwords),
        cmocka_unit_test(bindings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
