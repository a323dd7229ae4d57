/* transcript_pure.c - replays transcripts against the pure engine, in every way octets can arrive.
 *
 *   transcript_pure --fixtures FILE [--results FILE] FILE-OR-DIRECTORY...
 *
 * Each transcript runs at each of its doors: whole, octet by octet, in random cuts and, where nothing forbids it,
 * with everything the client says handed over at once. Prints TAP. Does not know: sockets, TLS, files of mail.
 */
#include "base/num.h"
#include "script.h"
#include "sim.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { CUTS = 50, PATHS = 2048 };

enum way { WAY_WHOLE, WAY_OCTETS, WAY_CUTS, WAY_AT_ONCE };
static const char *const way_names[] = { "whole", "octet by octet", "cut", "at once" };

struct replay {
    const struct script *script;
    struct sim sim;
    enum way way;
    bool inside;          /* TLS after STLS, before the dialogue begins */
    bool ended;           /* CLOSE or EOF has been */
    size_t read;          /* octets of sim.out that the script has seen */
    unsigned rules;       /* first S? or S! line that waits for its body */
    bool have_rules;
    char error[400];
};

static bool fail(struct replay *r, unsigned line, const char *what, struct span got)
{
    char shown[120];
    size_t n = 0;

    for (size_t i = 0; i < got.n && n + 5 < sizeof shown && i < 80; i++) {
        if (got.p[i] >= 0x20 && got.p[i] < 0x7f)
            shown[n++] = (char)got.p[i];
        else
            n += (size_t)snprintf(shown + n, sizeof shown - n, "\\x%02x", got.p[i]);
    }
    shown[n] = '\0';
    if (!r->error[0])
        snprintf(r->error, sizeof r->error, "line %u: %s; got \"%s\"", line, what, shown);
    return false;
}

/* --- settings ---------------------------------------------------------------------------------------------- */

static uint32_t number(const char *v)
{
    uint64_t n = 0;

    if (strcmp(v, "never") == 0)
        return EXPIRE_NEVER;
    return num_all_u64(span_str(v), &n) ? (uint32_t)n : 0;
}

static uint32_t mechanisms(const char *v)
{
    struct span list = span_str(v);
    uint32_t set = 0;

    while (list.n) {
        enum mech_id id = mech_find(span_until(&list, ' '));

        if (id != MECH_NONE)
            set |= MECH_BIT(id);
    }
    return set;
}

static bool set_flag(bool *to, const char *v)
{
    *to = strcmp(v, "yes") == 0;
    return *to || strcmp(v, "no") == 0;
}

static bool set_conf(struct sim *s, const struct setting *c, bool *apop)
{
    struct engine_conf *e = &s->conf;
    const char *n = c->name, *v = c->value;
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        { "auth.apop", apop },                      { "auth.utf8_user", &e->utf8_user },
        { "auth.legacy_8bit", &e->legacy_8bit },    { "pop3.utf8_late", &e->utf8_late },
        { "pop3.top_adds_eoh", &e->top_adds_eoh },  { "pop3.nul_as_80", &e->nul_as_80 },
    };
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = {
        { "pop3.login_tries", &e->login_tries },    { "pop3.bad_commands", &e->bad_trans },
        { "pop3.bad_commands_before_login", &e->bad_auth },
        { "mail.expire", &e->expire_days },         { "auth.login_delay", &e->login_delay_s },
    };
    const struct {
        const char *name;
        const char **to;
    } texts[] = {
        { "greeting", &e->greeting },               { "implementation", &e->implementation },
        { "hostname", &e->hostname },               { "pop3.language", &e->language },
    };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(n, flags[i].name) == 0)
            return set_flag(flags[i].flag, v);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(n, numbers[i].name) == 0)
            return *numbers[i].to = number(v), true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(n, texts[i].name) == 0)
            return *texts[i].to = v, true;
    if (strcmp(n, "mail.legacy_utf8") == 0)
        e->legacy_utf8 = v[0] == 's' ? LEGACY_SURROGATE : v[0] == 'r' ? LEGACY_REJECT : LEGACY_AS_IS;
    else if (strcmp(n, "pop3.top_when_expire_0") == 0)
        e->top_refused = strcmp(v, "refused") == 0;
    else if (strcmp(n, "auth.mechanisms") == 0)
        s->link.mechs = mechanisms(v);
    else
        return false;
    return true;
}

