/* t_dialog_mail.c - the client's dialog behind the listing: messages octet for octet, orders in a window, QUIT.
 *
 * Proves: R1939-GEN-04, R1939-GEN-12, R1939-GEN-13, R1939-GEN-14, R1939-RETR-10, R1939-RETR-11, R2449-PIPE-05,
 * R2449-PIPE-06, R2449-PIPE-07, R2449-PIPE-09
 */
#include "scene.h"

#include "base/num.h"
#include "model.h"
#include "script.h"

#include <stdio.h>

/* Twelve messages, no sizes, no unique-ids. */
#define READY                                                                                                     \
    "S: +OK\nE: GREETING\nC: CAPA\nS: -ERR\nE: CAPA unknown\nC: USER bob\nS: +OK\nC: PASS secret\nS: +OK\n"       \
    "E: LOGGED_IN USER\nC: STAT\nS: +OK 12 999\nE: STAT 12 999\nC: LIST\nS: -ERR\nC: UIDL\nS: -ERR\nE: NO_UIDL\n" \
    "E: READY\n"

static void test_bodies(void **state)
{
    (void)state;
    scene(READY
          "O: RETR 1\nC: RETR 1\nS- +OK\\r\\n..\\r\\n...\\r\\n.a\\r\\n.\\r\\n\nE: BODY 1 .\\r\\n..\\r\\na\\r\\n\n"
          "E: BODY_END RETR 1 10\nI:\n");
    scene(READY "O: RETR 1\nC: RETR 1\nS: +OK 10 octets\nS- .\\r\\n\nE: BODY_END RETR 1 0\n");
    scene(READY "O: RETR 1\nC: RETR 1\nS- +OK\\n.\\r\\n\nE: BODY_END RETR 1 0\n");
    /* what is no end: LF.LF, CR.CR, LF.CRLF, CRLF.LF, CRLF.CR */
    scene(READY
          "O: RETR 1\nC: RETR 1\nS- +OK\\r\\nx\\n.\\nDELE\\r\\n\nS- a\\n.\\r\\nb\\r.\\rc\\n\\n.\\n\\r\\n\nS: .\n"
          "E: BODY 1 x\\n.\\nDELE\\r\\na\\n.\\r\\nb\\r.\\rc\\n\\n.\\n\\r\\n\nE: BODY_END RETR 1 26\n");
    scene(READY "O: RETR 1\nC: RETR 1\nS: +OK\nS- .\\n.\\r\\r\\n.\\rx\\r\\n.\\r\\n\n"
                "E: BODY 1 \\n.\\r\\r\\n\\rx\\r\\n\nE: BODY_END RETR 1 9\n");
    scene(READY "O: RETR 1\nC: RETR 1\nS: +OK\nS- \\0\\xff\\t\\r\\r\\n\\r\\n\\n\\r.\\r\\n.\\r\\n\n"
                "E: BODY 1 \\x00\\xff\\x09\\r\\r\\n\\r\\n\\n\\r.\\r\\n\nE: BODY_END RETR 1 13\n");
    scene(READY "O: RETR 1\nC: RETR 1\nS: +OK\nS: a\nS- .\nX:\nE: BODY 1 a\\r\\n\nE: FAILED connection lost\n");
    scene(READY "O: RETR 1\nC: RETR 1\nS: +OK\nS: a\nS: .\nS: b\nE: BODY 1 a\\r\\n\nE: BODY_END RETR 1 3\n"
                "E: FAILED protocol error\n");
    scene(READY
          "O: TOP 3\nC: TOP 3 0\nS: +OK\nS: A: b\nS: \nS: .\nE: BODY 3 A: b\\r\\n\\r\\n\nE: BODY_END TOP 3 8\n");
}

static void test_lf_ends(void **state)
{
    struct dialog_conf conf = scene_conf();

    (void)state;
    conf.lf_dot_ends = true;
    scene_play(&conf, NULL,
               READY "O: RETR 1\nC: RETR 1\nS- +OK\\na\\n..b\\n.\\n\nE: BODY 1 a\\n.b\\n\nE: BODY_END RETR 1 5\n");
    scene_play(&conf, NULL,
               READY "O: RETR 1\nC: RETR 1\nS- +OK\\na\\r\\n.\\n\nE: BODY 1 a\\r\\n\nE: BODY_END RETR 1 3\n");
    scene_play(&conf, NULL,
               READY "O: RETR 1\nC: RETR 1\nS- +OK\\na\\n.\\r\\n\nE: BODY 1 a\\n\nE: BODY_END RETR 1 2\n");
}

