/* script.c - the transcript parser: see script.h. */
#include "script.h"

#include "base/num.h"
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAP = 16 << 20 };

static struct {
    char name[8];
    struct buf content;
} fixtures[32];
static unsigned nfixtures;

static void die(const char *what)
{
    fprintf(stderr, "script: %s\n", what);
    abort();
}

static void put(struct buf *b, const void *p, size_t n)
{
    if (!buf_put(b, p, n))
        die("text too long");
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    uint8_t piece[4096];
    size_t n;

    *out = BUF(CAP);
    if (!f)
        return false;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        put(out, piece, n);
    fclose(f);
    return true;
}

static bool fail(struct script *s, unsigned line, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!s->error[0])
        snprintf(s->error, sizeof s->error, "%u: %s", line, text);
    return false;
}

/* --- quoted text ------------------------------------------------------------------------------------------- */

static bool unescape(struct span *in, struct buf *out);

/* Behind "\{": TEXT*N}. */
static bool repeat(struct span *in, struct buf *out)
{
    const uint8_t *end = memchr(in->p, '}', in->n);
    struct span inner, times, part;
    struct buf piece = BUF(CAP);
    size_t star;
    uint64_t n = 0;
    bool good;

    if (!end)
        return false;
    inner = span_take(in, (size_t)(end - in->p));
    span_take(in, 1);
    for (star = inner.n; star && inner.p[star - 1] != '*'; star--) {
    }
    if (!star)
        return false;
    part = span_of(inner.p, star - 1);
    times = span_of(inner.p + star, inner.n - star);
    good = num_all_u64(times, &n);
    while (good && part.n)
        good = unescape(&part, &piece);
    for (uint64_t i = 0; good && i < n; i++)
        put(out, piece.p, piece.n);
    buf_free(&piece);
    return good;
}

/* One character or escape. */
static bool unescape(struct span *in, struct buf *out)
{
    uint8_t c = *span_take(in, 1).p, value;

    if (c != '\\') {
        put(out, &c, 1);
        return true;
    }
    if (in->n == 0)
        return false;
    c = *span_take(in, 1).p;
    switch (c) {
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case '\\':
    case '*':
    case '"': break;
    case 'x':
        if (in->n < 2 || !hex_get(span_take(in, 2), &value, 1))
            return false;
        c = value;
        break;
    case '{': return repeat(in, out);
    default: return false;
    }
    put(out, &c, 1);
    return true;
}

bool script_unquote(struct span *in, struct buf *out)
{
    if (in->n == 0 || in->p[0] != '"')
        return false;
    span_take(in, 1);
    while (in->n && in->p[0] != '"')
        if (!unescape(in, out))
            return false;
    if (in->n == 0)
        return false;
    span_take(in, 1);
    return true;
}

/* --- globs ------------------------------------------------------------------------------------------------- */

/* Greedy with one point of return: enough for "*" alone. */
bool glob_match(struct span glob, struct span line)
{
    struct span star_glob = { NULL, 0 }, star_line = line;

    for (;;) {
        struct span g = glob;
        struct buf one = BUF(16);
        bool same;

        if (g.n && g.p[0] == '*') {
            span_take(&glob, 1);
            star_glob = glob;
            star_line = line;
            continue;
        }
        if (g.n == 0 && line.n == 0)
            return true;
        same = g.n && unescape(&g, &one) && line.n && one.p[0] == line.p[0];
        buf_free(&one);
        if (same) {
            glob = g;
            span_take(&line, 1);
        } else if (star_glob.p && star_line.n) {
            glob = star_glob;
            span_take(&star_line, 1);
            line = star_line;
        } else {
            return false;
        }
    }
}

/* --- fixtures ---------------------------------------------------------------------------------------------- */

static void check_fixture(struct span content, const uint64_t figures[5])
{
    struct buf wire = BUF(CAP), top0 = BUF(CAP), top1 = BUF(CAP);
    uint64_t size = model_wire(&wire, content, MODEL_ALL);

    model_wire(&top0, content, 0);
    model_wire(&top1, content, 1);
    if (content.n != figures[0] || size != figures[1] || wire.n != figures[2] || top0.n != figures[3] ||
        top1.n != figures[4])
        die("a figure in fixtures.txt is wrong");
    buf_free(&wire);
    buf_free(&top0);
    buf_free(&top1);
}

