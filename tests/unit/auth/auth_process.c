/* auth_process.c - the world around a restante-auth under test: see auth_process.h. */
#include "auth_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

void tell(int fd, const struct msg *m)
{
    struct err e = { FAULT_NONE, "" };

    if (!msg_send(fd, m, &e))
        fail_msg("%s: %s", msg_name(m->type), e.text);
}

static void tell_fd(int to, struct msg *m, int fd)
{
    m->fds[0] = fd;
    m->nfds = 1;
    tell(to, m);
    close(fd);
}

int world_peer(struct world *w, enum role role, uint32_t id)
{
    struct msg m;
    int fds[2];

    pair(fds);
    msg_init(&m, MSG_PEER, 0);
    m.role = (uint8_t)role;
    m.id = id;
    if (role == ROLE_STORE) {
        m.uid = geteuid() == 0 ? USER_UID : geteuid();
        m.gid = geteuid() == 0 ? USER_GID : getegid();
    }
    tell_fd(w->super, &m, fds[1]);
    return fds[0];
}

void world_set(char **setting, const char *value)
{
    free(*setting);
    *setting = mem_str(value);
}

void world_list(struct strlist *list, const char *value)
{
    list->v = mem_grow(list->v, list->n + 1, sizeof *list->v);
    list->v[list->n++] = mem_str(value);
}

void world_conf(struct world *w)
{
    struct buf text = BUF(1 << 20);
    struct msg m;

    assert_true(conf_put_text(w->conf, &text));
    msg_init(&m, MSG_CONF, 0);
    m.data = buf_span(&text);
    tell(w->super, &m);
    buf_free(&text);
}

void world_users(struct world *w, const char *text)
{
    char fresh[110];
    struct msg m;
    int fd;

    snprintf(fresh, sizeof fresh, "%s.new", w->users);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(rename(fresh, w->users), 0);
    msg_init(&m, MSG_USERS, 0);
    tell_fd(w->super, &m, open(w->users, O_RDONLY | O_CLOEXEC));
}

static pid_t spawn(const char *variable, int super, int log)
{
    const char *program = getenv(variable);
    pid_t pid;

    if (!program)
        fail_msg("%s is not set: it names the program", variable);
    pid = fork();
    if (pid != 0)
        return pid;
    dup2(log, 2);
    super = fcntl(super, F_DUPFD, 10); /* out of the way: it may be 3 already, close-on-exec */
    dup2(super, 3);
    close(super);
    execl(program, program, (char *)NULL);
    _exit(127);
}

struct world *world_new(const char *users, void (*tweak)(struct conf *conf))
{
    struct world *w = mem_zero(1, sizeof *w);
    char log[110];
    struct msg m;
    int fds[2];

    snprintf(w->users, sizeof w->users, "/tmp/restante-auth-%d", (int)getpid());
    snprintf(log, sizeof log, "%s.log", w->users);
    w->log = open(log, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0600);
    w->store = -1;
    w->conf = conf_defaults();
    world_set(&w->conf->users.file, w->users);
    world_set(&w->conf->mail.maildrop, "/var/mail/{user}");
    w->conf->auth.throttle = false;
    w->conf->auth.cache_s = 0; /* the tests play the hash workers and want to be asked */
    w->conf->log.level = CONF_LOG_DEBUG;
    w->conf->workers.chroot[0] = '\0'; /* the folder may not exist here */
    if (tweak)
        tweak(w->conf);
    pair(fds);
    w->super = fds[0];
    w->pid = spawn("RESTANTE_AUTH", fds[1], w->log);
    close(fds[1]);
    world_conf(w);
    world_users(w, users);
    w->hash = world_peer(w, ROLE_HASH, 0);
    w->front[0] = world_peer(w, ROLE_FRONT, 0);
    w->front[1] = world_peer(w, ROLE_FRONT, 1);
    msg_init(&m, MSG_GO, 0);
    m.uid = geteuid() == 0 ? 0 : UINT32_MAX; /* as root: stay root, said plainly */
    m.gid = m.uid;
    tell(w->super, &m);
    expect_msg(w, w->super, MSG_READY);
    w->mechs = expect_msg(w, w->front[0], MSG_MECHS)->number;
    expect_msg(w, w->front[1], MSG_MECHS);
    return w;
}

