/* t_users.c - the users file: what Dovecot's files look like, what hostile ones do, how names are found.
 *
 * Proves: R6856-13, R4422-EXT-04, R2449-LD-02, R2449-EXP-02
 * Does not know: passwords' hashes, changing the file (t_users_edit.c).
 */
#include "auth/users.h"
#include "auth/users_file.h"

#include "auth_help.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS1 "4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE="
#define KEYS256 "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
                "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct users *parse(const char *text)
{
    struct buf report = BUF(65536);
    struct users *t = NULL;

    if (!users_parse(span_str(text), "users", &t, &report))
        fail_msg("%.*s", (int)report.n, (char *)report.p);
    buf_free(&report);
    return t;
}

static const struct users_entry *find(const struct users *t, const char *name)
{
    return users_find(t, span_str(name), "example.org");
}

static void a_line_with_everything(void **state)
{
    struct users *t = parse("# accounts\n"
                            "\n"
                            "   \n"
                            "bob:{PLAIN}pw:1001:1002:Bob,,,:/home/bob:/bin/false:userdb_mail=maildir:/m/bob:INDEX=/i "
                            "require_tls expire=30  login_delay=9 read_only=y disabled=no "
                            "scram-sha-256=" KEYS256 " scram-sha-1=" KEYS1 " cert=bob@example.org "
                            "allow_nets=192.0.2.0/24,::1 raw_password\r\n"
                            "ann:{PLAIN}x\n"
                            "joe::5:6\n"
                            "max:{PLAIN}a::::::nologin=maintenance");
    const struct users_entry *bob = find(t, "bob"), *ann = find(t, "ann"), *joe = find(t, "joe"),
                             *max = find(t, "max");

    (void)state;
    assert_int_equal(users_count(t), 4);
    assert_string_equal(bob->password, "{PLAIN}pw");
    assert_int_equal(bob->uid, 1001);
    assert_int_equal(bob->gid, 1002);
    assert_string_equal(bob->home, "/home/bob");
    assert_string_equal(bob->mail, "/m/bob");
    assert_string_equal(bob->scram[SCRAM_SHA_256], KEYS256);
    assert_string_equal(bob->scram[SCRAM_SHA_1], KEYS1);
    assert_string_equal(bob->cert, "bob@example.org");
    assert_string_equal(bob->allow_nets, "192.0.2.0/24,::1");
    assert_int_equal(bob->flags, USERS_REQUIRE_TLS | USERS_READ_ONLY | USERS_RAW_PASSWORD);
    assert_int_equal(bob->expire_days, 30);
    assert_int_equal(bob->login_delay_s, 9);
    assert_int_equal(bob->line, 4);
    assert_null(ann->home);
    assert_null(ann->mail);
    assert_int_equal(ann->expire_days, USERS_NUMBER_NONE);
    assert_null(joe->password);
    assert_int_equal(joe->gid, 6);
    assert_int_equal(max->flags, USERS_DISABLED);
    assert_ptr_equal(users_at(t, 3), max);
    assert_null(find(t, "nobody"));
    assert_null(find(t, ""));
    users_free(&t);
}