static void test_answers(void **state)
{
    (void)state;
    scene(READY "O: RETR 1\nO: DELE 2\nC: RETR 1\nS: -ERR [SYS/TEMP] Download exceed\nC: DELE 2\nS: +OK\n"
                "E: REFUSED RETR 1 [SYS/TEMP] Download exceed\nE: DELETED 2\n");
    scene(
        READY
        "O: DELE 2\nC: DELE 2\nS: -ERR\nE: REFUSED DELE 2\nO: TOP 1\nC: TOP 1 0\nS: -ERR x\nE: REFUSED TOP 1 x\n");
    scene(READY "O: NOOP\nC: NOOP\nS: +OK\nE: ALIVE\nO: NOOP\nC: NOOP\nS: -ERR\nE: ALIVE\n");
    scene(READY "O: RETR 1\nC: RETR 1\nS: 250 fine\nE: FAILED protocol error\n");
    scene(READY "O: DELE 1\nO: DELE 2\nC: DELE 1\nS: what\nE: FAILED protocol error\nQ:\n");
    scene(
        READY
        "O: RETR 1\nQ:\nC: RETR 1\nS: +OK\nS: .\nE: BODY_END RETR 1 0\nC: QUIT\nX:\nE: FAILED connection lost\n");
    scene(READY "Q:\nC: QUIT\nS: -ERR no\nS: junk\nE: QUIT no no\nX:\n");
}

/* A dialog that is ready, with so many messages, pipelining if wanted. */
struct talk {
    struct dialog *dialog;
    struct dialog_conf conf;
    struct buf body;
    unsigned ends, deleted, refused, failed;
    uint32_t last;
};

static void tell(void *ctx, const struct dialog_event *e)
{
    struct talk *t = ctx;

    assert_int_equal(t->failed, 0);
    if (e->kind == DIALOG_BODY)
        assert_true(buf_put_span(&t->body, e->data));
    t->ends += e->kind == DIALOG_BODY_END;
    t->deleted += e->kind == DIALOG_DELETED;
    t->refused += e->kind == DIALOG_REFUSED;
    t->failed += e->kind == DIALOG_FAILED;
    if (e->kind == DIALOG_BODY_END || e->kind == DIALOG_DELETED || e->kind == DIALOG_REFUSED)
        t->last = e->number;
}

static void say(struct talk *t, const char *text)
{
    dialog_sent(t->dialog, dialog_output(t->dialog).n);
    dialog_input(t->dialog, span_str(text));
}

static void talk_open(struct talk *t, bool pipelining)
{
    const char *capa = pipelining ? "+OK\r\nPIPELINING\r\n.\r\n" : "+OK\r\n.\r\n";

    t->conf.want_uidl = false;
    t->body = BUF(1u << 26);
    t->dialog = dialog_new(&t->conf, NULL, tell, t);
    say(t, "+OK\r\n");
    say(t, capa);
    say(t, "+OK\r\n");
    say(t, "+OK\r\n");
    say(t, capa);
    say(t, "+OK 1000000 5\r\n");
    if (pipelining)
        dialog_input(t->dialog, span_str("-ERR\r\n"));
    else
        say(t, "-ERR\r\n");
    assert_string_equal(dialog_stage(t->dialog), "retrieval");
    assert_int_equal(dialog_output(t->dialog).n, 0);
}

static void talk_close(struct talk *t)
{
    dialog_free(&t->dialog);
    buf_free(&t->body);
}

/* Lines that wait to be sent; they are taken as sent. */
static unsigned sent(struct talk *t, struct buf *all)
{
    struct span out = dialog_output(t->dialog);
    unsigned n = 0;

    for (size_t i = 0; i < out.n; i++)
        n += out.p[i] == '\n';
    if (all)
        assert_true(buf_put_span(all, out));
    dialog_sent(t->dialog, out.n);
    return n;
}

static void test_lock_step(void **state)
{
    struct talk t = { .conf = scene_conf() };

    (void)state;
    talk_open(&t, false);
    for (uint32_t i = 1; i <= 50; i++)
        assert_true(dialog_order(t.dialog, ORDER_DELE, i, 0));
    for (uint32_t i = 1; i <= 50; i++) {
        assert_int_equal(sent(&t, NULL), 1);
        assert_false(dialog_idle(t.dialog));
        dialog_input(t.dialog, span_str("+OK\r\n"));
        assert_int_equal(t.last, i);
    }
    assert_true(dialog_idle(t.dialog));
    talk_close(&t);
}

