/* t_tls_client.c - whom the client's TLS trusts: names, chains, pins, and what it says when it does not.
 *
 * Every row is a whole handshake with a server of OpenSSL; a refused server sees an alert and no octet of ours.
 *
 * Proves: R7817-01, R7817-03, R7817-04, R7817-05, R7817-06, R9525-01, R9525-03, R9525-04, R9525-06, R9525-07,
 * R8314-C-04
 */
#include "tls_bench.h"

struct authorities {
    struct identity good, other;
    struct buf pem, crl;
};

static struct authorities world;

static int make_world(void **state)
{
    (void)state;
    world.good = certify(&(struct recipe){ .cn = "Good CA", .ca = true });
    world.other = certify(&(struct recipe){ .cn = "Other CA", .ca = true });
    world.pem = BUF(100000);
    world.crl = BUF(100000);
    put_certificate(&world.good, &world.pem);
    put_crl(&world.good, 666, &world.crl);
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    identity_free(&world.good);
    identity_free(&world.other);
    buf_free(&world.pem);
    buf_free(&world.crl);
    return 0;
}

static struct tls_client_conf trusting(const char *host)
{
    return (struct tls_client_conf){ .host = host, .verify = TLS_VERIFY_FULL, .ca_pem = buf_span(&world.pem) };
}

/* words: what the client must say of a server that it refuses; NULL = it is accepted. */
static void expect(const struct recipe *r, const struct tls_client_conf *conf, const char *words)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct identity id = certify(r);

    for (size_t i = 0; i < 2; i++) {
        struct server s = { &id, versions[i], versions[i], NULL, false, false, NULL };
        struct bench b;

        bench_begin(&b, &s, conf);
        if ((b.io == TLS_IO_DONE) != !words || b.server_up != !words)
            fail_msg("%s for %s: %d, server %d: %s", r->san ? r->san : r->cn, conf->host, b.io, b.server_up, b.e.text);
        if (words && !strstr(b.e.text, words))
            fail_msg("%s for %s: \"%s\", not \"%s\"", r->san ? r->san : r->cn, conf->host, b.e.text, words);
        bench_end(&b);
    }
    identity_free(&id);
}