/* Values for each user differ when a record says so: then CAPA says USER before login. */
static void per_user(struct sim *s, const struct script *t)
{
    for (unsigned i = 0; i < t->nusers; i++) {
        const struct sim_user *u = &t->users[i];

        if (u->has_expire) {
            s->conf.expire_per_user = true;
            if (u->expire_days < s->conf.expire_days)
                s->conf.expire_days = u->expire_days;
        }
        if (u->has_login_delay) {
            s->conf.login_delay_per_user = true;
            if (u->login_delay_s > s->conf.login_delay_s)
                s->conf.login_delay_s = u->login_delay_s;
        }
    }
}

static bool set_fault(struct sim *s, const char *text)
{
    struct span v = span_str(text ? text : ""), word = span_until(&v, ' '), n = span_until(&v, ' ');
    uint64_t value = 0;

    if (word.n == 0)
        return true;
    if (!num_all_u64(n, &value))
        return false;
    s->fault = (struct sim_fault){ .n = (uint32_t)value, .fault = span_is(v, "perm") ? FAULT_PERM : FAULT_TEMP };
    s->fault.kind = span_is(word, "commit")  ? SIM_COMMIT
                    : span_is(word, "open")  ? SIM_OPEN
                    : span_is(word, "short") ? SIM_SHORT
                    : span_is(word, "long")  ? SIM_LONG
                    : span_is(word, "listing") ? SIM_LISTING
                                               : SIM_NO_FAULT;
    if (s->fault.kind == SIM_OPEN && v.n == 0)
        s->fault.fault = FAULT_GONE;
    return s->fault.kind != SIM_NO_FAULT;
}

static bool set_door(struct sim *s, const char *door)
{
    struct engine_link *l = &s->link;

    l->mechs = (1u << MECH_N) - 1;
    l->plaintext_ok = strcmp(door, "strict") != 0 && strcmp(door, "implicit") != 0;
    l->stls = strcmp(door, "stls") == 0 || strcmp(door, "strict") == 0 || strcmp(door, "needs") == 0;
    l->auth_needs_tls = strcmp(door, "needs") == 0;
    l->stls_broken = strcmp(door, "broken") == 0;
    l->tls = l->binding = strcmp(door, "implicit") == 0;
    return l->stls || l->stls_broken || l->tls || strcmp(door, "none") == 0;
}

#define TEXT(s) { (const uint8_t *)(s), sizeof(s) - 1 }

static const struct sim_user fixed_users[] = {
    { "bob", TEXT("secret") },
    { "alice", TEXT(" wonder  land ") },
    { "carol", TEXT("secret"), .flags = SIM_DISABLED },
    { "dave", TEXT("secret"), .flags = SIM_REQUIRE_TLS },
    { "IX", TEXT("IX") },
    { "busy", TEXT("secret"), .refused = RC_IN_USE },
    { "early", TEXT("secret"), .refused = RC_LOGIN_DELAY },
    { "down", TEXT("secret"), .refused = RC_SYS_TEMP },
    { "broken", TEXT("secret"), .refused = RC_SYS_PERM },
    /* of the examples in RFC 1939, RFC 4616, RFC 5802 and RFC 7677 */
    { "mrose", TEXT("tanstaaf") },
    { "tim", TEXT("tanstaaf") },
    { "user", TEXT("pencil") },
};
enum { FIXED = sizeof fixed_users / sizeof *fixed_users };

