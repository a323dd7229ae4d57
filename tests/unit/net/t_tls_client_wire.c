/* t_tls_client_wire.c - what the client's TLS says and accepts on the wire: versions, ALPN, SNI, no early data, no
 * renegotiation, its own certificate only to whom it trusts, the end of the stream, bindings equal at both ends.
 *
 * Proves: R8314-C-01, R8314-C-09, R9325-04, R9325-06, R9325-07, R9325-08, R8446-02, R9266-01, R9266-02, R7677-01
 * Does not know: what makes a certificate good (t_tls_client).
 */
#include "tls_bench.h"

static struct identity ca, host, mine;
static struct buf anchors, mine_pem;

static int make_world(void **state)
{
    (void)state;
    anchors = mine_pem = BUF(100000);
    ca = certify(&(struct recipe){ .cn = "CA", .ca = true });
    host = certify(&(struct recipe){ .cn = "x", .san = "DNS:a.example,IP:127.0.0.1", .issuer = &ca });
    mine = certify(&(struct recipe){ .cn = "bob", .san = "email:bob@a.example" });
    put_certificate(&ca, &anchors);
    put_certificate(&mine, &mine_pem);
    put_key(&mine, &mine_pem);
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    identity_free(&ca);
    identity_free(&host);
    identity_free(&mine);
    buf_free(&anchors);
    buf_wipe(&mine_pem);
    return 0;
}

static struct tls_client_conf trusting(const char *name)
{
    return (struct tls_client_conf){ .host = name, .verify = TLS_VERIFY_FULL, .ca_pem = buf_span(&anchors) };
}

