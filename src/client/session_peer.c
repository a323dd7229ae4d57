/* session_peer.c - the fetcher of a session: started, told its job, listened to. Does not know: mail. */
#include "client/session.h"

#include "base/num.h"
#include "base/sys.h"
#include "client/job.h"
#include "net/tls_client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A fetcher that is taken over shall find no environment of its user and not write to the terminal; a sanitizer must be
 * able to say what it found. */
#ifdef __SANITIZE_ADDRESS__
#define FETCHER_STDERR UV_INHERIT_FD
#define FETCHER_ENVIRONMENT NULL
#else
#define FETCHER_STDERR UV_IGNORE
#define FETCHER_ENVIRONMENT nothing
#endif

enum { PACKETS_AT_A_TIME = 64, PROXY_MAX = 512 };

static const char *const system_ca[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/ssl/cert.pem", NULL };

/* The program beside our own, else where it is installed. */
static const char *fetcher_path(char *path, size_t room)
{
    const char *dir = getenv("RESTANTE_LIBEXEC");
    ssize_t n;
    char *slash;

    if (dir) {
        snprintf(path, room, "%s/restante-fetch", dir);
        return path;
    }
    n = readlink("/proc/self/exe", path, room - 20);
    if (n > 0) {
        path[n] = '\0';
        slash = strrchr(path, '/');
        snprintf(slash + 1, room - (size_t)(slash + 1 - path), "restante-fetch");
        if (access(path, X_OK) == 0)
            return path;
    }
    snprintf(path, room, "%s/restante-fetch", LIBEXECDIR);
    return path;
}

static void on_exit_child(uv_process_t *child, int64_t status, int signal_number)
{
    struct session *s = child->data;

    (void)status;
    if (signal_number == SIGSYS)
        session_note(s, true, "the fetcher made a system call it must not make and was ended; please report this");
    uv_close((uv_handle_t *)child, NULL);
    s->child_alive = false;
    session_pump(s);
}

/* A fetcher that is gone has said why before: what it said is still to be read, so nothing more is done here. */
bool session_tell(struct session *s, struct link_msg *m)
{
    struct err e = { 0 };

    if (s->link >= 0 && link_send(s->link, m, &e))
        return true;
    if (e.fault == FAULT_TEMP) {
        session_fail(s, 70, e.text);
        session_hang_up(s);
    }
    return false;
}

static bool send_file(struct session *s, enum link_file which, const char *path, struct err *e)
{
    struct link_msg m;
    bool ok;

    if (!path || !*path)
        return true;
    link_init(&m, LINK_FILE);
    m.number = which;
    m.fd = sys_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (m.fd < 0)
        return err_errno(e, "opening", path);
    ok = session_tell(s, &m);
    sys_close(&m.fd);
    return ok;
}

static bool send_files(struct session *s, struct err *e)
{
    const struct account *a = s->account;
    const char *ca = a->ca_file;

    if (s->tls == DIALOG_TLS_NONE)
        return true;
    for (size_t i = 0; (!ca || !*ca) && system_ca[i]; i++)
        if (access(system_ca[i], R_OK) == 0)
            ca = system_ca[i];
    if (a->verify != TLS_VERIFY_FULL && (!a->ca_file || !*a->ca_file))
        ca = NULL;
    return send_file(s, LINK_FILE_CA, ca, e) && send_file(s, LINK_FILE_CRL, a->crl_file, e) &&
           send_file(s, LINK_FILE_CERTIFICATE, a->certificate, e) && send_file(s, LINK_FILE_KEY, a->key, e);
}

static void auth_of(const struct account *a, struct job *job)
{
    const char *auth = a->auth && *a->auth ? a->auth : "auto";

    job->sasl_name = NULL;
    if (span_iis(span_str(auth), "auto")) {
        job->auth = DIALOG_AUTH_AUTO;
        job->mechs = MECH_BIT(MECH_SCRAM_SHA_256_PLUS) | MECH_BIT(MECH_SCRAM_SHA_256) | MECH_BIT(MECH_SCRAM_SHA_1_PLUS) |
                     MECH_BIT(MECH_SCRAM_SHA_1) | MECH_BIT(MECH_PLAIN) | MECH_BIT(MECH_LOGIN); /* CRAM-MD5 by name: R2195-03 */
        if (a->token_command && *a->token_command)
            job->mechs |= MECH_BIT(DIALOG_OAUTHBEARER) | MECH_BIT(DIALOG_XOAUTH2);
        if (a->certificate && *a->certificate)
            job->mechs |= MECH_BIT(MECH_EXTERNAL);
    } else if (span_iis(span_str(auth), "user")) {
        job->auth = DIALOG_AUTH_USER;
    } else if (span_iis(span_str(auth), "apop")) {
        job->auth = DIALOG_AUTH_APOP;
    } else {
        job->auth = DIALOG_AUTH_SASL;
        job->sasl_name = a->auth;
    }
}

static char *pins_text(const struct account *a)
{
    char *text = mem_zero(a->npins * 65u + 1, 1);
    size_t n = 0;

    for (uint32_t i = 0; i < a->npins; i++) {
        uint8_t pin[32];

        if (!tls_pin_parse(a->pins[i], pin))
            continue;
        if (n)
            text[n++] = ' ';
        hex_put((uint8_t *)text + n, span_of(pin, sizeof pin));
        n += 64;
    }
    return text;
}

/* socks5://[user[:password]@]host[:port]: what the dialler needs stands in session.c, the names here. */
static void proxy_login(const struct account *a, struct job *job, char *room)
{
    char *at, *colon;

    job->use_proxy = a->proxy && *a->proxy;
    if (!job->use_proxy || !strchr(a->proxy, '@'))
        return;
    snprintf(room, PROXY_MAX, "%s", strstr(a->proxy, "://") ? strstr(a->proxy, "://") + 3 : a->proxy);
    at = strrchr(room, '@');
    *at = '\0';
    colon = strchr(room, ':');
    if (colon)
        *colon = '\0';
    job->proxy_user = room;
    job->proxy_password = colon ? colon + 1 : at; /* at is an empty string by now */
}

static void job_of(struct session *s, struct job *job)
{
    const struct account *a = s->account;
    bool probe = s->options->mode == RUN_PROBE;

    *job = (struct job){
        .host = s->host, .authzid = a->authzid, .port = s->port, .tls = s->tls,
        .verify = a->verify, .connect_s = a->connect_s, .reply_s = a->reply_s, .read_s = a->read_s,
        .top_lines = a->filter_lines, .window = a->window, .max_octets = a->max_message, .plaintext_auth = a->plaintext_auth,
        .one_line_auth = a->one_line_auth, .use_capa = a->capa != CHOICE_NO && !s->without_capa,
        .use_pipelining = a->pipelining != CHOICE_NO, .force_pipelining = a->pipelining == CHOICE_YES,
        .lf_dot_ends = a->lf_dot_ends, .apop_after_stls = a->apop_after_stls,
        .login_only = probe && s->options->login, .no_login = probe && !s->options->login,
        .want_uidl = a->uidl != CHOICE_NO, .trace = s->options->trace,
        .has_certificate = a->certificate && *a->certificate,
        .force_utf8 = s->asks_utf8, .tls13_only = a->tls_min && strcmp(a->tls_min, "1.3") == 0,
        .srv_domain = session_is_discovered(s) ? s->domain : NULL,
        .srv_implicit = s->tls == DIALOG_TLS_UP,
    };
    auth_of(a, job);
}

static bool brief_child(struct session *s, int sock, struct err *e)
{
    struct buf text = BUF(JOB_TEXT);
    char proxy[PROXY_MAX] = "";
    struct link_msg m;
    struct job job;
    bool ok;

    job_of(s, &job);
    job.user = mem_strn(session_user(s));
    if (!s->account->proxy || strlen(s->account->proxy) < PROXY_MAX)
        proxy_login(s->account, &job, proxy);
    job.pins = pins_text(s->account);
    link_init(&m, LINK_JOB);
    ok = job_put(&job, &text) || err_set(e, FAULT_BAD, "the account's names are too long");
    m.text = buf_span(&text);
    m.fd = sock;
    ok = ok && session_tell(s, &m) && send_files(s, e);
    link_init(&m, LINK_SECRET);
    m.text = buf_span(&s->password);
    m.data = buf_span(&s->token);
    ok = ok && session_tell(s, &m);
    link_init(&m, LINK_GO);
    ok = ok && session_tell(s, &m);
    free(job.pins);
    free(job.user);
    explicit_bzero(proxy, sizeof proxy);
    buf_wipe(&text);
    if (!ok && !e->text[0] && s->pending_code)
        return err_set(e, FAULT_TEMP, "%s", s->why);
    return !e->text[0]; /* when it is gone, what it said and its end are still to be read */
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct session *s = poll->data;
    struct link_msg m;
    struct err e = { 0 };

    (void)events;
    for (int i = 0; i < PACKETS_AT_A_TIME && s->poll_open && s->reading; i++) {
        int got = status < 0 ? -1 : link_recv(s->link, s->packet, false, &m, &e);

        if (got == 0)
            break;
        if (got < 0) {
            if (s->phase == SESSION_TALKING && s->failure == FAILURE_NONE && !s->quit_ok)
                session_fail(s, 70, e.fault == FAULT_BAD ? e.text : "the fetcher ended unexpectedly");
            session_close_peer(s);
            break;
        }
        if (m.fd >= 0)
            close(m.fd);
        session_packet(s, &m);
    }
    session_pump(s);
}

void session_read(struct session *s, bool on)
{
    if (!s->poll_open || uv_is_closing((uv_handle_t *)&s->poll) || on == s->reading)
        return;
    s->reading = on;
    if (on)
        uv_poll_start(&s->poll, UV_READABLE, on_readable);
    else
        uv_poll_stop(&s->poll);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    sys_close(&s->link);
    s->poll_open = false;
    session_pump(s);
}

void session_close_peer(struct session *s)
{
    if (s->poll_open && !uv_is_closing((uv_handle_t *)&s->poll)) {
        s->reading = false;
        uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    }
    if (s->child_alive && s->phase != SESSION_OVER && !s->quit_ok && s->failure == FAILURE_NONE)
        uv_process_kill(&s->child, SIGKILL);
    if (s->phase == SESSION_TALKING)
        s->phase = SESSION_CLOSING;
}

bool session_spawn(struct session *s, int sock, struct err *e)
{
    int pair[2], rc, room = 1024 * 1024;
    char path[4096];
    char *argv[] = { (char *)"restante-fetch", NULL };
    uv_stdio_container_t stdio[4] = { { .flags = UV_IGNORE }, { .flags = UV_IGNORE },
                                      { .flags = FETCHER_STDERR, .data.fd = 2 }, { .flags = UV_INHERIT_FD } };
    char *nothing[] = { NULL };
    uv_process_options_t options = { .exit_cb = on_exit_child, .args = argv, .stdio = stdio, .stdio_count = 4,
                                     .env = FETCHER_ENVIRONMENT };

    (void)nothing;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(e, "making", "a socket pair");
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room); /* one window of mail in flight between us */
    stdio[3].data.fd = pair[1];
    options.file = fetcher_path(path, sizeof path);
    s->child.data = s;
    rc = uv_spawn(s->loop, &s->child, &options);
    close(pair[1]);
    s->link = pair[0];
    if (rc != 0) {
        uv_close((uv_handle_t *)&s->child, NULL);
        sys_close(&s->link);
        return err_set(e, FAULT_PERM, "starting %s: %s", path, uv_strerror(rc));
    }
    s->child_alive = true;
    rc = brief_child(s, sock, e) ? 0 : -1;
    fcntl(s->link, F_SETFL, O_NONBLOCK);
    uv_poll_init(s->loop, &s->poll, s->link);
    s->poll.data = s;
    s->poll_open = true;
    s->phase = SESSION_TALKING;
    if (rc != 0) {
        session_close_peer(s);
        return false;
    }
    session_read(s, true);
    return true;
}
