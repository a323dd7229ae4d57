/* play.c - the dialogue, step by step: see play.h. */
#include "play.h"

#include "base/num.h"

#include <stdlib.h>

enum { SHOWN = 200 };

struct player {
    struct stage stage;
    const struct script *script;
    const struct replay *how;
    struct buf *error;
    size_t at;          /* of the output: what lies before it has been checked */
    unsigned line;      /* of the transcript; 0 = before or behind the dialogue */
    unsigned rules;     /* the first S? or S! of those that wait for their body; nsteps = none */
    struct buf waiting; /* C lines not yet sent */
};

static void say(struct buf *b, const char *text)
{
    if (!buf_put_str(b, text))
        abort();
}

static void show(struct buf *b, struct span s)
{
    size_t n = s.n < SHOWN ? s.n : SHOWN;
    bool good = buf_printf(b, "\"");

    for (size_t i = 0; i < n && good; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n')
            good = buf_printf(b, s.p[i] == '\r' ? "\\r" : "\\n");
        else if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            good = buf_printf(b, "\\x%02x", s.p[i]);
        else
            good = buf_printf(b, "%c", s.p[i]);
    if (!good || !buf_printf(b, s.n > n ? "\"... (%zu octets)" : "\"", s.n))
        abort();
}

static struct span output(const struct player *p)
{
    return span_of(p->stage.sim.out.p ? p->stage.sim.out.p + p->at : NULL,
                   p->stage.sim.out.n - p->at);
}

/* what: of the transcript; expected and got may be empty. */
static bool differ(struct player *p, const char *what, struct span expected, struct span got)
{
    static const char outside[] = "outside of the dialogue (login before it, CAPA behind it)";

    if (p->line ? !buf_printf(p->error, "line %u: %s: expected ", p->line, what)
                : !buf_printf(p->error, "%s: %s: expected ", outside, what))
        abort();
    show(p->error, expected);
    say(p->error, ", got ");
    show(p->error, got);
    if (p->stage.sim.dropped)
        say(p->error, " (connection dropped)");
    else if (p->stage.sim.closed)
        say(p->error, " (connection closed)");
    return false;
}

static bool differ_str(struct player *p, const char *what, const char *expected, struct span got)
{
    return differ(p, what, span_str(expected), got);
}

/* The next line without its CRLF. */
static bool take_line(struct player *p, const char *expected, struct span *line)
{
    struct span out = output(p);
    const uint8_t *lf = out.n ? memchr(out.p, '\n', out.n) : NULL;

    if (!lf)
        return differ_str(p, "no whole line", expected, out);
    *line = span_of(out.p, (size_t)(lf - out.p));
    if (line->n == 0 || lf[-1] != '\r')
        return differ_str(p, "a line ended by LF alone", expected, span_of(out.p, line->n + 1));
    line->n--;
    p->at += line->n + 2;
    return true;
}

static bool want_prefix(struct player *p, const char *prefix)
{
    struct span line;

    if (!take_line(p, prefix, &line))
        return false;
    if (line.n < strlen(prefix) || memcmp(line.p, prefix, strlen(prefix)) != 0)
        return differ_str(p, "before or behind the dialogue", prefix, line);
    return true;
}

/* --- sending ------ */

static void send_cut(struct player *p, struct span data)
{
    struct sim *s = &p->stage.sim;
    size_t n = data.n;

    while (data.n) {
        if (p->how->cuts == CUTS_OCTETS)
            n = 1;
        else if (p->how->cuts == CUTS_RANDOM)
            n = 1 + sim_random(s, sim_random(s, 4) ? 24 : 3000);
        sim_send(s, span_take(&data, n < data.n ? n : data.n));
    }
}

static void send_str(struct player *p, const char *text)
{
    sim_send(&p->stage.sim, span_str(text));
}

static void flush(struct player *p)
{
    send_cut(p, buf_span(&p->waiting));
    p->waiting.n = 0;
}

static void send_all(struct player *p)
{
    const struct script *s = p->script;
    bool close = false;

    for (unsigned i = 0; i < s->nsteps; i++) {
        if (s->steps[i].kind == STEP_SEND &&
            !buf_put_span(&p->waiting, buf_span(&s->steps[i].data)))
            abort();
        close = close || s->steps[i].kind == STEP_CLOSE;
    }
    flush(p);
    if (close)
        sim_eof(&p->stage.sim);
}

/* --- steps ------ */

/* A line with a NUL matches nothing. */
static bool regex_match(const regex_t *regex, struct span line)
{
    char *text = mem_strn(line);
    bool good = strlen(text) == line.n && regexec(regex, text, 0, NULL, 0) == 0;

    free(text);
    return good;
}

static bool step_line(struct player *p, const struct step *step)
{
    struct span line, glob = buf_span(&step->data);

    if (!take_line(p, step->kind == STEP_REGEX ? "a line that matches" : "a line", &line))
        return false;
    if (step->kind == STEP_REGEX)
        return regex_match(&step->regex, line) || differ_str(p, "S~", "a line that matches", line);
    return glob_match(glob, line) || differ(p, "S:", glob, line);
}

static bool step_exact(struct player *p, const struct step *step)
{
    struct span want = buf_span(&step->data), got = output(p);
    size_t same = 0, n = got.n < want.n ? got.n : want.n;

    while (same < n && got.p[same] == want.p[same])
        same++;
    if (same == want.n) {
        p->at += want.n;
        return true;
    }
    got.n = n; /* what is shown begins a little before the difference */
    same = same > 40 ? same - 40 : 0;
    span_take(&want, same);
    span_take(&got, same);
    return differ(p, "S\"", want, got);
}

/* Does any line of the body match? */
static bool body_has(struct span body, struct span glob)
{
    while (body.n) {
        struct span line = span_until(&body, '\n');

        line.n--; /* CR */
        if (glob_match(glob, line))
            return true;
    }
    return false;
}

static bool step_body(struct player *p, unsigned index)
{
    size_t begin = p->at;
    struct span line, body;

    do {
        if (!take_line(p, "a body with its terminator", &line))
            return false;
    } while (!span_is(line, "."));
    body = span_of(p->stage.sim.out.p + begin, p->at - 3 - begin);
    for (unsigned i = p->rules; i < index; i++) {
        const struct step *rule = &p->script->steps[i];
        struct span glob = buf_span(&rule->data);

        if (rule->kind != STEP_SOME && rule->kind != STEP_NONE)
            continue;
        p->line = rule->line;
        if (body_has(body, glob) != (rule->kind == STEP_SOME))
            return differ(p, rule->kind == STEP_SOME ? "S?" : "S! (no such line)", glob, body);
    }
    p->rules = p->script->nsteps;
    return true;
}

static bool step_tls(struct player *p)
{
    if (!p->stage.sim.tls_wanted || output(p).n)
        return differ_str(p, "TLS", "a handshake", output(p));
    sim_tls(&p->stage.sim);
    return true;
}

static bool step_eof(struct player *p)
{
    if (!p->stage.sim.closed || output(p).n)
        return differ_str(p, "EOF", "the end of the connection", output(p));
    return true;
}

static bool step(struct player *p, unsigned index)
{
    const struct step *step = &p->script->steps[index];

    if (step->kind == STEP_SEND) {
        if (p->how->cuts != CUTS_NONE && !buf_put_span(&p->waiting, buf_span(&step->data)))
            abort();
        return true;
    }
    flush(p);
    p->line = step->line;
    switch (step->kind) {
    case STEP_SEND: break;
    case STEP_GLOB:
    case STEP_REGEX: return step_line(p, step);
    case STEP_EXACT: return step_exact(p, step);
    case STEP_SOME:
    case STEP_NONE:
        if (p->rules > index)
            p->rules = index;
        return true;
    case STEP_BODY: return step_body(p, index);
    case STEP_TLS: return step_tls(p);
    case STEP_CLOSE:
        if (p->how->cuts != CUTS_NONE)
            sim_eof(&p->stage.sim);
        return true;
    case STEP_EOF: return step_eof(p);
    }
    return true;
}

/* --- before and behind the dialogue ------ */

/* TLS by STLS; the greeting is kept for a dialogue that begins with it. */
static bool go_inside(struct player *p)
{
    struct sim *s = &p->stage.sim;
    size_t greeting = s->out.n;

    p->at = greeting;
    send_str(p, "STLS\r\n");
    if (!want_prefix(p, "+OK "))
        return false;
    if (!step_tls(p))
        return false;
    s->out.n = greeting;
    p->at = 0;
    return true;
}

static bool begin(struct player *p)
{
    sim_start(&p->stage.sim);
    if (p->how->door == DOOR_INSIDE && !go_inside(p))
        return false;
    if (p->script->start == START_GREETING)
        return true;
    if (!want_prefix(p, "+OK "))
        return false;
    if (p->script->start == START_AZ)
        return true;
    send_str(p, "USER bob\r\nPASS secret\r\n");
    return want_prefix(p, "+OK ") && want_prefix(p, "+OK ");
}

/* Still in step: CAPA gets one good reply and nothing else. */
static bool in_step(struct player *p)
{
    struct span line;

    p->line = 0;
    if (output(p).n)
        return differ_str(p, "at the end", "", output(p));
    send_str(p, "CAPA\r\n");
    if (!want_prefix(p, "+OK "))
        return false;
    do {
        if (!take_line(p, "the body of CAPA at the end", &line))
            return false;
    } while (!span_is(line, "."));
    sim_eof(&p->stage.sim);
    return step_eof(p);
}

static bool is_left(struct span numbers, uint32_t number)
{
    uint64_t v;

    if (span_is(numbers, "all"))
        return true;
    while (numbers.n)
        if (num_all_u64(span_until(&numbers, ' '), &v) && v == number)
            return true;
    return false;
}

static bool check_after(struct player *p)
{
    const struct sim *s = &p->stage.sim;
    struct buf left = BUF(65536);
    bool good = true;

    p->line = 0;
    if (!p->script->after)
        return true;
    for (uint32_t i = 0; i < s->nmailbox; i++) {
        good = good && is_left(span_str(p->script->after), i + 1) == !s->removed[i];
        if (!s->removed[i] && !buf_printf(&left, left.n ? " %u" : "%u", i + 1))
            abort();
    }
    if (!good)
        differ(p, "after:", span_str(p->script->after), buf_span(&left));
    buf_free(&left);
    return good;
}

static bool dialogue(struct player *p)
{
    const struct script *s = p->script;
    bool ended = false, closed = false;

    if (!begin(p))
        return false;
    if (p->how->cuts == CUTS_NONE)
        send_all(p);
    for (unsigned i = 0; i < s->nsteps; i++) {
        if (!step(p, i))
            return false;
        closed = closed || s->steps[i].kind == STEP_CLOSE;
        ended = s->steps[i].kind == STEP_EOF;
    }
    flush(p);
    if (closed && !ended)
        ended = true;
    else if (!ended)
        return in_step(p) && check_after(p);
    return step_eof(p) && check_after(p);
}

bool play_has_tls(const struct script *script)
{
    for (unsigned i = 0; i < script->nsteps; i++)
        if (script->steps[i].kind == STEP_TLS)
            return true;
    return false;
}

bool play(const struct script *script, const struct replay *how, struct buf *error)
{
    static struct player p;
    const char *wrong;
    bool good = false;

    p = (struct player){ .script = script,
                         .how = how,
                         .error = error,
                         .rules = script->nsteps,
                         .waiting = BUF(64u << 20) };
    wrong = stage_set(&p.stage, script, how->door);
    if (wrong) {
        say(error, wrong);
        return false;
    }
    p.stage.sim.style.seed = how->seed;
    if (how->cuts == CUTS_OCTETS) {
        p.stage.sim.style.room = p.stage.sim.style.body = 1;
    } else if (how->cuts == CUTS_RANDOM) {
        p.stage.sim.style.room = 1 + how->seed * 7919u % 700;
        p.stage.sim.style.body = 1 + how->seed * 104729u % 5000;
    }
    good = dialogue(&p);
    buf_free(&p.waiting);
    sim_free(&p.stage.sim);
    return good;
}