void fixtures_load(const char *path)
{
    struct buf file;
    struct span text, line, name, field;
    uint64_t figures[5];

    if (nfixtures)
        return;
    if (!read_file(path, &file))
        die("no fixtures.txt");
    for (text = buf_span(&file); text.n;) {
        line = span_until(&text, '\n');
        if (line.n == 0 || line.p[0] == '#')
            continue;
        name = span_until(&line, '\t');
        for (unsigned i = 0; i < 5; i++) {
            field = span_until(&line, '\t');
            if (!num_all_u64(field, &figures[i]))
                die("a number in fixtures.txt");
        }
        if (nfixtures == 32 || name.n > 7)
            die("too many fixtures");
        memcpy(fixtures[nfixtures].name, name.p, name.n);
        fixtures[nfixtures].content = BUF(CAP);
        if (!script_unquote(&line, &fixtures[nfixtures].content))
            die("a content in fixtures.txt");
        check_fixture(buf_span(&fixtures[nfixtures].content), figures);
        nfixtures++;
    }
    buf_free(&file);
}

void fixtures_free(void)
{
    while (nfixtures)
        buf_free(&fixtures[--nfixtures].content);
}

struct span fixture(struct span name)
{
    static const uint8_t nothing[1];

    for (unsigned i = 0; i < nfixtures; i++)
        if (span_is(name, fixtures[i].name))
            return span_of(fixtures[i].content.p ? fixtures[i].content.p : nothing, fixtures[i].content.n);
    return span_of(NULL, 0);
}

/* --- header ------------------------------------------------------------------------------------------------ */

