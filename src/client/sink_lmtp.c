/* sink_lmtp.c - an LMTP server as destination (RFC 2033): at least once, one connection a batch.
 *
 * Commands carry only what the configuration says and numbers. Two changes are made on the way, because SMTP knows
 * no other lines (RFC 5321 section 2.3.8) and lax servers take a lone LF for a line end, behind which a hostile message
 * could end itself and speak to the server: a lone LF is sent as CRLF, and a message ends with CRLF.
 * Does not know: the journal.
 */
#include "client/sink_impl.h"

#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COMMAND_ROOM = 600, TIMEOUT_S = 300 };

/* What the server said to one step. */
enum answer { ANSWER_OK, ANSWER_TEMP, ANSWER_NO, ANSWER_BROKEN };

static bool is_address(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p == '<' || *p == '>' || *p == ' ')
            return false;
    return strlen(text) < 320;
}

static bool open_lmtp(struct sink *s, struct err *e)
{
    if (!s->conf.recipient || !s->conf.recipient[0] || !is_address(s->conf.recipient) ||
        (s->conf.sender && !is_address(s->conf.sender)))
        return err_set(e, FAULT_BAD, "LMTP wants a recipient (and a sender) without blanks and angle brackets");
    if (!s->conf.timeout_s)
        s->conf.timeout_s = TIMEOUT_S;
    return spool_open(s, e);
}

/* wanted: the class of success, or the one code that will do. */
static enum answer judge(const struct lmtp *c, const char *step, unsigned wanted, struct err *e)
{
    if (wanted == (wanted > 9 ? c->code : c->code / 100))
        return ANSWER_OK;
    err_set(e, FAULT_TEMP, "the LMTP server answered %u to %s: %s", c->code, step, c->text);
    return c->code / 100 == 5 ? ANSWER_NO : c->code / 100 == 4 ? ANSWER_TEMP : ANSWER_BROKEN;
}

static enum answer ask(struct lmtp *c, const char *command, const char *step, unsigned wanted, struct err *e)
{
    if (!lmtp_send(c, span_str(command), e) || !lmtp_flush(c, e) || !lmtp_reply(c, e))
        return ANSWER_BROKEN;
    return judge(c, step, wanted, e);
}

static bool begin(struct lmtp *c, const struct sink *s, struct err *e)
{
    char self[256] = "", command[COMMAND_ROOM];

    if (gethostname(self, sizeof self - 1) != 0 || !self[0])
        memcpy(self, "localhost", sizeof "localhost");
    if (!lmtp_connect(c, s->conf.target, e) || !lmtp_reply(c, e) || judge(c, "the connection", 2, e) != ANSWER_OK)
        return false;
    c->has_size = c->has_8bit = false;
    snprintf(command, sizeof command, "LHLO %s\r\n", self);
    return ask(c, command, "LHLO", 2, e) == ANSWER_OK;
}

static enum answer envelope(struct lmtp *c, const struct sink *s, const struct sink_item *item, struct err *e)
{
    char command[COMMAND_ROOM], size[40] = "";
    enum answer a;

    if (c->has_size)
        snprintf(size, sizeof size, " SIZE=%llu", (unsigned long long)item->entry.stored_octets);
    snprintf(command, sizeof command, "MAIL FROM:<%s>%s%s\r\n", s->conf.sender ? s->conf.sender : "", size,
             c->has_8bit ? " BODY=8BITMIME" : "");
    a = ask(c, command, "MAIL", 2, e);
    if (a != ANSWER_OK)
        return a;
    snprintf(command, sizeof command, "RCPT TO:<%s>\r\n", s->conf.recipient);
    a = ask(c, command, "RCPT", 2, e);
    if (a != ANSWER_OK)
        return a;
    return ask(c, "DATA\r\n", "DATA", 354, e);
}

/* Between pieces: does a line begin here, was the last octet a CR. */
struct stuffing {
    bool at_start, has_cr;
};