static bool set_up(struct replay *r, const char *door, struct sim_user users[FIXED + SCRIPT_USERS + 1])
{
    const struct script *t = r->script;
    struct sim *s = &r->sim;
    bool apop = false;

    memcpy(users, fixed_users, sizeof fixed_users);
    memcpy(users + FIXED, t->users, (t->nusers + 1) * sizeof *users);
    s->users = users;
    s->mailbox = t->mailbox;
    s->nmailbox = t->nmailbox;
    s->apop_secret = span_str("tanstaaf");
    s->nonce = span_str("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    s->conf = (struct engine_conf){ .hostname = "mail.example.org", .utf8_user = true, .utf8_late = true,
                                    .bad_auth = 10, .bad_trans = 50, .login_tries = 5,
                                    .expire_days = EXPIRE_NEVER, .language = "en" };
    if (!set_door(s, door))
        return fail(r, 0, "unknown door", span_str(door));
    for (unsigned i = 0; i < t->nconf; i++)
        if (!set_conf(s, &t->conf[i], &apop))
            return fail(r, 0, "unknown setting or value", span_str(t->conf[i].name));
    per_user(s, t);
    s->apop = apop ? t->apop : NULL;
    if (!set_fault(s, t->fault))
        return fail(r, 0, "unknown fault", span_str(t->fault));
    s->style = (struct sim_style){ 0 };
    return true;
}

/* --- the dialogue ------------------------------------------------------------------------------------------ */

static void send(struct replay *r, struct span data)
{
    size_t n;

    while (data.n) {
        switch (r->way) {
        case WAY_OCTETS: n = 1; break;
        case WAY_CUTS: n = 1 + sim_random(&r->sim, sim_random(&r->sim, 2) ? 8 : 2 + data.n); break;
        default: n = data.n;
        }
        sim_send(&r->sim, span_take(&data, n < data.n ? n : data.n));
    }
}

static struct span unread(const struct replay *r)
{
    return span_of(r->sim.out.p + r->read, r->sim.out.n - r->read);
}

/* The next line without its CRLF. */
static bool take_line(struct replay *r, unsigned number, struct span *line)
{
    struct span rest = unread(r);
    const uint8_t *lf = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

    if (!lf)
        return fail(r, number, "a line was expected", rest);
    *line = span_of(rest.p, (size_t)(lf - rest.p));
    r->read += line->n + 1;
    if (line->n == 0 || line->p[line->n - 1] != '\r')
        return fail(r, number, "a line ended by LF alone", *line);
    line->n--;
    return true;
}

static bool check_exact(struct replay *r, const struct step *step)
{
    struct span got = unread(r);
    size_t at = 0;

    if (got.n >= step->data.n && (step->data.n == 0 || memcmp(got.p, step->data.p, step->data.n) == 0)) {
        r->read += step->data.n;
        return true;
    }
    while (at < got.n && at < step->data.n && got.p[at] == step->data.p[at])
        at++;
    span_take(&got, at);
    return fail(r, step->line, "other octets were expected", got);
}

static bool check_line(struct replay *r, const struct step *step)
{
    struct span line;
    char *text;
    bool good;

    if (!take_line(r, step->line, &line))
        return false;
    if (step->kind == STEP_GLOB) {
        good = glob_match(buf_span(&step->data), line);
    } else {
        text = mem_strn(line);
        good = !memchr(text, '\0', line.n) && regexec(&step->regex, text, 0, NULL, 0) == 0;
        free(text);
    }
    return good || fail(r, step->line, "the line does not match", line);
}

/* The body that the S? and S! lines before step i are about. */
static bool check_body(struct replay *r, unsigned i)
{
    const struct step *steps = r->script->steps;
    bool found[SCRIPT_STEPS] = { false };
    unsigned first = r->have_rules ? r->rules : i;
    struct span line;

    r->have_rules = false;
    for (;;) {
        if (!take_line(r, steps[i].line, &line))
            return false;
        if (span_is(line, "."))
            break;
        for (unsigned k = first; k < i; k++)
            found[k] = found[k] || glob_match(buf_span(&steps[k].data), line);
    }
    for (unsigned k = first; k < i; k++)
        if (found[k] != (steps[k].kind == STEP_SOME))
            return fail(r, steps[k].line, found[k] ? "a line that must not be there" : "no such line",
                        buf_span(&steps[k].data));
    return true;
}

