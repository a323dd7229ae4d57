/* t_link.c - packets and jobs between the process with the files and the process with the network. */
#include "client/job.h"
#include "client/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_round_trip(void **state)
{
    uint8_t packet[256];
    struct link_msg m, back;
    size_t n;

    (void)state;
    link_init(&m, LINK_REFUSED);
    m.order = 2;
    m.code = 7;
    m.number = 4000000;
    m.octets = UINT64_MAX;
    m.flags = 0x80000001;
    m.text = span_str("no such message");
    m.data = span_of("\0\xff", 2);
    n = link_encode(&m, packet, sizeof packet);
    assert_true(n > 0);
    assert_true(link_decode(span_of(packet, n), false, &back));
    assert_int_equal(back.type, LINK_REFUSED);
    assert_int_equal(back.order, 2);
    assert_int_equal(back.code, 7);
    assert_int_equal(back.number, 4000000);
    assert_true(back.octets == UINT64_MAX);
    assert_int_equal(back.flags, 0x80000001);
    assert_true(span_is(back.text, "no such message"));
    assert_true(span_eq(back.data, m.data));
}

/* Every packet that is cut, longer, of an unknown type or of the other side's types is refused. */
static void test_malformed(void **state)
{
    uint8_t packet[256] = { 0 };
    struct link_msg m, back;
    size_t n;

    (void)state;
    link_init(&m, LINK_BODY);
    m.text = span_str("text");
    m.data = span_str("data");
    n = link_encode(&m, packet, sizeof packet);
    for (size_t cut = 0; cut < n; cut++)
        assert_false(link_decode(span_of(packet, cut), false, &back));
    assert_false(link_decode(span_of(packet, n + 1), false, &back));
    assert_false(link_decode(span_of(packet, n), true, &back)); /* only the fetcher may say this */
    packet[24] = 0xff;                                          /* a text longer than the packet */
    assert_false(link_decode(span_of(packet, n), false, &back));
    packet[24] = 4;
    for (unsigned type = LINK_TYPES; type < 256; type++) {
        packet[1] = (uint8_t)type;
        assert_false(link_decode(span_of(packet, n), false, &back));
    }
    link_init(&m, LINK_JOB);
    n = link_encode(&m, packet, sizeof packet);
    assert_true(link_decode(span_of(packet, n), true, &back));
    assert_false(link_decode(span_of(packet, n), false, &back)); /* a fetcher gives no orders */
}

static void test_rows(void **state)
{
    uint8_t data[64];
    struct link_row row = { true, false, 3, 0, span_str("uid") }, back;
    struct span in;
    size_t n = link_row_put(data, sizeof data, &row);

    (void)state;
    assert_int_equal(n, 14 + 2 + 3);
    assert_int_equal(link_row_put(data + n, n - 1, &row), 0);
    row = (struct link_row){ false, true, 9, UINT64_MAX, { NULL, 0 } };
    n += link_row_put(data + n, sizeof data - n, &row);
    in = span_of(data, n);
    assert_true(link_row_take(&in, &back));
    assert_true(back.is_uid && !back.has_size && back.number == 3 && span_is(back.uid, "uid"));
    assert_true(link_row_take(&in, &back));
    assert_true(!back.is_uid && back.has_size && back.number == 9 && back.size == UINT64_MAX);
    assert_int_equal(in.n, 0);
    in = span_of(data, 18);
    assert_false(link_row_take(&in, &back));
}

static void test_job(void **state)
{
    struct job job = { .user = (char *)"bob=x", .port = 995, .window = UINT64_MAX, .want_uidl = true }, back;
    struct buf text = BUF(JOB_TEXT);
    struct err e;

    (void)state;
    job.host = (char *)"mail.example";
    assert_true(job_put(&job, &text));
    assert_true(job_parse(buf_span(&text), &back, &e));
    assert_string_equal(back.user, "bob=x");
    assert_string_equal(back.host, "mail.example");
    assert_int_equal(back.port, 995);
    assert_true(back.window == UINT64_MAX && back.want_uidl && !back.trace);
    job_free(&back);
    text.p[0] = 'X';
    assert_false(job_parse(buf_span(&text), &back, &e));
    buf_free(&text);
    job.user = (char *)"bob\nport=1";
    text = BUF(JOB_TEXT);
    assert_false(job_put(&job, &text));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip), cmocka_unit_test(test_malformed),
                                        cmocka_unit_test(test_rows), cmocka_unit_test(test_job) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