static void names(void **state)
{
    static const struct { const char *cn, *san, *host, *words; } rows[] = {
        { "x", "DNS:pop.a.example", "pop.a.example", NULL },
        { "x", "DNS:pop.a.example", "POP.A.Example", NULL },
        { "x", "DNS:POP.a.EXAMPLE", "pop.a.example", NULL },
        { "x", "DNS:a.example", "b.example", "certificate is for a.example, not for b.example" },
        { "x", "DNS:a.example", "xa.example", "not for xa.example" },
        { "x", "DNS:a.example,DNS:c.example", "c.example", NULL },
        { "x", "DNS:a.example,DNS:c.example", "b.example", "for a.example, c.example, not for b.example" },
        { "x", "DNS:*.a.example", "b.a.example", NULL },
        { "x", "DNS:*.a.example", "a.example", "not for" },
        { "x", "DNS:*.a.example", "c.b.a.example", "not for" },
        { "x", "DNS:f*.a.example", "foo.a.example", "not for" },
        { "x", "DNS:*o.a.example", "foo.a.example", "not for" },
        { "x", "DNS:*.*.a.example", "c.b.a.example", "not for" },
        { "x", "DNS:b.*.example", "b.a.example", "not for" },
        { "x", "DNS:*.com", "a.com", "not for" },
        { "x", "DNS:*", "com", "not for" },
        { "x", "DNS:127.0.0.1", "127.0.0.1", "not for" },
        { "x", "DNS:127.1", "127.1", "not for" }, /* an address to the resolver */
        { "x", "IP:127.0.0.1", "127.0.0.1", NULL },
        { "x", "IP:127.0.0.2", "127.0.0.1", "certificate is for 127.0.0.2, not for 127.0.0.1" },
        { "x", "IP:2001:db8::1", "2001:db8::1", NULL },
        { "x", "IP:2001:db8::1", "2001:0db8:0::1", NULL },
        { "x", "IP:2001:db8::2", "2001:db8::1", "not for" },
        { "127.0.0.1", "DNS:a.example", "127.0.0.1", "not for" },
        { "a.example", NULL, "a.example", "certificate is for no host name, not for a.example" },
        { "a.example", "DNS:b.example", "a.example", "not for" },
        { "a.example", "email:x@a.example", "a.example", "not for" },
        { "x", "URI:pop://a.example", "a.example", "not for" },
        { "x", "URI:pop://a.example,DNS:b.example", "a.example", "certificate is for b.example, not" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recipe r = { .cn = rows[i].cn, .san = rows[i].san, .issuer = &world.good };
        struct tls_client_conf conf = trusting(rows[i].host);

        expect(&r, &conf, rows[i].words);
    }
}

static void odd_octets(void **state)
{
    static const char nul[] = "a.example\0.evil.example", wild[] = "*.example\0.evil.example", high[] = "\xe1.example";
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct tls_client *t = NULL;

    (void)state;
    expect(&(struct recipe){ .cn = "x", .raw_dns = span_of("a.example", 9), .issuer = &world.good }, &conf, NULL);
    expect(&(struct recipe){ .cn = "x", .raw_dns = span_of(nul, sizeof nul - 1), .issuer = &world.good }, &conf, "not for");
    expect(&(struct recipe){ .cn = "x", .raw_dns = span_of(wild, sizeof wild - 1), .issuer = &world.good }, &conf, "not for");
    expect(&(struct recipe){ .cn = "x", .raw_dns = span_of("\x1b[2J.example", 12), .issuer = &world.good }, &conf,
           "certificate is for ?[2J.example, not for a.example");
    conf.host = high;
    assert_false(tls_client_new(&conf, -1, &t, &e));
    assert_non_null(strstr(e.text, "xn--"));
    conf.host = ".example";
    assert_false(tls_client_new(&conf, -1, &t, &e));
    conf.host = "";
    assert_false(tls_client_new(&conf, -1, &t, &e));
}

#define SRV(name) "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:" name

static void srv_ids(void **state)
{
    static const struct { const char *san, *domain; bool implicit; bool ok; } rows[] = {
        { SRV("_pop3s.example.com"), "example.com", true, true },
        { SRV("_pop3s.Example.COM"), "example.com", true, true },
        { SRV("_pop3s.example.com"), "example.com", false, false },
        { SRV("_pop3.example.com"), "example.com", false, true },
        { SRV("_pop3.example.com"), "example.com", true, false },
        { SRV("_pop3s.example.com"), NULL, true, false },
        { SRV("_pop3s.example.org"), "example.com", true, false },
        { SRV("_imaps.example.com"), "example.com", true, false },
        { SRV("_imaps.example.com") "," SRV("_pop3s.example.com"), "example.com", true, true },
        { "otherName:1.3.6.1.5.5.7.8.8;IA5STRING:_pop3s.example.com", "example.com", true, false },
        { "otherName:1.3.6.1.5.5.7.8.7;UTF8:_pop3s.example.com", "example.com", true, false },
        { "DNS:mx.example.net", "example.com", true, true },
        { "DNS:_pop3s.example.com", "example.com", true, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recipe r = { .cn = "x", .san = rows[i].san, .issuer = &world.good };
        struct tls_client_conf conf = trusting("mx.example.net");

        conf.srv_domain = rows[i].domain;
        conf.srv_implicit = rows[i].implicit;
        expect(&r, &conf, rows[i].ok ? NULL : "not for mx.example.net");
    }
}

static void chains(void **state)
{
    const struct tls_client_conf conf = trusting("a.example");
    struct tls_client_conf revoking = conf, none = conf;
    struct identity middle = certify(&(struct recipe){ .cn = "Middle", .issuer = &world.good });
    struct err e = { FAULT_NONE, "" };
    struct tls_client *t = NULL;

    (void)state;
    revoking.crl_pem = buf_span(&world.crl);
    none.ca_pem = span_of("", 0);
#define BY(ca_, ...) (&(struct recipe){ .cn = "a.example", .san = "DNS:a.example", .issuer = ca_, __VA_ARGS__ })
    expect(BY(&world.good, .serial = 1), &conf, NULL);
    expect(BY(&world.good, .from = -40 * DAY, .until = -10 * DAY), &conf, "certificate expired on 2");
    expect(BY(&world.good, .from = 10 * DAY, .until = 20 * DAY), &conf, "certificate is valid from 2");
    expect(BY(NULL, .serial = 1), &conf, "self-signed");
    expect(BY(&world.other, .serial = 1), &conf, "not among the trusted ones");
    expect(BY(&middle, .serial = 1), &conf, "not among the trusted ones"); /* its issuer is no authority, nor sent */
    expect(BY(&world.good, .serial = 666), &conf, NULL);
    expect(BY(&world.good, .serial = 666), &revoking, "certificate is revoked");
    expect(BY(&world.good, .serial = 667), &revoking, NULL);
    /* Wrong in both: the chain is what is told. */
    expect(&(struct recipe){ .cn = "x", .san = "DNS:b.example", .issuer = &world.other }, &conf, "not among the trusted");
    assert_false(tls_client_new(&none, -1, &t, &e));
    assert_non_null(strstr(e.text, "trust anchors"));
    identity_free(&middle);
}

/* One handshake with id; words as in expect. */
static void expect_id(const struct identity *id, const struct tls_client_conf *conf, const char *words)
{
    struct server s = { id, 0, 0, NULL, false, false, NULL };
    struct bench b;

    bench_begin(&b, &s, conf);
    if ((b.io == TLS_IO_DONE) != !words || b.server_up != !words || (words && !strstr(b.e.text, words)))
        fail_msg("%d, server %d: \"%s\", want \"%s\"", b.io, b.server_up, b.e.text, words ? words : "success");
    bench_end(&b);
}

static void pins(void **state)
{
    struct identity good = certify(BY(&world.good, .serial = 1)), alone = certify(BY(NULL, .serial = 1));
    struct identity wrong = certify(&(struct recipe){ .cn = "x", .san = "DNS:b.example", .issuer = &world.good });
    uint8_t of_good[1][32], of_alone[2][32] = { { 0 } }, of_wrong[1][32];
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct tls_client *t = NULL;

    (void)state;
    pin_of(&good, of_good[0]);
    pin_of(&wrong, of_wrong[0]);
    pin_of(&alone, of_alone[1]);
    conf.pins = of_good, conf.npins = 1;
    expect_id(&good, &conf, NULL);
    expect_id(&wrong, &conf, "not for a.example");
    conf.pins = of_wrong;
    expect_id(&good, &conf, "none of those that are pinned");
    expect_id(&wrong, &conf, "not for a.example");
    conf.pins = of_alone, conf.npins = 2;
    expect_id(&alone, &conf, "self-signed");
    conf.verify = TLS_VERIFY_PIN;
    expect_id(&alone, &conf, NULL);
    expect_id(&good, &conf, "none of those that are pinned");
    conf.npins = 1;
    expect_id(&alone, &conf, "none of those that are pinned");
    conf.npins = 0;
    assert_false(tls_client_new(&conf, -1, &t, &e));
    conf.verify = TLS_VERIFY_OFF;
    expect_id(&alone, &conf, NULL);
    conf.pins = of_good, conf.npins = 1;
    expect_id(&alone, &conf, "none of those that are pinned");
    identity_free(&good);
    identity_free(&alone);
    identity_free(&wrong);
}

static void pin_texts(void **state)
{
    static const char hex[] = "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1e:1f";
    static const char b64[] = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    static const char *const bad[] = { "", "sha256//", "00", "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=AAAA", "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd!h8=",
        "sha1//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g" };
    uint8_t pin[32];

    (void)state;
    for (int i = 0; i < 2; i++) {
        memset(pin, 0xee, sizeof pin);
        assert_true(tls_pin_parse(i ? hex : b64, pin));
        for (uint8_t j = 0; j < 32; j++)
            assert_int_equal(pin[j], j);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tls_pin_parse(bad[i], pin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(odd_octets), cmocka_unit_test(srv_ids),
        cmocka_unit_test(chains), cmocka_unit_test(pins), cmocka_unit_test(pin_texts),
    };

    return cmocka_run_group_tests(tests, make_world, end_world);
}
