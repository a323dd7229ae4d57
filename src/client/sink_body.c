/* sink_body.c - octets on their way into a spool file: digests, line ends, mbox quoting, limits.
 * Does not know: where the file will go.
 */
#include "client/sink_impl.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_EVERY = 8 << 20 }; /* octets between two looks at the free space */

static EVP_MD_CTX *digest_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    if (!c || !EVP_DigestInit_ex(c, EVP_sha256(), NULL))
        abort(); /* out of memory, as in base/buf.h */
    return c;
}

static void into_digest(void *ctx, struct span run)
{
    EVP_DigestUpdate(ctx, run.p, run.n);
}

static bool failed(struct sink *s, struct sink_item *item, const char *what)
{
    err_errno(&item->err, what, s->conf.target);
    item->result = SINK_TEMP;
    return false;
}

static bool flush(struct sink *s, struct sink_item *item)
{
    struct sink_body *b = item->state;
    struct span all = buf_span(&b->out);

    if (all.n)
        EVP_DigestUpdate(b->stored, all.p, all.n);
    if (b->has_sizes)
        wiresize_feed(&b->sizes, all);
    b->out.n = 0;
    return sys_write_all(item->fd, all) || failed(s, item, "write a message for");
}

/* The stored form, as it will lie there. */
static bool put(struct sink *s, struct sink_item *item, struct span data)
{
    struct sink_body *b = item->state;

    b->stored_octets += data.n;
    while (data.n) {
        size_t room = SINK_PIECE - b->out.n, n = data.n < room ? data.n : room;

        if (!buf_put_span(&b->out, span_take(&data, n)) || b->out.n == SINK_PIECE)
            if (!flush(s, item))
                return false;
    }
    return true;
}

/* Inside the '>' and the first octets of a line. The '>' go out at once: one more among them is the same as one
 * before them. */
static bool put_line_start(struct sink *s, struct sink_item *item, struct span *data)
{
    static const char from[] = "From ";
    struct sink_body *b = item->state;
    size_t n;

    if (b->from == 0 && data->p[0] == '>')
        return put(s, item, span_take(data, 1));
    if (data->p[0] == (uint8_t)from[b->from]) {
        span_take(data, 1);
        if (++b->from < sizeof from - 1)
            return true;
        b->from = 0;
        b->at_start = false;
        return put(s, item, span_str(">From "));
    }
    n = b->from;
    b->from = 0;
    b->at_start = false;
    return put(s, item, span_of(from, n));
}

static bool put_quoted(struct sink *s, struct sink_item *item, struct span data)
{
    struct sink_body *b = item->state;

    while (data.n) {
        const uint8_t *end;
        size_t n;

        if (b->at_start) {
            if (!put_line_start(s, item, &data))
                return false;
            continue;
        }
        end = memchr(data.p, '\n', data.n);
        n = end ? (size_t)(end - data.p) + 1 : data.n;
        b->at_start = end != NULL;
        if (!put(s, item, span_take(&data, n)))
            return false;
    }
    return true;
}

static bool emit(struct sink *s, struct sink_item *item, struct span data)
{
    struct sink_body *b = item->state;

    if (data.n)
        b->ended = data.p[data.n - 1] == '\n';
    return b->is_mbox ? put_quoted(s, item, data) : put(s, item, data);
}

/* CRLF becomes LF, nothing else changes; a CR waits for what follows it. */
static bool emit_lf(struct sink *s, struct sink_item *item, struct span data)
{
    struct sink_body *b = item->state;

    while (data.n) {
        const uint8_t *cr;
        size_t n;

        if (b->has_cr && data.p[0] != '\n' && !emit(s, item, span_str("\r")))
            return false;
        cr = memchr(data.p, '\r', data.n);
        n = cr ? (size_t)(cr - data.p) : data.n;
        b->has_cr = cr != NULL;
        if (n && !emit(s, item, span_take(&data, n)))
            return false;
        if (cr)
            span_take(&data, 1);
    }
    return true;
}

static bool has_room(struct sink *s, struct sink_item *item)
{
    struct sink_body *b = item->state;
    struct statvfs vfs;

    b->checked = b->octets;
    if (!s->conf.reserve_octets || fstatvfs(item->fd, &vfs) != 0)
        return true;
    if ((uint64_t)vfs.f_bavail * vfs.f_frsize >= s->conf.reserve_octets)
        return true;
    errno = ENOSPC;
    return failed(s, item, "keep the reserve of free space for");
}

static bool put_received(struct sink *s, struct sink_item *item)
{
    struct buf line = BUF(4096);
    char self[256] = "localhost", date[64] = "";
    time_t now = (time_t)(clock_real_ns() / 1000000000);
    struct tm tm;
    bool ok;
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

    if (gethostname(self, sizeof self - 1) != 0)
        memcpy(self, "localhost", sizeof "localhost");
    gmtime_r(&now, &tm);
    snprintf(date, sizeof date, "%s, %d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    ok = buf_printf(&line, "Received: from %.255s by %s with POP3 (restante) for %.255s; %s%s",
                    s->conf.host ? s->conf.host : "unknown", self, s->conf.account, date,
                    s->keep_crlf ? "\r\n" : "\n");
    ok = ok && emit(s, item, buf_span(&line));
    buf_free(&line);
    return ok;
}