static bool step(struct replay *r, unsigned i)
{
    const struct step *s = &r->script->steps[i];

    switch (s->kind) {
    case STEP_SEND:
        if (r->way != WAY_AT_ONCE)
            send(r, buf_span(&s->data));
        return true;
    case STEP_GLOB:
    case STEP_REGEX: return check_line(r, s);
    case STEP_EXACT: return check_exact(r, s);
    case STEP_SOME:
    case STEP_NONE:
        if (!r->have_rules)
            r->rules = i;
        r->have_rules = true;
        return true;
    case STEP_BODY: return check_body(r, i);
    case STEP_TLS:
        if (!r->sim.tls_wanted)
            return fail(r, s->line, "no handshake is due", unread(r));
        if (unread(r).n)
            return fail(r, s->line, "plaintext behind the reply to STLS", unread(r));
        sim_tls(&r->sim);
        return true;
    case STEP_CLOSE:
        sim_eof(&r->sim);
        r->ended = true;
        return true;
    case STEP_EOF:
        r->ended = true;
        return (r->sim.closed && unread(r).n == 0) || fail(r, s->line, "the end was expected", unread(r));
    }
    return false;
}

/* Without an end the connection must still be in step. */
static bool check_end(struct replay *r)
{
    struct span line;

    if (r->ended)
        return (r->sim.closed && unread(r).n == 0) || fail(r, 0, "at the end: not closed, or more octets", unread(r));
    if (unread(r).n)
        return fail(r, 0, "at the end: unexpected octets", unread(r));
    sim_send(&r->sim, span_str("CAPA\r\n"));
    if (!take_line(r, 0, &line) || line.n < 4 || memcmp(line.p, "+OK ", 4) != 0)
        return fail(r, 0, "at the end: out of step", line);
    do
        if (!take_line(r, 0, &line))
            return false;
    while (!span_is(line, "."));
    return unread(r).n == 0 || fail(r, 0, "at the end: more than one reply", unread(r));
}

static bool check_after(struct replay *r)
{
    struct span want;
    const char *after = r->script->after;

    if (!after)
        return true;
    for (uint32_t i = 0; i < r->sim.nmailbox; i++) {
        bool stays = strcmp(after, "all") == 0;
        uint64_t n;

        for (want = span_str(strcmp(after, "none") == 0 ? "" : after); want.n && !stays;) {
            struct span word = span_until(&want, ' ');

            stays = num_all_u64(word, &n) && n == i + 1;
        }
        if (stays == r->sim.removed[i])
            return fail(r, 0, stays ? "a message is gone" : "a message is still there", span_str(after));
    }
    return true;
}

/* Reads replies up to the transcript's start. */
static bool prologue(struct replay *r)
{
    enum script_start start = r->script->start;
    struct sim *s = &r->sim;
    size_t greeting = s->out.n;

    if (r->inside) {
        sim_send(s, span_str("STLS\r\n"));
        if (!s->tls_wanted)
            return fail(r, 0, "STLS was refused", unread(r));
        sim_tls(s);
        s->out.n = greeting; /* the client has read the rest; the greeting stands for the dialogue's first line */
    }
    if (start != START_GREETING)
        r->read = s->out.n;
    if (start == START_TX) {
        sim_send(s, span_str("USER bob\r\nPASS secret\r\n"));
        if (engine_state(&s->engine) != ST_TRANS)
            return fail(r, 0, "the login failed", unread(r));
        r->read = s->out.n;
    }
    return true;
}

static bool run_dialogue(struct replay *r)
{
    const struct script *t = r->script;

    if (!prologue(r))
        return false;
    if (r->way == WAY_AT_ONCE) {
        struct buf all = BUF(64 << 20);

        for (unsigned i = 0; i < t->nsteps; i++)
            if (t->steps[i].kind == STEP_SEND && !buf_put_span(&all, buf_span(&t->steps[i].data)))
                abort();
        send(r, buf_span(&all));
        buf_free(&all);
    }
    for (unsigned i = 0; i < t->nsteps; i++)
        if (!step(r, i))
            return false;
    return check_end(r) && check_after(r);
}

