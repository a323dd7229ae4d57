/* test_import.c - what other programs wrote down, and our own text there and back.
 *
 * Proves: R1939-UIDL-10
 * Does not know: the journal's own promises (test_journal.c).
 */
#include "client/import.h"

#include "state_help.h"

#include <fcntl.h>

#define LIT(s) span_of((s), sizeof(s) - 1)
#define TEXT(s) { (const uint8_t *)(s), sizeof(s) - 1 }

enum { TAKEN = 8 };

struct taken {
    size_t n, stop_at;
    char uid[TAKEN][64];
    int64_t at[TAKEN];
};

static bool take(void *ctx, struct entry *entry)
{
    struct taken *t = ctx;

    assert_int_equal(entry->id, 0);
    if (t->n < TAKEN && entry->uid.n < sizeof t->uid[0]) {
        memcpy(t->uid[t->n], entry->uid.p, entry->uid.n);
        t->uid[t->n][entry->uid.n] = '\0';
        t->at[t->n] = entry->first_seen;
        assert_true(entry->state == ENTRY_SEEN && entry->nth == 0);
    }
    return ++t->n != t->stop_at;
}

struct sample {
    const char *what;
    enum import_format format;
    const char *user, *host;
    struct span text;
    const char *uids; /* expected, each behind a "|"; NULL: refused */
    const char *says; /* what the report must hold */
};

#define F IMPORT_FETCHMAIL
#define G IMPORT_GETMAIL
#define M IMPORT_MPOP
#define T IMPORT_THUNDERBIRD
#define POPSTATE "# POP3 State File\n# This is a generated file!  Do not edit.\n\n"