bool body_begin(struct sink *s, struct sink_item *item)
{
    struct sink_body *b = item->state;

    b->out = BUF(SINK_PIECE);
    b->wire = digest_new();
    b->is_mbox = s->conf.kind == SINK_MBOX;
    b->stored = digest_new();
    b->identity = IDENTITY_INIT;
    b->has_sizes = s->conf.kind == SINK_MAILDIR && s->conf.size_fields;
    if (b->has_sizes)
        wiresize_init(&b->sizes);
    if (!has_room(s, item))
        return false;
    if (b->is_mbox) {
        char line[FROM_LINE];

        b->when = clock_real_ns() / 1000000000;
        if (!put(s, item, span_of(line, from_line(line, b->when, s->keep_crlf))))
            return false;
        b->at_start = b->ended = true;
    }
    return !s->conf.received_line || put_received(s, item);
}

bool body_write(struct sink *s, struct sink_item *item, struct span data)
{
    struct sink_body *b = item->state;

    if (!b || !b->wire) {
        err_set(&item->err, FAULT_BAD, "octets for a message that is not being received");
        return false;
    }
    if (!data.n)
        return true;
    b->octets += data.n;
    if (s->conf.max_octets && b->octets > s->conf.max_octets) {
        item->result = SINK_REFUSED;
        return err_set(&item->err, FAULT_BAD, "the message is larger than %llu octets",
                       (unsigned long long)s->conf.max_octets);
    }
    if (b->octets - b->checked >= LOOK_EVERY && !has_room(s, item))
        return false;
    identity_feed(&b->identity, data, into_digest, b->wire);
    return s->keep_crlf ? emit(s, item, data) : emit_lf(s, item, data);
}

/* mbox: what was held back, a line end where it is missing, and the empty line. */
static bool end_mbox(struct sink *s, struct sink_item *item)
{
    struct sink_body *b = item->state;
    const char *eol = s->keep_crlf ? "\r\n" : "\n";

    if (b->from && !put(s, item, span_of("From ", b->from)))
        return false;
    b->from = 0;
    return (b->ended || put(s, item, span_str(eol))) && put(s, item, span_str(eol));
}

bool body_end(struct sink *s, struct sink_item *item)
{
    struct sink_body *b = item->state;
    struct entry *entry = &item->entry;

    if (!b || !b->wire) {
        err_set(&item->err, FAULT_BAD, "the end of a message that is not being received");
        return false;
    }
    if (b->has_cr && !emit(s, item, span_str("\r")))
        return false;
    b->has_cr = false;
    if ((b->is_mbox && !end_mbox(s, item)) || !flush(s, item))
        return false;
    identity_end(&b->identity, into_digest, b->wire);
    EVP_DigestFinal_ex(b->wire, entry->wire_digest, NULL);
    EVP_DigestFinal_ex(b->stored, entry->stored_digest, NULL);
    entry->octets = b->octets;
    entry->stored_octets = b->stored_octets;
    if (b->has_sizes) {
        wiresize_end(&b->sizes);
        b->stored_wire = b->sizes.octets;
    }
    mark_put(entry, NULL, b->when);
    spool_start_writing(item->fd);
    body_free(item);
    return true;
}

void body_free(struct sink_item *item)
{
    struct sink_body *b = item->state;

    if (!b)
        return;
    EVP_MD_CTX_free(b->wire);
    EVP_MD_CTX_free(b->stored);
    b->wire = b->stored = NULL;
    buf_free(&b->out);
}

struct wire {
    EVP_MD_CTX *md;
    struct identity identity;
    uint64_t octets;
};

static void wire_octets(struct wire *w, struct span s)
{
    w->octets += s.n;
    identity_feed(&w->identity, s, into_digest, w->md);
}

/* What was sent, for a stored piece: each LF was a CRLF. */
static void wire_lines(struct wire *w, struct span s)
{
    while (s.n) {
        const uint8_t *end = memchr(s.p, '\n', s.n);

        wire_octets(w, span_take(&s, end ? (size_t)(end - s.p) : s.n));
        if (!end)
            return;
        span_take(&s, 1);
        wire_octets(w, span_str("\r\n"));
    }
}

bool digests_of_file(int fd, uint64_t at, uint64_t length, bool keep_crlf, struct sink_digests *d)
{
    EVP_MD_CTX *stored = digest_new();
    struct wire wire = { digest_new(), IDENTITY_INIT, 0 };
    uint8_t *piece = mem_new(SINK_PIECE);
    bool ok = true;

    *d = (struct sink_digests){ .stored_octets = length };
    for (uint64_t done = 0; ok && done < length;) {
        size_t n = length - done < SINK_PIECE ? (size_t)(length - done) : SINK_PIECE;

        ok = sys_pread_all(fd, piece, n, at + done);
        if (!ok)
            break;
        EVP_DigestUpdate(stored, piece, n);
        (keep_crlf ? wire_octets : wire_lines)(&wire, span_of(piece, n));
        done += n;
    }
    EVP_DigestFinal_ex(stored, d->stored, NULL);
    identity_end(&wire.identity, into_digest, wire.md);
    EVP_DigestFinal_ex(wire.md, d->wire, NULL);
    d->octets = wire.octets;
    EVP_MD_CTX_free(stored);
    EVP_MD_CTX_free(wire.md);
    free(piece);
    return ok;
}