static void versions(void **state)
{
    static const struct { int max; bool only13; const char *suite; } rows[] = {
        { TLS1_VERSION, false, NULL }, { TLS1_1_VERSION, false, NULL }, { TLS1_2_VERSION, false, "TLSv1.2 ECDHE-" },
        { TLS1_3_VERSION, false, "TLSv1.3 TLS_" }, { TLS1_2_VERSION, true, NULL }, { TLS1_3_VERSION, true, "TLSv1.3 " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server s = { &host, TLS1_VERSION, rows[i].max, NULL, false, false, NULL };
        struct tls_client_conf conf = trusting("a.example");
        char suite[100];
        struct bench b;

        conf.tls13_only = rows[i].only13;
        bench_begin(&b, &s, &conf);
        assert_int_equal(b.io, rows[i].suite ? TLS_IO_DONE : TLS_IO_FAILED);
        assert_int_equal(b.server_up, rows[i].suite != NULL);
        if (rows[i].suite) {
            tls_client_describe(b.client, suite, sizeof suite);
            assert_ptr_equal(strstr(suite, rows[i].suite), suite);
            assert_true(SSL_CIPHER_is_aead(SSL_get_current_cipher(tls_client_ssl(b.client))));
        } else {
            assert_true(b.e.text[0]);
        }
        bench_end(&b);
    }
}

static void anonymous(void **state)
{
    struct server s = { NULL, TLS1_2_VERSION, TLS1_2_VERSION, NULL, false, false, "ADH-AES128-GCM-SHA256:@SECLEVEL=0" };
    struct tls_client_conf conf = trusting("a.example");
    struct bench b;

    (void)state;
    conf.ciphers = s.ciphers;
    bench_begin(&b, &s, &conf);
    assert_int_equal(b.io, TLS_IO_FAILED);
    bench_end(&b);
}

static void alpn(void **state)
{
    static const struct { const char *answer; bool ok; } rows[] = {
        { NULL, true }, { "pop3", true }, { "imap", false }, { "http/1.1", false }, { "pop", false }, { "pop33", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct server s = { &host, version, version, rows[i].answer, false, false, NULL };
            struct tls_client_conf conf = trusting("a.example");
            struct bench b;

            bench_begin(&b, &s, &conf);
            assert_string_equal(b.hello.alpn, "pop3");
            if ((b.io == TLS_IO_DONE) != rows[i].ok || b.server_up != rows[i].ok)
                fail_msg("ALPN %s: %d, server %d", rows[i].answer, b.io, b.server_up);
            bench_end(&b);
        }
}

static void server_names(void **state)
{
    static const struct { const char *host, *sni; } rows[] = {
        { "a.example", "a.example" }, { "A.Example", "A.Example" }, { "127.0.0.1", "" }, { "::1", "" }, { "fe80::1%lo", "" },
    };
    struct server s = { &host, 0, 0, NULL, false, false, NULL };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tls_client_conf conf = trusting(rows[i].host);
        struct bench b;

        bench_begin(&b, &s, &conf);
        assert_true(b.hello.count > 0);
        assert_string_equal(b.hello.sni, rows[i].sni);
        bench_end(&b);
    }
}

/* Even a server that invites to it gets neither early data nor a resumed session, in each of two connections. */
static void no_early_data(void **state)
{
    struct server s = { &host, TLS1_3_VERSION, TLS1_3_VERSION, NULL, false, true, NULL };
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct bench b;
    char room[10];
    size_t n;

    (void)state;
    for (int i = 0; i < 2; i++) {
        bench_begin(&b, &s, &conf);
        assert_int_equal(b.io, TLS_IO_DONE);
        assert_int_equal(tls_client_read(b.client, room, sizeof room, &n, &e), TLS_IO_WANT_READ); /* its tickets */
        assert_false(b.hello.early_data);
        assert_false(b.hello.psk);
        assert_int_equal(b.hello.compressions, 1); /* "none" */
        assert_null(SSL_get_current_compression(b.server));
        assert_int_equal(SSL_session_reused(tls_client_ssl(b.client)), 0);
        bench_end(&b);
    }
}

static void no_renegotiation(void **state)
{
    struct server s = { &host, TLS1_2_VERSION, TLS1_2_VERSION, NULL, false, false, NULL };
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct bench b;
    char room[10];
    size_t n;

    (void)state;
    bench_begin(&b, &s, &conf);
    assert_int_equal(b.io, TLS_IO_DONE);
    assert_int_equal(SSL_renegotiate(b.server), 1);
    for (int i = 0; i < 5; i++) {
        SSL_do_handshake(b.server);
        assert_int_not_equal(tls_client_read(b.client, room, sizeof room, &n, &e), TLS_IO_DONE);
        SSL_read_ex(b.server, room, sizeof room, &n);
        ERR_clear_error();
    }
    assert_int_equal(b.hello.count, 1);
    bench_end(&b);
}

static void own_certificate(void **state)
{
    static const struct { bool asks, configured; const char *host; bool shown; } rows[] = {
        { true, true, "a.example", true },   { true, false, "a.example", false }, { false, true, "a.example", false },
        { true, true, "b.example", false }, /* another host: refused before it sees who we are */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct server s = { &host, version, version, NULL, rows[i].asks, false, NULL };
            struct tls_client_conf conf = trusting(rows[i].host);
            struct bench b;
            X509 *seen;

            conf.cert_pem = conf.key_pem = rows[i].configured ? buf_span(&mine_pem) : span_of("", 0);
            bench_begin(&b, &s, &conf);
            seen = SSL_get0_peer_certificate(b.server);
            assert_int_equal(b.io == TLS_IO_DONE, strcmp(rows[i].host, "a.example") == 0);
            assert_int_equal(seen && X509_cmp(seen, mine.x) == 0, rows[i].shown);
            bench_end(&b);
        }
}

enum ending { CLOSES, CUTS, GARBAGE };

/* Past the tickets that come first: each is a record of its own, and a call reads one. */
static enum tls_io read_on(struct bench *b, char room[10], size_t *n, struct err *e)
{
    enum tls_io io = TLS_IO_WANT_READ;

    for (int i = 0; i < 10 && io == TLS_IO_WANT_READ; i++)
        io = tls_client_read(b->client, room, 10, n, e);
    return io;
}

/* Octets, then one of the ends of a stream. */
static void expect_ending(enum ending how, enum tls_io want)
{
    struct server s = { &host, 0, 0, NULL, false, false, NULL };
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct bench b;
    char room[10];
    size_t n = 0;

    bench_begin(&b, &s, &conf);
    assert_int_equal(b.io, TLS_IO_DONE);
    assert_int_equal(SSL_write(b.server, "+OK", 3), 3);
    if (how == CLOSES)
        assert_int_equal(SSL_shutdown(b.server), 0);
    if (how == GARBAGE)
        assert_int_equal(write(b.fds[0], "no TLS record at all", 20), 20);
    close(b.fds[0]);
    b.fds[0] = -1;
    assert_int_equal(read_on(&b, room, &n, &e), TLS_IO_DONE);
    assert_true(n == 3 && memcmp(room, "+OK", 3) == 0);
    assert_int_equal(tls_client_read(b.client, room, sizeof room, &n, &e), want);
    assert_int_equal(ERR_peek_error(), 0);
    if (want == TLS_IO_CUT) {
        assert_non_null(strstr(e.text, "connection lost"));
        assert_int_equal(tls_client_write(b.client, span_str("x"), &n, &e), TLS_IO_FAILED); /* over is over */
        assert_int_equal(tls_client_read(b.client, room, sizeof room, &n, &e), TLS_IO_FAILED);
    }
    assert_int_equal(tls_client_shutdown(b.client), TLS_IO_DONE);
    bench_end(&b);
}

static void endings(void **state)
{
    (void)state;
    expect_ending(CLOSES, TLS_IO_CLOSED);
    expect_ending(CUTS, TLS_IO_CUT);
    expect_ending(GARBAGE, TLS_IO_FAILED);
}

/* Our own end is told to the server. */
static void goodbye(void **state)
{
    struct server s = { &host, 0, 0, NULL, false, false, NULL };
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct bench b;
    char room[10];
    size_t n;
    int rc;

    (void)state;
    bench_begin(&b, &s, &conf);
    assert_int_equal(tls_client_write(b.client, span_str("QUIT\r\n"), &n, &e), TLS_IO_DONE);
    assert_int_equal(n, 6);
    assert_int_equal(tls_client_shutdown(b.client), TLS_IO_DONE);
    assert_int_equal(SSL_read(b.server, room, sizeof room), 6);
    rc = SSL_read(b.server, room, sizeof room);
    assert_int_equal(SSL_get_error(b.server, rc), SSL_ERROR_ZERO_RETURN);
    bench_end(&b);
}

/* A server that renews its keys without end keeps nobody inside of one call: deadlines go on. */
static void one_record_at_a_time(void **state)
{
    struct server s = { &host, TLS1_3_VERSION, TLS1_3_VERSION, NULL, false, false, NULL };
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct bench b;
    enum tls_io io;
    unsigned calls = 0;
    char room[10];
    size_t n = 0;

    (void)state;
    bench_begin(&b, &s, &conf);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(b.server, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(b.server), 1);
    }
    assert_int_equal(SSL_write(b.server, "+OK", 3), 3);
    while ((io = tls_client_read(b.client, room, sizeof room, &n, &e)) == TLS_IO_WANT_READ)
        calls++;
    assert_int_equal(io, TLS_IO_DONE);
    assert_true(n == 3 && calls >= 5);
    bench_end(&b);
}

