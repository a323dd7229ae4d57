/* client_server.c - a POP3 server that costs nothing: the counterpart of client benchmarks.
 *
 *     client_server COUNT OCTETS      prints its port, serves until it is ended
 *
 * COUNT messages of about OCTETS octets; QUIT commits deletions. A thread per session, one session at a time deletes;
 * replies to all commands that came together leave together. Any user, any password.
 * Does not know: mail, TLS, time (the delay is client_delay.py's).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT = 64 * 1024, OUTPUT = 256 * 1024, ROW = 77 };

static unsigned long count, octets;
static bool *gone; /* by message, from 1: what a QUIT deleted */

struct session {
    int fd;
    size_t in_n, out_n;
    char in[INPUT], out[OUTPUT];
    bool over;
    unsigned long shown, *which; /* message of each number, from 1 */
    bool *marked;                /* by number */
};

/* The maildrop as it is now. */
static void open_drop(struct session *s)
{
    s->which = calloc(count + 1, sizeof *s->which);
    s->marked = calloc(count + 1, sizeof *s->marked);
    if (!s->which || !s->marked)
        abort();
    for (unsigned long i = 1; i <= count; i++)
        if (!gone[i])
            s->which[++s->shown] = i;
}

static void commit(struct session *s)
{
    for (unsigned long n = 1; n <= s->shown; n++)
        if (s->marked[n])
            gone[s->which[n]] = true;
}

static void flush(struct session *s)
{
    size_t done = 0;

    while (done < s->out_n && !s->over) {
        ssize_t n = send(s->fd, s->out + done, s->out_n - done, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            s->over = true;
        else
            done += (size_t)n;
    }
    s->out_n = 0;
}

static void put(struct session *s, const char *data, size_t n)
{
    if (s->out_n + n > sizeof s->out)
        flush(s);
    memcpy(s->out + s->out_n, data, n);
    s->out_n += n;
}

static void say(struct session *s, const char *text)
{
    put(s, text, strlen(text));
}

/* Head and rows until the size is reached. Returns its octets; s NULL: only those. */
static unsigned long message(struct session *s, unsigned long i)
{
    static const char row[] = "The quick brown fox jumps over the lazy dog; 0123456789 and so on and on...\r\n";
    char head[256];
    int n = snprintf(
        head, sizeof head,
        "From: sender@example.org\r\nTo: u@example.org\r\nSubject: message %lu\r\nDate: Fri, 02 Jan 2026 "
        "03:04:05 +0000\r\nMessage-ID: <%lu@bench.example.org>\r\n\r\n",
        i, i);
    _Static_assert(sizeof row == ROW + 1, "a row is whole");
    unsigned long rows = octets > (unsigned long)n ? (octets - (unsigned long)n) / ROW : 0;

    if (s) {
        put(s, head, (size_t)n);
        for (unsigned long r = 0; r < rows && !s->over; r++)
            put(s, row, ROW);
    }
    return (unsigned long)n + rows * ROW;
}

static void listing(struct session *s, bool uidl, unsigned long only)
{
    char line[64];

    say(s, only ? "+OK " : "+OK\r\n");
    for (unsigned long i = only ? only : 1; i <= (only ? only : s->shown); i++) {
        int n = uidl ? snprintf(line, sizeof line, "%lu uid%010lu\r\n", i, s->which[i])
                     : snprintf(line, sizeof line, "%lu %lu\r\n", i, message(NULL, s->which[i]));

        put(s, line, (size_t)n);
    }
    if (!only)
        say(s, ".\r\n");
}

static void command(struct session *s, char *line)
{
    char *rest = strchr(line, ' ');
    unsigned long n = rest ? strtoul(rest + 1, NULL, 10) : 0;
    char text[96];

    if (rest)
        *rest = '\0';
    if (n > s->shown)
        say(s, "-ERR no such message\r\n");
    else if (strcasecmp(line, "CAPA") == 0)
        say(s, "+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\nRESP-CODES\r\n.\r\n");
    else if (strcasecmp(line, "LIST") == 0 || strcasecmp(line, "UIDL") == 0)
        listing(s, (line[0] | 0x20) == 'u', n);
    else if (strcasecmp(line, "STAT") == 0) {
        snprintf(text, sizeof text, "+OK %lu %lu\r\n", s->shown, s->shown * message(NULL, 1));
        say(s, text);
    } else if (n && (strcasecmp(line, "RETR") == 0 || strcasecmp(line, "TOP") == 0)) {
        say(s, "+OK\r\n");
        message(s, s->which[n]);
        say(s, ".\r\n");
    } else if (strcasecmp(line, "QUIT") == 0) {
        commit(s);
        say(s, "+OK bye\r\n");
        flush(s);
        s->over = true;
    } else if (n && strcasecmp(line, "DELE") == 0) {
        s->marked[n] = true;
        say(s, "+OK\r\n");
    } else if (strcasecmp(line, "USER") == 0 || strcasecmp(line, "PASS") == 0 || strcasecmp(line, "NOOP") == 0)
        say(s, "+OK\r\n");
    else
        say(s, "-ERR unknown\r\n");
}

static void *serve(void *arg)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s)
        abort();
    s->fd = (int)(intptr_t)arg;
    open_drop(s);
    say(s, "+OK bench ready\r\n");
    while (!s->over) {
        char *begin = s->in, *end;
        ssize_t n;

        flush(s);
        n = recv(s->fd, s->in + s->in_n, sizeof s->in - s->in_n, 0);
        if (n <= 0)
            break;
        s->in_n += (size_t)n;
        while (!s->over && (end = memchr(begin, '\n', s->in_n - (size_t)(begin - s->in)))) {
            *end = '\0';
            if (end > begin && end[-1] == '\r')
                end[-1] = '\0';
            command(s, begin);
            begin = end + 1;
        }
        s->in_n -= (size_t)(begin - s->in);
        memmove(s->in, begin, s->in_n);
        if (s->in_n == sizeof s->in)
            break;
    }
    close(s->fd);
    free(s->which);
    free(s->marked);
    free(s);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 3) {
        fputs("usage: client_server COUNT OCTETS\n", stderr);
        return 64;
    }
    count = strtoul(argv[1], NULL, 10);
    octets = strtoul(argv[2], NULL, 10);
    gone = calloc(count + 1, sizeof *gone);
    if (!gone || listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&a, &size) != 0)
        return 71;
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
        else
            close(fd);
    }
}