static bool send_piece(struct lmtp *c, struct span piece, struct stuffing *st, struct err *e)
{
    while (piece.n) {
        const uint8_t *lf = memchr(piece.p, '\n', piece.n);
        size_t n = lf ? (size_t)(lf - piece.p) : piece.n;

        if (st->at_start && piece.p[0] == '.' && !lmtp_send(c, span_str("."), e))
            return false;
        if (n)
            st->has_cr = piece.p[n - 1] == '\r';
        if (!lmtp_send(c, span_take(&piece, n), e))
            return false;
        st->at_start = lf != NULL;
        if (!lf)
            continue;
        span_take(&piece, 1);
        if (!lmtp_send(c, span_str(st->has_cr ? "\n" : "\r\n"), e))
            return false;
        st->has_cr = false;
    }
    return true;
}

/* False: the connection, or the spool file, is of no use. The server must not see an end then. */
static bool send_message(struct lmtp *c, const struct sink_item *item, struct err *e)
{
    struct stuffing st = { .at_start = true };
    uint8_t *piece = mem_new(SINK_PIECE);
    bool ok = true;

    for (uint64_t done = 0; ok && done < item->entry.stored_octets;) {
        uint64_t left = item->entry.stored_octets - done;
        size_t n = left < SINK_PIECE ? (size_t)left : SINK_PIECE;

        ok = sys_pread_all(item->fd, piece, n, done) || err_errno(e, "read", "the spool file");
        ok = ok && send_piece(c, span_of(piece, n), &st, e);
        done += n;
    }
    free(piece);
    return ok && lmtp_send(c, span_str(st.at_start ? ".\r\n" : "\r\n.\r\n"), e) && lmtp_flush(c, e);
}

static enum answer deliver(struct lmtp *c, const struct sink *s, const struct sink_item *item, struct err *e)
{
    enum answer a = envelope(c, s, item, e);
    struct err ignored;

    if (a == ANSWER_OK) {
        if (!send_message(c, item, e) || !lmtp_reply(c, e))
            return ANSWER_BROKEN;
        return judge(c, "the message", 2, e);
    }
    if (a != ANSWER_BROKEN && ask(c, "RSET\r\n", "RSET", 2, &ignored) != ANSWER_OK)
        lmtp_close(c);
    return a;
}

static void commit_lmtp(struct sink *s, struct sink_item *items)
{
    struct lmtp *c = mem_zero(1, sizeof *c);
    struct err why = { 0 };
    bool is_lost = false;

    c->fd = -1;
    c->timeout_s = s->conf.timeout_s;
    for (struct sink_item *i = items; i; i = i->next) {
        enum answer a = ANSWER_BROKEN;

        if (!i->state)
            continue;
        if (!is_lost && (c->fd >= 0 || begin(c, s, &why)))
            a = deliver(c, s, i, &why);
        is_lost |= a == ANSWER_BROKEN; /* the others are not tried: each could take the whole time-out */
        i->err = a == ANSWER_OK ? (struct err){ 0 } : why;
        item_done(s, i, a == ANSWER_OK ? SINK_DELIVERED : a == ANSWER_NO ? SINK_REFUSED : SINK_TEMP);
        if (is_lost)
            lmtp_close(c);
    }
    if (c->fd >= 0)
        ask(c, "QUIT\r\n", "QUIT", 2, &why);
    lmtp_close(c);
    free(c);
}

/* Nobody can tell whether it was accepted: it is delivered again. */
static bool recover_lmtp(struct sink *s, struct entry *entry, bool *stored, struct err *e)
{
    (void)s, (void)entry, (void)e;
    *stored = false;
    return true;
}

static bool verify_lmtp(struct sink *s, const struct entry *entry, struct err *e)
{
    (void)entry;
    return err_set(e, FAULT_GONE, "what was given to %s cannot be looked at", s->conf.target);
}

const struct sink_ops sink_lmtp = {
    .keep_crlf = true, .open = open_lmtp, .commit = commit_lmtp, .recover = recover_lmtp, .verify = verify_lmtp
};
