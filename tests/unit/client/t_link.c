/* t_link.c - packets and jobs between the process with the files and the process with the network. */
#include "client/job.h"
#include "client/link.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
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
    text.p[span_str(RESTANTE_VERSION "\n").n] = 'X';
    assert_false(job_parse(buf_span(&text), &back, &e));
    assert_non_null(strstr(e.text, "two builds"));
    text.p[0] = 'X'; /* another version, which the reader is told before anything else is looked at */
    assert_false(job_parse(buf_span(&text), &back, &e));
    assert_non_null(strstr(e.text, "restante-fetch is version " RESTANTE_VERSION ", restante is version X"));
    buf_free(&text);
    job.user = (char *)"bob\nport=1";
    text = BUF(JOB_TEXT);
    assert_false(job_put(&job, &text));
    buf_free(&text);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* A message may bring one descriptor; whoever sends two leaves none of them with us. */
static void test_descriptors(void **state)
{
    static uint8_t packet[LINK_PACKET];
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = { .room = { 0 } };
    struct iovec iov = { packet, 0 };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    int pair[2], two[2] = { 0, 1 };
    struct link_msg m;
    struct err e;
    unsigned before;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    before = open_descriptors();
    link_init(&m, LINK_READY);
    iov.iov_len = link_encode(&m, packet, sizeof packet);
    *CMSG_FIRSTHDR(&mh) = (struct cmsghdr){ CMSG_LEN(sizeof two), SOL_SOCKET, SCM_RIGHTS };
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), two, sizeof two);
    assert_true(sendmsg(pair[0], &mh, 0) > 0);
    assert_int_equal(link_recv(pair[1], packet, false, &m, &e), -1);
    assert_int_equal(open_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

/* Who ends with packets unread takes nothing with it that was sent before. */
static void test_last_words(void **state)
{
    static uint8_t packet[LINK_PACKET];
    struct link_msg m;
    struct err e;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    link_init(&m, LINK_ENDED);
    assert_true(link_send(pair[0], &m, &e));
    link_init(&m, LINK_QUIT);
    assert_true(link_send(pair[1], &m, &e));
    close(pair[0]);
    assert_int_equal(link_recv(pair[1], packet, false, &m, &e), 1);
    assert_int_equal(m.type, LINK_ENDED);
    assert_int_equal(link_recv(pair[1], packet, false, &m, &e), -1);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip), cmocka_unit_test(test_malformed),
                                        cmocka_unit_test(test_rows), cmocka_unit_test(test_job),
                                        cmocka_unit_test(test_descriptors), cmocka_unit_test(test_last_words) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
