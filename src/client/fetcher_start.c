/* fetcher_start.c - from the writer's first packet to the cage: job, files, secrets, then the machines are made.
 *
 * Everything that needs the file system or a lazily loaded part of a library happens here, before the cage closes.
 * Does not know: the connection's octets.
 */
#include "client/fetcher.h"

#include "base/num.h"
#include "base/sys.h"

#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 16 * 1024 * 1024, SECRET_MAX = 64 * 1024 };

static bool read_file(int fd, struct buf *out, struct err *e)
{
    for (;;) {
        uint8_t *p = buf_reserve(out, 16384);
        ssize_t got = p ? sys_read_some(fd, p, 16384) : -1;

        if (!p)
            return err_set(e, FAULT_BAD, "a certificate file is larger than %d MiB", FILE_MAX >> 20);
        if (got < 0)
            return err_errno(e, "reading", "a certificate file");
        if (got == 0)
            return true;
        out->n += (size_t)got;
    }
}

static bool take(struct fetcher *f, struct link_msg *m, struct err *e)
{
    bool ok = true;

    switch (m->type) {
    case LINK_JOB:
        ok = m->fd >= 0 && f->sock < 0 && job_parse(m->text, &f->job, e);
        f->sock = m->fd;
        m->fd = -1;
        break;
    case LINK_FILE:
        ok = m->fd >= 0 && m->number < LINK_FILES && read_file(m->fd, &f->files[m->number], e);
        break;
    case LINK_SECRET:
        ok = buf_put_span(&f->secret, m->text) && buf_put_span(&f->token, m->data);
        break;
    default:
        ok = false;
    }
    if (m->fd >= 0)
        close(m->fd);
    explicit_bzero(f->packet, sizeof f->packet); /* the job holds the proxy's password */
    return ok || (e->text[0] ? false : err_set(e, FAULT_BAD, "message %u is out of place", (unsigned)m->type));
}

static bool pins(struct fetcher *f, struct err *e)
{
    struct span rest = span_str(f->job.pins ? f->job.pins : "");

    while (rest.n) {
        struct span one = span_until(&rest, ' ');

        if (f->tls_conf.npins == JOB_PINS || !hex_get(one, f->pins[f->tls_conf.npins], 32))
            return err_set(e, FAULT_BAD, "a pin is malformed, or there are more than %d", JOB_PINS);
        f->tls_conf.npins++;
    }
    f->tls_conf.pins = f->pins;
    return true;
}

static bool make_tls(struct fetcher *f, struct err *e)
{
    struct tls_client_conf *t = &f->tls_conf;
    const struct job *j = &f->job;

    t->host = j->host;
    t->srv_domain = j->srv_domain && *j->srv_domain ? j->srv_domain : NULL;
    t->srv_implicit = j->srv_implicit;
    t->verify = (enum tls_verify)j->verify;
    t->tls13_only = j->tls13_only;
    t->ca_pem = buf_span(&f->files[LINK_FILE_CA]);
    t->crl_pem = buf_span(&f->files[LINK_FILE_CRL]);
    t->cert_pem = buf_span(&f->files[LINK_FILE_CERTIFICATE]);
    t->key_pem = buf_span(&f->files[LINK_FILE_KEY]);
    if (!pins(f, e))
        return false;
    /* Made here although STLS may never come: a bad CA file is told at once, and libcrypto loads what it wants. */
    if (j->tls != DIALOG_TLS_NONE && !tls_client_new(t, f->sock, &f->tls, e))
        return false;
    for (unsigned i = 0; i < LINK_FILES; i++) /* read; the key may stand in the certificate's file */
        buf_wipe(&f->files[i]);
    return true;
}

static bool make_dialog(struct fetcher *f, struct err *e)
{
    struct dialog_conf *d = &f->dialog_conf;
    struct sasl_client_conf *s = &f->sasl_conf;
    const struct job *j = &f->job;
    struct dialog_sasl *steps = &f->steps;

    *d = (struct dialog_conf){
        .tls = (enum dialog_tls)j->tls, .auth = (enum dialog_auth)j->auth, .user = j->user,
        .password = buf_span(&f->secret), .sasl_name = j->sasl_name && *j->sasl_name ? j->sasl_name : NULL,
        .mechs = j->mechs, .unverified = j->verify == TLS_VERIFY_OFF, .plaintext_auth = j->plaintext_auth,
        .one_line_auth = j->one_line_auth,
        .use_capa = j->use_capa, .use_pipelining = j->use_pipelining, .force_pipelining = j->force_pipelining,
        .lf_dot_ends = j->lf_dot_ends, .apop_after_stls = j->apop_after_stls, .login_only = j->login_only,
        .no_login = j->no_login, .want_uidl = j->want_uidl, .top_lines = j->top_lines, .window_octets = j->window,
        .force_utf8 = j->force_utf8,
    };
    s->user = j->user;
    s->authzid = j->authzid;
    s->password = buf_span(&f->secret);
    s->token = buf_span(&f->token);
    s->host = j->host;
    s->port = (uint16_t)j->port;
    s->has_certificate = j->has_certificate;
    f->sasl = sasl_client_new(s, e);
    if (!f->sasl)
        return false;
    *steps = (struct dialog_sasl){ sasl_client_start, sasl_client_step, sasl_client_complete, f->sasl };
    f->dialog = dialog_new(d, steps, fetcher_on_event, f);
    dialog_set_apop(f->dialog, sasl_apop_digest);
    f->socks_conf = (struct socks_conf){ j->host, (uint16_t)j->port, j->proxy_user, j->proxy_password };
    return true;
}

bool fetcher_start(struct fetcher *f, struct err *e)
{
    struct link_msg m;

    f->sock = -1;
    f->secret = f->token = BUF(SECRET_MAX);
    f->proxy_out = BUF(4096);
    for (unsigned i = 0; i < LINK_FILES; i++)
        f->files[i] = BUF(FILE_MAX);
    for (;;) {
        if (link_recv(f->link, f->packet, true, &m, e) != 1)
            return false;
        if (m.type == LINK_GO)
            break;
        if (!take(f, &m, e))
            return false;
    }
    if (f->sock < 0)
        return err_set(e, FAULT_BAD, "no job came");
    return make_tls(f, e) && make_dialog(f, e);
}

void fetcher_free(struct fetcher *f)
{
    dialog_free(&f->dialog);
    sasl_client_free(&f->sasl);
    tls_client_free(&f->tls);
    buf_wipe(&f->secret);
    buf_wipe(&f->token);
    for (unsigned i = 0; i < LINK_FILES; i++)
        buf_wipe(&f->files[i]);
    buf_wipe(&f->proxy_out);
    job_free(&f->job);
    sys_close(&f->sock);
}
