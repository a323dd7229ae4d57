/* conf_check.c - what the values of a configuration mean: each by itself and together.
 * Does not know: files, certificates (conf_tls_check.c), how faults are shown.
 */
#include "server/conf/conf_check.h"

#include "base/net_addr.h"
#include "pop3/mech.h"
#include "pop3/text.h"

struct check {
    const struct conf *conf;
    struct conf_faults *faults;
};

static struct conf_spot spot(const char *section, const char *name)
{
    return (struct conf_spot){ .section = section, .name = name };
}

static struct conf_spot listen_spot(const struct check *c, uint32_t i, const char *name)
{
    return (struct conf_spot){ .section = "listen",
                               .name = name,
                               .instance = i,
                               .title = c->conf->listen[i].name };
}

static void check_networks(struct check *c, struct conf_spot at, const struct strlist *list)
{
    struct net_block block;

    for (uint32_t i = 0; i < list->n; i++)
        if (!net_block_parse(list->v[i], &block))
            conf_fault_in(c->faults, &at,
                          "\"%.80s\" is no network; write 192.0.2.0/24, 2001:db8::/32 or an address", list->v[i]);
}

/* True when text stands in the addresses of listen sections before item `item` of section `section`. */
static bool is_taken(const struct conf *conf, uint32_t section, uint32_t item)
{
    const char *text = conf->listen[section].address.v[item];

    for (uint32_t s = 0; s <= section; s++) {
        const struct strlist *list = &conf->listen[s].address;

        for (uint32_t i = 0; i < (s == section ? item : list->n); i++)
            if (strcmp(list->v[i], text) == 0)
                return true;
    }
    return false;
}

static void check_addresses(struct check *c, uint32_t i)
{
    const struct strlist *list = &c->conf->listen[i].address;
    struct conf_spot at = listen_spot(c, i, "address");
    struct net_addr addr;

    if (list->n == 0)
        conf_fault_in(c->faults, &at, "no address; write address = {\"[::]:995\"} or the like");
    for (uint32_t k = 0; k < list->n; k++) {
        const char *text = list->v[k];

        if (!net_addr_parse(text, &addr))
            conf_fault_in(c->faults, &at,
                          "\"%.80s\" is no address with a port; write 192.0.2.1:995, [::]:995 or "
                          "*:995",
                          text);
        else if (is_taken(c->conf, i, k))
            conf_fault_in(c->faults, &at, "%.80s is listed before; remove one of them", text);
    }
}

static void check_listen(struct check *c, uint32_t i)
{
    const struct conf_listen *l = &c->conf->listen[i];
    struct conf_spot whole = listen_spot(c, i, NULL), tls = listen_spot(c, i, "tls");
    struct conf_spot proxy = listen_spot(c, i, "proxy");

    for (uint32_t k = 0; k < i; k++)
        if (strcmp(c->conf->listen[k].name, l->name) == 0)
            conf_fault_in(c->faults, &whole, "an earlier section has the same name; give each its own");
    if (*l->name == '\0')
        conf_fault_in(c->faults, &whole, "the name is empty; give the section one");
    check_addresses(c, i);
    check_networks(c, listen_spot(c, i, "trusted"), &l->trusted);
    check_networks(c, listen_spot(c, i, "proxy_from"), &l->proxy_from);
    if (l->tls != CONF_TLS_NONE && *c->conf->tls.certificate == '\0')
        conf_fault_in(c->faults, &tls,
                      "TLS needs a certificate; set tls.certificate and tls.key, or tls = none here");
    if (l->tls == CONF_TLS_NONE && l->auth_needs_tls)
        conf_fault_in(c->faults, &tls, "nobody could log in: no TLS, but auth_needs_tls; change one of them");
    if (l->proxy && l->proxy_from.n == 0)
        conf_fault_in(c->faults, &proxy, "every connection would be closed; name the proxies in proxy_from");
}

static void check_pair(struct check *c, struct conf_spot certificate, struct conf_spot key, const char *cert_path,
                       const char *key_path)
{
    if (*cert_path && *key_path == '\0')
        conf_fault_in(c->faults, &key, "missing; name the private key of the certificate");
    if (*key_path && *cert_path == '\0')
        conf_fault_in(c->faults, &certificate, "missing; name the certificate of the key");
}

static void check_tls(struct check *c)
{
    const struct conf *conf = c->conf;
    struct conf_spot crl = spot("tls", "client_crl");

    check_pair(c, spot("tls", "certificate"), spot("tls", "key"), conf->tls.certificate, conf->tls.key);
    if (*conf->tls.client_crl && *conf->tls.client_ca == '\0')
        conf_fault_in(c->faults, &crl, "useless without client_ca; set both or neither");
    for (uint32_t i = 0; i < conf->ncertificate; i++) {
        struct conf_certificate *one = &conf->certificate[i];
        struct conf_spot at = { "certificate", "certificate", i, one->name, false };
        struct conf_spot key = { "certificate", "key", i, one->name, false };
        struct conf_spot whole = { "certificate", NULL, i, one->name, false };

        if (*one->certificate == '\0' && *one->key == '\0')
            conf_fault_in(c->faults, &whole, "certificate and key are missing; set both");
        check_pair(c, at, key, one->certificate, one->key);
        if (*conf->tls.certificate == '\0')
            conf_fault_in(c->faults, &whole, "clients that name no host get tls.certificate; set that first");
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(conf->certificate[k].name, one->name) == 0)
                conf_fault_in(c->faults, &whole, "an earlier section has the same name; give each its own");
    }
}

