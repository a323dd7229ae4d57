/* t_conf_rows.c - every row of the settings table, none left out: good values are taken from a file, bad ones
 * are refused with file and line, the texts for people mention it.
 */
#include "conf_help.h"

/* What some rows need around them to mean something. */
static const struct {
    const char *section, *name, *value;
} around[] = {
    {"listen",       "address",     "{\"127.0.0.1:1110\"}"},
    { "listen",      "proxy_from",  "{\"10.0.0.1\"}"      },
    { "tls",         "certificate", "\"/c\""              },
    { "tls",         "key",         "\"/k\""              },
    { "tls",         "client_ca",   "\"/ca\""             },
    { "certificate", "certificate", "\"/c\""              },
    { "certificate", "key",         "\"/k\""              },
};

/* A file with the row set to value on line 3, behind an empty line and the head of its section. */
static char *file_with(const struct conf_row *row, const char *value)
{
    struct buf b = BUF(65536);
    char *text;

    assert_true(buf_put_str(&b, "\n"));
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t s = 0; s < conf_sections_n; s++) {
            const char *section = conf_sections[s].name;
            bool mine = strcmp(section, row->section) == 0;

            if (mine != (pass == 0))
                continue;
            if (*section)
                assert_true(buf_printf(&b, "%s%s {\n", section, conf_sections[s].titled ? " \"n\"" : ""));
            else if (mine)
                assert_true(buf_put_str(&b, "\n"));
            if (mine)
                assert_true(buf_printf(&b, "%s = %s\n", row->name, value));
            for (size_t i = 0; i < sizeof around / sizeof *around; i++)
                if (strcmp(around[i].section, section) == 0 && !(mine && strcmp(around[i].name, row->name) == 0))
                    assert_true(buf_printf(&b, "%s = %s\n", around[i].name, around[i].value));
            if (*section)
                assert_true(buf_put_str(&b, "}\n"));
        }
    }
    text = mem_strn(buf_span(&b));
    buf_free(&b);
    return text;
}

static const void *base_of(const struct conf_row *row, const struct conf *conf)
{
    if (strcmp(row->section, "listen") == 0)
        return &conf->listen[0];
    if (strcmp(row->section, "certificate") == 0)
        return &conf->certificate[0];
    return conf;
}

static void expect_good(struct conf_try *t, const struct conf_row *row, const char *value, const char *stored)
{
    struct buf out = BUF(4096);
    char *text = file_with(row, value);
    bool ok = try_read(t, text);

    if (!ok)
        print_error("%s.%s = %s: %s", row->section, row->name, value, t->report);
    assert_true(ok);
    free(text);
    if (!stored)
        return;
    assert_true(conf_row_put(row, base_of(row, t->conf), &out));
    assert_true(span_is(buf_span(&out), stored));
    buf_free(&out);
}

static void expect_bad(struct conf_try *t, const struct conf_row *row, const char *value)
{
    char *text = file_with(row, value);

    assert_false(try_read(t, text));
    assert_true(try_has(t, 3, row->name));
    free(text);
}

static void expect_numbers(struct conf_try *t, const struct conf_row *row)
{
    char text[40];
    bool is_time = row->type == ROW_TIME || row->type == ROW_TIME_MS;
    const char *unit = row->type == ROW_TIME_MS ? "ms" : "";

    snprintf(text, sizeof text, "%u%s", row->min, unit);
    expect_good(t, row, text, NULL);
    snprintf(text, sizeof text, "%u%s", row->max, unit);
    expect_good(t, row, text, NULL);
    snprintf(text, sizeof text, "%llu%s", (unsigned long long)row->max + 1, unit);
    expect_bad(t, row, text);
    if (row->min) {
        snprintf(text, sizeof text, "%u%s", row->min - 1, unit);
        expect_bad(t, row, text);
    }
    expect_bad(t, row, "many");
    expect_bad(t, row, "-1");
    expect_bad(t, row, "99999999999999999999999999");
    expect_bad(t, row, "\"\"");
    expect_bad(t, row, is_time ? "5y" : "0x10");
}

static void expect_lists(struct conf_try *t, const struct conf_row *row)
{
    const char *good = strcmp(row->name, "address") == 0    ? "{\"127.0.0.1:1\", \"[::1]:2\"}"
                     : strcmp(row->name, "mechanisms") == 0 ? "{\"PLAIN\", \"SCRAM-SHA-256\"}"
                                                            : "{\"10.0.0.0/8\", \"::1\"}";

    expect_good(t, row, good, NULL);
    assert_int_equal(conf_row_list(row, base_of(row, t->conf))->n, 2);
    expect_bad(t, row, "{\"\"}");
    expect_bad(t, row, "{\"a\\nb\"}");
}

static void expect_row(struct conf_try *t, const struct conf_row *row)
{
    switch (row->type) {
    case ROW_TEXT:
        expect_good(t, row,
                    strcmp(row->name, "maildrop") == 0   ? "\"/m/{user}\""
                    : strcmp(row->name, "language") == 0 ? "de"
                                                         : "abc",
                    NULL);
        expect_bad(t, row, "\"a\\nb\"");
        break;
    case ROW_PATH:
        expect_good(t, row, "\"/x y\"", "/x y");
        expect_bad(t, row, "\"a\\177\"");
        break;
    case ROW_FLAG:
        expect_good(t, row, "yes", "yes");
        expect_good(t, row, "No", "no");
        expect_good(t, row, "true", "yes");
        expect_good(t, row, "off", "no");
        expect_bad(t, row, "1");
        break;
    case ROW_WORD:
        for (size_t i = 0; row->words[i]; i++)
            expect_good(t, row, row->words[i], row->words[i]);
        expect_bad(t, row, "other");
        break;
    case ROW_LIST: expect_lists(t, row); return;
    default: expect_numbers(t, row); break;
    }
    expect_bad(t, row, "{}");
    expect_bad(t, row, "{a, b}");
}

static void test_every_row(void **state)
{
    struct conf_try t;

    (void)state;
    try_begin(&t);
    for (size_t i = 0; i < conf_rows_n; i++)
        expect_row(&t, &conf_rows[i]);
    try_end(&t);
}

static void test_table_is_sound(void **state)
{
    struct buf text = BUF(1 << 20), man = BUF(1 << 20), sample = BUF(1 << 20);

    (void)state;
    assert_true(conf_describe(false, &text) && buf_put(&text, "", 1));
    assert_true(conf_describe(true, &man) && buf_put(&man, "", 1));
    assert_true(conf_sample(&sample) && buf_put(&sample, "", 1));
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        char line[100];

        assert_non_null(conf_section_find(row->section));
        assert_true(strlen(row->sentence) > 10);
        assert_ptr_equal(conf_row_find(row->section, row->name), row);
        snprintf(line, sizeof line, "%s%s%s ", row->section, *row->section ? "." : "", row->name);
        assert_non_null(strstr((char *)text.p, line));
        snprintf(line, sizeof line, ".TP\n\\fB%s\\fR", row->name);
        assert_non_null(strstr((char *)man.p, line));
        snprintf(line, sizeof line, "%s = ", row->name);
        assert_non_null(strstr((char *)sample.p, line));
    }
    buf_free(&text);
    buf_free(&man);
    buf_free(&sample);
}

/* RFC 1939 §3: nobody can configure an idle time below ten minutes. */
static void test_idle_floor(void **state)
{
    assert_int_equal(conf_row_find("listen", "idle")->min, 600);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_idle_floor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
