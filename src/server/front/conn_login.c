/* conn_login.c - the dialogue behind a login: credentials to auth, the grant to the store, the maildrop opened,
 * and at QUIT the commit.
 *
 * A front cannot invent a login: the store serves a session only under a grant that auth itself sent it.
 * Replies are matched by session id; what comes too late for a connection is undone or ignored.
 * Does not know: how passwords are checked, how mail is stored.
 */
#include "server/front/front.h"

#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHALLENGE_MAX = 16384, MARKS_INLINE = 16384 }; /* octets of marks that travel in the message itself */

/* Fills what every login message says about the connection. */
static void describe(const struct conn *c, struct msg *m)
{
    memcpy(m->addr, c->peer.b, sizeof m->addr);
    m->flags = (c->link.tls ? MSGF_TLS : 0) | (c->link.plaintext_ok ? MSGF_TRUSTED : 0);
}

static bool send_sasl(struct conn *c, const struct request *r, struct msg *m)
{
    uint8_t unique[TLS_BINDING_MAX], exporter[TLS_BINDING_MAX], identities[TLS_IDENTITIES_MAX];

    m->type = MSG_LOGIN_SASL;
    m->mech = (uint8_t)r->mech;
    m->flags |= r->has_data ? MSGF_HAS_DATA : 0;
    m->data = r->data;
    if (c->ssl && c->link.binding) {
        m->binding_unique = span_of(unique, tls_binding_unique(c->ssl, unique));
        m->binding_exporter = span_of(exporter, tls_binding_exporter(c->ssl, exporter));
    }
    if (c->ssl && mechs[r->mech].certificate)
        m->certificate = span_of(identities, tls_identities(c->ssl, identities));
    return channel_send(c->front->auth, m);
}

static bool send_login(struct conn *c, const struct request *r)
{
    struct msg m;

    msg_init(&m, MSG_LOGIN_PASS, c->sid);
    describe(c, &m);
    switch (r->kind) {
    case REQ_PASS:
        m.user = r->name;
        m.secret = r->secret;
        return channel_send(c->front->auth, &m);
    case REQ_APOP:
        m.type = MSG_LOGIN_APOP;
        m.user = r->name;
        m.secret = r->secret;
        m.data = span_str(c->apop ? c->apop : "");
        return channel_send(c->front->auth, &m);
    case REQ_SASL:
        return send_sasl(c, r, &m);
    case REQ_SASL_MORE:
        msg_init(&m, MSG_SASL_MORE, c->sid);
        m.data = r->data;
        return channel_send(c->front->auth, &m);
    default:
        return false;
    }
}

bool conn_request_login(struct conn *c, const struct request *r)
{
    static const char *const how[] = { [REQ_PASS] = "USER", [REQ_APOP] = "APOP" };

    if (!c->front->auth || !send_login(c, r))
        return false;
    if (!c->login) {
        c->login = mem_zero(1, sizeof *c->login);
        c->login->challenge = BUF(CHALLENGE_MAX);
    }
    if (r->kind == REQ_PASS || r->kind == REQ_APOP)
        c->login->mech = MECH_NONE, c->login->how = how[r->kind];
    else if (r->kind == REQ_SASL)
        c->login->mech = r->mech, c->login->how = mechs[r->mech].name;
    c->login->listing.fd = -1;
    c->login->asked = true;
    conn_wait(c, WAIT_AUTH);
    return true;
}

/* Frees what a login held; the store and auth are told by those who know whether they must be. */
static void login_free(struct conn *c)
{
    struct login *l = c->login;

    c->login = NULL;
    if (!l)
        return;
    if (l->has_listing)
        index_reader_close(&l->listing);
    buf_free(&l->challenge);
    free(l->user);
    free(l->marks);
    free(l);
}

void conn_cancel_login(struct conn *c)
{
    struct msg m;

    if (!c->login || !c->login->asked || c->login->granted)
        return;
    msg_init(&m, MSG_LOGIN_CANCEL, c->sid);
    channel_send(c->front->auth, &m);
    if (c->wait == WAIT_AUTH)
        conn_wait(c, WAIT_NONE);
    login_free(c);
}

