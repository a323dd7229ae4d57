/* t_model.c - random sessions against simple models, with fixed seeds: marks and listings; bodies;
 * any input at all.
 *
 * Proves: R1939-STAT-01, R1939-STAT-02, R1939-STAT-04, R1939-LIST-01, R1939-LIST-02,
 * R1939-LIST-04, R1939-LIST-05, R1939-DELE-01, R1939-DELE-02, R1939-DELE-03, R1939-DELE-04,
 * R1939-RSET-01, R1939-RSET-02, R1939-UIDL-01, R1939-UIDL-02, R1939-NOOP-01, R1939-GEN-03,
 * R1939-GEN-14, R1939-GEN-15, R1939-GEN-21, R1939-SIZE-06, R1939-QUIT-01, R1939-QUIT-03, R1957-01,
 * R2449-LEN-05, R2449-RC-03
 */
#include "bench.h"
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    STEPS = 100000,
    INPUTS = 100000,
    BODIES = 20000,
    PER_SESSION = 400,
    CAP = 1 << 20,
    MAIL_N = 23,
    BODY_MAX = 40
};

static uint64_t seed;

static size_t dice(size_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % n;
}

/* --- marks and listings ------ */

struct model {
    uint64_t size[MAIL_N + 1];
    bool gone[MAIL_N + 1];
};

static void say(struct buf *b, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert_true(buf_put_str(b, text));
}

static void sums(const struct model *m, unsigned *n, unsigned long long *octets)
{
    *n = 0;
    *octets = 0;
    for (unsigned i = 1; i <= MAIL_N; i++)
        if (!m->gone[i]) {
            ++*n;
            *octets += m->size[i];
        }
}

static void list_all(const struct model *m, bool uidl, struct buf *want)
{
    unsigned n;
    unsigned long long octets;

    sums(m, &n, &octets);
    if (uidl)
        say(want, "+OK unique-ids follow\r\n");
    else
        say(want, n == 1 ? "+OK %u message (%llu octets)\r\n" : "+OK %u messages (%llu octets)\r\n",
            n, octets);
    for (unsigned i = 1; i <= MAIL_N; i++) {
        if (m->gone[i])
            continue;
        if (uidl)
            say(want, "%u %u.sim\r\n", i, 999 + i);
        else
            say(want, "%u %llu\r\n", i, (unsigned long long)m->size[i]);
    }
    say(want, ".\r\n");
}

/* False: the number cannot be used, and the answer says so. */
static bool usable(const struct model *m, unsigned i, struct buf *want)
{
    bool exists = i >= 1 && i <= MAIL_N;

    if (!exists)
        say(want, "-ERR no such message\r\n");
    else if (m->gone[i])
        say(want, "-ERR message is marked as deleted\r\n");
    return exists && !m->gone[i];
}

static void one_step(struct model *m, struct buf *command, struct buf *want)
{
    unsigned i = (unsigned)dice(MAIL_N + 3), n;
    unsigned long long octets;

    switch (dice(12)) {
    case 0:
        say(command, "RSET\r\n");
        memset(m->gone, 0, sizeof m->gone);
        say(want, "+OK no message is marked as deleted\r\n");
        return;
    case 1:
    case 2:
        say(command, "LIST %u\r\n", i);
        if (usable(m, i, want))
            say(want, "+OK %u %llu\r\n", i, (unsigned long long)m->size[i]);
        return;
    case 3:
        say(command, "UIDL %u\r\n", i);
        if (usable(m, i, want))
            say(want, "+OK %u %u.sim\r\n", i, 999 + i);
        return;
    case 4:
        say(command, "LIST\r\n");
        list_all(m, false, want);
        return;
    case 5:
        say(command, "UIDL\r\n");
        list_all(m, true, want);
        return;
    case 6:
        say(command, "NOOP\r\n");
        say(want, "+OK nothing done\r\n");
        return;
    case 7:
        say(command, "STAT\r\n");
        sums(m, &n, &octets);
        say(want, "+OK %u %llu\r\n", n, octets);
        return;
    default:
        say(command, "DELE %u\r\n", i);
        if (usable(m, i, want)) {
            m->gone[i] = true;
            say(want, "+OK message marked as deleted\r\n");
        }
    }
}