static void mail_as_dovecot_writes_it(void **state)
{
    static const struct {
        const char *extra, *mail;
    } table[] = {
        { "mail=maildir:~/Maildir", "~/Maildir" },
        { "userdb_mail=maildir:/a/b:LAYOUT=fs:INBOX=/a/inbox:CONTROL=/c", "/a/inbox" },
        { "userdb_mail=maildir:/a/b userdb_uid=7 userdb_gid=8 userdb_home=/h userdb_quota_rule=*:bytes=1G", "/a/b" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[300];
        struct users *t;

        snprintf(text, sizeof text, "bob:{PLAIN}pw:1:2::/home/bob::%s\n", table[i].extra);
        t = parse(text);
        assert_string_equal(find(t, "bob")->mail, table[i].mail);
        if (i == 2) {
            assert_int_equal(find(t, "bob")->uid, 7);
            assert_int_equal(find(t, "bob")->gid, 8);
            assert_string_equal(find(t, "bob")->home, "/h");
        }
        users_free(&t);
    }
}

static void names_by_domain(void **state)
{
    struct users *t = parse("bob:{PLAIN}a\nann@example.org:{PLAIN}b\nmax:{PLAIN}c\nmax@example.org:{PLAIN}d\n"
                            "joe@other.org:{PLAIN}e\n");

    (void)state;
    assert_string_equal(find(t, "bob@example.org")->name, "bob");
    assert_string_equal(find(t, "bob@EXAMPLE.org")->name, "bob");
    assert_string_equal(find(t, "ann")->name, "ann@example.org");
    assert_string_equal(find(t, "max")->name, "max"); /* both exist: each is itself */
    assert_string_equal(find(t, "max@example.org")->name, "max@example.org");
    assert_null(find(t, "joe"));
    assert_null(find(t, "bob@other.org"));
    assert_null(find(t, "@example.org"));
    assert_null(users_find(t, span_str("ann"), ""));
    assert_null(users_find(t, span_str("bob@example.org"), NULL));
    assert_null(find(t, "BOB"));
    users_free(&t);
}

static void names_are_prepared(void **state)
{
    struct users *t = parse("I\xc2\xadX:{PLAIN}a\ncaf\xe9:{PLAIN}b\n");

    (void)state;
    assert_string_equal(find(t, "IX")->name, "IX");
    assert_string_equal(find(t, "caf\xe9")->name, "caf\xe9"); /* Latin-1: its octets alone */
    assert_null(find(t, "caf\xc3\xa9"));
    users_free(&t);
}

/* Every fault of a file is reported, with its line and what to do; warnings do not stand in the way. */
static void faults_are_all_reported(void **state)
{
    static const char text[] = "ok:{PLAIN}a\n"
                               "no colon\n"
                               ":{PLAIN}a\n"
                               "a:{PLAIN}a:x-no-such-user:1\n"
                               "b:{PLAIN}a:4294967295:1\n"
                               "c:{PLAIN}a:-1:1\n"
                               "d:{PLAIN}a::::::mail=mbox:/x\n"
                               "e:{PLAIN}a::::::mail=maildir:relative\n"
                               "f:{PLAIN}a::::::mail=maildir:/a/../b\n"
                               "g:{PLAIN}a::::::mail=maildir:%h/Maildir\n"
                               "h:{PLAIN}a::::::expire=x\n"
                               "i:{PLAIN}a::::::login_delay=99999999999\n"
                               "j:{PLAIN}a::::::scram-sha-1=" KEYS256 "\n"
                               "k:{PLAIN}a::::::allow_nets=192.0.2.0/99\n"
                               "l:{PLAIN}a::::::allow_nets=local\n"
                               "m:{PLAIN}a::::::cert=nothing\n"
                               "n:{PLAIN}a::::::cert=sha256:abc\n"
                               "o:{SCRAM-SHA-1}" KEYS1 "::::::apop\n"
                               "p:::::::\n"
                               "q:{PLAIN}a:1:1::relative\n"
                               "ok:{PLAIN}b\n"
                               "r\x01:{PLAIN}a\n"
                               "s:{PLAIN}a::::::mail=maildir:/a/..\n";
    struct buf report = BUF(65536);
    struct users *t = NULL;
    struct span rest;
    uint64_t lines = 0;

    (void)state;
    assert_false(users_parse(span_of(text, sizeof text - 1), "/etc/users", &t, &report));
    assert_null(t);
    rest = buf_span(&report);
    for (; rest.n; lines++) {
        struct span line = span_until(&rest, '\n');

        assert_true(line.n > 11 && memcmp(line.p, "/etc/users:", 11) == 0);
        assert_null(memmem(line.p, line.n, "PLAIN}a", 7)); /* never a password */
    }
    for (uint32_t n = 2; n <= 23; n++) {
        char want[32];

        snprintf(want, sizeof want, "/etc/users:%u: ", (unsigned)n);
        if (n != 19 && !memmem(report.p, report.n, want, strlen(want)))
            fail_msg("nothing about line %u in:\n%.*s", (unsigned)n, (int)report.n, (char *)report.p);
    }
    assert_int_equal(lines, 21);
    buf_free(&report);
}

static void warnings(void **state)
{
    static const char text[] = "a:{NOSUCH}x\n"
                               "b:*\n"
                               "c:{PLAIN}pw::::::frobnicate=1 frobnicate=2\n"
                               "d:{PLAIN}pw::::::frobnicate\n"
                               "e:{PLAIN}pw::::::nopassword=y\n";
    struct buf report = BUF(65536);
    struct users *t = NULL;

    (void)state;
    assert_true(users_parse(span_of(text, sizeof text - 1), "u", &t, &report));
    assert_true(find(t, "a")->broken_password);
    assert_true(find(t, "b")->broken_password);
    assert_int_equal(find(t, "e")->flags, USERS_DISABLED);
    expect_span(buf_span(&report),
                "u:1: warning: the password's scheme is not known here; nobody can log in with it: set a new one\n"
                "u:2: warning: the password's scheme is not known here; nobody can log in with it: set a new one\n"
                "u:3: warning: extra field \"frobnicate\" means nothing here and is ignored\n"
                "u:5: warning: nopassword is not supported: the account is disabled; give it a password\n");
    users_free(&t);
    buf_free(&report);
}

static void hostile_octets(void **state)
{
    struct users *t = NULL;
    struct buf huge = BUF(200000);

    (void)state;
    assert_false(users_parse(LIT("a\0b:{PLAIN}x\n"), "u", &t, NULL));
    assert_false(users_parse(LIT("a:{PLAIN}x\0\n"), "u", &t, NULL));
    assert_true(users_parse(LIT(""), "u", &t, NULL));
    assert_int_equal(users_count(t), 0);
    assert_null(find(t, "a"));
    assert_null(users_by_cert(t, span_str("a@b")));
    users_free(&t);
    assert_true(users_parse(LIT("\n\n#\n"), "u", &t, NULL));
    users_free(&t);
    for (int i = 0; i < 20000; i++)
        assert_true(buf_put_str(&huge, "x"));
    assert_false(users_parse(buf_span(&huge), "u", &t, NULL));
    buf_free(&huge);
}

/* Cut off anywhere, a file parses or is refused; what comes out can be looked up. */
static void every_truncation(void **state)
{
    static const char text[] = "bob:{PLAIN}pw:1:2:g:/h:/s:mail=maildir:/m:INBOX=/i cert=a@b scram-sha-1=" KEYS1
                               " allow_nets=::1,10.0.0.0/8 expire=3\nann:{PLAIN}x::::::cert=sha256:" HEX64;

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n + 1); /* exactly as long as it is: reading past it is noticed */
        struct users *t = NULL;

        memcpy(copy, text, n);
        if (users_parse(span_of(copy, n), "u", &t, NULL))
            for (uint32_t i = 0; i < users_count(t); i++)
                assert_ptr_equal(find(t, users_at(t, i)->name), users_at(t, i));
        users_free(&t);
        free(copy);
    }
}

