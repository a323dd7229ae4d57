/* floor_server.c - a POP3 server that does nothing but answer: what kernel and OpenSSL cost anyone.
 *
 *     floor-server PORT TLS-PORT CERTIFICATE KEY MAILDIRS [FIRST+COUNT...]
 *
 * Reads the Maildirs (a pattern: .../user%05d) of the users of each range into memory, ready for the wire, then
 * serves them from one epoll loop until it is ended. Any password; other users have no messages. Nothing is checked,
 * nothing is deleted: no server that does its work can be faster, and ours is measured in multiples of it.
 * Does not know: locks, hashes, files after its start.
 */
#include "base/buf.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, INPUT = 64 * 1024, OUTPUT = 64 * 1024, BIG = 16 * 1024 };

struct box {
    struct span *replies; /* to RETR, by message */
    uint32_t n;
    uint64_t octets;
    struct buf stat, list, uidl;
};

struct conn {
    int fd;
    bool over, shaking;
    uint32_t watched;
    SSL *ssl;
    const struct box *box;
    struct buf in, out;
    struct span big; /* what of a large message is to be sent after out */
};

struct floor {
    int epoll;
    SSL_CTX *tls;
    struct box empty, **boxes; /* by number of the user; NULL = empty */
    uint32_t boxes_n;
    uint8_t *input;
};

