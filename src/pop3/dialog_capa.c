/* dialog_capa.c - reads what CAPA lists (RFC 2449 §5, §6), whatever the case, order or number of its lines.
 * Does not know: what a capability is used for.
 */
#include "base/num.h"
#include "pop3/dialog_impl.h"

void capa_begin(struct dialog *d)
{
    memset(&d->capa_new, 0, sizeof d->capa_new);
    buf_free(&d->capa_text);
    d->lines = 0;
    d->reading = READ_LINES;
}

static void take_sasl(struct dialog_capa *c, struct span rest)
{
    while (rest.n) {
        struct span word = dialog_word(&rest);
        enum mech_id mech = mech_find(word);

        if (mech != MECH_NONE)
            c->mechs |= MECH_BIT(mech);
        else if (span_iis(word, "CRAM-MD5"))
            c->cram_md5 = true;
        else if (span_iis(word, "OAUTHBEARER"))
            c->oauthbearer = true;
        else if (span_iis(word, "XOAUTH2"))
            c->xoauth2 = true;
    }
}

static void take_number(struct dialog_capa *c, struct span tag, struct span rest)
{
    struct span word = dialog_word(&rest);
    uint32_t n = 0;
    bool number = num_take_u32(&word, &n) && word.n == 0;

    if (span_iis(tag, "LOGIN-DELAY")) {
        c->has_login_delay = number;
        c->login_delay_s = n;
    } else {
        c->expire_never = span_iis(word, "NEVER");
        c->has_expire = number || c->expire_never;
        c->expire_days = n;
    }
}

static bool take_flag(struct dialog_capa *c, struct span tag)
{
    static const struct {
        const char *tag;
        size_t at;
    } flags[] = {
        {"TOP",             offsetof(struct dialog_capa, top)           },
        { "UIDL",           offsetof(struct dialog_capa, uidl)          },
        { "USER",           offsetof(struct dialog_capa, user)          },
        { "STLS",           offsetof(struct dialog_capa, stls)          },
        { "PIPELINING",     offsetof(struct dialog_capa, pipelining)    },
        { "RESP-CODES",     offsetof(struct dialog_capa, resp_codes)    },
        { "AUTH-RESP-CODE", offsetof(struct dialog_capa, auth_resp_code)},
        { "UTF8",           offsetof(struct dialog_capa, utf8)          },
    };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (span_iis(tag, flags[i].tag)) {
            *(bool *)((char *)c + flags[i].at) = true;
            return true;
        }
    return false;
}

static void keep_text(struct dialog *d, struct span line)
{
    size_t need = line.n + (d->capa_text.n != 0);

    if (need > d->capa_text.cap - d->capa_text.n || (d->capa_text.n && !buf_put_str(&d->capa_text, "\n")) ||
        !buf_put_span(&d->capa_text, line))
        d->capa_text.cap = d->capa_text.n; /* full: what follows is not shown */
}

bool capa_take(struct dialog *d, struct span line)
{
    struct dialog_capa *c = &d->capa_new;
    struct span rest = line, tag;

    if (d->lines > DIALOG_CAPA_LINES) {
        dialog_fail(d, FAILURE_PROTOCOL, "CAPA has too many lines");
        return false;
    }
    keep_text(d, line);
    tag = dialog_word(&rest);
    if (take_flag(c, tag)) {
        if (span_iis(tag, "UTF8"))
            while (rest.n)
                c->utf8_user |= span_iis(dialog_word(&rest), "USER");
    } else if (span_iis(tag, "SASL")) {
        take_sasl(c, rest);
    } else if (span_iis(tag, "LOGIN-DELAY") || span_iis(tag, "EXPIRE")) {
        take_number(c, tag, rest);
    } else if (span_iis(tag, "IMPLEMENTATION")) {
        size_t n = rest.n < sizeof c->implementation - 1 ? rest.n : sizeof c->implementation - 1;

        memset(c->implementation, 0, sizeof c->implementation);
        memcpy(c->implementation, rest.n ? rest.p : (const uint8_t *)"", n);
    }
    return true;
}

static void tell(struct dialog *d)
{
    dialog_answered(d);
    dialog_emit(d,
                &(struct dialog_event){ .kind = DIALOG_CAPA, .capa = &d->capa, .text = buf_span(&d->capa_text) });
    d->capa_text.cap = DIALOG_CAPA_TEXT;
    buf_free(&d->capa_text);
    dialog_next(d);
}

void capa_end(struct dialog *d)
{
    d->capa = d->capa_new;
    d->capa.known = true;
    tell(d);
}

void capa_refused(struct dialog *d)
{
    memset(&d->capa, 0, sizeof d->capa);
    d->capa_refused = true;
    tell(d);
}
