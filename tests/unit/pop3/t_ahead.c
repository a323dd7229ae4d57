/* t_ahead.c - which messages a client is about to ask for, and octets of a message that pass the engine by.
 *
 * Proves: R2449-PIPE-01, R1939-RETR-07, R1939-RETR-05
 */
#include "bench.h"
#include "pop3/ahead.h"
#include "pop3/engine_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 8 };

/* The numbers as a client counts, as text: "1 3". */
static void check(struct bench *b, const char *unread, size_t room, const char *numbers)
{
    size_t n = strlen(unread);
    uint8_t *copy = malloc(n ? n : 1); /* exactly as long: nothing behind it may be looked at */
    uint32_t msgs[ROOM];
    char got[80] = "";

    memcpy(copy, unread, n);
    n = ahead_messages(&b->sim->engine, span_of(copy, n), msgs, room);
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i ? " %u" : "%u", msgs[i] + 1);
    assert_string_equal(got, numbers);
    free(copy);
}

static void test_messages(void **state)
{
    static const struct row {
        const char *unread, *numbers;
    } rows[] = {
        { "", "" },
        { "RETR 1", "" },
        { "RETR 1\n", "1" },
        { "retr 2\r\nTop 1 0\r\nRETR 23\r\n", "2 1 23" },
        { "RETR 1\r\nRETR 1\r\nTOP 1 5\r\nRETR 2\r\nRETR 3", "1 2" },
        { "RETR 0\r\nRETR 24\r\nRETR 99999999999999999999\r\nRETR 4294967297\r\nRETR 5\r\n", "5" },
        { "RETR 1\r\nDELE 1\r\nNOOP\r\nSTAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nRETR 3\r\n", "1 3" },
        { "RETR 1\r\nRSET\r\nRETR 2\r\n", "1" },
        { "RETR 1\r\nQUIT\r\nRETR 2\r\n", "1" },
        { "RETR 1\r\nXYZZY\r\nRETR 2\r\n", "1" },
        { "RETR 1\r\n\r\nRETR 2\r\n", "1" },
        { "RETR 1\r\nRETR x\r\nRETR 2\r\n", "1" },
        { "RETR 1\r\nTOP 2\r\nRETR 2\r\n", "1" },
        { "RETR 7\r\nRETR 8\r\n", "8" }, /* 7 is deleted */
    };
    struct bench *b = bench_in("mailbox: all");

    (void)state;
    ask(b, "DELE 7\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(b, rows[i].unread, ROOM, rows[i].numbers);
    check(b, "RETR 1\r\nRETR 2\r\nRETR 3\r\n", 2, "1 2");
    check(b, "RETR 1\r\nRETR 2\r\nRETR 3\r\n", 0, "");
    bench_end(b);
    b = bench("mailbox: all");
    check(b, "RETR 1\r\n", ROOM, ""); /* before login there is no message */
    bench_end(b);
}

/* A session of ours up to the status line of RETR, for a message that needs no filter. */
static void open_plain(struct bench *b, struct drop_msg *msg)
{
    struct engine *e = &b->sim->engine;
    uint8_t room[512];
    struct span none = { NULL, 0 };

    assert_true(engine_feed(e, span_str("RETR 1\r\n")) > 0);
    assert_int_equal(engine_want(e), WANT_REQUEST);
    assert_int_equal(engine_straight(e), 0);
    engine_message_open(e, msg);
    assert_int_equal(engine_straight(e), 0); /* the status line comes first */
    assert_true(engine_pull(e, &none, room, sizeof room) > 4);
}

static void test_straight(void **state)
{
    static const char text[] = "A: b\r\n\r\nc\r\n";
    static const size_t cuts[] = { 0, 1, 5, sizeof text - 2, sizeof text - 1 };
    struct drop_msg msg = { .octets = sizeof text - 1, .legacy_octets = sizeof text - 1, .flags = DROP_MSG_WIRE_READY };
    uint8_t room[512];

    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct bench *b = bench_in("mailbox: all");
        struct engine *e = &b->sim->engine;
        struct span rest = span_str(text);

        open_plain(b, &msg);
        assert_int_equal(engine_straight(e), sizeof text - 1);
        engine_straight_put(e, span_take(&rest, cuts[i]));
        assert_int_equal(engine_straight(e), rest.n);
        assert_int_equal(engine_pull(e, &rest, room, sizeof room), sizeof text - 1 - cuts[i]);
        engine_body_end(e);
        assert_int_equal(engine_want(e), WANT_OUTPUT);
        assert_int_equal(engine_pull(e, &rest, room, sizeof room), 3);
        assert_memory_equal(room, ".\r\n", 3);
        assert_int_equal(engine_straight(e), 0);
        bench_end(b);
    }
}

/* Too few octets, or a last one that ends no line: never a terminator. */
static void test_straight_and_short(void **state)
{
    struct drop_msg msg = { .octets = 11, .legacy_octets = 11, .flags = DROP_MSG_WIRE_READY };
    static const char *const texts[] = { "A: b\r\n\r\nc\r", "A: b\r\n\r\n", "A: b\r\n\r\nccc" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct bench *b = bench_in("mailbox: all");

        open_plain(b, &msg);
        engine_straight_put(&b->sim->engine, span_str(texts[i]));
        engine_body_end(&b->sim->engine);
        assert_int_equal(engine_want(&b->sim->engine), WANT_DROP);
        bench_end(b);
    }
}

/* What goes through the filter never goes straight. */
static void test_not_straight(void **state)
{
    struct drop_msg msg = { .octets = 11, .legacy_octets = 11 };
    struct bench *b = bench_in("mailbox: all");

    (void)state;
    open_plain(b, &msg);
    assert_int_equal(engine_straight(&b->sim->engine), 0);
    bench_end(b);
    b = bench_in("mailbox: all");
    b->sim->conf.nul_as_80 = true;
    msg.flags = DROP_MSG_WIRE_READY;
    open_plain(b, &msg);
    assert_int_equal(engine_straight(&b->sim->engine), 0);
    bench_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_straight),
        cmocka_unit_test(test_straight_and_short),
        cmocka_unit_test(test_not_straight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