static void die(const char *what)
{
    fprintf(stderr, "floor-server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void must(bool good)
{
    if (!good)
        die("memory");
}

/* The answer to RETR: status, lines with CRLF and stuffed dots, end. */
static struct span as_reply(struct span text, uint64_t *octets)
{
    struct buf out = BUF(SIZE_MAX / 2);

    must(buf_put_str(&out, "+OK\r\n"));
    while (text.n) {
        bool ended = memchr(text.p, '\n', text.n) != NULL; /* only then a CR belongs to the line's end */
        struct span line = span_until(&text, '\n');

        if (ended && line.n && line.p[line.n - 1] == '\r')
            line.n--;
        must((!line.n || *line.p != '.' || buf_put_str(&out, ".")) && buf_put_span(&out, line) &&
             buf_put_str(&out, "\r\n"));
        *octets += line.n + 2;
    }
    must(buf_put_str(&out, ".\r\n"));
    return buf_span(&out);
}

static void load_message(struct box *b, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct buf text = BUF(SIZE_MAX / 2);
    uint64_t octets = 0;
    ssize_t n = 1;

    if (fd < 0)
        die(path);
    while (n > 0) {
        uint8_t *p = buf_reserve(&text, 65536);

        n = read(fd, p, 65536);
        text.n += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    b->replies = mem_grow(b->replies, (size_t)b->n + 1, sizeof *b->replies);
    b->replies[b->n++] = as_reply(buf_span(&text), &octets);
    b->octets += octets;
    must(buf_printf(&b->list, "%" PRIu32 " %" PRIu64 "\r\n", b->n, octets));
    must(buf_printf(&b->uidl, "%" PRIu32 " uid%08" PRIu32 "\r\n", b->n, b->n));
    buf_free(&text);
}

static int hidden_or_not(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void load_box(struct box *b, const char *pattern, uint32_t user)
{
    const char *mark = strstr(pattern, "%05d");
    char path[PATH_MAX];

    b->stat = b->list = b->uidl = BUF(SIZE_MAX / 2);
    must(buf_put_str(&b->list, "+OK\r\n") && buf_put_str(&b->uidl, "+OK\r\n"));
    for (int part = 0; mark && part < 2; part++) {
        struct dirent **names = NULL;
        int n;

        snprintf(path, sizeof path, "%.*s%05" PRIu32 "%s/%s", (int)(mark - pattern), pattern, user, mark + 4,
                 part ? "cur" : "new");
        n = scandir(path, &names, hidden_or_not, alphasort);
        for (int i = 0; i < n; i++) {
            size_t at = strlen(path);

            snprintf(path + at, sizeof path - at, "/%s", names[i]->d_name);
            load_message(b, path);
            path[at] = '\0';
            free(names[i]);
        }
        free(names);
    }
    must(buf_printf(&b->stat, "+OK %" PRIu32 " %" PRIu64 "\r\n", b->n, b->octets) &&
         buf_put_str(&b->list, ".\r\n") && buf_put_str(&b->uidl, ".\r\n"));
}

static void watch(struct floor *f, struct conn *c, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = c };

    if (c->watched == events)
        return;
    epoll_ctl(f->epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event);
    c->watched = events;
}

static void close_conn(struct conn *c)
{
    if (c->ssl)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

/* Octets sent or read; 0: not now; -1: the connection is over. */
static ssize_t verdict(struct conn *c, ssize_t n)
{
    if (n > 0)
        return n;
    if (c->ssl) {
        int why = SSL_get_error(c->ssl, (int)n);

        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    return n < 0 && errno == EAGAIN ? 0 : -1;
}

static bool send_span(struct conn *c, struct span *s)
{
    while (s->n) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, s->p, s->n > INT_MAX ? INT_MAX : (int)s->n)
                           : send(c->fd, s->p, s->n, MSG_NOSIGNAL);

        n = verdict(c, n);
        if (n < 0)
            c->over = true;
        if (n <= 0)
            return false;
        span_take(s, (size_t)n);
    }
    return true;
}

/* True: everything is out. */
static bool flush(struct floor *f, struct conn *c)
{
    if (c->out.n) {
        struct span s = buf_span(&c->out);
        bool all = send_span(c, &s);

        buf_consume(&c->out, c->out.n - s.n);
        if (!all) {
            watch(f, c, EPOLLIN | EPOLLOUT);
            return false;
        }
    }
    buf_free(&c->out);
    if (!send_span(c, &c->big)) {
        watch(f, c, EPOLLIN | EPOLLOUT);
        return false;
    }
    watch(f, c, EPOLLIN);
    return true;
}

static void answer_retr(struct conn *c, struct span line)
{
    uint64_t n = 0;

    if (line.n < 6 || !num_all_u64(span_of(line.p + 5, line.n - 5), &n) || n == 0 || n > c->box->n)
        must(buf_put_str(&c->out, "-ERR\r\n"));
    else if (c->box->replies[n - 1].n >= BIG)
        c->big = c->box->replies[n - 1];
    else
        must(buf_put_span(&c->out, c->box->replies[n - 1]));
}

static void choose(struct floor *f, struct conn *c, struct span line)
{
    uint64_t n = 0;

    for (size_t at = 5; at < line.n; at++)
        if (ascii_digit(line.p[at]))
            n = n * 10 + (uint64_t)(line.p[at] - '0');
    c->box = n < f->boxes_n && f->boxes[n] ? f->boxes[n] : &f->empty;
}

static void answer(struct floor *f, struct conn *c, struct span line)
{
    uint32_t verb = 0;

    for (size_t i = 0; i < 4 && i < line.n; i++)
        verb = verb << 8 | line.p[i];
    switch (verb) {
    case 'U' << 24 | 'S' << 16 | 'E' << 8 | 'R':
        choose(f, c, line);
        must(buf_put_str(&c->out, "+OK\r\n"));
        break;
    case 'S' << 24 | 'T' << 16 | 'A' << 8 | 'T': must(buf_put_span(&c->out, buf_span(&c->box->stat))); break;
    case 'L' << 24 | 'I' << 16 | 'S' << 8 | 'T': c->big = buf_span(&c->box->list); break;
    case 'U' << 24 | 'I' << 16 | 'D' << 8 | 'L': c->big = buf_span(&c->box->uidl); break;
    case 'R' << 24 | 'E' << 16 | 'T' << 8 | 'R': answer_retr(c, line); break;
    case 'Q' << 24 | 'U' << 16 | 'I' << 8 | 'T':
        c->over = true;
        must(buf_put_str(&c->out, "+OK bye\r\n"));
        break;
    default: must(buf_put_str(&c->out, "+OK\r\n")); break;
    }
}

/* Answers whole lines as long as the socket takes them; returns what is left of in. */
static struct span answer_all(struct floor *f, struct conn *c, struct span in)
{
    const uint8_t *end;

    while (!c->over && in.n && (end = memchr(in.p, '\n', in.n))) {
        struct span line = span_take(&in, (size_t)(end - in.p) + 1);

        answer(f, c, span_of(line.p, line.n - (line.n > 1 ? 2 : 1)));
        if ((c->out.n >= OUTPUT || c->big.n) && !flush(f, c))
            return in;
    }
    flush(f, c);
    return in;
}

static void take(struct floor *f, struct conn *c, struct span fresh)
{
    struct span rest;

    if (c->in.n || c->out.n || c->big.n) {
        must(buf_put_span(&c->in, fresh));
        if (!flush(f, c))
            return;
        rest = answer_all(f, c, buf_span(&c->in));
        buf_consume(&c->in, c->in.n - rest.n);
        if (!c->in.n)
            buf_free(&c->in);
    } else {
        rest = answer_all(f, c, fresh);
        if (rest.n)
            must(buf_put_span(&c->in, rest));
    }
}

static void greet(struct floor *f, struct conn *c)
{
    c->shaking = false;
    must(buf_put_str(&c->out, "+OK ready\r\n"));
    flush(f, c);
}

static void on_event(struct floor *f, struct conn *c, uint32_t events)
{
    ssize_t n = 1;

    if (c->shaking) {
        int done = SSL_do_handshake(c->ssl);

        if (done == 1)
            greet(f, c);
        else if (verdict(c, done) < 0)
            c->over = true;
        else
            watch(f, c, SSL_want_write(c->ssl) ? EPOLLOUT : EPOLLIN);
    } else if (events & EPOLLOUT) {
        take(f, c, span_of(NULL, 0));
    }
    while (n > 0 && !c->over && !c->shaking && !c->out.n && !c->big.n) {
        n = c->ssl ? SSL_read(c->ssl, f->input, INPUT) : recv(c->fd, f->input, INPUT, 0);
        n = verdict(c, n);
        if (n < 0)
            c->over = true;
        if (n > 0)
            take(f, c, span_of(f->input, (size_t)n));
        if (!c->ssl)
            break;
    }
    if (c->over && !c->big.n)
        close_conn(c);
}

static void on_accept(struct floor *f, int listener, bool tls)
{
    int on = 1, fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = mem_zero(1, sizeof *c);

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->fd = fd;
        c->in = c->out = BUF(64u << 20);
        c->box = &f->empty;
        if (!tls) {
            greet(f, c);
            continue;
        }
        c->ssl = SSL_new(f->tls);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
        c->shaking = true;
        watch(f, c, EPOLLIN);
    }
}

static int listen_on(struct floor *f, const char *port, void *mark)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = mark };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    uint64_t n = 0;

    must(num_all_u64(span_str(port), &n));
    sa.sin_port = htons((uint16_t)n);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 4096) != 0)
        die("listen");
    epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