/* What the server said before it went is read, although nothing can be written any more. */
static void words_before_the_end(void **state)
{
    struct server s = { &host, 0, 0, NULL, false, false, NULL };
    struct tls_client_conf conf = trusting("a.example");
    struct err e = { FAULT_NONE, "" };
    struct bench b;
    char room[10];
    size_t n = 0;

    (void)state;
    bench_begin(&b, &s, &conf);
    assert_int_equal(SSL_write(b.server, "-ERR", 4), 4);
    close(b.fds[0]);
    b.fds[0] = -1;
    assert_int_equal(tls_client_write(b.client, span_str("NOOP\r\n"), &n, &e), TLS_IO_CUT);
    assert_int_equal(read_on(&b, room, &n, &e), TLS_IO_DONE);
    assert_true(n == 4 && memcmp(room, "-ERR", 4) == 0);
    assert_int_equal(tls_client_read(b.client, room, sizeof room, &n, &e), TLS_IO_CUT);
    bench_end(&b);
}

static void plain_server(void **state)
{
    struct tls_client_conf conf = trusting("a.example");
    struct tls_client *t;
    struct err e = { FAULT_NONE, "" };
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_true(tls_client_new(&conf, fds[1], &t, &e));
    assert_int_equal(write(fds[0], "+OK ready\r\n", 11), 11);
    assert_int_equal(tls_client_handshake(t, &e), TLS_IO_FAILED);
    assert_non_null(strstr(e.text, "not TLS"));
    tls_client_free(&t);
    tls_client_free(&t);
    close(fds[0]);
    close(fds[1]);
}