static void session(unsigned steps, bool quit)
{
    struct bench *b = bench_in("mailbox: all");
    struct buf command = BUF(CAP), want = BUF(CAP);
    struct model m = { 0 };

    for (unsigned i = 0; i < MAIL_N; i++) {
        struct buf wire = BUF(CAP);

        m.size[i + 1] = model_wire(&wire, b->script->mailbox[i], MODEL_ALL);
        buf_free(&wire);
    }
    for (unsigned k = 0; k < steps; k++) {
        one_step(&m, &command, &want);
        if (dice(3) == 0) /* else more commands go in together */
            continue;
        assert_true(span_eq(ask_span(b, buf_span(&command)), buf_span(&want)));
        command.n = want.n = 0;
    }
    ask_span(b, buf_span(&command));
    if (quit)
        ask(b, "QUIT\r\n");
    else
        sim_eof(b->sim);
    for (unsigned i = 1; i <= MAIL_N; i++)
        assert_int_equal(b->sim->removed[i - 1], quit && m.gone[i]);
    buf_free(&command);
    buf_free(&want);
    bench_end(b);
}

static void test_marks(void **state)
{
    (void)state;
    seed = 11;
    for (unsigned done = 0; done < STEPS; done += PER_SESSION)
        session(PER_SESSION, done % 3 != 0);
}

/* --- bodies ------ */

static size_t random_body(uint8_t *dst)
{
    static const uint8_t likely[] = "\n\r..\n\rax \0\xff";
    size_t n = dice(BODY_MAX + 1);

    for (size_t i = 0; i < n; i++)
        dst[i] = dice(8) ? likely[dice(sizeof likely)] : (uint8_t)dice(256);
    return n;
}

static void check_body(struct bench *b, uint32_t i, struct span stored)
{
    struct buf want = BUF(CAP);
    uint64_t size = model_wire(&want, stored, MODEL_ALL), lines = dice(4);
    char command[40];

    want.n = 0;
    say(&want, "+OK %u %llu\r\n+OK %llu octets\r\n", i, (unsigned long long)size,
        (unsigned long long)size);
    model_wire(&want, stored, MODEL_ALL);
    say(&want, ".\r\n+OK top of the message follows\r\n");
    model_wire(&want, stored, lines);
    say(&want, ".\r\n");
    snprintf(command, sizeof command, "LIST %u\r\nRETR %u\r\nTOP %u %u\r\n", i, i, i,
             (unsigned)lines);
    assert_true(span_eq(ask_span(b, span_str(command)), buf_span(&want)));
    buf_free(&want);
}

/* Invariant I1 through the whole engine: what LIST says is what RETR sends, for random octets and
 * rooms. */
static void test_bodies(void **state)
{
    enum { BOX = 64 };
    static uint8_t octets[BOX][BODY_MAX];
    static struct span mailbox[BOX];

    (void)state;
    seed = 12;
    for (uint32_t done = 0; done < BODIES; done += BOX) {
        struct bench *b = bench_set("");

        for (uint32_t i = 0; i < BOX; i++)
            mailbox[i] = span_of(octets[i], random_body(octets[i]));
        b->sim->mailbox = mailbox;
        b->sim->nmailbox = BOX;
        b->sim->style = (struct sim_style){ done + 1, 1 + dice(100), 1 + dice(10) };
        bench_start(b);
        ask(b, "USER bob\r\nPASS secret\r\n");
        for (uint32_t i = 1; i <= BOX; i++)
            check_body(b, i, mailbox[i - 1]);
        bench_end(b);
    }
}

/* --- anything ------ */

static const char *const sane[] = {
    "USER bob",
    "PASS secret",
    "USER alice",
    "PASS wrong",
    "CAPA",
    "STAT",
    "LIST",
    "LIST 2",
    "UIDL",
    "UIDL 3",
    "RETR 1",
    "RETR 2",
    "RETR 12",
    "TOP 2 1",
    "TOP 15 0",
    "DELE 2",
    "DELE 5",
    "NOOP",
    "RSET",
    "UTF8",
    "LANG",
    "LANG de",
    "LANG *",
    "LANG en",
    "AUTH",
    "AUTH PLAIN",
    "AUTH PLAIN AGJvYgBzZWNyZXQ=",
    "AUTH LOGIN",
    "Ym9i",
    "c2VjcmV0",
    "*",
    "=",
    "",
    "AUTH SCRAM-SHA-1 biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM",
    "APOP bob 0123456789abcdef0123456789abcdef",
    "STLS",
    "QUIT",
    "GET / HTTP/1.0",
    "RETR 4294967297",
    "TOP 1 18446744073709551617",
};
enum { SANE_N = sizeof sane / sizeof *sane, LINE_ROOM = 3000 };

