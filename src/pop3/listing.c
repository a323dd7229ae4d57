/* listing.c - one line of a multi-line listing: see listing.h. */
#include "pop3/listing.h"

#include "base/num.h"
#include "pop3/capa.h"
#include "pop3/engine_impl.h"
#include "pop3/uid.h"

static size_t put(uint8_t *dst, struct span s)
{
    if (s.n)
        memcpy(dst, s.p, s.n);
    return s.n;
}

/* "n size" or "n uid" of an undeleted message. */
static enum listing_step message_line(const struct engine *e, bool uidl, uint32_t i, uint8_t *dst, size_t *n)
{
    struct drop_msg msg = { 0 };

    if (i >= e->view->count)
        return LISTING_END;
    if (mail_is_deleted(e, i))
        return LISTING_SKIP;
    if (!e->view->get(e->view->ctx, i, &msg) || (uidl && !uid_legal(msg.uid)))
        return LISTING_BROKEN;
    *n = num_put_u64(dst, (uint64_t)i + 1);
    dst[(*n)++] = ' ';
    *n += uidl ? put(dst + *n, msg.uid) : num_put_u64(dst + *n, mail_octets(e, &msg));
    return LISTING_LINE;
}

static enum listing_step mech_line(const struct engine *e, uint32_t i, uint8_t *dst, size_t *n)
{
    if (i >= MECH_N)
        return LISTING_END;
    if (!login_mech_allowed(e, (enum mech_id)i))
        return LISTING_SKIP;
    *n = put(dst, span_str(mechs[i].name));
    return LISTING_LINE;
}

/* RFC 6856 §3.2: the tag, then the language's name in that language. */
static enum listing_step lang_line(uint32_t i, uint8_t *dst, size_t *n)
{
    if (i >= TEXT_LANGS_N)
        return LISTING_END;
    *n = put(dst, span_str(text_langs[i].tag));
    dst[(*n)++] = ' ';
    *n += put(dst + *n, span_str(text_langs[i].name));
    return LISTING_LINE;
}

static enum listing_step capability_line(const struct engine *e, uint32_t i, uint8_t *dst, size_t *n)
{
    bool more;

    *n = capa_line(e, i, dst, &more);
    return !more ? LISTING_END : *n ? LISTING_LINE : LISTING_SKIP;
}

enum listing_step listing_line(const struct engine *e, enum listing_kind kind, uint32_t item,
                               uint8_t dst[LIMIT_REPLY_LINE], size_t *n)
{
    enum listing_step step = LISTING_END;

    *n = 0;
    switch (kind) {
    case LISTING_NONE: break;
    case LISTING_LIST: step = message_line(e, false, item, dst, n); break;
    case LISTING_UIDL: step = message_line(e, true, item, dst, n); break;
    case LISTING_CAPA: step = capability_line(e, item, dst, n); break;
    case LISTING_MECHS: step = mech_line(e, item, dst, n); break;
    case LISTING_LANGS: step = lang_line(item, dst, n); break;
    }
    if (step == LISTING_LINE) {
        memcpy(dst + *n, "\r\n", 2);
        *n += 2;
    }
    return step;
}
