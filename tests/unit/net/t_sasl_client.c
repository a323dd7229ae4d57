/* t_sasl_client.c - the client's mechanisms against two servers: our own machine, and GNU SASL's, written by others.
 *
 * Right and wrong passwords, bindings, what a hostile server may answer, the octets of the RFCs' examples. GNU SASL takes
 * its nonce from gsasl_nonce, which is this file's own here, so that the example of RFC 5802 runs through the client.
 *
 * Proves: R1939-APOP-03, R2195-03, R4616-01, R4616-08, R5802-01, R5802-02, R5802-04, R5802-06, R5802-08, R5802-12,
 * R5802-13, R5802-19, R5802-21, R7628-01, R7628-02, R7628-07, R7628-11, XLOGIN-02, XOA2-01, XOA2-03, XOA2-06
 * Does not know: POP3's lines.
 */
#include "sasl/client.h"

#include "../auth/auth_help.h"
#include "sasl/prep.h"
#include "sasl/sasl.h"

#include <gsasl.h>

static const char unique[] = "uuuuuuuuuuuu", exporter[] = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

int gsasl_nonce(char *data, size_t datalen);

/* The 18 octets behind "fyko+d2lbbFgONRv9qkxdawL"; the first of them for a server's salt. */
int gsasl_nonce(char *data, size_t datalen)
{
    struct buf raw = BUF(100);

    put_base64(&raw, "fyko+d2lbbFgONRv9qkxdawL");
    assert_true(datalen <= raw.n);
    memcpy(data, raw.p, datalen);
    buf_free(&raw);
    return GSASL_OK;
}

static struct sasl_client_conf bob(void)
{
    return (struct sasl_client_conf){ .user = "bob", .password = span_str("pw"), .host = "pop.example.com",
                                      .port = 995, .tls = true };
}

static struct sasl_client *client_of(const struct sasl_client_conf *conf)
{
    struct err e = { 0 };
    struct sasl_client *c = sasl_client_new(conf, &e);

    if (!c)
        fail_msg("%s", e.text);
    return c;
}

static struct buf started(struct sasl_client *c, const char *mech)
{
    struct buf out = BUF(20000);
    bool has;

    if (!sasl_client_start(c, span_str(mech), &out, &has))
        fail_msg("%s: %s", mech, sasl_client_why(c));
    assert_int_equal(has, strcmp(mech, "LOGIN") != 0 && strcmp(mech, "CRAM-MD5") != 0);
    return out;
}

static void expect_why(const struct sasl_client *c, const char *part)
{
    if (!strstr(sasl_client_why(c), part))
        fail_msg("\"%s\" says nothing of \"%s\"", sasl_client_why(c), part);
}

static void expect_no_start(const struct sasl_client_conf *conf, const char *mech, const char *why)
{
    struct sasl_client *c = client_of(conf);
    struct buf out = BUF(20000);
    bool has;

    if (sasl_client_start(c, span_str(mech), &out, &has))
        fail_msg("%s starts", mech);
    assert_int_equal(out.n, 0);
    expect_why(c, why);
    buf_free(&out);
    sasl_client_free(&c);
}

/* --- our own server --- */

static enum sasl_next give_keys(struct sasl *s, const char *stored)
{
    struct scram_keys keys = { .iterations = 4096, .salt_n = 16 };
    struct buf prepared = BUF(200);
    uint8_t nonce[SCRAM_NONCE];

    assert_true(sasl_prep(span_str(stored), PREP_STORED, &prepared));
    assert_true(scram_keys_derive(s->scram.hash, buf_span(&prepared), &keys));
    scram_nonce(nonce);
    buf_free(&prepared);
    return sasl_keys(s, &keys, span_of(nonce, sizeof nonce));
}

/* The server's last word; SASL_REFUSED too when the client gave up. */
static enum sasl_next converse(struct sasl_client *c, const char *mech, struct sasl *s, const char *stored)
{
    struct buf line = BUF(20000);
    enum sasl_next next;
    bool has;

