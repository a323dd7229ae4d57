/* t_scram.c - the SCRAM exchange by the examples of the RFCs and by every way to get it wrong.
 *
 * Proves: R5802-01, R5802-02, R5802-03, R5802-04, R5802-05, R5802-06, R5802-07, R5802-09, R5802-10, R5802-14, R5802-15,
 * R5802-16, R5802-18, R5802-20, R5802-21, R5802-23, R4422-05
 * Does not know: the users file, the auth worker.
 */
#include "sasl/scram.h"

#include "auth_help.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

/* One example: its strings, and what a server keeps of the password "pencil". */
struct example {
    enum scram_hash hash;
    const char *keys, *nonce, *first, *challenge, *final, *done;
};

static const struct example examples[] = {
    { SCRAM_SHA_256,
      "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
      "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
    { SCRAM_SHA_1,
      "4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
      "3rfcNHYJY1ZVvWVs7j", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
      "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
      "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
};

static const struct scram_link no_tls = { false, false, { NULL, 0 }, { NULL, 0 } };

static void begin(struct scram *s, const struct example *x)
{
    struct scram_keys keys;

    scram_init(s, x->hash);
    assert_true(scram_keys_parse(span_str(x->keys), x->hash, &keys));
    assert_int_equal(scram_first(s, &no_tls, span_str(x->first)), SCRAM_OK);
    assert_true(scram_challenge(s, &keys, span_str(x->nonce)));
}

static void examples_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(examples); i++) {
        struct buf out = BUF(200);
        struct scram s;

        begin(&s, &examples[i]);
        expect_span(buf_span(&s.user), "user");
        expect_span(buf_span(&s.challenge), examples[i].challenge);
        assert_int_equal(scram_final(&s, span_str(examples[i].final), &out), SCRAM_OK);
        expect_span(buf_span(&out), examples[i].done);
        scram_wipe(&s);
        buf_free(&out);
    }
}

static void keys_are_derived_and_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(examples); i++) {
        struct scram_keys want, got;
        struct buf out = BUF(400);

        assert_true(scram_keys_parse(span_str(examples[i].keys), examples[i].hash, &want));
        got = want;
        memset(got.stored, 0, sizeof got.stored);
        memset(got.server, 0, sizeof got.server);
        assert_true(scram_keys_derive(examples[i].hash, span_str("pencil"), &got));
        assert_memory_equal(&got, &want, sizeof got);
        assert_true(scram_keys_put(&got, examples[i].hash, &out));
        expect_span(buf_span(&out), examples[i].keys);
        assert_null(strstr(examples[i].keys, "pencil"));
        buf_free(&out);
    }
}

static void malformed_keys(void **state)
{
    static const char *const bad[] = {
        "", "4096", "4096,,,", "0,QSXC,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "04096,QSXC,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "10000001,QSXC,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "4294967296,QSXC,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "-1,QSXC,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "4096,,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "4096,QSX,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "4096,QSXC,6dlGYMOdZcOPutkcNY8U2g7v,D+CSWLOshSulAsxiupA+qs2/fTE=",
        "4096,QSXC,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=,",
        "4096,QSXC,6dlGYMOdZcOPutkcNY8U2g7vK9Y=",
    };
    struct scram_keys keys;
    struct buf huge = BUF(100000);

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (scram_keys_parse(span_str(bad[i]), SCRAM_SHA_1, &keys))
            fail_msg("taken: %s", bad[i]);
    assert_true(buf_put_str(&huge, "4096,"));
    for (int i = 0; i < 20000; i++)
        assert_true(buf_put_str(&huge, "QUFB"));
    assert_false(scram_keys_parse(buf_span(&huge), SCRAM_SHA_1, &keys));
    buf_free(&huge);
}