static void certificates(void **state)
{
    struct users *t = parse("bob:{PLAIN}a::::::cert=robert@example.org\n"
                            "ann:{PLAIN}a::::::cert=sha256:"
                            "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\n");

    (void)state;
    assert_string_equal(users_by_cert(t, span_str("robert@example.org"))->name, "bob");
    assert_string_equal(users_by_cert(t, span_str("sha256:" HEX64))->name, "ann");
    assert_null(users_by_cert(t, span_str("bob@example.org")));
    users_free(&t);
    assert_false(users_parse(span_str("a:{PLAIN}a::::::cert=x@y\nb:{PLAIN}a::::::cert=x@y\n"), "u", &t, NULL));
}

static void summary(void **state)
{
    struct users *t = parse("a:{SCRAM-SHA-256}" KEYS256 "::::::expire=60 login_delay=60\n"
                            "b:{SCRAM-SHA-256}" KEYS256 "::::::expire=5 scram-sha-1=" KEYS1 "\n"
                            "c:{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW::::::"
                            "login_delay=900\n"
                            "d:{PLAIN}x::::::apop\n"
                            "e:{SCRAM-SHA-256}" KEYS256 "::::::disabled expire=1 login_delay=9999\n");
    const struct users_summary *s = users_summary(t);
    struct scram_keys keys;

    (void)state;
    assert_int_equal(s->enabled, 4);
    assert_int_equal(s->apop, 1);
    assert_int_equal(s->expire_min, 5);
    assert_int_equal(s->login_delay_max, 900);
    assert_string_equal(s->typical->name, "a");
    assert_string_equal(s->typical_scram[SCRAM_SHA_1]->name, "b");
    assert_true(users_scram(find(t, "a"), SCRAM_SHA_256, &keys));
    assert_int_equal(keys.iterations, 4096);
    assert_false(users_scram(find(t, "a"), SCRAM_SHA_1, &keys));
    assert_true(users_scram(find(t, "b"), SCRAM_SHA_1, &keys));
    assert_false(users_scram(find(t, "c"), SCRAM_SHA_1, &keys));
    users_free(&t);
    t = parse("");
    assert_int_equal(users_summary(t)->expire_min, USERS_NUMBER_NONE);
    assert_null(users_summary(t)->typical);
    users_free(&t);
}

