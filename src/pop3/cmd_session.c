/* cmd_session.c - CAPA, UTF8, LANG, NOOP, QUIT: what a session says about itself (RFC 2449, RFC 6856, RFC 1939 §6).
 * Does not know: mail, passwords.
 */
#include "pop3/command.h"
#include "pop3/engine_impl.h"

struct reply cmd_capa(struct engine *e, const struct call *c)
{
    struct reply r = reply_ok(TEXT_CAPA);

    (void)e;
    (void)c;
    r.list = LISTING_CAPA;
    return r;
}

/* After login by the letter an error; Outlook sends it there. Harmless as long as no size that the client has
 * seen can change (C19). */
struct reply cmd_utf8(struct engine *e, const struct call *c)
{
    (void)c;
    if (e->state == ST_TRANS) {
        if (!e->conf->utf8_late)
            return reply_bad(RC_NONE, TEXT_AFTER_LOGIN);
        if (!e->utf8 && e->reported && e->conf->legacy_utf8 == LEGACY_SURROGATE)
            return reply_err(RC_NONE, TEXT_UTF8_LATE);
    }
    e->utf8 = true;
    return reply_ok(TEXT_UTF8);
}

struct reply cmd_lang(struct engine *e, const struct call *c)
{
    const struct text_lang *found;
    struct reply r = reply_ok(TEXT_LANGS);

    if (!c->has_a) {
        r.list = LISTING_LANGS;
        return r;
    }
    found = text_lang_find(c->a, e->conf->language);
    if (!found)
        return reply_err(RC_NONE, TEXT_NO_LANG);
    e->lang = found->lang;
    r = reply_ok(TEXT_LANG_SET);
    r.arg = found->tag;
    return r;
}

struct reply cmd_noop(struct engine *e, const struct call *c)
{
    (void)e;
    (void)c;
    return reply_ok(TEXT_NOOP);
}

/* RFC 2449 §6.7: where nothing may be left on the server, what was retrieved counts as deleted. */
static void mark_retrieved(const struct drop_view *view)
{
    for (uint32_t i = 0; i < (view->count + 7) / 8; i++)
        view->deleted[i] |= view->retrieved[i];
}

struct reply cmd_quit(struct engine *e, const struct call *c)
{
    (void)c;
    if (e->state == ST_AUTH) {
        state_set(e, ST_CLOSED);
        return reply_ok(TEXT_BYE);
    }
    e->stats.quit = true;
    if (e->policy.read_only)
        memset(e->view->deleted, 0, (e->view->count + 7) / 8);
    else if (e->policy.expire_days == 0)
        mark_retrieved(e->view);
    state_set(e, ST_UPDATE);
    engine_ask(e, (struct request){ .kind = REQ_COMMIT });
    return reply_later();
}