static size_t mutate(uint8_t *line, size_t n)
{
    for (size_t k = dice(3); k < 3; k++)
        switch (dice(5)) {
        case 0:
            if (n)
                line[dice(n)] = (uint8_t)dice(256);
            break;
        case 1:
            if (n)
                n = dice(n);
            break;
        case 2:
            if (n)
                line[n] = line[dice(n)], n++;
            break;
        case 3: line[n++] = ' '; break;
        default:
            if (n)
                line[dice(n)] ^= 0x20;
        }
    return n;
}

/* One line, no LF within, with its end. */
static size_t random_line(uint8_t *line)
{
    const char *from = sane[dice(SANE_N)];
    size_t n = strlen(from), kind = dice(20);

    memcpy(line, from, n);
    if (kind == 0)
        for (n = 0; n < 40; n++)
            line[n] = (uint8_t)dice(256);
    else if (kind == 1)
        memset(line, 'A', n = LIMIT_CMD_LINE - 20 + dice(40));
    else if (kind < 8)
        n = mutate(line, n);
    for (size_t i = 0; i < n; i++)
        if (line[i] == '\n' || (i == 0 && line[i] == 0x16))
            line[i] = 'x';
    if (dice(4))
        line[n++] = '\r';
    line[n++] = '\n';
    return n;
}

static void check_status(struct span line, bool ascii)
{
    assert_true(line.n + 1 <= LIMIT_REPLY_LINE && line.n > 2 && line.p[line.n - 1] == '\r');
    line.n--;
    if (line.p[0] == '+' && line.p[1] == ' ')
        return; /* a challenge */
    assert_true((line.n > 4 && memcmp(line.p, "+OK ", 4) == 0) ||
                (line.n > 5 && memcmp(line.p, "-ERR ", 5) == 0));
    for (size_t i = 0; i < line.n; i++)
        assert_true(line.p[i] >= 0x20 && line.p[i] != 0x7f && (!ascii || line.p[i] < 0x7f));
}

/* Exactly one reply: a status line alone, or +OK with a body that ends with the first line that is
 * a dot. */
static void check_reply(struct span got, bool ascii)
{
    struct span status = span_until(&got, '\n'), line;

    check_status(status, ascii);
    if (got.n == 0)
        return;
    assert_memory_equal(status.p, "+OK ", 4);
    do {
        assert_true(got.n > 0);
        line = span_until(&got, '\n');
        assert_true(line.n && line.p[line.n - 1] == '\r');
    } while (!span_is(line, ".\r"));
    assert_int_equal(got.n, 0);
}

static struct bench *random_bench(void)
{
    static const char *const headers[] = {
        "mailbox: all\ntls: stls",
        "mailbox: all\ntls: strict\nconf: mail.legacy_utf8=reject",
        "mailbox: all\ntls: implicit\nconf: mail.legacy_utf8=surrogate auth.apop=yes",
        "tls: none\nconf: mail.expire=0 pop3.top_adds_eoh=yes pop3.nul_as_80=yes auth.utf8_user=no",
        "mailbox: empty",
        "tls: needs",
        "tls: broken\nmailbox: F08 F19",
    };
    struct bench *b = bench_set(headers[dice(sizeof headers / sizeof *headers)]);

    b->sim->style = (struct sim_style){ (uint32_t)dice(1000), dice(3) ? dice(2000) : 0,
                                        dice(3) ? dice(9000) : 0 };
    if (dice(2))
        b->sim->conf.bad_auth = b->sim->conf.bad_trans = b->sim->conf.login_tries = 1000;
    bench_start(b);
    if (dice(2))
        ask(b, "USER bob\r\nPASS secret\r\n");
    return b;
}

static void test_anything(void **state)
{
    static uint8_t line[LINE_ROOM];
    struct bench *b = NULL;

    (void)state;
    seed = 13;
    for (unsigned k = 0; k < INPUTS; k++) {
        struct span got;
        size_t n = random_line(line);

        if (!b)
            b = random_bench();
        got = ask_span(b, span_of(line, n));
        assert_true(got.n > 0 && !b->sim->dropped);
        check_reply(got, b->sim->engine.lang == LANG_EN);
        if (b->sim->tls_wanted) {
            sim_tls(b->sim);
            assert_int_equal(b->at, b->sim->out.n);
        }
        if (b->sim->closed || dice(200) == 0) {
            sim_eof(b->sim);
            assert_true(b->sim->closed && b->at == b->sim->out.n);
            bench_end(b);
            b = NULL;
        }
    }
    if (b)
        bench_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