static void test_window_commands(void **state)
{
    struct talk t = { .conf = scene_conf() };
    struct buf all = BUF(1 << 20);

    (void)state;
    talk_open(&t, true);
    for (uint32_t i = 0; i < DIALOG_ORDERS + DIALOG_WINDOW_COMMANDS; i++)
        assert_true(dialog_order(t.dialog, ORDER_DELE, 900000 + i, 0));
    assert_int_equal(dialog_orders_room(t.dialog), 0);
    assert_false(dialog_order(t.dialog, ORDER_DELE, 1, 0));
    assert_int_equal(sent(&t, &all), DIALOG_WINDOW_COMMANDS);
    assert_true(all.n <= DIALOG_WINDOW_OCTETS);
    dialog_quit(t.dialog);
    assert_false(dialog_order(t.dialog, ORDER_NOOP, 0, 0));
    for (uint32_t i = 0; i < DIALOG_ORDERS; i++) {
        dialog_input(t.dialog, span_str(i % 3 ? "+OK\r\n" : "-ERR\r\n"));
        assert_int_equal(t.last, 900000 + i);
        assert_int_equal(sent(&t, NULL), 1); /* never more than the window under way */
    }
    for (uint32_t i = 1; i <= DIALOG_WINDOW_COMMANDS; i++) {
        dialog_input(t.dialog, span_str("+OK\r\n"));
        assert_int_equal(sent(&t, NULL), i == DIALOG_WINDOW_COMMANDS ? 1 : 0); /* QUIT, at the end alone */
    }
    assert_int_equal(t.deleted + t.refused, DIALOG_ORDERS + DIALOG_WINDOW_COMMANDS);
    buf_free(&all);
    talk_close(&t);
}

static void test_window_messages(void **state)
{
    struct talk t = { .conf = scene_conf() };

    (void)state;
    t.conf.window_octets = 1000;
    talk_open(&t, true);
    for (uint32_t i = 1; i <= 20; i++)
        assert_true(dialog_order(t.dialog, ORDER_RETR, i, i == 10 ? UINT64_MAX : 400));
    assert_int_equal(sent(&t, NULL), 2);
    for (uint32_t i = 1; i <= 20; i++) {
        dialog_input(t.dialog, span_str("+OK\r\nx\r\n.\r\n"));
        /* 10 goes alone: nothing beside it until it is in */
        assert_int_equal(sent(&t, NULL), i == 8 ? 0 : i == 9 ? 1 : i == 10 ? 2 : i < 19 ? 1 : 0);
        assert_int_equal(t.last, i);
    }
    assert_int_equal(t.ends, 20);
    assert_true(dialog_idle(t.dialog));
    talk_close(&t);
}

/* 32 at first, more when they came: small messages, and commands of other kinds among them. */
static void test_window_grows(void **state)
{
    struct talk t = { .conf = scene_conf() };
    unsigned under_way, most = 0;

    (void)state;
    t.conf.window_octets = 0;
    talk_open(&t, true);
    for (uint32_t i = 1; i <= 1000; i++)
        assert_true(dialog_order(t.dialog, ORDER_RETR, i, 10));
    under_way = sent(&t, NULL);
    assert_int_equal(under_way, 32);
    for (uint32_t i = 1; i <= 1000; i++) {
        dialog_input(t.dialog, span_str(i % 7 ? "+OK\r\nx\r\n.\r\n" : "-ERR gone\r\n"));
        assert_int_equal(t.last, i);
        under_way += sent(&t, NULL) - 1;
        most = under_way > most ? under_way : most;
        assert_true(under_way <= DIALOG_WINDOW_COMMANDS);
    }
    assert_int_equal(most, DIALOG_WINDOW_COMMANDS);
    assert_int_equal(under_way, 0);
    assert_int_equal(t.ends + t.refused, 1000);
    talk_close(&t);
}

static void test_orders_refused(void **state)
{
    struct talk t = { .conf = scene_conf() };
    struct dialog *fresh = dialog_new(&t.conf, NULL, tell, &t);

    (void)state;
    assert_false(dialog_order(fresh, ORDER_NOOP, 0, 0));
    assert_true(dialog_waiting(fresh));
    assert_string_equal(dialog_stage(fresh), "greeting");
    dialog_free(&fresh);
    dialog_free(&fresh);
    talk_open(&t, false);
    assert_false(dialog_order(t.dialog, ORDER_RETR, 0, 0));
    assert_false(dialog_order(t.dialog, ORDER_DELE, 1000001, 0));
    assert_true(dialog_order(t.dialog, ORDER_RETR, 1000000, 0));
    assert_int_equal(sent(&t, NULL), 1);
    dialog_eof(t.dialog, false);
    assert_int_equal(t.failed, 1);
    assert_false(dialog_order(t.dialog, ORDER_NOOP, 0, 0));
    assert_false(dialog_waiting(t.dialog));
    talk_close(&t);
}