static const struct sample samples[] = {
    { "fetchmail", F, 0, 0, TEXT("u@h 1\nu@h 2\n"), "|1|2", "" },
    { "user with @, uid with @ and blanks", F, 0, 0, TEXT("u@d.org@h <a@b c>\n"), "|<a@b c>", "" },
    { "a user with @, named", F, "u@d.org", "h", TEXT("u@d.org@h 1\nu@h 2\n"), "|1", "" },
    { "CRLF and no last newline", F, 0, 0, TEXT("u@h 1\r\n\r\n  u@h   2  \r\nu@h 3"), "|1|2|3", "" },
    { "host in another case is the same", F, 0, 0, TEXT("u@h 1\nu@H 2\n"), "|1|2", "" },
    { "two accounts, none named", F, 0, 0, TEXT("u@h 1\nv@h 2\n"), NULL, "u at h, v at h" },
    { "two accounts, one named", F, "v", 0, TEXT("u@h 1\nv@h 2\n"), "|2", "" },
    { "two hosts, one named", F, "u", "H2", TEXT("u@h1 1\nu@h2 2\n"), "|2", "" },
    { "two hosts, the user named", F, "u", 0, TEXT("u@h1 1\nu@h2 2\n"), NULL, "u at h1, u at h2" },
    { "nobody of that name", F, "w", 0, TEXT("u@h 1\n"), NULL, "u at h" },
    { "no account", F, 0, 0, TEXT("u@h 1\nuh 2\n@h 3\nu@ 4\n"), NULL, "f:2: does not begin" },
    { "every bad line", F, 0, 0, TEXT("u@h 1\nuh 2\n@h 3\nu@ 4\n"), NULL, "f:4: " },
    { "no uid", F, 0, 0, TEXT("u@h\n"), NULL, "f:1: no unique-id" },
    { "NUL", F, 0, 0, TEXT("u@h a\0b\n"), NULL, "f:1: a NUL" },
    { "control in a name", F, 0, 0, TEXT("u\033[2J@h 1\nv@h 2\n"), NULL, "u?[2J at h" },
    { "empty", F, 0, 0, TEXT(""), "", "" },
    { "getmail", G, 0, 0, TEXT("a b\0001700000000\nc\0000\n"), "|a b|c", "" },
    { "getmail, CRLF, no newline", G, 0, 0, TEXT("a\0001\r\nc\0002"), "|a|c", "" },
    { "getmail, no time", G, 0, 0, TEXT("a\0001\nb\0\n"), NULL, "f:2: is not UID NUL TIME" },
    { "getmail, no NUL", G, 0, 0, TEXT("a 1\n"), NULL, "f:1: " },
    { "getmail, too late a time", G, 0, 0, TEXT("a\00099999999999999999999\n"), NULL, "f:1: " },
    { "getmail of IMAP", G, 0, 0, TEXT("1/2\0001\n"), NULL, "IMAP" },
    { "getmail, no uid", G, 0, 0, TEXT("\0001\n"), NULL, "no unique-id" },
    { "mpop", M, 0, 0, TEXT("# c\n#\n 2 h u\na b\nc\n"), "|a b|c", "" },
    { "mpop, two", M, 0, 0, TEXT(" 1 h u\na\n 1 h v\nb\n"), NULL, "u at h, v at h" },
    { "mpop, two, one named", M, "v", "h", TEXT(" 1 h u\na\n 1 h v\nb\n"), "|b", "" },
    { "mpop, too few", M, 0, 0, TEXT(" 3 h u\na\nb\n"), NULL, "1 unique-ids are missing" },
    { "mpop, too few before another", M, 0, 0, TEXT(" 2 h u\na\n 1 h v\nb\n"), NULL, "f:3: a new list" },
    { "mpop, too many", M, 0, 0, TEXT(" 1 h u\na\nb\n"), NULL, "f:3: is not" },
    { "mpop, nought", M, 0, 0, TEXT(" 0 h u\n"), NULL, "f:1: is not" },
    { "mpop, huge count", M, 0, 0, TEXT(" 18446744073709551615 h u\na\n"), NULL, "are missing at the end" },
    { "mpop, overflow", M, 0, 0, TEXT(" 18446744073709551616 h u\na\n"), NULL, "f:1: is not" },
    { "mpop, blank in a user", M, 0, 0, TEXT(" 1 h u v\na\n"), NULL, "f:1: is not" },
    { "mpop, a uid like a comment", M, 0, 0, TEXT("#\n 2 h u\n#1\na\n#\n"), "|#1|a", "" },
    { "getmail, a uid like a comment", G, 0, 0, TEXT("#1\0001\n"), "|#1", "" },
    { "mpop, CRLF", M, 0, 0, TEXT(" 1 h u\r\na\r\n"), "|a", "" },
    { "thunderbird", T, 0, 0, TEXT(POPSTATE "*h u\nk a 5\nd b 6\nb big 7\nf part 8\nk c\n"), "|a|b|c", "" },
    { "thunderbird, no time known", T, 0, 0, TEXT("*h u\r\nk a undefined\r\nk b c 7"), "|a|b c", "" },
    { "thunderbird, two", T, 0, 0, TEXT("*h u\nk a 5\n*h v\nk b 5\n"), NULL, "u at h, v at h" },
    { "thunderbird, a user with a blank", T, "u v", 0, TEXT("*h u v\nk a 5\n*h w\nk b 5\n"), "|a", "" },
    { "thunderbird, no account", T, 0, 0, TEXT(POPSTATE "k a 5\n"), NULL, "f:4: stands before" },
    { "thunderbird, half an account", T, 0, 0, TEXT("*h\nk a 5\n"), NULL, "f:1: is not" },
    { "thunderbird, a user alone", T, 0, 0, TEXT("* 66\nk *h\nk 66\n"), NULL, "f:1: is not" },
    { "thunderbird, unknown kind", T, 0, 0, TEXT("*h u\nz a 5\n"), NULL, "f:2: is not" },
    { "thunderbird, short line", T, 0, 0, TEXT("*h u\nk\n"), NULL, "f:2: is not" },
};

static void check_sample(const struct sample *s, enum import_format format)
{
    struct import_want want = { format, s->user, s->host, "f" };
    struct buf report = BUF(65536);
    struct taken t = { 0 };
    char uids[512] = "";
    bool ok = import_parse(s->text, &want, take, &t, &report);

    for (size_t i = 0, n = 0; i < t.n && i < TAKEN; i++)
        n += (size_t)snprintf(uids + n, sizeof uids - n, "|%s", t.uid[i]);
    if (ok != (s->uids != NULL) || strcmp(uids, s->uids ? s->uids : "") != 0)
        fail_msg("%s: %d \"%s\": %.*s", s->what, ok, uids, (int)report.n, (char *)report.p);
    if (s->says[0] && !memmem(report.p, report.n, s->says, strlen(s->says)))
        fail_msg("%s: no \"%s\" in: %.*s", s->what, s->says, (int)report.n, (char *)report.p);
    if (ok)
        assert_int_equal(report.n, 0);
    buf_free(&report);
}

static void formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        check_sample(&samples[i], samples[i].format);
        if (samples[i].uids && samples[i].text.n) /* a good one is recognised, too */
            check_sample(&samples[i], IMPORT_GUESS);
    }
}