void conn_release(struct conn *c)
{
    struct front *f = c->front;
    struct login *l = c->login;
    struct msg m;

    if (l && l->opened) {
        msg_init(&m, MSG_CLOSE, c->sid);
        channel_send(f->store[l->store], &m);
    }
    if (l && l->granted) {
        msg_init(&m, MSG_SESSION_END, c->sid);
        m.flags = c->logged_in ? 0 : MSGF_CLOSE;
        channel_send(f->auth, &m);
    }
    login_free(c);
}

/* Login failed after auth had said yes. */
static void refuse(struct conn *c, enum resp_code code)
{
    conn_wait(c, WAIT_NONE);
    conn_release(c);
    engine_refused(&c->engine, code, false);
    conn_run(c);
}

void conn_give_up(struct conn *c)
{
    if (c->wait == WAIT_AUTH)
        conn_cancel_login(c);
    conn_wait(c, WAIT_NONE);
    conn_release(c);
    engine_refused(&c->engine, RC_SYS_TEMP, true);
    conn_run(c);
}

static enum resp_code code_of(enum fault fault)
{
    return fault == FAULT_IN_USE ? RC_IN_USE : fault == FAULT_PERM || fault == FAULT_BAD ? RC_SYS_PERM
                                                                                         : RC_SYS_TEMP;
}

static struct channel *store_channel(struct front *f, uint32_t id)
{
    if (id >= FRONT_STORES)
        return NULL;
    if (!f->store[id])
        channel_drain(f->super); /* its arrival was sent before auth could name it */
    return f->store[id];
}

static void on_login_ok(struct conn *c, const struct msg *m)
{
    struct login *l = c->login;
    struct msg open;

    l->granted = true;
    l->store = m->id;
    l->user = mem_strn(m->user);
    l->policy = (struct engine_policy){ m->expire_days, m->login_delay_s,
                                        (m->flags & MSGF_READ_ONLY) != 0 };
    memcpy(l->grant, m->grant, sizeof l->grant);
    msg_init(&open, MSG_OPEN, c->sid);
    memcpy(open.grant, m->grant, sizeof open.grant);
    conn_wait(c, WAIT_OPEN);
    if (!channel_send(store_channel(c->front, l->store), &open)) {
        refuse(c, RC_SYS_TEMP);
        return;
    }
    l->opened = true; /* from here on a MSG_CLOSE must follow */
}

/* The extremes of per-user policies belong to the generation of the configuration that is current. */
void front_set_policies(struct front *f)
{
    if (!f->site || !f->has_policies)
        return;
    f->site->engine.expire_days = f->expire_days;
    f->site->engine.expire_per_user = f->per_user & 1;
    f->site->engine.login_delay_s = f->login_delay_s;
    f->site->engine.login_delay_per_user = (f->per_user & 2) != 0;
}

/* What auth can serve now, for CAPA of all connections that have not logged in. */
static void on_mechs(struct front *f, const struct msg *m)
{
    f->mechs = m->number;
    f->expire_days = m->expire_days;
    f->login_delay_s = m->login_delay_s;
    f->per_user = m->count;
    f->has_policies = true;
    front_set_policies(f);
    for (uint32_t i = 0; i < f->nslot; i++)
        if (f->conn[i])
            f->conn[i]->link.mechs = m->number;
}

void front_on_auth(void *ctx, struct channel *ch, struct msg *m)
{
    struct front *f = ctx;
    struct conn *c = m->sid ? conn_find(f, m->sid) : NULL;
    struct msg end;

    (void)ch;
    if (m->type == MSG_MECHS) {
        on_mechs(f, m);
        return;
    }
    if (!c || c->wait != WAIT_AUTH) {
        if (m->type == MSG_LOGIN_OK) { /* the client left meanwhile */
            msg_init(&end, MSG_SESSION_END, m->sid);
            channel_send(f->auth, &end);
        }
        return;
    }
    conn_wait(c, WAIT_NONE);
    if (m->type == MSG_LOGIN_OK) {
        on_login_ok(c, m);
        return;
    }
    if (m->type == MSG_CHALLENGE) {
        buf_free(&c->login->challenge); /* kept: a client that does not read makes it wait */
        if (!buf_put_span(&c->login->challenge, m->data)) {
            refuse(c, RC_SYS_TEMP);
            return;
        }
        engine_challenge(&c->engine, buf_span(&c->login->challenge));
    } else {
        counters_add(f->counters, f->id, CNT_LOGIN_FAILURES, 1);
        login_free(c);
        engine_refused(&c->engine, (enum resp_code)(m->code < RC_N ? m->code : RC_SYS_TEMP),
                       (m->flags & MSGF_CLOSE) != 0);
    }
    conn_run(c);
}