static void one_fixture(const char *name, size_t cut)
{
    struct talk t = { .conf = scene_conf() };
    struct buf wire = BUF(1 << 20), plain = BUF(1 << 20);
    struct span rest;

    talk_open(&t, true);
    model_wire(&wire, fixture(span_str(name)), MODEL_ALL);
    for (rest = buf_span(&wire); rest.n;) { /* un-stuffed by the rule, line by line */
        struct span line = span_until(&rest, '\n');

        if (line.n && *line.p == '.')
            span_take(&line, 1);
        assert_true(buf_put_span(&plain, line) && buf_put_str(&plain, "\n"));
    }
    assert_true(buf_put_str(&wire, ".\r\n"));
    assert_true(dialog_order(t.dialog, ORDER_RETR, 1, 7)); /* a size that is not true */
    say(&t, "+OK 1 octets\r\n");
    for (rest = buf_span(&wire); rest.n;)
        dialog_input(t.dialog, span_take(&rest, rest.n < cut ? rest.n : cut));
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.failed, 0);
    assert_true(span_eq(buf_span(&t.body), buf_span(&plain)));
    buf_free(&wire);
    buf_free(&plain);
    talk_close(&t);
}

static void test_fixtures(void **state)
{
    char name[8];

    (void)state;
    fixtures_load(FIXTURES);
    for (unsigned i = 1; i <= 23; i++)
        for (size_t cut = 1; cut <= 1 << 20; cut = cut < 7 ? cut + 1 : cut * 4) {
            snprintf(name, sizeof name, "F%02u", i);
            one_fixture(name, cut);
        }
    fixtures_free();
}

/* Lines of any length, by the model: octets at random from what matters, two cuts at every place. */
static void test_random(void **state)
{
    static const char octets[] = "..\r\n\r\na";
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct talk t = { .conf = scene_conf() };
        struct buf wire = BUF(256), plain = BUF(256);
        bool bol = true;
        size_t total;

        talk_open(&t, true);
        for (int i = 0; i < 40; i++) { /* a server's stuffing, octet by octet: CRLF alone ends a line */
            uint8_t c;

            seed = seed * 1103515245u + 12345u;
            c = (uint8_t)octets[(seed >> 16) % 7];
            if (bol && c == '.')
                assert_true(buf_put_str(&wire, "."));
            assert_true(buf_put(&wire, &c, 1) && buf_put(&plain, &c, 1));
            bol = plain.n >= 2 && memcmp(plain.p + plain.n - 2, "\r\n", 2) == 0;
        }
        assert_true(buf_put_str(&wire, "\r\n.\r\n") && buf_put_str(&plain, "\r\n"));
        total = wire.n;
        for (size_t cut = 0; cut <= total; cut++) {
            t.body.n = 0;
            assert_true(dialog_order(t.dialog, ORDER_RETR, 1, 0));
            say(&t, "+OK\r\n");
            dialog_input(t.dialog, span_of(wire.p, cut));
            dialog_input(t.dialog, span_of(wire.p + cut, total - cut));
            assert_int_equal(t.ends, cut + 1);
            assert_true(span_eq(buf_span(&t.body), buf_span(&plain)));
        }
        buf_free(&wire);
        buf_free(&plain);
        talk_close(&t);
    }
}

static void test_long_lines(void **state)
{
    enum { LONG = 2 << 20 };
    struct talk t = { .conf = scene_conf() };
    uint8_t *line = mem_new(LONG);

    (void)state;
    memset(line, 'x', LONG);
    line[0] = '.';
    talk_open(&t, true);
    assert_true(dialog_order(t.dialog, ORDER_RETR, 1, 0));
    say(&t, "+OK\r\n");
    for (struct span rest = { line, LONG }; rest.n;)
        dialog_input(t.dialog, span_take(&rest, rest.n < 16384 ? rest.n : 16384));
    dialog_input(t.dialog, span_str("\r\n.\r\n"));
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.body.n, LONG + 1);
    assert_memory_equal(t.body.p, line + 1, LONG - 1);
    free(line);
    talk_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),          cmocka_unit_test(test_lf_ends),
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_lock_step),
        cmocka_unit_test(test_window_commands), cmocka_unit_test(test_window_messages),
        cmocka_unit_test(test_window_grows),    cmocka_unit_test(test_orders_refused),
        cmocka_unit_test(test_fixtures),        cmocka_unit_test(test_random),
        cmocka_unit_test(test_long_lines),
    };

    return cmocka_run_group_tests_name("dialog_mail", tests, NULL, NULL);
}