static void times(void **state)
{
    struct import_want want = { .format = IMPORT_GUESS };
    struct buf report = BUF(65536);
    struct taken t = { 0 };

    (void)state;
    assert_true(import_parse(LIT("a\00012\n"), &want, take, &t, &report));
    assert_true(t.at[0] == 12);
    t.n = 0;
    assert_true(import_parse(LIT("*h u\nk a 34\nk b\n"), &want, take, &t, &report));
    assert_true(t.at[0] == 34 && t.at[1] == 0);
    t = (struct taken){ .stop_at = 1 };
    assert_false(import_parse(LIT("u@h 1\nu@h 2\n"), &want, take, &t, &report));
    assert_int_equal(t.n, 1);
    buf_free(&report);
}

static void nothing_known(void **state)
{
    static const char *const texts[] = { "", "\n", "hello\n", "a b\n", "From me@x\n", "@\n", "restante-journal" };
    struct import_want want = { .format = IMPORT_GUESS };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf report = BUF(65536);
        struct taken t = { 0 };

        assert_false(import_parse(span_str(texts[i]), &want, take, &t, &report));
        assert_true(report.n > 0 && t.n == 0);
        buf_free(&report);
    }
}

static void names(void **state)
{
    enum import_format format;

    (void)state;
    assert_true(import_format_find("mpop", &format) && format == IMPORT_MPOP);
    assert_true(import_format_find("restante", &format) && format == IMPORT_RESTANTE);
    assert_false(import_format_find("MPOP", &format));
    assert_false(import_format_find("", &format));
}

/* Many bad lines, many accounts, one line without an end: answers stay short. */
static void hostile(void **state)
{
    struct import_want want = { .format = IMPORT_FETCHMAIL, .file = "f" };
    struct buf text = BUF(64 << 20), report = BUF(65536);
    struct taken t = { 0 };

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_true(buf_printf(&text, "bad line %d\n", i));
    assert_false(import_parse(buf_span(&text), &want, take, &t, &report));
    assert_true(report.n < 8192);
    text.n = report.n = 0;
    for (int i = 0; i < 100000; i++)
        assert_true(buf_printf(&text, "user%d@host 1\n", i));
    assert_false(import_parse(buf_span(&text), &want, take, &t, &report));
    assert_true(report.n < 8192 && memmem(report.p, report.n, "...", 3));
    text.n = report.n = 0;
    assert_true(buf_put_str(&text, "u@h "));
    for (int i = 0; i < JOURNAL_UID; i++)
        assert_true(buf_put_str(&text, "x"));
    assert_true(import_parse(buf_span(&text), &want, take, &t, &report));
    assert_int_equal(t.n, 1);
    assert_true(buf_put_str(&text, "x"));
    assert_false(import_parse(buf_span(&text), &want, take, &t, &report));
    assert_true(report.n > 0 && report.n < 8192);
    struct buf full = BUF(16);

    assert_false(import_parse(buf_span(&text), &want, take, &t, &full));
    buf_free(&full);
    buf_free(&text);
    buf_free(&report);
}

static void spill(const char *path, struct span text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
    close(fd);
}

static void into_a_journal(void **state)
{
    struct journal *j = state_open(*state);
    struct import_want want = { .format = IMPORT_GUESS };
    struct entry entry = state_entry("b", 0, ENTRY_STORED), out;
    struct buf report = BUF(65536);
    struct err e = { 0 };
    uint64_t added, known;
    char path[4096];
    bool found;

    snprintf(path, sizeof path, "%s/uids", (char *)*state);
    state_put(j, &entry);
    spill(path, LIT("a\00012\nb\00013\na\00014\n"));
    assert_true(import_file(j, path, &want, &added, &known, &report));
    assert_true(added == 1 && known == 2);
    must(journal_find(j, span_str("a"), 0, &out, &found, &e) && found, &e);
    assert_true(out.state == ENTRY_SEEN && out.first_seen == 12);
    must(journal_find(j, span_str("b"), 0, &out, &found, &e) && found, &e);
    assert_int_equal(out.state, ENTRY_STORED);
    spill(path, LIT("u@h c\nu@h d\nnonsense\n"));
    assert_false(import_file(j, path, &want, &added, &known, &report));
    assert_non_null(memmem(report.p, report.n, "uids:3: ", 8));
    must(journal_find(j, span_str("c"), 0, &out, &found, &e), &e);
    assert_false(found); /* the whole file or nothing */
    spill(path, LIT("u@h c\n"));
    assert_true(import_file(j, path, &want, &added, &known, &report));
    must(journal_find(j, span_str("c"), 0, &out, &found, &e) && found, &e);
    assert_true(out.first_seen > 1700000000);
    report.n = 0;
    assert_false(import_file(j, *state, &want, &added, &known, &report)); /* a folder */
    assert_false(import_file(j, "/dev/null/x", &want, &added, &known, &report));
    assert_int_equal(want.fault, FAULT_PERM); /* the text is not to blame */
    assert_true(report.n > 0);
    buf_free(&report);
    journal_close(&j);
}

