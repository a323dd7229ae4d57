/* stage.c - from a transcript's header to a simulator: see stage.h. */
#include "stage.h"

#include "base/num.h"

const char *const door_names[DOOR_N] = {
    "none", "stls", "strict", "needs", "broken", "implicit", "inside TLS after STLS",
};

#define SECRET                       \
    {                                \
        (const uint8_t *)"secret", 6 \
    }

/* clang-format off */
static const struct sim_user fixed_users[] = {
    { .name = "bob", .password = SECRET },
    { .name = "alice", .password = { (const uint8_t *)" wonder  land ", 14 } },
    { .name = "carol", .password = SECRET, .flags = SIM_DISABLED },
    { .name = "dave", .password = SECRET, .flags = SIM_REQUIRE_TLS },
    { .name = "IX", .password = { (const uint8_t *)"IX", 2 } },
    { .name = "busy", .password = SECRET, .refused = RC_IN_USE },
    { .name = "early", .password = SECRET, .refused = RC_LOGIN_DELAY },
    { .name = "down", .password = SECRET, .refused = RC_SYS_TEMP },
    { .name = "broken", .password = SECRET, .refused = RC_SYS_PERM },
};
/* clang-format on */
enum { FIXED_N = sizeof fixed_users / sizeof *fixed_users };

unsigned stage_doors(const struct script *script, enum door doors[DOOR_N])
{
    if (strcmp(script->tls, "any") == 0) {
        doors[0] = DOOR_STLS;
        doors[1] = DOOR_IMPLICIT;
        doors[2] = DOOR_INSIDE;
        return 3;
    }
    for (unsigned i = 0; i < DOOR_INSIDE; i++)
        if (strcmp(script->tls, door_names[i]) == 0) {
            doors[0] = (enum door)i;
            return 1;
        }
    return 0;
}

static void set_link(struct sim *s, enum door door)
{
    bool tls = door == DOOR_IMPLICIT;

    s->link = (struct engine_link){
        .tls = tls,
        .binding = tls,
        .stls = door == DOOR_STLS || door == DOOR_STRICT || door == DOOR_NEEDS ||
                door == DOOR_INSIDE,
        .stls_broken = door == DOOR_BROKEN,
        .plaintext_ok = door != DOOR_STRICT && door != DOOR_INSIDE,
        .auth_needs_tls = door == DOOR_NEEDS,
        .mechs = ((1u << MECH_N) - 1) & ~MECH_BIT(MECH_EXTERNAL),
    };
}

/* --- settings: one row each ------ */

enum kind { FLAG, NUMBER, TEXT, LEGACY, TOP_RULE };

static const struct row {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct engine_conf */
} rows[] = {
    { "hostname", TEXT, offsetof(struct engine_conf, hostname) },
    { "greeting", TEXT, offsetof(struct engine_conf, greeting) },
    { "implementation", TEXT, offsetof(struct engine_conf, implementation) },
    { "auth.utf8_user", FLAG, offsetof(struct engine_conf, utf8_user) },
    { "auth.legacy_8bit", FLAG, offsetof(struct engine_conf, legacy_8bit) },
    { "auth.login_delay", NUMBER, offsetof(struct engine_conf, login_delay_s) },
    { "mail.expire", NUMBER, offsetof(struct engine_conf, expire_days) },
    { "mail.legacy_utf8", LEGACY, offsetof(struct engine_conf, legacy_utf8) },
    { "pop3.login_tries", NUMBER, offsetof(struct engine_conf, login_tries) },
    { "pop3.bad_commands_before_login", NUMBER, offsetof(struct engine_conf, bad_auth) },
    { "pop3.bad_commands", NUMBER, offsetof(struct engine_conf, bad_trans) },
    { "pop3.utf8_late", FLAG, offsetof(struct engine_conf, utf8_late) },
    { "pop3.top_adds_eoh", FLAG, offsetof(struct engine_conf, top_adds_eoh) },
    { "pop3.nul_as_80", FLAG, offsetof(struct engine_conf, nul_as_80) },
    { "pop3.language", TEXT, offsetof(struct engine_conf, language) },
    { "pop3.top_when_expire_0", TOP_RULE, offsetof(struct engine_conf, top_refused) },
};

/* Settings whose effect is not in the engine. */
static const char *const foreign[] = {
    "auth.throttle", "auth.timeout", "auth.scram", "limits.",  "log.",
    "tls.",          "listen.",      "mail.",      "workers.", "users.",
};

/* A number, also "never", and with a unit of time. */
static bool number(struct span v, uint32_t *out)
{
    static const struct {
        const char *unit;
        uint32_t factor;
    } units[] = {
        { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 },
    };

    if (span_is(v, "never")) {
        *out = EXPIRE_NEVER;
        return true;
    }
    if (!num_take_u32(&v, out))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (span_is(v, units[i].unit)) {
            *out *= units[i].factor;
            return true;
        }
    return false;
}