static void check_maildrop(struct check *c)
{
    static const char *const known[] = { "user", "local", "domain", "home" };
    struct conf_spot at = spot("mail", "maildrop");
    struct span rest = span_str(c->conf->mail.maildrop);

    if (!rest.n || (rest.p[0] != '/' && strncmp((const char *)rest.p, "{home}", 6) != 0))
        conf_fault_in(c->faults, &at, "no absolute path; start it with / or {home}");
    while (rest.n && memchr(rest.p, '{', rest.n)) {
        struct span word;
        bool found = false;

        span_until(&rest, '{');
        if (!rest.n || !memchr(rest.p, '}', rest.n)) {
            conf_fault_in(c->faults, &at, "\"{\" without \"}\"; close it");
            return;
        }
        word = span_until(&rest, '}');
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || span_is(word, known[i]);
        if (!found)
            conf_fault_in(c->faults, &at, "{%.*s} is not known; use {user}, {local}, {domain} or {home}",
                          (int)(word.n < 80 ? word.n : 80), (const char *)word.p);
    }
}

static bool is_text(const char *text, size_t max)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        if ((uint8_t)text[i] < 0x20 || (uint8_t)text[i] > 0x7e)
            return false;
    return n <= max;
}

static void check_names(struct check *c)
{
    const struct conf *conf = c->conf;
    struct conf_spot hostname = spot("", "hostname"), greeting = spot("", "greeting");
    struct conf_spot implementation = spot("", "implementation");
    struct conf_spot domain = spot("users", "default_domain");

    if (!is_text(conf->hostname, 255) || strpbrk(conf->hostname, " <>@\"\\"))
        conf_fault_in(c->faults, &hostname, "no host name; write one such as mail.example.org");
    if (!is_text(conf->greeting, 400) || strpbrk(conf->greeting, "<>") || conf->greeting[0] == '[')
        conf_fault_in(c->faults, &greeting,
                      "clients would misread it; use up to 400 ASCII characters without < and >, "
                      "not starting with [");
    if (!is_text(conf->implementation, 200) || conf->implementation[0] == ' ')
        conf_fault_in(c->faults, &implementation, "use up to 200 ASCII characters, not starting with a blank");
    if (strpbrk(conf->users.default_domain, "/@ ") || conf->users.default_domain[0] == '.')
        conf_fault_in(c->faults, &domain, "no domain; write one such as example.org");
}

static void check_language(struct check *c)
{
    const char *tag = c->conf->pop3.language;
    struct conf_spot at = spot("pop3", "language");
    struct buf known = BUF(200);
    bool ok = true;

    for (size_t i = 0; i < TEXT_LANGS_N && ok; i++)
        ok = buf_printf(&known, "%s%s", i ? ", " : "", text_langs[i].tag);
    if (*tag == '*' || !text_lang_find(span_str(tag), NULL))
        conf_fault_in(c->faults, &at, "\"%.40s\" is not spoken here; choose among %.*s", tag, (int)known.n,
                      (const char *)known.p);
    buf_free(&known);
}

static void check_mechanisms(struct check *c)
{
    const struct strlist *list = &c->conf->auth.mechanisms;
    struct conf_spot at = spot("auth", "mechanisms");
    struct buf known = BUF(400);
    bool ok = true;

    for (int i = 0; i < MECH_N && ok; i++)
        ok = buf_printf(&known, "%s%s", i ? ", " : "", mechs[i].name);
    for (uint32_t i = 0; i < list->n; i++) {
        enum mech_id id = mech_find(span_str(list->v[i]));

        if (id == MECH_NONE)
            conf_fault_in(c->faults, &at, "\"%.40s\" is not known; choose among %.*s", list->v[i], (int)known.n,
                          (const char *)known.p);
        if (id == MECH_EXTERNAL && *c->conf->tls.client_ca == '\0')
            conf_fault_in(c->faults, &at, "EXTERNAL needs client certificates; set tls.client_ca or remove it");
    }
    buf_free(&known);
}

void conf_check(const struct conf *conf, struct conf_faults *faults)
{
    struct check c = { conf, faults };

    if (conf->nlisten == 0)
        conf_fault_in(faults, &(struct conf_spot){ .section = "" },
                      "no listen section; add listen \"pop3s\" { address = {\"[::]:995\"} "
                      "tls = implicit } or another");
    for (uint32_t i = 0; i < conf->nlisten; i++)
        check_listen(&c, i);
    check_tls(&c);
    check_maildrop(&c);
    check_names(&c);
    check_language(&c);
    check_mechanisms(&c);
    check_networks(&c, spot("auth", "throttle_exempt"), &conf->auth.throttle_exempt);
}