    if (!sasl_client_start(c, span_str(mech), &line, &has))
        fail_msg("%s: %s", mech, sasl_client_why(c));
    next = sasl_begin(s, has, has ? buf_span(&line) : span_str(""));
    for (;;) {
        if (next == SASL_KEYS)
            next = give_keys(s, stored);
        if (next != SASL_SEND && next != SASL_SEND_LAST)
            break;
        line.n = 0;
        assert_false(sasl_is_scram(s->mech, &(enum scram_hash){ 0 }, &(bool){ 0 }) && sasl_client_complete(c));
        if (!sasl_client_step(c, buf_span(&s->challenge), &line)) {
            next = SASL_REFUSED;
            break;
        }
        next = sasl_more(s, buf_span(&line));
    }
    buf_free(&line);
    return next;
}

static void expect_talk(const struct sasl_client_conf *conf, const char *mech, enum mech_id id, bool plus_offered,
                        enum sasl_next want)
{
    struct scram_link link = { strstr(mech, "-PLUS") != NULL, plus_offered, span_str(unique), span_str(exporter) };
    struct sasl_client *c = client_of(conf);
    enum sasl_next next;
    struct sasl s;

    sasl_init(&s, id, &link);
    next = converse(c, mech, &s, "pw");
    if (next != want)
        fail_msg("%s as %s: %d, want %d (%s)", mech, conf->user, (int)next, (int)want, sasl_client_why(c));
    if (want == SASL_CHECK)
        expect_span(buf_span(&s.secret), "pw");
    if (want == SASL_CHECK || want == SASL_VERIFIED) {
        expect_span(buf_span(&s.user), conf->user);
        expect_span(buf_span(&s.authzid), conf->authzid ? conf->authzid : "");
        assert_true(sasl_client_complete(c));
    }
    sasl_wipe(&s);
    sasl_client_free(&c);
    assert_null(c);
}

static const struct { const char *name; enum mech_id id; } scrams[] = {
    { "SCRAM-SHA-1", MECH_SCRAM_SHA_1 }, { "SCRAM-SHA-256", MECH_SCRAM_SHA_256 },
    { "SCRAM-SHA-1-PLUS", MECH_SCRAM_SHA_1_PLUS }, { "SCRAM-SHA-256-PLUS", MECH_SCRAM_SHA_256_PLUS },
};

static void own_server(void **state)
{
    struct sasl_client_conf conf = bob(), wrong = bob(), act = bob(), odd = bob();

    (void)state;
    wrong.password = span_str("pv");
    act.authzid = "alice";
    odd.user = "a,b=c";
    expect_talk(&conf, "PLAIN", MECH_PLAIN, false, SASL_CHECK);
    expect_talk(&act, "PLAIN", MECH_PLAIN, false, SASL_CHECK);
    expect_talk(&odd, "PLAIN", MECH_PLAIN, false, SASL_CHECK);
    expect_talk(&conf, "LOGIN", MECH_LOGIN, false, SASL_CHECK);
    for (size_t i = 0; i < 2; i++) {
        expect_talk(&conf, scrams[i].name, scrams[i].id, false, SASL_VERIFIED);
        expect_talk(&act, scrams[i].name, scrams[i].id, false, SASL_VERIFIED);
        expect_talk(&odd, scrams[i].name, scrams[i].id, false, SASL_VERIFIED);
        expect_talk(&wrong, scrams[i].name, scrams[i].id, false, SASL_REFUSED);
    }
}

/* With data of either type; data of another connection is what a man in the middle has. */
static void own_server_bindings(void **state)
{
    (void)state;
    for (size_t i = 2; i < COUNT(scrams); i++) {
        struct sasl_client_conf by_unique = bob(), by_exporter = bob(), both = bob(), other = bob();

        by_unique.server_offers_plus = by_exporter.server_offers_plus = both.server_offers_plus = true;
        by_unique.binding_unique = both.binding_unique = span_str(unique);
        by_exporter.binding_exporter = both.binding_exporter = span_str(exporter);
        other.binding_exporter = span_str("ffffffffffffffffffffffffffffffff");
        expect_talk(&by_unique, scrams[i].name, scrams[i].id, true, SASL_VERIFIED);
        expect_talk(&by_exporter, scrams[i].name, scrams[i].id, true, SASL_VERIFIED);
        expect_talk(&both, scrams[i].name, scrams[i].id, true, SASL_VERIFIED);
        expect_talk(&other, scrams[i].name, scrams[i].id, true, SASL_MALFORMED);
    }
}

