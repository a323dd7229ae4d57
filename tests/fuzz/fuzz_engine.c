/* fuzz_engine.c - libFuzzer entry: any octets as what a POP3 client says, in pieces of any size.
 *
 * The first octet chooses door and settings, the second the pieces. Checked: the session ends when the client does,
 * every reply before login is a good status line or challenge, nothing is removed without QUIT.
 * Does not know: what a right reply says.
 */
#include "sim.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sim_user users[] = {
    { .name = "bob", .password = { (const uint8_t *)"secret", 6 } },
    { .name = "e", .password = { (const uint8_t *)"e", 1 }, .has_expire = true },
    { .name = NULL },
};

static const struct span mailbox[] = {
    { (const uint8_t *)"A: b\n\n.\nx", 9 },
    { (const uint8_t *)"S: \xc3\xa9\r\n\r\ny\r\n", 12 },
    { (const uint8_t *)"", 0 },
};

static void must(bool good)
{
    if (!good)
        abort();
}

static void set_up(struct sim *s, uint8_t choice, uint32_t seed)
{
    memset(s, 0, sizeof *s);
    s->conf = (struct engine_conf){ .hostname = "h", .utf8_user = choice & 1, .utf8_late = true, .bad_auth = 40,
                                    .bad_trans = 40, .login_tries = 9, .expire_days = EXPIRE_NEVER };
    s->conf.legacy_utf8 = (enum legacy_utf8)((choice >> 1 & 3) % 3);
    s->conf.top_adds_eoh = choice & 8;
    s->conf.nul_as_80 = choice & 8;
    s->link = (struct engine_link){ .tls = choice & 16, .binding = choice & 16, .stls = !(choice & 16),
                                    .plaintext_ok = choice & 32, .mechs = (1u << MECH_N) - 1 };
    s->apop = choice & 64 ? "<1.2@h>" : NULL;
    s->users = users;
    s->mailbox = mailbox;
    s->nmailbox = sizeof mailbox / sizeof *mailbox;
    s->default_expire = EXPIRE_NEVER;
    s->style = (struct sim_style){ seed, 300, 3 };
}

/* CR and LF only together, and not a line longer than LIMIT_REPLY_LINE: true of all that is no message. */
static void check_lines(struct span out)
{
    while (out.n) {
        struct span line = span_until(&out, '\n');

        must(line.n && line.n < LIMIT_REPLY_LINE && line.p[line.n - 1] == '\r');
        must(!memchr(line.p, '\r', line.n - 1) && !memchr(line.p, '\0', line.n));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sim s;
    struct span in = { data, size };
    size_t piece;

    if (size < 2)
        return 0;
    piece = 1u + data[1];
    set_up(&s, data[0], data[1]);
    sim_start(&s);
    for (span_take(&in, 2); in.n && !s.closed;) {
        if (s.tls_wanted)
            sim_tls(&s);
        sim_send(&s, span_take(&in, in.n < piece ? in.n : piece));
    }
    if (s.tls_wanted)
        sim_tls(&s);
    sim_eof(&s);
    must(s.closed && !s.dropped);
    if (engine_stats(&s.engine)->retr + engine_stats(&s.engine)->top == 0)
        check_lines(buf_span(&s.out));
    for (uint32_t i = 0; i < s.nmailbox; i++)
        must(s.committed || !s.removed[i]);
    must(s.committed == engine_stats(&s.engine)->quit);
    sim_free(&s);
    return 0;
}
