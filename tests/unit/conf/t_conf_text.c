/* t_conf_text.c - the text form for workers: what is written is read back, and nothing else is accepted. */
#include "conf_help.h"

struct dice {
    uint64_t s;
};

static uint32_t roll(struct dice *d, uint32_t sides)
{
    d->s ^= d->s << 13;
    d->s ^= d->s >> 7;
    d->s ^= d->s << 17;
    return (uint32_t)(d->s >> 20) % sides;
}

/* Printable and hostile characters; no controls, which settings refuse. */
static char *random_text(struct dice *d, bool may_be_empty)
{
    static const char bytes[] = "ab%;=\"\\ .\xc3\xa9\xff{}$/#";
    char text[24];
    uint32_t n = roll(d, 20) + (may_be_empty ? 0 : 1);

    for (uint32_t i = 0; i < n; i++)
        text[i] = bytes[roll(d, sizeof bytes - 1)];
    text[n] = '\0';
    return mem_str(text);
}

static void set_random(struct dice *d, const struct conf_row *row, void *base)
{
    struct buf words = BUF(256);
    char *text = random_text(d, row->type != ROW_LIST), number[40];
    uint64_t span = (uint64_t)row->max - row->min + 1;
    uint32_t v = row->min + (span > UINT32_MAX ? roll(d, UINT32_MAX) : roll(d, (uint32_t)span)), n = 0;
    struct err e;

    switch (row->type) {
    case ROW_LIST:
        conf_row_clear(row, base);
        for (uint32_t i = roll(d, 4); i; i--)
            conf_row_add(row, base, text);
        break;
    case ROW_TEXT:
    case ROW_PATH: assert_true(conf_row_set(row, base, text, &e)); break;
    case ROW_FLAG: assert_true(conf_row_set(row, base, roll(d, 2) ? "yes" : "no", &e)); break;
    case ROW_WORD:
        while (row->words[n])
            n++;
        assert_true(conf_row_set(row, base, row->words[roll(d, n)], &e));
        break;
    default:
        snprintf(number, sizeof number, "%u%s", v, row->type == ROW_TIME_MS ? "ms" : "");
        if (row->type == ROW_DAYS && roll(d, 3) == 0)
            snprintf(number, sizeof number, "never");
        assert_true(conf_row_set(row, base, number, &e));
        break;
    }
    free(text);
    buf_free(&words);
}

static bool visit_random(void *ctx, const struct conf_row *row, const char *title, void *base)
{
    (void)title;
    set_random(ctx, row, base);
    return true;
}

static struct conf *random_conf(struct dice *d)
{
    struct conf *conf = conf_defaults();

    for (uint32_t i = roll(d, 4); i; i--) {
        char *name = random_text(d, true);

        conf_listen_new(conf, span_str(name));
        if (roll(d, 2))
            conf_certificate_new(conf, span_str(name));
        free(name);
    }
    conf_each(conf, visit_random, d);
    return conf;
}

static void test_round_trip(void **state)
{
    struct dice d = { 0x9e3779b97f4a7c15 };
    struct buf first = BUF(1 << 22), second = BUF(1 << 22);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct conf *conf = random_conf(&d), *back = NULL;
        struct err e;

        assert_true(conf_put_text(conf, &first));
        assert_true(conf_parse_text(buf_span(&first), &back, &e));
        assert_true(conf_put_text(back, &second));
        assert_true(span_eq(buf_span(&first), buf_span(&second)));
        assert_int_equal(back->nlisten, conf->nlisten);
        assert_int_equal(back->mail.expire_days, conf->mail.expire_days);
        conf_free(&conf);
        conf_free(&back);
        buf_free(&first);
        buf_free(&second);
    }
}

/* A text that was cut or changed is refused, or is itself what would have been written. */
static void test_strict(void **state)
{
    struct dice d = { 0x2545f4914f6cdd1d };
    struct conf *conf = random_conf(&d), *back = NULL;
    struct buf text = BUF(1 << 22), again = BUF(1 << 22);
    struct err e;

    (void)state;
    assert_true(conf_put_text(conf, &text));
    for (size_t n = 0; n < text.n; n++)
        assert_false(conf_parse_text(span_of(text.p, n), &back, &e));
    for (int i = 0; i < 4000; i++) {
        size_t at = roll(&d, (uint32_t)text.n);
        uint8_t was = text.p[at];

        text.p[at] = (uint8_t)roll(&d, 256);
        if (conf_parse_text(buf_span(&text), &back, &e)) {
            assert_true(conf_put_text(back, &again));
            assert_true(span_eq(buf_span(&text), buf_span(&again)));
            conf_free(&back);
            buf_free(&again);
        }
        assert_null(back);
        text.p[at] = was;
    }
    conf_free(&conf);
    buf_free(&text);
}

static void test_huge_count(void **state)
{
    static const char text[] = "restante-conf 1\nfile=\nlisten=4000000000\ncertificate=0\n";
    struct conf *back = NULL;
    struct err e;

    (void)state;
    assert_false(conf_parse_text(span_str(text), &back, &e));
    assert_false(conf_parse_text(span_str(""), &back, &e));
    assert_int_equal(e.fault, FAULT_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_huge_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
