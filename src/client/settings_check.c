/* settings_check.c - what the client's settings mean: each account by itself, and accounts together.
 *
 * Server texts become host and port, destinations paths; what cannot work, and what is dangerous, is told with its
 * place. See settings_rows.h. Does not know: grammar, how faults are shown.
 */
#include "client/settings_rows.h"

#include "base/num.h"
#include "net/idn.h"
#include "net/tls_client.h"
#include "pop3/mech.h"

#include <stdlib.h>

struct check {
    struct conf_faults *faults;
    struct settings *settings;
    struct account *a;
    uint32_t i;
};

static struct conf_spot at(const struct check *c, const char *name)
{
    return (struct conf_spot){ .section = "account", .name = name, .instance = c->i, .title = c->a->name };
}

#define fault(c, setting, ...)                           \
    do {                                                 \
        struct conf_spot spot_ = at(c, setting);         \
        conf_fault_in((c)->faults, &spot_, __VA_ARGS__); \
    } while (0)
#define warning(c, setting, ...)                         \
    do {                                                 \
        struct conf_spot spot_ = at(c, setting);         \
        spot_.warning = true;                            \
        conf_fault_in((c)->faults, &spot_, __VA_ARGS__); \
    } while (0)

static bool is_set(const char *text)
{
    return text && *text;
}

static void check_name(const struct check *c)
{
    const char *name = c->a->name;
    bool ok = *name && *name != '.' && strlen(name) <= 64;

    for (const char *p = name; *p && ok; p++)
        ok = ascii_digit((uint8_t)*p) || (ascii_lower((uint8_t)*p) >= 'a' && ascii_lower((uint8_t)*p) <= 'z') ||
             strchr("._-", *p);
    if (!ok)
        fault(c, NULL,
              "a name is made of 1 to 64 letters, digits, \".\", \"_\" and \"-\" and does not begin with \".\"");
    for (uint32_t k = 0; k < c->i; k++)
        if (strcmp(c->settings->account[k].name, name) == 0)
            fault(c, NULL, "an earlier account has the same name; give each its own");
}

static void set_string(char **to, const char *text)
{
    free(*to);
    *to = mem_str(text);
}

/* What a URL says about TLS, user and mechanism must not contradict the settings. */
static void take_url(const struct check *c, const struct pop_url *url)
{
    struct account *a = c->a;
    const char *auth = strcmp(url->auth, "+APOP") == 0 ? "apop" : url->auth;

    if (url->implicit_tls && (a->tls == TLS_MODE_STLS || a->tls == TLS_MODE_NONE))
        fault(c, "tls", "the URL asks for TLS from the first octet; write pop:// for another way");
    else if (url->implicit_tls)
        a->tls = TLS_MODE_IMPLICIT;
    else if (a->tls == TLS_MODE_AUTO)
        a->tls = url->port == 995 ? TLS_MODE_IMPLICIT : TLS_MODE_STLS;
    if (url->has_user && is_set(a->user) && strcmp(a->user, url->user) != 0)
        fault(c, "user", "the URL names another user; name it once");
    else if (url->has_user)
        set_string(&a->user, url->user);
    if (*auth && strcmp(a->auth, "auto") != 0 && !span_iis(span_str(a->auth), auth))
        fault(c, "auth", "the URL names another mechanism; name it once");
    else if (*auth)
        set_string(&a->auth, auth);
}

/* "host", "host:port", "[::1]:port" */
static bool parse_plain(const char *text, struct pop_url *url, struct err *e)
{
    struct buf b = BUF(1024);
    bool ok = buf_printf(&b, "pop://%s", text) && buf_put(&b, "", 1);

    if (!ok)
        err_set(e, FAULT_BAD, "the host name is too long");
    ok = ok && pop_url_parse((const char *)b.p, url, e);
    if (ok && (url->has_user || strchr(text, '/')))
        ok = err_set(e, FAULT_BAD,
                     "a host is wanted here, with a port at most; a URL begins with pops:// or pop://");
    buf_free(&b);
    return ok;
}

/* A mail address or a domain for discovery. */
static void check_discover(const struct check *c)
{
    const char *sign = strrchr(c->a->discover, '@');
    char domain[IDN_HOST];
    struct err e;

    if (is_set(c->a->server))
        fault(c, "discover", "there is a server already; remove one of the two");
    if (sign == c->a->discover)
        fault(c, "discover", "nothing stands before \"@\"");
    else if (!idn_host(sign ? sign + 1 : c->a->discover, domain, &e))
        fault(c, "discover", "%s", e.text);
}