static void make_tls(struct floor *f, const char *cert, const char *key)
{
    f->tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(f->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(f->tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(f->tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (SSL_CTX_use_certificate_chain_file(f->tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(f->tls, key, SSL_FILETYPE_PEM) != 1)
        die("certificate");
}

static void load_range(struct floor *f, const char *pattern, const char *range)
{
    struct span text = span_str(range), from = span_until(&text, '+');
    uint64_t first, count;

    if (!num_all_u64(from, &first) || !num_all_u64(text, &count) || first + count > 1000000)
        die(range);
    while (f->boxes_n < first + count) {
        f->boxes = mem_grow(f->boxes, (size_t)f->boxes_n + 1, sizeof *f->boxes);
        f->boxes[f->boxes_n++] = NULL;
    }
    for (; count; first++, count--) {
        f->boxes[first] = mem_zero(1, sizeof *f->boxes[first]);
        load_box(f->boxes[first], pattern, (uint32_t)first);
    }
}

static void prepare(struct floor *f, char **argv)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct rlimit limit;

    sigaction(SIGPIPE, &ignore, NULL);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    f->input = mem_new(INPUT);
    load_box(&f->empty, "", 0);
    for (char **range = argv + 6; *range; range++)
        load_range(f, argv[5], *range);
    malloc_trim(0); /* or connections would live in what loading left behind, and look free of cost */
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    make_tls(f, argv[3], argv[4]);
}

int main(int argc, char **argv)
{
    struct floor f = { 0 };
    struct epoll_event events[EVENTS];
    char plain_mark, tls_mark;
    int plain, tls;

    if (argc < 6) {
        fputs("floor-server PORT TLS-PORT CERTIFICATE KEY MAILDIRS [FIRST+COUNT...]\n", stderr);
        return 64;
    }
    prepare(&f, argv);
    plain = listen_on(&f, argv[1], &plain_mark);
    tls = listen_on(&f, argv[2], &tls_mark);
    for (;;) {
        int n = epoll_wait(f.epoll, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &plain_mark || events[i].data.ptr == &tls_mark)
                on_accept(&f, events[i].data.ptr == &plain_mark ? plain : tls, events[i].data.ptr == &tls_mark);
            else
                on_event(&f, events[i].data.ptr, events[i].events);
        }
    }
}
