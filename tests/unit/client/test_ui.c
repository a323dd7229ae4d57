/* test_ui.c - what people and programs see of a run: exact lines, cleaned, for terminals and without.
 *
 * Proves: XCL-08
 */
#include "state_help.h"

#include "client/ui.h"
#include "client/ui_text.h"

#include <fcntl.h>

/* What a strange server could send to a terminal: colours, a title, C1 controls, turned text, half a character. */
#define EVIL "\033[31mred\033]0;title\007\302\233x\342\200\256gpj.\342\201\246y\200\r\n"
#define CLEANED "?[31mred?]0;title??x?gpj.?y?"

static void octets(void **state)
{
    static const struct {
        uint64_t n;
        const char *octets;
    } rows[] = {
        {0,           "0 B"   },
        { 59,         "59 B"  },
        { 999,        "999 B" },
        { 1000,       "1.0 kB"},
        { 3661,       "3.6 kB"},
        { 34567,      "34 kB" },
        { 1234567,    "1.2 MB"},
        { UINT64_MAX, "18 EB" },
    };
    struct buf out = BUF(100);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        out.n = 0;
        assert_true(ui_put_octets(&out, rows[i].n));
        if (!span_is(buf_span(&out), rows[i].octets))
            fail_msg("%.*s", (int)out.n, (char *)out.p);
    }
    buf_free(&out);
}

static void expect_progress(const struct ui_row *row, size_t columns, const char *want)
{
    struct buf out = BUF(4096);

    assert_true(ui_put_progress(&out, row, columns) && buf_put(&out, "", 1));
    assert_string_equal((const char *)out.p, want);
    buf_free(&out);
}

static void progress(void **state)
{
    struct ui_row row = {
        .account = "work",
        .stage = "",
        .elapsed_ms = 2000,
        .name_columns = 6,
        .totals = {.new_messages = 5, .new_octets = 4000000, .fetched = 2, .octets_now = 1000000},
    };

    (void)state;
    expect_progress(&row, 80, "work    [#######-----------------------]  2/5  1.0 MB/4.0 MB  500 kB/s  0:06");
    expect_progress(&row, 60, "work    [###----------]  2/5  1.0 MB/4.0 MB  500 kB/s  0:06");
    expect_progress(&row, 40, "work    2/5  1.0 MB/4.0 MB  500 kB/s  …");
    row.elapsed_ms = 8000000;
    expect_progress(&row, 80, "work    [#######-----------------------]  2/5  1.0 MB/4.0 MB  125 B/s  6:40:00");
    row.elapsed_ms = 2000;
    row.totals.octets_now = 9000000; /* more than LIST promised */
    expect_progress(&row, 80, "work    [##############################]  2/5  9.0 MB/4.0 MB  4.5 MB/s");
    row.totals.octets_now = 0;
    row.elapsed_ms = 0;
    expect_progress(&row, 60, "work    [------------------------------]  2/5  0 B/4.0 MB");
    row.stage = "logging in";
    expect_progress(&row, 80, "work    logging in");
    expect_progress(&row, 12, "work    lo…");
    row.stage = EVIL;
    expect_progress(&row, 80, "work    " CLEANED "??");
    expect_progress(&row, 0, "");
}

static void expect_summary(const struct ui_totals *totals, struct ui_end end, bool color, const char *want)
{
    struct ui_row row = { .account = "work", .stage = "", .totals = *totals, .name_columns = 5, .color = color };
    struct buf out = BUF(4096);

    assert_true(ui_put_summary(&out, &row, &end) && buf_put(&out, "", 1));
    assert_string_equal((const char *)out.p, want);
    buf_free(&out);
}

static void summary(void **state)
{
    struct ui_totals t = { .fetched = 5,
                           .new_messages = 5,
                           .fetched_octets = 1234567,
                           .new_octets = 1300000,
                           .deleted = 37,
                           .kept = 12 };
    struct ui_totals part = { .fetched = 3, .new_messages = 5 };

    (void)state;
    expect_summary(&t, (struct ui_end){ 0, "", false }, false, "work   5 new (1.2 MB), 37 deleted, 12 kept\n");
    expect_summary(&t, (struct ui_end){ 0, "", false }, true,
                   "work   \033[1m5 new\033[0m (1.2 MB), 37 deleted, 12 kept\n");
    expect_summary(&t, (struct ui_end){ 0, "", true }, false,
                   "work   would fetch 5 (1.3 MB), delete 37, keep 12\n");
    expect_summary(&(struct ui_totals){ 0 }, (struct ui_end){ 0, "", false }, false, "work   nothing new\n");
    expect_summary(&part, (struct ui_end){ 75, "connection lost in retrieval", false }, false,
                   "work   failed: connection lost in retrieval; 3 of 5 stored (will go on next time)\n");
    expect_summary(&(struct ui_totals){ 0 }, (struct ui_end){ 77, EVIL, false }, false,
                   "work   failed: " CLEANED "??\n");
    t.pending_deletes = 2;
    t.quarantined = 1;
    expect_summary(&t, (struct ui_end){ 0, "", false }, false,
                   "work   5 new (1.2 MB), 37 deleted, 12 kept, 1 quarantined, 2 deletions unconfirmed\n");
}

/* Standard output and error in files while a run is shown. */
struct streams {
    char *out, *err;
    int saved[3];
};

static void redirect(struct streams *s, const char *dir)
{
    assert_true(asprintf(&s->out, "%s/out", dir) > 0 && asprintf(&s->err, "%s/err", dir) > 0);
    fflush(stdout);
    for (int fd = 1; fd <= 2; fd++) {
        int file = open(fd == 1 ? s->out : s->err, O_RDWR | O_CREAT | O_TRUNC, 0600);

        s->saved[fd] = dup(fd);
        assert_true(file >= 0 && s->saved[fd] >= 0 && dup2(file, fd) == fd);
        close(file);
    }
}

