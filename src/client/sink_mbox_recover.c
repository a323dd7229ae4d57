/* sink_mbox_recover.c - what a crash left in an mbox folder: see sink.h.
 *
 * Complete at its noted offset with the noted digest: stored. A half at the end of the folder is taken away only
 * when it is certainly ours: the folder ends inside our region, and what is there is the beginning of our spool file
 * or (a power loss may have taken that) begins with our very From_ line, or is nothing but NUL, and no other
 * message begins in it: ours has every other "From " quoted. Otherwise the folder is left as it is: a torn message stays visible rather than
 * mail of others being cut off. Does not know: the journal.
 */
#include "client/sink_impl.h"

#include "base/sys.h"

#include <errno.h>
#include <stdlib.h>

/* The folder's octets from the offset to its end, beside those of the spool file if that is whole. */
struct tail {
    int folder, spool; /* spool -1: none */
    uint64_t at, length;
    char line[FROM_LINE]; /* our From_ line */
    size_t line_n;
};

static bool same_piece(const struct tail *t, uint64_t done, struct span piece)
{
    uint8_t *other = mem_new(piece.n);
    bool same = sys_pread_all(t->spool, other, piece.n, done) && memcmp(other, piece.p, piece.n) == 0;

    free(other);
    return same;
}

/* One pass for the rules without a spool file: state carried between pieces. */
struct rules {
    bool has_line, has_nul, has_other;
    size_t from; /* octets of "\nFrom " matched */
};

static void apply_rules(const struct tail *t, uint64_t done, struct span piece, struct rules *r)
{
    static const char other[] = "\nFrom ";

    for (size_t i = 0; i < piece.n; i++) {
        uint8_t c = piece.p[i];

        if (done + i < t->line_n && c != (uint8_t)t->line[done + i])
            r->has_line = false;
        r->has_nul = r->has_nul && c == 0;
        if (c != (uint8_t)other[r->from])
            r->from = 0;
        if (c == (uint8_t)other[r->from] && ++r->from == sizeof other - 1) {
            r->has_other = true;
            r->from = 0;
        }
    }
}

static bool read_tail(const struct tail *t, bool *is_ours)
{
    struct rules rules = { .has_line = true, .has_nul = true };
    uint8_t *piece = mem_new(SINK_PIECE);
    bool ok = true, same = true;

    for (uint64_t done = 0; ok && done < t->length;) {
        size_t n = t->length - done < SINK_PIECE ? (size_t)(t->length - done) : SINK_PIECE;

        ok = sys_pread_all(t->folder, piece, n, t->at + done);
        if (!ok)
            break;
        if (t->spool >= 0)
            same = same && same_piece(t, done, span_of(piece, n));
        else
            apply_rules(t, done, span_of(piece, n), &rules);
        done += n;
    }
    free(piece);
    *is_ours = t->spool >= 0 ? same : (rules.has_line || rules.has_nul) && !rules.has_other;
    return ok;
}

/* The spool file counts when it is whole. */
static int open_spool(struct sink *s, const struct entry *entry, const struct sink_mark *mark)
{
    int fd = sys_open(s->spool, entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct sink_digests d;
    struct stat st;

    if (fd >= 0 && sys->fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == mark->length &&
        digests_of_file(fd, 0, mark->length, true, &d) && memcmp(d.stored, mark->stored, JOURNAL_DIGEST) == 0)
        return fd;
    sys_close(&fd);
    return -1;
}

static bool cut_half(struct sink *s, struct mbox *m, const struct entry *entry, const struct sink_mark *mark,
                     struct err *e)
{
    struct tail t = { .folder = m->fd,
                      .spool = open_spool(s, entry, mark),
                      .at = mark->offset,
                      .length = m->octets - mark->offset };
    bool is_ours = false, ok;

    t.line_n = from_line(t.line, (int64_t)mark->when, s->keep_crlf);
    ok = read_tail(&t, &is_ours) && (!is_ours || mbox_truncate(m->fd, mark->offset));
    sys_close(&t.spool);
    return ok || err_errno(e, "take back half a message in", s->conf.target);
}

static bool compare(struct sink *s, struct mbox *m, const struct sink_mark *mark, bool *same, struct err *e)
{
    struct sink_digests d;

    *same = false;
    if (mark->offset + mark->length > m->octets)
        return true;
    if (!digests_of_file(m->fd, mark->offset, mark->length, true, &d))
        return err_errno(e, "read", s->conf.target);
    *same = memcmp(d.stored, mark->stored, JOURNAL_DIGEST) == 0;
    return true;
}

static bool recover_locked(struct sink *s, struct mbox *m, struct entry *entry, bool *stored, struct err *e)
{
    struct sink_mark mark;

    if (!mark_get(entry, &mark) || !compare(s, m, &mark, stored, e))
        return false;
    if (!*stored)
        return mark.offset >= m->octets || m->octets > mark.offset + mark.length ||
               cut_half(s, m, entry, &mark, e);
    *stored = false;
    if (sys->fsync(m->fd) != 0 || sys->fsync(s->folder) != 0)
        return err_errno(e, "fsync", s->conf.target);
    *stored = true;
    entry->octets = mark.octets;
    entry->stored_octets = mark.length;
    memcpy(entry->wire_digest, mark.wire, JOURNAL_DIGEST);
    memcpy(entry->stored_digest, mark.stored, JOURNAL_DIGEST);
    return true;
}

bool mbox_recover(struct sink *s, struct entry *entry, bool *stored, struct err *e)
{
    struct err why = { 0 };
    struct sink_mark mark;
    struct mbox m;
    bool ok;

    if (!mark_get(entry, &mark) || !mark.has_offset)
        return true; /* nothing was appended yet */
    if (!mbox_lock(s, &m, false, &why)) {
        if (why.fault == FAULT_GONE) /* no folder, no message */
            return true;
        if (e)
            *e = why;
        return false;
    }
    ok = recover_locked(s, &m, entry, stored, e);
    mbox_unlock(s, &m);
    return ok;
}

/* Where it was put; a folder whose earlier messages were removed has it elsewhere, which counts as moved. */
bool mbox_verify(struct sink *s, const struct entry *entry, struct err *e)
{
    static const char start[] = "From MAILER-DAEMON ";
    uint8_t there[sizeof start - 1] = "";
    struct sink_mark mark;
    struct stat st;
    struct mbox m = { .fd = sys_open(s->folder, s->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0) };
    bool same = false, ok;

    if (m.fd < 0 || !mark_get(entry, &mark) || !mark.has_offset || sys->fstat(m.fd, &st) != 0) {
        sys_close(&m.fd);
        return err_set(e, FAULT_GONE, "%s is not there any more, or where in it is not known", s->conf.target);
    }
    m.octets = (uint64_t)st.st_size;
    memcpy(mark.stored, entry->stored_digest, JOURNAL_DIGEST);
    ok = compare(s, &m, &mark, &same, e);
    if (ok && !same) {
        bool begins = mark.offset + mark.length <= m.octets && mark.length >= sizeof there &&
                      sys_pread_all(m.fd, there, sizeof there, mark.offset) &&
                      memcmp(there, start, sizeof there) == 0;

        ok = begins ? err_set(e, FAULT_BAD, "a message in %s has other octets than were stored", s->conf.target)
                    : err_set(e, FAULT_GONE, "a message is not in %s any more", s->conf.target);
    }
    sys_close(&m.fd);
    return ok;
}
