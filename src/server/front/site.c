/* site.c - one generation of the configuration as a front uses it: parsed networks, the engine's settings, the
 * TLS site. Immutable but for its reference count. Does not know: where it came from, connections.
 */
#include "server/front/front.h"

#include <stdlib.h>

/* Networks of a list, one past the end unused; malformed ones were refused by the configuration check. */
static struct net_block *parse_blocks(const struct strlist *list)
{
    struct net_block *blocks = mem_zero(list->n + 1, sizeof *blocks);

    for (uint32_t i = 0; i < list->n; i++)
        if (!net_block_parse(list->v[i], &blocks[i]))
            blocks[i] = (struct net_block){ { 0xff }, 128 }; /* matches nothing that routes */
    return blocks;
}

bool site_has(const struct net_block *blocks, const struct strlist *list, const struct net_addr *a)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (net_block_has(&blocks[i], a))
            return true;
    return false;
}

static void set_engine(struct engine_conf *e, const struct conf *c)
{
    e->hostname = c->hostname;
    e->greeting = c->greeting && c->greeting[0] ? c->greeting : NULL;
    e->implementation = c->implementation && c->implementation[0] ? c->implementation : NULL;
    e->utf8_user = c->auth.utf8_user;
    e->legacy_8bit = c->auth.legacy_8bit;
    e->legacy_utf8 = (enum legacy_utf8)c->mail.legacy_utf8;
    e->utf8_late = c->pop3.utf8_late;
    e->top_adds_eoh = c->pop3.top_adds_eoh;
    e->nul_as_80 = c->pop3.nul_as_80;
    e->bad_auth = c->pop3.bad_commands_before_login;
    e->bad_trans = c->pop3.bad_commands;
    e->login_tries = c->pop3.login_tries;
    e->expire_days = c->mail.expire_days;
    e->login_delay_s = c->auth.login_delay_s;
    e->top_refused = c->pop3.top_when_expire_0 == CONF_TOP_REFUSED;
    e->language = c->pop3.language;
}

struct site *site_new(struct conf **conf, struct tls_site **tls, bool tls_broken, struct err *e)
{
    struct site *s;

    if ((*conf)->nlisten > FRONT_SECTIONS) {
        err_set(e, FAULT_BAD, "more than %d listen sections", FRONT_SECTIONS);
        return NULL;
    }
    s = mem_zero(1, sizeof *s);
    s->refs = 1;
    s->conf = *conf;
    s->tls = *tls;
    s->tls_broken = tls_broken;
    *conf = NULL;
    *tls = NULL;
    set_engine(&s->engine, s->conf);
    s->trusted = mem_zero(s->conf->nlisten, sizeof(struct net_block *));
    s->proxy_from = mem_zero(s->conf->nlisten, sizeof(struct net_block *));
    for (uint32_t i = 0; i < s->conf->nlisten; i++) {
        s->trusted[i] = parse_blocks(&s->conf->listen[i].trusted);
        s->proxy_from[i] = parse_blocks(&s->conf->listen[i].proxy_from);
    }
    return s;
}

struct site *site_ref(struct site *s)
{
    s->refs++;
    return s;
}

void site_free(struct site **sp)
{
    struct site *s = *sp;

    *sp = NULL;
    if (!s || --s->refs > 0)
        return;
    for (uint32_t i = 0; i < s->conf->nlisten; i++) {
        free(s->trusted[i]);
        free(s->proxy_from[i]);
    }
    free(s->trusted);
    free(s->proxy_from);
    tls_site_free(&s->tls);
    conf_free(&s->conf);
    free(s);
}