static void check_server(const struct check *c)
{
    struct account *a = c->a;
    struct pop_url url;
    char host[IDN_HOST];
    struct err e;
    bool is_url = is_set(a->server) && strstr(a->server, "://");

    set_string(&a->host, "");
    if (!is_set(a->server) && !is_set(a->discover)) {
        fault(c, "server", "missing; write server = \"pop.example.org\"");
        return;
    }
    if (is_set(a->discover))
        check_discover(c);
    if (is_set(a->server) && !((is_url ? pop_url_parse(a->server, &url, &e) : parse_plain(a->server, &url, &e)) &&
                               idn_host(url.host, host, &e))) {
        fault(c, "server", "%s", e.text);
        return;
    }
    if (is_set(a->server)) {
        if (is_url)
            take_url(c, &url);
        set_string(&a->host, host);
        a->port = url.has_port ? url.port : 0;
    }
    if (!a->port)
        a->port = a->tls == TLS_MODE_STLS || a->tls == TLS_MODE_NONE ? 110 : 995;
}

/* R6186-07: the mail address, its domain in the form that every server can be told. */
static void guess_user(struct account *a)
{
    const char *at = strrchr(a->discover, '@');
    struct buf name = BUF(1024);
    char domain[IDN_HOST];

    if (is_set(a->user) || !at || at == a->discover || !idn_host(at + 1, domain, NULL))
        return;
    if (buf_put(&name, a->discover, (size_t)(at + 1 - a->discover)) && buf_put_str(&name, domain) &&
        buf_put(&name, "", 1)) {
        set_string(&a->user, (const char *)name.p);
        a->user_guessed = true;
    }
    buf_free(&name);
}

static void check_user(const struct check *c)
{
    struct account *a = c->a;
    enum mech_id mech = mech_find(span_str(a->auth));
    bool bearer = span_iis(span_str(a->auth), "XOAUTH2") || span_iis(span_str(a->auth), "OAUTHBEARER");
    bool plain = span_iis(span_str(a->auth), "user") || bearer || (mech < MECH_N && mechs[mech].plaintext);

    guess_user(a);
    if (!is_set(a->user) && mech != MECH_EXTERNAL)
        fault(c, "user", "missing; write user = \"name\"");
    if (bearer && !is_set(a->token_command))
        fault(c, "auth", "%s needs token-command", a->auth);
    if (mech == MECH_EXTERNAL && !is_set(a->certificate))
        fault(c, "auth", "EXTERNAL needs certificate and key");
    if (a->tls == TLS_MODE_NONE && plain && !a->plaintext_auth) /* R2595-STLS-15 */
        fault(c, "auth", "%s sends a secret in clear text; use TLS, or SCRAM-SHA-256, or plaintext-auth = yes",
              a->auth);
    if ((is_set(a->password) != 0) + is_set(a->password_command) + is_set(a->password_file) > 1)
        warning(c, NULL,
                "the password comes from more than one place; the order is password, password-command, "
                "password-file");
}

static void check_tls(const struct check *c)
{
    const struct account *a = c->a;

    if (a->tls == TLS_MODE_NONE) /* R8314-C-05 */
        warning(c, "tls", "without TLS everybody on the way can read and change mail%s",
                a->plaintext_auth ? ", and read the password" : "");
    else if (a->verify == TLS_VERIFY_OFF)
        warning(c, "verify", "with \"off\" anybody can pose as the server and read %s; \"pin\" is safe",
                a->plaintext_auth ? "password and mail"
                                  : "mail, so the password is not sent in clear text (plaintext-auth = yes would)");
    if (a->verify == TLS_VERIFY_PIN && a->npins == 0)
        fault(c, "verify", "\"pin\" needs pin = {\"sha256//...\"}; \"restante probe\" shows it");
    if (a->plaintext_auth && a->tls != TLS_MODE_NONE && a->verify != TLS_VERIFY_OFF)
        warning(c, "plaintext-auth", "permits the password without TLS; this account uses TLS: remove it");
    if (is_set(a->certificate) != is_set(a->key))
        fault(c, is_set(a->key) ? "key" : "certificate", "certificate and key belong together; set both");
}

