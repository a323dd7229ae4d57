/* bench.c - the engine on a bench for unit tests: see bench.h. */
#include "bench.h"

#include <stdlib.h>

bool begins(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

struct bench *bench_set(const char *header)
{
    struct bench *b = mem_zero(1, sizeof *b);
    struct buf text = BUF(65536);
    enum door doors[DOOR_N];
    const char *wrong;

    fixtures_load(FIXTURES);
    assert_true(buf_printf(&text, "# bench\nids: R1939-GEN-01\n%s\n", header));
    b->script = script_of(buf_span(&text), "bench");
    buf_free(&text);
    assert_string_equal(b->script->error, "");
    assert_true(stage_doors(b->script, doors) > 0);
    wrong = stage_set(&b->stage, b->script, doors[0]);
    assert_null(wrong);
    b->sim = &b->stage.sim;
    return b;
}

void bench_start(struct bench *b)
{
    sim_start(b->sim);
    b->at = b->sim->out.n;
}

struct bench *bench(const char *header)
{
    struct bench *b = bench_set(header);

    bench_start(b);
    return b;
}

struct bench *bench_in(const char *header)
{
    struct bench *b = bench(header);

    expect_head(b, "USER bob\r\n", "+OK ");
    expect_head(b, "PASS secret\r\n", "+OK ");
    return b;
}

void bench_end(struct bench *b)
{
    sim_free(b->sim);
    script_free(b->script);
    free(b->last);
    free(b);
}

struct span ask_span(struct bench *b, struct span text)
{
    struct span got;

    sim_send(b->sim, text);
    got = span_of(b->sim->out.p + b->at, b->sim->out.n - b->at);
    b->at = b->sim->out.n;
    return got;
}

const char *ask(struct bench *b, const char *text)
{
    struct span got = ask_span(b, span_str(text));

    free(b->last);
    b->last = mem_strn(got);
    return b->last;
}

void expect(struct bench *b, const char *text, const char *answer)
{
    assert_string_equal(ask(b, text), answer);
}

void expect_head(struct bench *b, const char *text, const char *head)
{
    const char *got = ask(b, text);

    if (!begins(got, head))
        fail_msg("to %s expected %s..., got %s", text, head, got);
}