static struct span trim(struct span s)
{
    while (s.n && s.p[0] == ' ')
        span_take(&s, 1);
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

static bool add_mail(struct script *s, struct buf content)
{
    if (s->nmailbox == SCRIPT_MAILBOX)
        return false;
    s->mail[s->nmailbox] = content;
    s->mailbox[s->nmailbox] = buf_span(&content);
    s->nmailbox++;
    return true;
}

static bool add_fixture(struct script *s, struct span name)
{
    struct span content = fixture(name);
    struct buf copy = BUF(CAP);

    put(&copy, content.p, content.n);
    return content.p && add_mail(s, copy);
}

static bool set_mailbox(struct script *s, struct span v)
{
    bool good = true;

    s->has_mailbox = true;
    if (span_is(v, "A"))
        return add_fixture(s, span_str("F01")) && add_fixture(s, span_str("F02")) && add_fixture(s, span_str("F16"));
    if (span_is(v, "empty"))
        return true;
    for (unsigned i = 0; span_is(v, "all") && i < nfixtures; i++)
        good = good && add_fixture(s, span_str(fixtures[i].name));
    if (span_is(v, "all"))
        return good;
    while (good && v.n) {
        struct buf content = BUF(CAP);

        if (v.p[0] == '"')
            good = script_unquote(&v, &content) && add_mail(s, content);
        else
            good = add_fixture(s, span_until(&v, ' '));
        v = trim(v);
    }
    return good;
}

static bool set_user(struct script *s, struct span v)
{
    struct sim_user *u = &s->users[s->nusers];
    struct buf password = BUF(4096);
    struct span flag;
    uint64_t n;

    if (s->nusers == SCRIPT_USERS)
        return false;
    u->name = mem_strn(span_until(&v, ' '));
    v = trim(v);
    if (!script_unquote(&v, &password))
        return false;
    u->password = buf_span(&password);
    s->nusers++;
    for (v = trim(v); v.n; v = trim(v)) {
        flag = span_until(&v, ' ');
        if (span_is(flag, "disabled"))
            u->flags |= SIM_DISABLED;
        else if (span_is(flag, "require_tls"))
            u->flags |= SIM_REQUIRE_TLS;
        else if (span_is(flag, "read_only"))
            u->flags |= SIM_READ_ONLY;
        else if (flag.n > 7 && memcmp(flag.p, "expire=", 7) == 0 &&
                 num_all_u64(span_of(flag.p + 7, flag.n - 7), &n))
            u->has_expire = true, u->expire_days = (uint32_t)n;
        else if (flag.n > 12 && memcmp(flag.p, "login_delay=", 12) == 0 &&
                 num_all_u64(span_of(flag.p + 12, flag.n - 12), &n))
            u->has_login_delay = true, u->login_delay_s = (uint32_t)n;
        else if (!span_is(flag, "apop"))
            return false;
    }
    return true;
}

static bool set_conf(struct script *s, struct span v)
{
    for (; v.n; v = trim(v)) {
        struct span name = span_until(&v, '=');
        struct buf value = BUF(4096);

        if (s->nconf == SCRIPT_CONF)
            return false;
        if (v.n && v.p[0] == '"') {
            if (!script_unquote(&v, &value))
                return false;
        } else {
            struct span word = span_until(&v, ' ');

            put(&value, word.p, word.n);
        }
        s->conf[s->nconf].name = mem_strn(name);
        s->conf[s->nconf++].value = mem_strn(buf_span(&value));
        buf_free(&value);
    }
    return true;
}

static bool set_ids(struct script *s, struct span v)
{
    while (v.n) {
        if (s->nids == SCRIPT_IDS)
            return false;
        s->ids[s->nids++] = mem_strn(trim(span_until(&v, ',')));
    }
    return s->nids > 0;
}

static bool set_text(char **to, struct span v)
{
    free(*to);
    *to = mem_strn(v);
    return true;
}

static bool set_start(struct script *s, struct span v)
{
    s->start = span_is(v, "TX") ? START_TX : span_is(v, "AZ") ? START_AZ : START_GREETING;
    return s->start != START_GREETING || span_is(v, "GREETING");
}

/* True when the line is one of the header; *good tells whether it was well-formed. */
static bool header_line(struct script *s, struct span line, bool *good)
{
    struct span key = span_until(&line, ':'), v = trim(line);

    *good = true;
    if (span_is(key, "ids"))
        *good = set_ids(s, v);
    else if (span_is(key, "mailbox"))
        *good = set_mailbox(s, v);
    else if (span_is(key, "start"))
        *good = set_start(s, v);
    else if (span_is(key, "tls"))
        *good = set_text(&s->tls, v);
    else if (span_is(key, "user"))
        *good = set_user(s, v);
    else if (span_is(key, "conf"))
        *good = set_conf(s, v);
    else if (span_is(key, "apop"))
        *good = set_text(&s->apop, v);
    else if (span_is(key, "after"))
        *good = set_text(&s->after, v);
    else if (span_is(key, "only"))
        *good = set_text(&s->only, v);
    else if (span_is(key, "fault"))
        *good = set_text(&s->fault, v);
    else
        return false;
    return true;
}

/* --- dialogue ---------------------------------------------------------------------------------------------- */

static bool take_prefix(struct span *line, const char *prefix)
{
    size_t n = strlen(prefix);

    if (line->n < n || memcmp(line->p, prefix, n) != 0)
        return false;
    span_take(line, n);
    return true;
}

static bool set_fixture(struct step *step, struct span v)
{
    struct span name = span_until(&v, ' '), content = fixture(name);
    uint64_t lines = MODEL_ALL;

    if (v.n && !(take_prefix(&v, "TOP ") && num_all_u64(v, &lines)))
        return false;
    step->kind = STEP_EXACT;
    if (content.p)
        model_wire(&step->data, content, lines);
    return content.p != NULL;
}

static bool set_regex(struct step *step, struct span v)
{
    struct buf text = BUF(4096);
    char *pattern;
    bool good;

    step->kind = STEP_REGEX;
    if (!buf_printf(&text, "^(%.*s)$", (int)v.n, (const char *)v.p))
        return false;
    pattern = mem_strn(buf_span(&text));
    good = regcomp(&step->regex, pattern, REG_EXTENDED | REG_NOSUB) == 0;
    free(pattern);
    buf_free(&text);
    return good;
}

static bool keep(struct step *step, enum step_kind kind, struct span v)
{
    step->kind = kind;
    put(&step->data, v.p, v.n);
    return true;
}

static bool dialogue_line(struct step *step, struct span line)
{
    if (span_is(line, "TLS") || span_is(line, "CLOSE") || span_is(line, "EOF"))
        return keep(step, line.p[0] == 'T' ? STEP_TLS : line.p[0] == 'C' ? STEP_CLOSE : STEP_EOF, line);
    if (take_prefix(&line, "C: ") || span_is(line, "C:")) {
        keep(step, STEP_SEND, span_is(line, "C:") ? span_of(NULL, 0) : line);
        put(&step->data, "\r\n", 2);
        return true;
    }
    if (take_prefix(&line, "S: "))
        return keep(step, STEP_GLOB, line);
    if (take_prefix(&line, "S~ "))
        return set_regex(step, line);
    if (take_prefix(&line, "S? "))
        return keep(step, STEP_SOME, line);
    if (take_prefix(&line, "S! "))
        return keep(step, STEP_NONE, line);
    if (take_prefix(&line, "S= "))
        return set_fixture(step, line);
    if (span_is(line, "S..."))
        return keep(step, STEP_BODY, line);
    if (span_is(line, "S."))
        return keep(step, STEP_GLOB, span_str("."));
    step->kind = line.n && line.p[0] == 'C' ? STEP_SEND : STEP_EXACT;
    return (take_prefix(&line, "C") || take_prefix(&line, "S")) && script_unquote(&line, &step->data) &&
           line.n == 0;
}

static bool read_lines(struct script *s, struct span text)
{
    struct span title = span_until(&text, '\n');
    bool header = true, good;
    unsigned number = 1;

    if (!take_prefix(&title, "# "))
        return fail(s, 1, "the first line must be the title");
    s->title = mem_strn(title);
    while (text.n) {
        struct span line = span_until(&text, '\n');

        number++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (header && header_line(s, line, &good)) {
            if (!good)
                return fail(s, number, "malformed header line");
            continue;
        }
        header = false;
        if (s->nsteps == SCRIPT_STEPS)
            return fail(s, number, "too many lines");
        s->steps[s->nsteps] = (struct step){ .line = number, .data = BUF(CAP) };
        if (!dialogue_line(&s->steps[s->nsteps++], line))
            return fail(s, number, "not a line of a transcript");
    }
    return s->nids ? true : fail(s, 1, "no ids");
}

/* The path behind ".../transcripts/". */
static const char *short_path(const char *path)
{
    const char *at = strstr(path, "transcripts/");

    return at ? at + strlen("transcripts/") : path;
}

static struct script *fresh(const char *path)
{
    struct script *s = mem_zero(1, sizeof *s);