static void many_accounts(void **state)
{
    enum { MANY = 20000 };
    struct buf text = BUF(10 << 20);
    struct users *t = NULL;
    char name[24];

    (void)state;
    for (int i = 0; i < MANY; i++)
        assert_true(buf_printf(&text, "user%d:{PLAIN}pw%d\n", i, i));
    assert_true(users_parse(buf_span(&text), "u", &t, NULL));
    assert_int_equal(users_count(t), MANY);
    for (int i = 0; i < MANY; i += 7) {
        snprintf(name, sizeof name, "user%d", i);
        assert_int_equal(find(t, name)->line, i + 1);
    }
    users_free(&t);
    buf_free(&text);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static bool knows(const struct users_file *f, const char *name)
{
    return find(users_file_table(f), name) != NULL;
}

static void changed_files(void **state)
{
    char path[64], other[80];
    struct buf report = BUF(4096);
    struct users_file *f;

    (void)state;
    snprintf(path, sizeof path, "/tmp/restante-users-%d", (int)getpid());
    snprintf(other, sizeof other, "%s.new", path);
    f = users_file_new(path);
    assert_false(knows(f, "bob"));
    assert_int_equal(users_file_look(f, 0, false, &report), USERS_BROKEN); /* it is not there */
    assert_int_not_equal(report.n, 0);
    write_file(path, "bob:{PLAIN}pw\n");
    assert_int_equal(users_file_look(f, 500, false, NULL), USERS_SAME); /* looked a moment ago */
    assert_int_equal(users_file_look(f, 1000, false, NULL), USERS_NEW);
    assert_true(knows(f, "bob"));
    assert_int_equal(users_file_look(f, 3000, false, NULL), USERS_SAME);
    write_file(other, "bob:{PLAIN}pw\nann:{PLAIN}x\n");
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(users_file_look(f, 5000, false, NULL), USERS_NEW);
    assert_true(knows(f, "ann"));
    write_file(path, "nonsense\n");
    assert_int_equal(users_file_look(f, 7000, false, NULL), USERS_BROKEN);
    assert_true(knows(f, "ann")); /* the old accounts stay */
    assert_int_equal(users_file_look(f, 9000, false, NULL), USERS_SAME);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(users_file_look(f, 11000, false, NULL), USERS_BROKEN);
    assert_true(knows(f, "ann"));
    users_file_free(&f);
    buf_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_with_everything),
        cmocka_unit_test(mail_as_dovecot_writes_it),
        cmocka_unit_test(names_by_domain),
        cmocka_unit_test(names_are_prepared),
        cmocka_unit_test(faults_are_all_reported),
        cmocka_unit_test(warnings),
        cmocka_unit_test(hostile_octets),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(certificates),
        cmocka_unit_test(summary),
        cmocka_unit_test(many_accounts),
        cmocka_unit_test(changed_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