static void expect_first(const struct sasl_client_conf *conf, const char *mech, const char *start)
{
    struct sasl_client *c = client_of(conf);
    struct buf out = started(c, mech);

    if (out.n < strlen(start) || memcmp(out.p, start, strlen(start)) != 0)
        fail_msg("%s: \"%.*s\", want \"%s…\"", mech, (int)out.n, (const char *)out.p, start);
    buf_free(&out);
    sasl_client_free(&c);
}

static void flags(void **state)
{
    struct sasl_client_conf none = bob(), hidden = bob(), offered = bob();

    (void)state;
    hidden.binding_exporter = offered.binding_exporter = span_str(exporter);
    offered.server_offers_plus = true;
    expect_first(&none, "SCRAM-SHA-256", "n,,n=bob,r=");
    expect_first(&hidden, "SCRAM-SHA-256", "y,,n=bob,r=");
    expect_first(&offered, "SCRAM-SHA-256", "n,,n=bob,r=");
    expect_first(&offered, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=bob,r=");
    offered.binding_unique = span_str(unique);
    expect_first(&offered, "SCRAM-SHA-1-PLUS", "p=tls-unique,,n=bob,r=");
    none.user = "a,b=c";
    none.authzid = "x=,y";
    expect_first(&none, "SCRAM-SHA-1", "n,a=x=3D=2Cy,n=a=2Cb=3Dc,r=");
    /* "y" says that no -PLUS was seen: fine where none is offered, a downgrade where one is. */
    expect_talk(&hidden, "SCRAM-SHA-256", MECH_SCRAM_SHA_256, false, SASL_VERIFIED);
    expect_talk(&hidden, "SCRAM-SHA-256", MECH_SCRAM_SHA_256, true, SASL_MALFORMED);
}

/* --- GNU SASL's server --- */

static const char *stored_of; /* what on_server answers with */

static int on_server(Gsasl *lib, Gsasl_session *s, Gsasl_property property)
{
    char text[64];
    const char *data = property == GSASL_CB_TLS_UNIQUE ? unique : property == GSASL_CB_TLS_EXPORTER ? exporter : NULL;

    (void)lib;
    if (property == GSASL_PASSWORD)
        return gsasl_property_set(s, property, stored_of);
    if (!data)
        return GSASL_NO_CALLBACK;
    text[base64_put((uint8_t *)text, span_str(data))] = '\0';
    return gsasl_property_set(s, property, text);
}

static bool gsasl_accepts(const struct sasl_client_conf *conf, const char *mech, const char *stored)
{
    struct sasl_client *c = client_of(conf);
    struct buf line = BUF(20000);
    Gsasl_session *s;
    Gsasl *lib;
    char *out = NULL;
    size_t n = 0;
    bool has, ours = true, up;
    int rc;

    stored_of = stored;
    assert_int_equal(gsasl_init(&lib), GSASL_OK);
    gsasl_callback_set(lib, on_server);
    assert_int_equal(gsasl_server_start(lib, mech, &s), GSASL_OK);
    assert_true(sasl_client_start(c, span_str(mech), &line, &has));
    rc = gsasl_step(s, has ? (const char *)line.p : NULL, has ? line.n : 0, &out, &n);
    for (int i = 0; i < 6 && ours && (rc == GSASL_NEEDS_MORE || (rc == GSASL_OK && n)); i++) {
        bool last = rc == GSASL_OK;

        line.n = 0;
        ours = sasl_client_step(c, span_of(out ? out : "", n), &line);
        gsasl_free(out);
        out = NULL;
        n = 0;
        if (last || !ours)
            break;
        rc = gsasl_step(s, line.p ? (const char *)line.p : "", line.n, &out, &n);
    }
    gsasl_free(out);
    up = rc == GSASL_OK && ours && sasl_client_complete(c);
    if (up && strcmp(mech, "LOGIN") != 0)
        assert_string_equal(gsasl_property_fast(s, GSASL_AUTHID), conf->user);
    buf_free(&line);
    gsasl_finish(s);
    gsasl_done(lib);
    sasl_client_free(&c);
    return up;
}

static void other_server(void **state)
{
    static const char *const names[] = { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256",
                                         "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS" };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        for (int type = 0; type < 2; type++) {
            struct sasl_client_conf conf = bob();

            conf.server_offers_plus = true;
            if (type == 0)
                conf.binding_unique = span_str(unique);
            else
                conf.binding_exporter = span_str(exporter);
            if (!gsasl_accepts(&conf, names[i], "pw"))
                fail_msg("%s is refused", names[i]);
            if (gsasl_accepts(&conf, names[i], "pv"))
                fail_msg("%s: a wrong password is accepted", names[i]);
        }
}

/* --- examples --- */

static void scram_example(void **state)
{
    struct sasl_client_conf conf = bob();
    struct sasl_client *c;
    struct buf out;

    (void)state;
    conf.user = "user";
    conf.password = span_str("pencil");
    for (int round = 0; round < 2; round++) { /* 0: the server lies about its signature */
        c = client_of(&conf);
        out = started(c, "SCRAM-SHA-1");
        expect_span(buf_span(&out), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        out.n = 0;
        assert_true(sasl_client_step(c, span_str("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
                                     &out));
        expect_span(buf_span(&out), "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
        assert_false(sasl_client_complete(c)); /* "+OK" at once, without server-final */
        expect_why(c, "did not prove");
        out.n = 0;
        assert_int_equal(sasl_client_step(c, span_str(round ? "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
                                                            : "v=rmF9pqV8S7suAoZWja4dJRkFsKR="), &out), round);
        assert_int_equal(sasl_client_complete(c), round);
        assert_int_equal(out.n, 0);
        buf_free(&out);
        sasl_client_free(&c);
    }
}

static void small_examples(void **state)
{
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);
    struct buf out;
    char hex[33];

    (void)state;
    sasl_apop_digest(span_str("<1896.697170952@dbc.mtview.ca.us>"), span_str("tanstaaf"), hex);
    assert_string_equal(hex, "c4c9334bac560ecc979e58001b3e22fb");
    conf.user = "tim";
    conf.password = span_str("tanstaaf");
    out = started(c, "plain");
    assert_true(span_eq(buf_span(&out), LIT("\0tim\0tanstaaf")));
    buf_free(&out);
    conf.password = span_str("tanstaaftanstaaf");
    for (int round = 0; round < 2; round++) {
        conf.user = round ? "a b" : "tim";
        out = started(c, "CRAM-MD5");
        assert_true(sasl_client_step(c, span_str("<1896.697170952@postoffice.reston.mci.net>"), &out));
        if (round) {
            assert_int_equal(out.n, 3 + 1 + 32);
            assert_memory_equal(out.p, "a b b913a602c7eda7a495b4e6e7334d3890", out.n);
        } else {
            expect_span(buf_span(&out), "tim b913a602c7eda7a495b4e6e7334d3890");
        }
        buf_free(&out);
    }
    for (int round = 0; round < 2; round++) { /* LOGIN takes any text of the server */
        out = started(c, "LOGIN");
        assert_true(sasl_client_step(c, span_str(round ? "User Name\r\n" : ""), &out));
        expect_span(buf_span(&out), "a b");
        out.n = 0;
        assert_true(sasl_client_step(c, span_str(round ? "\xff" : "x"), &out));
        expect_span(buf_span(&out), "tanstaaftanstaaf");
        buf_free(&out);
    }
    sasl_client_free(&c);
}

static void external(void **state)
{
    struct sasl_client_conf conf = bob();
    struct sasl_client *c;
    struct buf out;

    (void)state;
    expect_no_start(&conf, "EXTERNAL", "certificate");
    conf.has_certificate = true;
    conf.password = span_str("");
    c = client_of(&conf);
    out = started(c, "EXTERNAL");
    assert_int_equal(out.n, 0);
    conf.authzid = "fred@example.com";
    out = started(c, "EXTERNAL");
    expect_span(buf_span(&out), "fred@example.com");
    buf_free(&out);
    sasl_client_free(&c);
}

/* --- what a hostile server may say --- */

#define NONCE "fyko+d2lbbFgONRv9qkxdawL"

static void hostile_first(void **state)
{
    static const struct { const char *first, *why; } rows[] = {
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4294967295", "iteration count 4294967295 is not within" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=99999999999999999999999999", "iteration count" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=10000001", "iteration count" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4095", "iteration count 4095" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=1", "iteration count 1 " },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=0", "iteration count 0 " },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=", "iteration count" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=-4096", "no number" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=5000,i=4294967295", "iteration count 4294967295" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8bf92", "" },
        { "r=" NONCE "x,i=4096", "" },
        { "r=" NONCE "x,s=,i=4096", "" },
        { "r=" NONCE "x,s=QSXCR+Q6sek8b*92,i=4096", "" },
        { "m=x,r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=" NONCE ",s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=fyko+d2lbbFgONRv9qkxdawM3rfc,s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=x" NONCE "3rfc,s=QSXCR+Q6sek8bf92,i=4096", "nonce" },
        { "r=", "nonce" },
        { "", "nonce" },
        { "-ERR [AUTH] no such user", "nonce" },
        { "e=other-error", "nonce" },
        { "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "nonce" },
        { "\xff\xfe\x01", "nonce" },
    };
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out = started(c, i % 2 ? "SCRAM-SHA-1" : "SCRAM-SHA-256");

        out.n = 0;
        if (sasl_client_step(c, span_str(rows[i].first), &out))
            fail_msg("\"%s\" is taken", rows[i].first);
        expect_why(c, rows[i].why);
        assert_true(*sasl_client_why(c) && out.n == 0);
        assert_false(sasl_client_complete(c));
        buf_free(&out);
    }
    sasl_client_free(&c);
}

/* Long ones; and the configured smaller count. */
static void hostile_sizes(void **state)
{
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);
    struct buf out, text = BUF(100000);

    (void)state;
    for (int round = 0; round < 3; round++) { /* a salt of 1024 octets, one of more, a message of more than 8 KiB */
        size_t digits = round == 0 ? 1364 : round == 1 ? 1372 : 9000;

        text.n = 0;
        assert_true(buf_put_str(&text, "r=" NONCE "x,s="));
        for (size_t i = 0; i < digits; i++)
            assert_true(buf_put_str(&text, "A"));
        assert_true(buf_put_str(&text, ",i=4096"));
        out = started(c, "SCRAM-SHA-256");
        assert_int_equal(sasl_client_step(c, buf_span(&text), &out), round == 0);
        if (round)
            expect_why(c, "too long");
        buf_free(&out);
    }
    conf.min_iterations = 1000;
    out = started(c, "SCRAM-SHA-1");
    assert_true(sasl_client_step(c, span_str("r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=1000"), &out));
    buf_free(&out);
    out = started(c, "SCRAM-SHA-1");
    assert_false(sasl_client_step(c, span_str("r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=999"), &out));
    buf_free(&out);
    buf_free(&text);
    sasl_client_free(&c);
}

