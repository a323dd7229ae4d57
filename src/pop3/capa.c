/* capa.c - the lines of CAPA: see capa.h. Commands are announced by their rows, behaviour by the rows here. */
#include "pop3/capa.h"

#include "base/num.h"
#include "pop3/command.h"
#include "pop3/engine_impl.h"

/* A line being written. */
struct out {
    uint8_t *p;
    size_t n;
};

static void put(struct out *o, const char *s)
{
    for (; *s && o->n < LIMIT_REPLY_LINE - 2; s++)
        o->p[o->n++] = (uint8_t)(*s < 0x20 || *s > 0x7e ? '?' : *s);
}

static void put_number(struct out *o, uint64_t v)
{
    uint8_t digits[20];
    size_t n = num_put_u64(digits, v);

    for (size_t i = 0; i < n && o->n < LIMIT_REPLY_LINE - 2; i++)
        o->p[o->n++] = digits[i];
}

/* " USER": the value differs from user to user, this one is the worst (RFC 2449 §6.5, §6.7). */
static void put_per_user(const struct engine *e, struct out *o, bool per_user)
{
    if (per_user && e->state != ST_TRANS)
        put(o, " USER");
}

static bool put_plain(const struct engine *e, struct out *o)
{
    (void)e;
    (void)o;
    return true;
}

static bool put_user(const struct engine *e, struct out *o)
{
    (void)o;
    return login_passwords_allowed(e);
}

/* RFC 5034 §3: repeated after login. No line when nothing can be used. */
static bool put_sasl(const struct engine *e, struct out *o)
{
    bool any = false;

    for (unsigned i = 0; i < MECH_N; i++)
        if (login_mech_allowed(e, (enum mech_id)i)) {
            put(o, " ");
            put(o, mechs[i].name);
            any = true;
        }
    return any;
}

static bool put_stls(const struct engine *e, struct out *o)
{
    (void)o;
    return e->state == ST_AUTH && e->link->stls && !e->link->tls && !e->link->stls_broken && !e->utf8;
}

static bool put_utf8(const struct engine *e, struct out *o)
{
    if (e->conf->utf8_user)
        put(o, " USER");
    return true;
}

static bool put_expire(const struct engine *e, struct out *o)
{
    uint32_t days = e->state == ST_TRANS ? e->policy.expire_days : e->conf->expire_days;

    put(o, " ");
    if (days == EXPIRE_NEVER)
        put(o, "NEVER");
    else
        put_number(o, days);
    put_per_user(e, o, e->conf->expire_per_user);
    return true;
}

static bool put_login_delay(const struct engine *e, struct out *o)
{
    bool trans = e->state == ST_TRANS;

    put(o, " ");
    put_number(o, trans ? e->policy.login_delay_s : e->conf->login_delay_s);
    put_per_user(e, o, e->conf->login_delay_per_user);
    return e->conf->login_delay_s > 0 || (trans && e->policy.login_delay_s > 0);
}

static bool put_implementation(const struct engine *e, struct out *o)
{
    if (!e->conf->implementation)
        return false;
    put(o, " ");
    put(o, e->conf->implementation);
    return true;
}

/* Writes the parameters; false: not announced now. Tags of commands that are not here have none. */
static const struct capa {
    const char *tag;
    bool of_command;
    bool (*put)(const struct engine *e, struct out *o);
} capas[] = {
    { "USER", true, put_user },
    { "SASL", true, put_sasl },
    { "STLS", true, put_stls },
    { "UTF8", true, put_utf8 },
    { "RESP-CODES", false, put_plain },
    { "AUTH-RESP-CODE", false, put_plain },
    { "PIPELINING", false, put_plain },
    { "EXPIRE", false, put_expire },
    { "LOGIN-DELAY", false, put_login_delay },
    { "IMPLEMENTATION", false, put_implementation },
};
enum { CAPAS_N = sizeof capas / sizeof *capas };

static size_t write_line(const struct engine *e, const char *tag, uint8_t *dst,
                         bool (*parameters)(const struct engine *e, struct out *o))
{
    struct out o = { dst, 0 };

    put(&o, tag);
    return parameters(e, &o) ? o.n : 0;
}

static size_t command_line(const struct engine *e, const char *tag, uint8_t *dst)
{
    for (size_t i = 0; i < CAPAS_N; i++)
        if (capas[i].of_command && strcmp(capas[i].tag, tag) == 0)
            return write_line(e, tag, dst, capas[i].put);
    return write_line(e, tag, dst, put_plain);
}

size_t capa_line(const struct engine *e, uint32_t i, uint8_t *dst, bool *more)
{
    size_t own = i - commands_n;

    *more = i < commands_n || own < CAPAS_N;
    if (i < commands_n)
        return commands[i].tag ? command_line(e, commands[i].tag, dst) : 0;
    if (!*more || capas[own].of_command)
        return 0;
    return write_line(e, capas[own].tag, dst, capas[own].put);
}