/* socks5://[user:password@]host[:port] */
static void check_proxy(const struct check *c)
{
    static const char scheme[] = "socks5://";
    const char *text = c->a->proxy, *host = is_set(text) ? strrchr(text, '@') : NULL;
    struct pop_url url;
    char ascii[IDN_HOST];
    struct err e;

    if (!is_set(text))
        return;
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        fault(c, "proxy", "write socks5://HOST:PORT; other proxies are not known");
    else if (!parse_plain(host ? host + 1 : text + sizeof scheme - 1, &url, &e) || !idn_host(url.host, ascii, &e))
        fault(c, "proxy", "%s", e.text);
}

/* Replaces {account}; refuses what would leave the Maildir. */
static bool put_folder(const struct check *c, const char *folder, struct buf *out)
{
    static const char word[] = "{account}";
    struct span rest = span_str(folder);

    if (*folder == '.' || strchr(folder, '/') || strstr(folder, "..") || folder[strlen(folder) - 1] == '.') {
        fault(c, "folder",
              "a folder is named without \"/\"; \".\" separates it from folders in it (lists.kernel)");
        return false;
    }
    while (rest.n) {
        const uint8_t *hit = memmem(rest.p, rest.n, word, sizeof word - 1);
        size_t n = hit ? (size_t)(hit - rest.p) : rest.n;

        if (!buf_put_span(out, span_take(&rest, n)) || (hit && !buf_put_str(out, c->a->name)))
            return false;
        if (hit)
            span_take(&rest, sizeof word - 1);
    }
    return true;
}

static void check_deliver(const struct check *c)
{
    struct account *a = c->a;
    struct buf target = BUF(65536);
    struct err e;
    bool ok;

    if (!is_set(a->deliver)) {
        fault(c, "deliver", "missing; write deliver = \"maildir:~/Mail\"");
        return;
    }
    ok = sink_parse(a->deliver, getenv("HOME"), &a->sink, &target, &e);
    if (!ok)
        fault(c, "deliver", "%s", e.text);
    else if (is_set(a->folder) && a->sink != SINK_MAILDIR)
        fault(c, "folder", "folders are known to maildir: alone; remove it");
    else if (is_set(a->folder))
        ok = buf_put_str(&target, "/.") && put_folder(c, a->folder, &target);
    if (ok && a->sink == SINK_LMTP && !is_set(a->recipient))
        fault(c, "deliver", "LMTP needs recipient = \"name\"");
    if (ok) {
        free(a->sink_target);
        a->sink_target = mem_strn(buf_span(&target));
    }
    buf_free(&target);
}

/* Two accounts on one mailbox take messages away from each other as soon as one of them deletes. */
static void check_rivals(const struct check *c)
{
    const struct account *a = c->a;

    for (uint32_t k = 0; k < c->i && a->enabled && is_set(a->host); k++) {
        const struct account *b = &c->settings->account[k];

        if (!b->enabled || !span_iis(span_str(a->host), b->host ? b->host : "") || a->port != b->port ||
            strcmp(a->user, b->user) != 0 || strcmp(a->authzid, b->authzid) != 0)
            continue;
        if (a->keep.kind == KEEP_ALL && b->keep.kind == KEEP_ALL)
            warning(c, NULL, "fetches the same mailbox as account \"%s\"; they may find it locked", b->name);
        else
            fault(c, NULL,
                  "fetches the same mailbox as account \"%s\", and one of them deletes there; keep one, or "
                  "set enabled = no",
                  b->name);
    }
}

static void check_account(const struct check *c)
{
    const struct account *a = c->a;

    check_name(c);
    check_server(c);
    check_user(c);
    check_tls(c);
    check_proxy(c);
    check_deliver(c);
    check_rivals(c);
    if (a->interval_s && a->interval_s < 10)
        fault(c, "interval", "shorter than 10s; servers lock out whoever asks that often");
    if (a->skip_larger > a->max_message)
        fault(c, "skip-larger", "larger than max-message, which would end such a message");
}

void settings_check(struct settings *settings, uint32_t first, struct conf_faults *faults)
{
    for (uint32_t i = first; i < settings->naccount; i++)
        check_account(&(struct check){ faults, settings, &settings->account[i], i });
}