static void hostile_final(void **state)
{
    static const char *const finals[] = { "v=", "v=AAAA", "", "e=other-error", "-ERR no", "x", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ" };
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);

    (void)state;
    for (size_t i = 0; i < COUNT(finals); i++) {
        struct buf out = started(c, "SCRAM-SHA-1");

        assert_true(sasl_client_step(c, span_str("r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=4096"), &out));
        assert_false(sasl_client_step(c, span_str(finals[i]), &out));
        assert_false(sasl_client_complete(c));
        buf_free(&out);
    }
    sasl_client_free(&c);
}

static void no_starts(void **state)
{
    struct sasl_client_conf conf = bob();

    (void)state;
    expect_no_start(&conf, "SCRAM-SHA-256-PLUS", "binding");
    expect_no_start(&conf, "DIGEST-MD5", "unknown mechanism");
    expect_no_start(&conf, "ANONYMOUS", "unknown mechanism");
    expect_no_start(&conf, "", "unknown mechanism");
    expect_no_start(&conf, "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX", "unknown mechanism");
    expect_no_start(&conf, "OAUTHBEARER", "token");
    conf.password = LIT("p\0w");
    expect_no_start(&conf, "PLAIN", "NUL");
    conf.password = span_str("");
    expect_no_start(&conf, "PLAIN", "no password");
    expect_no_start(&conf, "SCRAM-SHA-256", "no password");
}