static bool view_get(void *ctx, uint32_t i, struct drop_msg *msg)
{
    struct login *l = ctx;
    struct index_record rec;
    struct span name;

    if (!l->has_listing || !index_reader_get(&l->listing, i, &rec, &msg->uid, &name))
        return false;
    msg->octets = rec.octets;
    msg->legacy_octets = rec.legacy_octets;
    msg->flags = rec.flags;
    return true;
}

static void on_opened(struct conn *c, struct msg *m)
{
    struct front *f = c->front;
    struct login *l = c->login;
    size_t marks = (m->count + 7u) / 8u;
    char addr[NET_ADDR_TEXT];
    struct err e = { FAULT_NONE, "" };

    if (m->nfds) {
        l->has_listing = index_reader_open(&l->listing, m->fds[0], (uint64_t)m->number, &e);
        m->fds[0] = -1;
    } else if (m->data.n) {
        l->has_listing = index_reader_open_octets(&l->listing, m->data, &e);
    }
    if (m->count && (!l->has_listing || l->listing.h.count != m->count)) {
        event(LOG_ERROR, "listing-refused", F_SID(c->sid), F_ERR(&e));
        refuse(c, RC_SYS_TEMP);
        return;
    }
    l->marks = mem_zero(2, marks);
    l->view = (struct drop_view){ m->count, m->octets, m->legacy_octets, view_get, l, l->marks,
                                  l->marks + marks };
    c->logged_in = true;
    link_out(&c->waiting);
    f->nwaiting--;
    counters_add(f->counters, f->id, CNT_LOGINS, 1);
    net_addr_text(&c->peer, addr);
    event(LOG_INFO, "login", F_SID(c->sid), F_STR("user", l->user), F_STR("addr", addr),
          F_STR("mech", l->how ? l->how : ""),
          F_STR("tls", c->ssl ? SSL_get_version(c->ssl) : c->edge_tls ? "edge" : "none"),
          F_STR("cipher", c->ssl ? SSL_get_cipher_name(c->ssl) : "none"), F_U64("messages", m->count),
          F_U64("octets", m->octets));
    engine_logged_in(&c->engine, &l->view, &l->policy);
    conn_run(c);
}

void conn_rest(struct conn *c)
{
    if (!c->login || !c->login->has_listing || c->wait != WAIT_NONE || c->body || c->out.n)
        return;
    index_reader_rest(&c->login->listing);
    c->front->freed = true;
}