static void bindings(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct server s = { &host, version, version, NULL, false, false, NULL };
        struct tls_client_conf conf = trusting("a.example");
        uint8_t us[TLS_BINDING_MAX], them[TLS_BINDING_MAX], raw[32];
        struct bench b;
        size_t n;

        bench_begin(&b, &s, &conf);
        n = tls_binding_unique(tls_client_ssl(b.client), us);
        assert_int_equal(n, version == TLS1_2_VERSION ? 12 : 0);
        assert_int_equal(tls_binding_unique(b.server, them), n);
        assert_memory_equal(us, them, n);
        assert_int_equal(tls_binding_exporter(tls_client_ssl(b.client), us), 32);
        assert_int_equal(SSL_export_keying_material(b.server, raw, 32, "EXPORTER-Channel-Binding", 24, us, 0, 1), 1);
        assert_memory_equal(us, raw, 32);
        bench_end(&b);
    }
}

/* Without the extended master secret nothing but tls-unique of a full handshake is left. */
static void bindings_without_ems(void **state)
{
    struct server s = { &host, TLS1_2_VERSION, TLS1_2_VERSION, NULL, false, false, NULL };
    struct tls_client_conf conf = trusting("a.example");
    uint8_t room[TLS_BINDING_MAX];
    struct bench b = { .about = &s };
    int turns = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b.fds), 0);
    bench_server(&b, &s);
    SSL_set_options(b.server, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    assert_true(tls_client_new(&conf, b.fds[1], &b.client, &b.e));
    while (tls_client_handshake(b.client, &b.e) != TLS_IO_DONE && turns++ < 20)
        SSL_do_handshake(b.server);
    assert_true(SSL_is_init_finished(tls_client_ssl(b.client)));
    assert_int_equal(tls_binding_unique(tls_client_ssl(b.client), room), 12);
    assert_int_equal(tls_binding_exporter(tls_client_ssl(b.client), room), 0);
    ERR_clear_error();
    bench_end(&b);
}

static void facts(void **state)
{
    struct server s = { &host, 0, 0, NULL, false, false, NULL };
    struct tls_client_conf conf = trusting("a.example");
    struct buf text = BUF(4096);
    uint8_t pin[32], said[32];
    struct bench b;
    char *at;

    (void)state;
    bench_begin(&b, &s, &conf);
    assert_true(tls_client_certificate(b.client, &text) && buf_put(&text, "", 1));
    assert_non_null(strstr((char *)text.p, "subject: CN=x\nissuer: CN=CA\nnames: a.example, 127.0.0.1\nvalid from: 2"));
    at = strstr((char *)text.p, "pin: ");
    assert_non_null(at);
    pin_of(&host, pin);
    assert_true(tls_pin_parse(at + 5, said));
    assert_memory_equal(pin, said, 32);
    buf_free(&text);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),   cmocka_unit_test(anonymous),        cmocka_unit_test(alpn),
        cmocka_unit_test(server_names), cmocka_unit_test(no_early_data),  cmocka_unit_test(no_renegotiation),
        cmocka_unit_test(own_certificate), cmocka_unit_test(endings),     cmocka_unit_test(goodbye),
        cmocka_unit_test(plain_server), cmocka_unit_test(bindings),       cmocka_unit_test(bindings_without_ems),
        cmocka_unit_test(facts),      cmocka_unit_test(one_record_at_a_time), cmocka_unit_test(words_before_the_end),
    };

    return cmocka_run_group_tests(tests, make_world, end_world);
}