static char *slurp(char *path)
{
    char *text = mem_zero(20000, 1);
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    (void)!fread(text, 1, 19999, f);
    fclose(f);
    free(path);
    return text;
}

static void restore(struct streams *s)
{
    fflush(stdout);
    for (int fd = 1; fd <= 2; fd++) {
        dup2(s->saved[fd], fd);
        close(s->saved[fd]);
    }
    s->out = slurp(s->out);
    s->err = slurp(s->err);
}

/* A run of two accounts: one is fine, one fails; a server says evil things. */
static void show_run(struct streams *s, const char *dir, const struct ui_options *options)
{
    struct ui_totals good = { .listed = 3,
                              .new_messages = 2,
                              .new_octets = 300,
                              .fetched = 2,
                              .fetched_octets = 310,
                              .octets_now = 310,
                              .kept = 1 };
    struct ui_totals nothing = { 0 };
    struct ui *ui;

    redirect(s, dir);
    ui = ui_new(options, 2);
    if (ui_wants_tick(ui) != (options->progress && !options->json && !options->quiet))
        abort(); /* the run asks once, before it begins */
    ui_begin(ui, 0, "work", "me", "h.example");
    ui_begin(ui, 1, "b", "joe", "i.example");
    ui_stage(ui, 0, "logging in");
    ui_tick(ui);
    ui_trace(ui, 0, false, span_str("+OK " EVIL));
    ui_message(ui, 0, "stored", span_str("uid\033[2J"), 155, "");
    ui_notice(ui, 1, false, span_str("server says: " EVIL));
    ui_progress(ui, 0, &good);
    ui_done(ui, 1, &nothing, 69, "no connection", false);
    ui_done(ui, 0, &good, 0, "", false);
    if (ui_news(ui) != 2)
        abort();
    ui_tick(ui); /* nothing runs: nothing is painted */
    ui_free(&ui);
    restore(s);
}

static void plain(void **state)
{
    struct ui_options options = { 0 };
    struct streams s;

    show_run(&s, *state, &options);
    assert_string_equal(s.out, "b     failed: no connection\nwork  2 new (310 B), 1 kept\n");
    assert_string_equal(s.err, "restante: b: warning: server says: " CLEANED "??\n");
    free(s.out);
    free(s.err);
}

static void quiet(void **state)
{
    struct ui_options options = { .quiet = true };
    struct streams s;

    show_run(&s, *state, &options);
    assert_string_equal(s.out, "");
    assert_string_equal(s.err, "b     failed: no connection\n");
    free(s.out);
    free(s.err);
}

static void verbose(void **state)
{
    struct ui_options options = { .verbose = 2 };
    struct streams s;

    show_run(&s, *state, &options);
    assert_string_equal(s.err, "work: logging in\n"
                               "work: S: +OK " CLEANED "\n"
                               "work: stored uid?[2J (155 B)\n"
                               "restante: b: warning: server says: " CLEANED "??\n");
    free(s.out);
    free(s.err);
}

/* What follows the start that is wanted. */
static const char *expect_start(const char *text, const char *want)
{
    if (strncmp(text, want, strlen(want)) != 0)
        assert_string_equal(text, want);
    return text + strlen(want);
}

static void terminal(void **state)
{
    struct ui_options options = { .progress = true };
    struct streams s;

    assert_int_equal(setenv("COLUMNS", "40", 1), 0);
    show_run(&s, *state, &options);
    assert_string_equal(s.out, "b     failed: no connection\nwork  2 new (310 B), 1 kept\n");
    /* two lines; taken away for the notice; after the first end one line, with numbers now, and that goes as well */
    const char *rest = expect_start(s.err, "work  logging in\033[K\nb     \033[K\n\033[J"
                                           "\033[2A\r\033[J"
                                           "restante: b: warning: server says: " CLEANED "??\n"
                                           "work  ");

    assert_non_null(strstr(rest, "2/2  310 B/300 B"));
    assert_null(strstr(rest, "logging in"));
    assert_string_equal(strchr(rest, '\033'), "\033[K\n\033[J\033[1A\r\033[J");
    free(s.out);
    free(s.err);
}

static void json(void **state)
{
    struct ui_options options = { .json = true };
    struct streams s;

    show_run(&s, *state, &options);
    assert_string_equal(s.err, "");
    assert_non_null(
        strstr(s.out, "{\"event\": \"begin\", \"account\": \"b\", \"user\": \"joe\", \"host\": \"i.example\"}\n"));
    assert_non_null(strstr(s.out, "{\"event\": \"stage\", \"account\": \"work\", \"stage\": \"logging in\"}\n"));
    assert_non_null(
        strstr(s.out, "\"what\": \"stored\", \"uid\": \"uid\\u001b[2J\", \"octets\": 155, \"detail\": \"\"}\n"));
    assert_non_null(strstr(
        s.out, "{\"event\": \"notice\", \"account\": \"b\", \"level\": \"warning\", \"text\": \"server says: "));
    assert_non_null(strstr(
        s.out,
        "{\"event\": \"done\", \"account\": \"b\", \"exit\": 69, \"why\": \"no connection\", \"dry\": false"));
    assert_null(strchr(s.out, '\033'));
    free(s.out);
    free(s.err);
}

#define in_folder(f) cmocka_unit_test_setup_teardown(f, state_folder, state_no_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets), cmocka_unit_test(progress), cmocka_unit_test(summary), in_folder(plain),
        in_folder(quiet),         in_folder(verbose),         in_folder(terminal),       in_folder(json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