void world_free(struct world **wp)
{
    struct world *w = *wp;
    int fds[] = { w->super, w->front[0], w->front[1], w->hash, w->store, w->log };
    char log[110];
    struct msg m;
    int status;

    msg_init(&m, MSG_STOP, 0);
    if (w->super >= 0)
        tell(w->super, &m);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    if (status != 0)
        fail_msg("the worker ended with status %#x; see %s.log", (unsigned)status, w->users);
    for (size_t i = 0; i < COUNT(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    snprintf(log, sizeof log, "%s.log", w->users);
    unlink(log);
    unlink(w->users);
    conf_free(&w->conf);
    free(w);
    *wp = NULL;
}

bool world_logged(struct world *w, const char *text)
{
    struct stat st;
    char *all;
    bool found;

    assert_int_equal(fstat(w->log, &st), 0);
    all = mem_zero(1, (size_t)st.st_size + 1);
    assert_int_equal(pread(w->log, all, (size_t)st.st_size, 0), st.st_size);
    found = strstr(all, text) != NULL;
    free(all);
    return found;
}

static bool readable(int fd, int ms)
{
    struct pollfd p = { fd, POLLIN, 0 };

    return poll(&p, 1, ms) == 1;
}

struct msg *expect_msg(struct world *w, int fd, enum msg_type type)
{
    struct err e = { FAULT_NONE, "" };
    int got;

    do { /* a lost channel reported and mechanisms announced are no answer to anything */
        if (!readable(fd, WAIT_MS))
            fail_msg("waited in vain for %s", msg_name(type));
        got = msg_recv(fd, w->packet, sizeof w->packet, &w->m, &e);
        if (got != 1)
            fail_msg("waited for %s: %s", msg_name(type), e.text);
    } while (w->m.type != type && (w->m.type == MSG_LOST || w->m.type == MSG_MECHS));
    if (w->m.type != type)
        fail_msg("%s instead of %s (code %u, flags %u)", msg_name(w->m.type), msg_name(type), w->m.code,
                 (unsigned)w->m.flags);
    return &w->m;
}

void expect_nothing(struct world *w, int fd, int ms)
{
    struct err e;

    if (!readable(fd, ms))
        return;
    if (msg_recv(fd, w->packet, sizeof w->packet, &w->m, &e) != 1)
        fail_msg("closed: %s", e.text);
    fail_msg("%s out of turn", msg_name(w->m.type));
}

void expect_closed(struct world *w, int fd)
{
    struct err e;

    assert_true(readable(fd, WAIT_MS));
    assert_int_equal(msg_recv(fd, w->packet, sizeof w->packet, &w->m, &e), -1);
}

void expect_fail(struct world *w, int fd, enum resp_code code)
{
    expect_msg(w, fd, MSG_LOGIN_FAIL);
    if (w->m.code != code)
        fail_msg("refused with %u, want %u", w->m.code, (unsigned)code);
}

static void describe(struct msg *m)
{
    static const uint8_t addr[ADDR_OCTETS] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1 };

    memcpy(m->addr, addr, sizeof addr);
    m->flags |= MSGF_TLS;
}

void login_pass(struct world *w, uint64_t sid, const char *user, const char *password)
{
    struct msg m;

    msg_init(&m, MSG_LOGIN_PASS, sid);
    describe(&m);
    m.user = span_str(user);
    m.secret = span_str(password);
    tell(w->front[sid >> 48], &m);
}

void login_sasl(struct world *w, uint64_t sid, enum mech_id mech, struct span initial)
{
    struct msg m;

    msg_init(&m, MSG_LOGIN_SASL, sid);
    describe(&m);
    m.flags |= initial.p ? MSGF_HAS_DATA : 0;
    m.mech = (uint8_t)mech;
    m.data = initial;
    tell(w->front[sid >> 48], &m);
}

void sasl_more_line(struct world *w, uint64_t sid, struct span line)
{
    struct msg m;

    msg_init(&m, MSG_SASL_MORE, sid);
    m.data = line;
    tell(w->front[sid >> 48], &m);
}

const char *expect_hash(struct world *w, const char *password)
{
    struct msg *m = expect_msg(w, w->hash, MSG_HASH_CHECK);
    uint8_t *end = (uint8_t *)m->user.p + m->user.n;

    if (password)
        expect_span(m->secret, password);
    *end = '\0'; /* the length of the next field stands there: it has been read */
    return (const char *)m->user.p;
}

void answer_hash(struct world *w, bool right)
{
    struct msg m;

    msg_init(&m, MSG_HASH_RESULT, w->m.sid);
    m.code = right;
    tell(w->hash, &m);
}

void give_store(struct world *w)
{
    struct msg *need = expect_msg(w, w->super, MSG_NEED_STORE), m;

    assert_int_equal(need->uid, geteuid() == 0 ? USER_UID : geteuid());
    assert_int_equal(need->gid, geteuid() == 0 ? USER_GID : getegid());
    msg_init(&m, MSG_STORE_IS, 0);
    m.number = STORE_ID;
    m.uid = need->uid;
    m.gid = need->gid;
    tell(w->super, &m);
    if (w->store >= 0)
        close(w->store);
    w->store = world_peer(w, ROLE_STORE, STORE_ID);
}

void expect_ok(struct world *w, uint64_t sid, const char *user)
{
    uint8_t grant[GRANT_OCTETS];
    struct msg *m;

    m = expect_msg(w, w->store, MSG_GRANT);
    assert_true(m->sid == sid);
    assert_int_equal(m->id, sid >> 48);
    expect_span(m->user, user);
    memcpy(grant, m->grant, sizeof grant);
    m = expect_msg(w, w->front[sid >> 48], MSG_LOGIN_OK);
    assert_true(m->sid == sid);
    assert_int_equal(m->id, STORE_ID);
    expect_span(m->user, user);
    assert_memory_equal(m->grant, grant, sizeof grant);
}