    s->path = mem_str(short_path(path));
    set_text(&s->tls, span_str("any"));
    set_text(&s->apop, span_str("<1896.697170952@dbc.mtview.ca.us>"));
    return s;
}

struct script *script_of(struct span text, const char *path)
{
    struct script *s = fresh(path);

    if (read_lines(s, text) && !s->has_mailbox)
        set_mailbox(s, span_str("A"));
    return s;
}

struct script *script_read(const char *path)
{
    struct buf file;
    struct script *s;

    if (read_file(path, &file)) {
        s = script_of(buf_span(&file), path);
    } else {
        s = fresh(path);
        fail(s, 0, "cannot be read");
    }
    buf_free(&file);
    return s;
}

void script_free(struct script *s)
{
    for (unsigned i = 0; i < s->nids; i++)
        free(s->ids[i]);
    for (unsigned i = 0; i < s->nmailbox; i++)
        buf_free(&s->mail[i]);
    for (unsigned i = 0; i < s->nusers; i++) {
        free((char *)s->users[i].name);
        free((uint8_t *)s->users[i].password.p);
    }
    for (unsigned i = 0; i < s->nconf; i++) {
        free(s->conf[i].name);
        free(s->conf[i].value);
    }
    for (unsigned i = 0; i < s->nsteps; i++) {
        buf_free(&s->steps[i].data);
        if (s->steps[i].kind == STEP_REGEX)
            regfree(&s->steps[i].regex);
    }
    free(s->path);
    free(s->title);
    free(s->tls);
    free(s->only);
    free(s->apop);
    free(s->after);
    free(s->fault);
    free(s);
}