/* A copy of marks in an unchangeable descriptor. */
static int marks_memfd(struct span marks)
{
    int fd = memfd_create("restante-marks", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && write(fd, marks.p, marks.n) == (ssize_t)marks.n &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

void conn_request_commit(struct conn *c)
{
    struct login *l = c->login;
    size_t n = (l->view.count + 7u) / 8u;
    struct span deleted = span_of(l->view.deleted, n), retrieved = span_of(l->view.retrieved, n);
    struct msg m;
    bool sent;

    msg_init(&m, MSG_COMMIT, c->sid);
    m.flags = MSGF_QUIT | (l->policy.read_only ? MSGF_READ_ONLY : 0);
    if (n <= MARKS_INLINE) {
        m.data = deleted;
        m.secret = retrieved;
    } else {
        m.fds[0] = marks_memfd(deleted);
        m.fds[1] = marks_memfd(retrieved);
        m.nfds = 2;
    }
    sent = (m.nfds == 0 || (m.fds[0] >= 0 && m.fds[1] >= 0)) &&
           channel_send(c->front->store[l->store], &m);
    msg_close_fds(&m);
    if (sent)
        conn_wait(c, WAIT_COMMIT);
    else
        engine_committed(&c->engine, FAULT_TEMP, 0, l->view.count);
}

static void on_committed(struct conn *c, const struct msg *m)
{
    conn_wait(c, WAIT_NONE);
    if (c->login)
        c->login->opened = false; /* the store has closed it */
    counters_add(c->front->counters, c->front->id, CNT_DELETED, m->count);
    engine_committed(&c->engine, (enum fault)(m->fault < FAULT_N ? m->fault : FAULT_TEMP), m->count,
                     m->number);
    conn_run(c);
}

void front_on_store(void *ctx, struct channel *ch, struct msg *m)
{
    struct conn *c = conn_find(ctx, m->sid);
    struct msg close;

    if (!c || !c->login || !c->login->opened) {
        if (m->type == MSG_OPENED) {
            msg_init(&close, MSG_CLOSE, m->sid);
            channel_send(ch, &close);
        }
        return;
    }
    if (m->type == MSG_KICK) {
        if (c->wait != WAIT_COMMIT) /* a QUIT that runs is answered */
            conn_close(c, "taken-over");
    } else if (m->type == MSG_OPENED && c->wait == WAIT_OPEN) {
        conn_wait(c, WAIT_NONE);
        on_opened(c, m);
    } else if (m->type == MSG_OPEN_FAIL && c->wait == WAIT_OPEN) {
        c->login->opened = false;
        refuse(c, code_of((enum fault)m->fault));
    } else if (m->type == MSG_MESSAGE || m->type == MSG_FETCH_FAIL) {
        conn_messages(c, m);
    } else if (m->type == MSG_COMMITTED && c->wait == WAIT_COMMIT) {
        on_committed(c, m);
    }
}

/* The supervisor makes a new channel if the other end lives. */
static void report_lost(struct front *f, enum role role, uint32_t id, const struct err *why)
{
    struct msg m;

    event(LOG_INFO, "peer-gone", F_STR("peer", role_name(role)), F_U64("id", id), F_ERR(why));
    if (why->fault == FAULT_NONE)
        return; /* replaced: there is a new one already */
    msg_init(&m, MSG_LOST, 0);
    m.role = (uint8_t)role;
    m.id = id;
    channel_send(f->super, &m);
}

void front_auth_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct front *f = ctx;

    (void)ch;
    f->auth = NULL;
    report_lost(f, ROLE_AUTH, 0, why);
    for (uint32_t i = 0; i < f->nslot; i++) {
        struct conn *c = f->conn[i];

        if (!c || c->wait != WAIT_AUTH)
            continue; /* one between two SASL lines hears of it at its next line */
        conn_wait(c, WAIT_NONE);
        login_free(c);
        engine_refused(&c->engine, RC_SYS_TEMP, false);
        conn_run(c);
    }
}

void front_store_gone(void *ctx, struct channel *ch, const struct err *why)
{
    struct front *f = ctx;
    uint32_t id = channel_id(ch);

    if (id < FRONT_STORES && f->store[id] == ch)
        f->store[id] = NULL;
    report_lost(f, ROLE_STORE, id, why);
    for (uint32_t i = 0; i < f->nslot; i++) {
        struct conn *c = f->conn[i];

        if (!c || !c->login || !c->login->opened || c->login->store != id)
            continue; /* one whose commit is done owes the store nothing */
        c->login->opened = false;
        if (c->wait == WAIT_COMMIT) { /* done or not: nobody knows, so it is not "+OK" */
            conn_wait(c, WAIT_NONE);
            engine_committed(&c->engine, FAULT_TEMP, 0, c->login->view.count);
            conn_run(c);
        } else if (c->wait == WAIT_OPEN) {
            refuse(c, RC_SYS_TEMP);
        } else {
            conn_close(c, "store-gone"); /* no QUIT, no UPDATE */
        }
    }
}