/* --- OAuth 2.0 --- */

static void oauth_octets(void **state)
{
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);
    struct buf out, want = BUF(1000);

    (void)state;
    conf.user = "user@example.com";
    conf.token = span_str("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    put_base64(&want, "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9cG9wLmV4YW1wbGUuY29tAXBvcnQ9OTk1AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRj"
                      "Mk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB");
    out = started(c, "OAUTHBEARER");
    assert_true(span_eq(buf_span(&out), buf_span(&want)));
    assert_true(sasl_client_complete(c));
    buf_free(&out);
    conf.user = "a,b=c";
    out = started(c, "OAUTHBEARER");
    assert_memory_equal(out.p, "n,a=a=2Cb=3Dc,\001host=", 20);
    buf_free(&out);
    want.n = 0;
    conf.user = "someuser@example.com";
    conf.token = span_str("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
    put_base64(&want, "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRH"
                      "RXVZMjl0Q2cBAQ==");
    out = started(c, "XOAUTH2");
    assert_true(span_eq(buf_span(&out), buf_span(&want)));
    buf_free(&out);
    buf_free(&want);
    sasl_client_free(&c);
}

static void oauth_refusals(void **state)
{
    static const struct { const char *json; bool fresh; } rows[] = {
        { "{\"status\":\"invalid_token\",\"scope\":\"\x1b[31m\n\"}", true },
        { "{\"status\":\"401\",\"schemes\":\"bearer\"}", true },
        { "", true },
        { "{\"status\":\"insufficient_scope\"}", false },
        { "{\"status\":\"invalid_request\"}", false },
        { "\xff\xfe{{{{", true },
    };
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);

    (void)state;
    conf.token = span_str("abc");
    for (size_t i = 0; i < COUNT(rows) * 2; i++) {
        bool bearer = i % 2;
        struct buf out = started(c, bearer ? "OAUTHBEARER" : "XOAUTH2");

        assert_false(sasl_client_token_rejected(c));
        out.n = 0;
        assert_true(sasl_client_step(c, span_str(rows[i / 2].json), &out));
        expect_span(buf_span(&out), bearer ? "\001" : "");
        assert_int_equal(sasl_client_token_rejected(c), rows[i / 2].fresh);
        for (const char *p = sasl_client_why(c); *p; p++)
            assert_true((uint8_t)*p >= ' ' && *p != 0x7f);
        assert_false(sasl_client_complete(c)); /* whatever "+OK" may follow */
        assert_false(sasl_client_step(c, span_str(rows[i / 2].json), &out));
        buf_free(&out);
    }
    sasl_client_free(&c);
}