static void export_to(struct journal *j, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err e = { 0 };

    assert_true(fd >= 0);
    must(export_journal(j, "home", fd, &e), &e);
    close(fd);
}

struct comparing {
    struct journal *other;
    uint64_t n;
};

static bool compare(void *ctx, const struct entry *entry)
{
    struct comparing *c = ctx;
    struct entry out;
    struct err e = { 0 };
    bool found;

    must(journal_find(c->other, entry->uid, entry->nth, &out, &found, &e) && found, &e);
    state_same(entry, &out);
    c->n++;
    return true;
}

static void there_and_back(void **state)
{
    struct journal *j = state_open(*state), *other;
    struct import_want want = { .format = IMPORT_GUESS };
    struct buf report = BUF(65536);
    struct err e = { 0 };
    uint64_t seed = 4711, added, known;
    char path[4096];

    must(journal_begin(j, &e), &e);
    for (int i = 0; i < 1000; i++) {
        uint8_t uid[JOURNAL_UID];
        struct entry entry;

        state_random(&entry, uid, &seed);
        must(journal_put(j, &entry, &e), &e);
    }
    must(journal_commit(j, &e), &e);
    snprintf(path, sizeof path, "%s/text", (char *)*state);
    export_to(j, path);
    must(journal_open(*state, "other", false, &other, &e), &e);
    if (!import_file(other, path, &want, &added, &known, &report))
        fail_msg("%.*s", (int)report.n, (char *)report.p);
    assert_true(added == 1000 && known == 0);
    struct comparing c = { .other = other };

    must(journal_each(j, ~0u, compare, &c, &e), &e);
    assert_int_equal(c.n, 1000);
    assert_true(import_file(other, path, &want, &added, &known, &report));
    assert_true(added == 0 && known == 1000);
    assert_false(export_journal(j, "home", -1, &e));
    buf_free(&report);
    journal_close(&other);
    journal_close(&j);
}

#define OWN_HEAD "restante-journal 1 home\n"
#define OWN_LINE "seen 0 a - 0 0 - - - - - - 0 1 2 3 4\n"

static bool on_own(void *ctx, struct entry *entry)
{
    (void)entry;
    ++*(int *)ctx;
    return true;
}

/* Every single field put wrong, every cut. */
static void our_own_text(void **state)
{
    static const char good[] = OWN_HEAD OWN_LINE "# note\nstored 7 %00%2D 5 6 7 - - n d - - 1 -1 2 3 4\nend 2\n";
    static const char *const bad[] = {
        "", OWN_HEAD, OWN_HEAD OWN_LINE, OWN_HEAD OWN_LINE "end 2\n", OWN_HEAD OWN_LINE "end\n",
        OWN_HEAD "end 0\n" OWN_LINE, "restante-journal 2 home\nend 0\n", "restante-journal 1\nend 0\n",
        "restante-journal 1 home", OWN_HEAD "Seen 0 a - 0 0 - - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 4294967296 a - 0 0 - - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 %4 - 0 0 - - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 %zz - 0 0 - - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 \303\244 - 0 0 - - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a x 0 0 - - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a - 9223372036854775808 0 - - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a - 0 0 00 - - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a - 0 0 - 00 - - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a - 0 0 - - a%00b - - - 0 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a - 0 0 - - - - - - -1 1 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a - 0 0 - - - - - - 0 - 2 3 4\nend 1\n",
        OWN_HEAD "seen 0 a - 0 0 - - - - - - 0 1 2 3 4 5\nend 1\n",
        OWN_HEAD "seen 0 a - 0 0 - - - - - - 0 1 2 3\nend 1\n",
    };
    struct import_want want = { .format = IMPORT_RESTANTE };
    struct buf report = BUF(65536);
    int n = 0;

    (void)state;
    assert_true(import_parse(LIT(good), &want, on_own, &n, &report));
    assert_int_equal(n, 2);
    n = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (import_parse(span_str(bad[i]), &want, on_own, &n, &report))
            fail_msg("taken: %s", bad[i]);
    for (size_t cut = 0; cut + 2 < sizeof good; cut++)
        assert_false(import_parse(span_of(good, cut), &want, on_own, &n, &report));
    assert_int_equal(n, 0);
    buf_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),
        cmocka_unit_test(times),
        cmocka_unit_test(nothing_known),
        cmocka_unit_test(names),
        cmocka_unit_test(hostile),
        STATE_TEST(into_a_journal),
        STATE_TEST(there_and_back),
        cmocka_unit_test(our_own_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