static bool run_once(const struct script *t, const char *door, enum way way, uint32_t seed, char error[400])
{
    struct sim_user users[FIXED + SCRIPT_USERS + 1];
    struct replay *r = mem_zero(1, sizeof *r);
    bool inside = strcmp(door, "inside") == 0, good;

    r->script = t;
    r->way = way;
    r->inside = inside;
    good = set_up(r, inside ? "strict" : door, users);
    if (good) {
        if (way != WAY_WHOLE)
            r->sim.style = (struct sim_style){ seed, way == WAY_CUTS ? 1500 : 200, way == WAY_CUTS ? 5000 : 300 };
        sim_start(&r->sim);
        good = run_dialogue(r);
        sim_free(&r->sim);
    }
    if (!good)
        snprintf(error, 400, "at %s, %s (seed %u): %.300s", door, way_names[way], seed, r->error);
    free(r);
    return good;
}

/* In the flood of "at once" a handshake cannot stand, and CLOSE must come after all replies. */
static bool can_be_at_once(const struct script *t)
{
    for (unsigned i = 0; i < t->nsteps; i++)
        if (t->steps[i].kind == STEP_TLS)
            return false;
    return true;
}

static bool run_door(const struct script *t, const char *door, char error[400])
{
    if (!run_once(t, door, WAY_WHOLE, 1, error) || !run_once(t, door, WAY_OCTETS, 2, error))
        return false;
    if (can_be_at_once(t) && !run_once(t, door, WAY_AT_ONCE, 3, error))
        return false;
    for (uint32_t seed = 0; seed < CUTS; seed++)
        if (!run_once(t, door, WAY_CUTS, seed, error))
            return false;
    return true;
}

static bool run_script(const struct script *t, char error[400])
{
    if (t->error[0]) {
        snprintf(error, 400, "%s", t->error);
        return false;
    }
    if (strcmp(t->tls, "any") == 0)
        return run_door(t, "stls", error) && run_door(t, "implicit", error) && run_door(t, "inside", error);
    return run_door(t, t->tls, error);
}

/* --- files ------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static void add_path(char **paths, size_t *n, const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    char inner[4096];

    if (!d) {
        if (*n < PATHS && ends_with(path, ".pop"))
            paths[(*n)++] = mem_str(path);
        return;
    }
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.' || snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= 4096)
            continue;
        add_path(paths, n, inner);
    }
    closedir(d);
}

static bool run_file(const char *path, size_t number, FILE *results)
{
    struct script *t = script_read(path);
    char error[400] = "";
    bool skip = t->only && strcmp(t->only, "live") == 0 && !t->error[0];
    bool good = skip || run_script(t, error);

    printf("%s %zu - %s: %s%s\n", good ? "ok" : "not ok", number, t->path, t->title ? t->title : "?",
           skip ? " # SKIP for a live server only" : "");
    if (!good)
        printf("# %s\n", error);
    for (unsigned i = 0; results && !skip && i < t->nids; i++)
        fprintf(results, "%s\ttranscript:%s\t%s\n", t->ids[i], t->path, good ? "pass" : "fail");
    script_free(t);
    return good;
}

int main(int argc, char **argv)
{
    static char *paths[PATHS];
    size_t n = 0, bad = 0;
    FILE *results = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--results") == 0 && i + 1 < argc)
            results = fopen(argv[++i], "w");
        else if (strcmp(argv[i], "--fixtures") == 0 && i + 1 < argc)
            fixtures_load(argv[++i]);
        else
            add_path(paths, &n, argv[i]);
    }
    qsort(paths, n, sizeof *paths, by_name);
    printf("TAP version 13\n1..%zu\n", n);
    for (size_t i = 0; i < n; i++) {
        bad += !run_file(paths[i], i + 1, results);
        free(paths[i]);
    }
    if (results)
        fclose(results);
    return n == 0 || bad ? 1 : 0;
}