static void oauth_bounds(void **state)
{
    static char huge[100000];
    struct sasl_client_conf conf = bob();
    struct sasl_client *c = client_of(&conf);
    struct buf out;

    (void)state;
    conf.token = span_str("abc");
    for (size_t i = 0; i + 4 < sizeof huge; i += 4)
        memcpy(huge + i, "\xf0\x9f\x90\x9f", 4);
    out = started(c, "OAUTHBEARER");
    assert_true(sasl_client_step(c, span_of(huge, sizeof huge), &out));
    assert_true(strlen(sasl_client_why(c)) < 400);
    buf_free(&out);
    sasl_client_free(&c);
    conf.tls = false;
    expect_no_start(&conf, "OAUTHBEARER", "inside TLS");
    expect_no_start(&conf, "XOAUTH2", "inside TLS");
    conf.tls = true;
    conf.token = span_str("a\001b");
    expect_no_start(&conf, "OAUTHBEARER", "octets");
    conf.token = span_str("abc");
    conf.user = "bob\001auth=Bearer x";
    expect_no_start(&conf, "XOAUTH2", "octets");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_server),    cmocka_unit_test(own_server_bindings), cmocka_unit_test(flags),
        cmocka_unit_test(other_server),  cmocka_unit_test(scram_example),       cmocka_unit_test(small_examples),
        cmocka_unit_test(external),      cmocka_unit_test(hostile_first),       cmocka_unit_test(hostile_sizes),
        cmocka_unit_test(hostile_final), cmocka_unit_test(no_starts),           cmocka_unit_test(oauth_octets),
        cmocka_unit_test(oauth_refusals), cmocka_unit_test(oauth_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