/* client-first messages and what becomes of them. */
static void first_messages(void **state)
{
    static const struct {
        const char *text;
        enum scram_verdict verdict;
        const char *user, *authzid;
    } table[] = {
        { "n,,n=user,r=abc", SCRAM_OK, "user", "" },
        { "y,,n=user,r=abc", SCRAM_OK, "user", "" },
        { "n,a=admin,n=user,r=abc", SCRAM_OK, "user", "admin" },
        { "n,a=a=2Cb=3D,n=user,r=abc", SCRAM_OK, "user", "a,b=" },
        { "n,,n=a=2Cb=3Dc,r=abc", SCRAM_OK, "a,b=c", "" },
        { "n,,n=user,r=rOprNGfwEbeRWgbNEkqO0123", SCRAM_OK, "user", "" }, /* one character, says the grammar */
        { "n,,n=user,r=abc,z=1", SCRAM_OK, "user", "" },
        { "n,,n=user,r=abc,z=1,Q=a=b", SCRAM_OK, "user", "" },
        { "x,,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "nn,,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { ",,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "", SCRAM_MALFORMED, NULL, NULL },
        { "n", SCRAM_MALFORMED, NULL, NULL },
        { "n,", SCRAM_MALFORMED, NULL, NULL },
        { "n,,", SCRAM_MALFORMED, NULL, NULL },
        { "n,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,b=admin,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,a=,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,a=x=,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,m=x,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,m=x,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=abc,m=x", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=a=2Db,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=a=2cb,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=a=,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n==2,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=,z=1", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=abc,", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=abc,,z=1", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=abc,z", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=abc,1=x", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=a b", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=user,r=a\x7f", SCRAM_MALFORMED, NULL, NULL },
        { "n,,r=abc,n=user", SCRAM_MALFORMED, NULL, NULL },
        { "n,,n=\xc0\xaf,r=abc", SCRAM_MALFORMED, NULL, NULL },
        { "p=tls-exporter,,n=user,r=abc", SCRAM_BINDING, NULL, NULL }, /* under the bare name */
        { "p=foo,,n=user,r=abc", SCRAM_BINDING, NULL, NULL },
        { "p,,n=user,r=abc", SCRAM_MALFORMED, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct scram s;
        enum scram_verdict verdict;

        scram_init(&s, SCRAM_SHA_256);
        verdict = scram_first(&s, &no_tls, span_str(table[i].text));
        if (verdict != table[i].verdict)
            fail_msg("\"%s\": %d", table[i].text, (int)verdict);
        if (verdict == SCRAM_OK) {
            expect_span(buf_span(&s.user), table[i].user);
            expect_span(buf_span(&s.authzid), table[i].authzid);
        }
        scram_wipe(&s);
    }
}

static void first_with_nul_or_too_long(void **state)
{
    static uint8_t huge[SCRAM_MAX_MESSAGE + 1];
    struct scram s;

    (void)state;
    scram_init(&s, SCRAM_SHA_256);
    assert_int_equal(scram_first(&s, &no_tls, LIT("n,,n=us\0er,r=abc")), SCRAM_MALFORMED);
    scram_wipe(&s);
    scram_init(&s, SCRAM_SHA_256);
    assert_int_equal(scram_first(&s, &no_tls, LIT("n,,n=user,r=abc,z=\0")), SCRAM_MALFORMED);
    scram_wipe(&s);
    memset(huge, 'a', sizeof huge);
    memcpy(huge, "n,,n=user,r=", 12);
    scram_init(&s, SCRAM_SHA_256);
    assert_int_equal(scram_first(&s, &no_tls, span_of(huge, sizeof huge)), SCRAM_MALFORMED);
    scram_wipe(&s);
}

/* The flag against what the connection has (RFC 5802 §6). */
static void flags_and_bindings(void **state)
{
    static const struct {
        bool plus, offered, unique, exporter;
        const char *flag;
        enum scram_verdict verdict;
    } table[] = {
        { false, true, true, true, "y", SCRAM_BINDING }, /* a downgrade */
        { false, true, true, true, "n", SCRAM_OK },
        { false, false, false, false, "y", SCRAM_OK },
        { false, true, false, true, "p=tls-exporter", SCRAM_BINDING },
        { true, true, false, true, "p=tls-exporter", SCRAM_OK },
        { true, true, true, false, "p=tls-unique", SCRAM_OK },
        { true, true, false, true, "p=tls-unique", SCRAM_BINDING },    /* TLS 1.3 has none */
        { true, true, true, false, "p=tls-exporter", SCRAM_BINDING },  /* no extended master secret */
        { true, true, true, true, "p=tls-server-end-point", SCRAM_BINDING },
        { true, true, true, true, "p=foo", SCRAM_BINDING },
        { true, true, true, true, "p=", SCRAM_BINDING },
        { true, true, true, true, "p=TLS-EXPORTER", SCRAM_BINDING },
        { true, true, true, true, "n", SCRAM_BINDING },
        { true, true, true, true, "y", SCRAM_BINDING },
        { true, true, true, true, "x", SCRAM_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct scram_link link = { table[i].plus, table[i].offered, span_str(table[i].unique ? "uuuuuuuuuuuu" : ""),
                                   span_str(table[i].exporter ? "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee" : "") };
        char text[100];
        struct scram s;
        enum scram_verdict verdict;

        snprintf(text, sizeof text, "%s,,n=user,r=abc", table[i].flag);
        scram_init(&s, SCRAM_SHA_256);
        verdict = scram_first(&s, &link, span_str(text));
        if (verdict != table[i].verdict)
            fail_msg("row %zu \"%s\": %d", i, text, (int)verdict);
        scram_wipe(&s);
    }
}

static const char nonce[] = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const char proof[] = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

static enum scram_verdict final_of(const char *format, const char *a, const char *b, const char *c)
{
    struct buf out = BUF(200), text = BUF(20000);
    struct scram s;
    enum scram_verdict verdict;

    begin(&s, &examples[0]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    assert_true(buf_printf(&text, format, a, b, c));
#pragma GCC diagnostic pop
    verdict = scram_final(&s, buf_span(&text), &out);
    assert_int_equal(out.n != 0, verdict == SCRAM_OK); /* nothing is said on failure, no e= either */
    scram_wipe(&s);
    buf_free(&out);
    buf_free(&text);
    return verdict;
}

static void final_messages(void **state)
{
    static const char good[] = "c=%s,r=%s,p=%s";

    (void)state;
    assert_int_equal(final_of(good, "biws", nonce, proof), SCRAM_OK);
    assert_int_equal(final_of(good, "eSws", nonce, proof), SCRAM_BINDING);             /* y,, was not said */
    assert_int_equal(final_of(good, "bixhPWFkbWluLA==", nonce, proof), SCRAM_BINDING); /* nor a=admin */
    assert_int_equal(final_of(good, "biwsYWJj", nonce, proof), SCRAM_BINDING);         /* octets behind the header */
    assert_int_equal(final_of(good, "biw", nonce, proof), SCRAM_BINDING);
    assert_int_equal(final_of(good, "", nonce, proof), SCRAM_BINDING);
    assert_int_equal(final_of(good, "bi*s", nonce, proof), SCRAM_BINDING);
    assert_int_equal(final_of(good, "biws", "rOprNGfwEbeRWgbNEkqO", proof), SCRAM_MALFORMED);
    assert_int_equal(final_of(good, "biws", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k1", proof),
                     SCRAM_MALFORMED);
    assert_int_equal(final_of(good, "biws", "", proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,p=%.43sA=", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,p=%.8s", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,p=%s=", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,p=", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("r=%2$s,c=%1$s,p=%3$s", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,m=x,p=%s", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("m=x,c=%s,r=%s,p=%s", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,p=AAAA,p=%s", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("c=%s,r=%s,,p=%s", "biws", nonce, proof), SCRAM_MALFORMED);
    assert_int_equal(final_of("", "", "", ""), SCRAM_MALFORMED);
    /* An extension is taken, and covered by the proof: so this proof, made without it, is wrong. */
    assert_int_equal(final_of("c=%s,r=%s,z=1,p=%s", "biws", nonce, proof), SCRAM_REFUSED);
    assert_int_equal(final_of(good, "biws", nonce, "AHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), SCRAM_REFUSED);
}

/* Every single bit of the proof counts. */
static void proofs_with_one_bit_wrong(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 256; bit++) {
        uint8_t raw[36], text[45] = { 0 };
        size_t n;

        assert_true(base64_get(span_str(proof), raw, &n));
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        base64_put(text, span_of(raw, n));
        assert_int_equal(final_of("c=%s,r=%s,p=%s", "biws", nonce, (char *)text), SCRAM_REFUSED);
    }
}

/* What a client does with the password "pencil" (RFC 5802 §3); GNU SASL's prepares the name, this one sends it raw. */
static void put_proof(const struct scram_keys *keys, struct span auth_message, uint8_t text[45])
{
    uint8_t salted[32], client[32], signature[32];

    PKCS5_PBKDF2_HMAC("pencil", 6, keys->salt, (int)keys->salt_n, (int)keys->iterations, EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const uint8_t *)"Client Key", 10, client, NULL);
    HMAC(EVP_sha256(), keys->stored, 32, auth_message.p, auth_message.n, signature, NULL);
    for (size_t i = 0; i < sizeof client; i++)
        client[i] ^= signature[i];
    text[base64_put(text, span_of(client, sizeof client))] = '\0';
}

static void the_proof_covers_the_name_as_received(void **state)
{
    static const char *const names[] = { "I\xc2\xadX", "IX" }; /* one and the same user */

    (void)state;
    for (size_t sent = 0; sent < 2; sent++)
        for (size_t hashed = 0; hashed < 2; hashed++) {
            struct buf message = BUF(1000), out = BUF(200), final = BUF(400);
            struct scram_keys keys;
            struct scram s;
            uint8_t text[45];

            assert_true(scram_keys_parse(span_str(examples[0].keys), SCRAM_SHA_256, &keys));
            assert_true(buf_printf(&message, "n,,n=%s,r=abc", names[sent]));
            scram_init(&s, SCRAM_SHA_256);
            assert_int_equal(scram_first(&s, &no_tls, buf_span(&message)), SCRAM_OK);
            assert_true(scram_challenge(&s, &keys, span_str("def")));
            message.n = 0;
            assert_true(buf_printf(&message, "n=%s,r=abc,%.*s,c=biws,r=abcdef", names[hashed], (int)s.challenge.n,
                                   (char *)s.challenge.p));
            put_proof(&keys, buf_span(&message), text);
            assert_true(buf_printf(&final, "c=biws,r=abcdef,p=%s", (char *)text));
            assert_int_equal(scram_final(&s, buf_span(&final), &out), sent == hashed ? SCRAM_OK : SCRAM_REFUSED);
            scram_wipe(&s);
            buf_free(&message);
            buf_free(&final);
            buf_free(&out);
        }
}

static int by_octets(const void *a, const void *b)
{
    return memcmp(a, b, SCRAM_NONCE);
}

static void nonces_are_fresh(void **state)
{
    enum { MANY = 100000 };
    uint8_t (*seen)[SCRAM_NONCE] = malloc(MANY * sizeof *seen);

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        scram_nonce(seen[i]);
        for (size_t k = 0; k < SCRAM_NONCE; k++)
            assert_true(seen[i][k] > 0x20 && seen[i][k] < 0x7f && seen[i][k] != ',');
    }
    qsort(seen, MANY, sizeof *seen, by_octets);
    for (size_t i = 1; i < MANY; i++)
        assert_memory_not_equal(seen[i - 1], seen[i], SCRAM_NONCE);
    free(seen);
}

static void fake_keys_are_stable(void **state)
{
    struct scram_keys a = { .iterations = 4096, .salt_n = 16 }, b = a, c = a, d = a;

    (void)state;
    assert_true(scram_keys_fake(span_str("secret"), span_str("nobody"), &a));
    assert_true(scram_keys_fake(span_str("secret"), span_str("nobody"), &b));
    assert_true(scram_keys_fake(span_str("secret"), span_str("nobody2"), &c));
    assert_true(scram_keys_fake(span_str("other"), span_str("nobody"), &d));
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(a.salt, c.salt, 16);
    assert_memory_not_equal(a.salt, d.salt, 16);
    assert_memory_not_equal(a.salt, a.stored, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfcs),
        cmocka_unit_test(keys_are_derived_and_written),
        cmocka_unit_test(malformed_keys),
        cmocka_unit_test(first_messages),
        cmocka_unit_test(first_with_nul_or_too_long),
        cmocka_unit_test(flags_and_bindings),
        cmocka_unit_test(final_messages),
        cmocka_unit_test(proofs_with_one_bit_wrong),
        cmocka_unit_test(the_proof_covers_the_name_as_received),
        cmocka_unit_test(nonces_are_fresh),
        cmocka_unit_test(fake_keys_are_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