static bool set_row(struct engine_conf *conf, const struct row *row, const char *value)
{
    void *at = (uint8_t *)conf + row->offset;
    bool yes = strcmp(value, "yes") == 0;

    switch (row->kind) {
    case FLAG: *(bool *)at = yes; return yes || strcmp(value, "no") == 0;
    case NUMBER: return number(span_str(value), at);
    case TEXT: *(const char **)at = *value ? value : NULL; return true;
    case TOP_RULE:
        *(bool *)at = strcmp(value, "refused") == 0;
        return *(bool *)at || strcmp(value, "counts") == 0;
    case LEGACY:
        *(enum legacy_utf8 *)at = strcmp(value, "reject") == 0    ? LEGACY_REJECT
                                : strcmp(value, "surrogate") == 0 ? LEGACY_SURROGATE
                                                                  : LEGACY_AS_IS;
        return true;
    }
    return false;
}

static bool set_mechanisms(struct sim *s, struct span names)
{
    s->link.mechs = 0;
    while (names.n) {
        enum mech_id mech = mech_find(span_until(&names, ' '));

        if (mech == MECH_NONE)
            return false;
        s->link.mechs |= MECH_BIT(mech);
    }
    return true;
}

static bool set_one(struct sim *s, const struct script *script, const struct setting *c)
{
    if (strcmp(c->name, "auth.apop") == 0) {
        s->apop = strcmp(c->value, "yes") == 0 ? script->apop : NULL;
        return true;
    }
    if (strcmp(c->name, "auth.mechanisms") == 0)
        return set_mechanisms(s, span_str(c->value));
    if (strcmp(c->name, "users.masters") == 0) {
        s->masters = c->value;
        return true;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(c->name, rows[i].name) == 0)
            return set_row(&s->conf, &rows[i], c->value);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strncmp(c->name, foreign[i], strlen(foreign[i])) == 0)
            return true;
    return false;
}

/* --- users, fault ------ */

static void set_users(struct stage *st, const struct script *script)
{
    struct engine_conf *conf = &st->sim.conf;
    unsigned n = 0;

    memset(st->users, 0, sizeof st->users);
    for (unsigned i = 0; i < FIXED_N; i++)
        st->users[n++] = fixed_users[i];
    for (unsigned i = 0; i < script->nusers; i++) {
        const struct sim_user *u = &script->users[i];

        st->users[n++] = *u;
        conf->expire_per_user |= u->has_expire;
        conf->login_delay_per_user |= u->has_login_delay && u->login_delay_s > 0;
    }
    st->sim.users = st->users;
}

/* The extremes of per-user policies are what CAPA says before login (RFC 2449 §6.5, §6.7). */
static void set_extremes(struct stage *st)
{
    struct engine_conf *conf = &st->sim.conf;

    st->sim.default_expire = conf->expire_days;
    st->sim.default_delay = conf->login_delay_s;
    for (const struct sim_user *u = st->users; u->name; u++) {
        if (u->has_expire && u->expire_days < conf->expire_days)
            conf->expire_days = u->expire_days;
        if (u->has_login_delay && u->login_delay_s > conf->login_delay_s)
            conf->login_delay_s = u->login_delay_s;
    }
}

static bool set_fault(struct sim_fault *f, struct span text)
{
    static const struct {
        const char *word;
        enum sim_fault_kind kind;
    } kinds[] = {
        { "commit", SIM_COMMIT }, { "open", SIM_OPEN },       { "short", SIM_SHORT },
        { "long", SIM_LONG },     { "listing", SIM_LISTING },
    };
    struct span word = span_until(&text, ' '), n = span_until(&text, ' ');
    uint64_t v;

    *f = (struct sim_fault){ SIM_NO_FAULT, 0, FAULT_GONE };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (span_is(word, kinds[i].word))
            f->kind = kinds[i].kind;
    if (f->kind == SIM_NO_FAULT || !num_all_u64(n, &v) || v > UINT32_MAX)
        return false;
    f->n = (uint32_t)v;
    if (span_is(text, "temp"))
        f->fault = FAULT_TEMP;
    else if (span_is(text, "perm"))
        f->fault = FAULT_PERM;
    else
        return text.n == 0 && f->kind != SIM_COMMIT;
    return f->kind == SIM_COMMIT || f->kind == SIM_OPEN;
}

const char *stage_set(struct stage *st, const struct script *script, enum door door)
{
    struct sim *s = &st->sim;

    memset(st, 0, sizeof *st);
    s->conf = (struct engine_conf){ .hostname = "pop.example.org",
                                    .utf8_user = true,
                                    .utf8_late = true,
                                    .bad_auth = 10,
                                    .bad_trans = 50,
                                    .login_tries = 5,
                                    .expire_days = EXPIRE_NEVER,
                                    .language = "en" };
    s->mailbox = script->mailbox;
    s->nmailbox = script->nmailbox;
    set_link(s, door);
    set_users(st, script);
    for (unsigned i = 0; i < script->nconf; i++)
        if (!set_one(s, script, &script->conf[i]))
            return "conf: a setting that the pure runner does not know";
    set_extremes(st);
    if (script->fault && !set_fault(&s->fault, span_str(script->fault)))
        return "fault: not one of FORMAT.md";
    return NULL;
}
