/* export.c - a journal as text, and every column of it: see import.h.
 *
 *   restante-journal 1 ACCOUNT
 *   STATE NTH UID SIZE OCTETS STORED-OCTETS WIRE-DIGEST STORED-DIGEST NAME DEST NOTE WHY TRIES
 *     FIRST-SEEN STORED-AT ABSENT-SINCE ABSENT-LISTINGS                        (one line a message)
 *   end COUNT
 *
 * Octets that are blank, control, "%" or not ASCII are written %XX; an empty or unknown field is "-" (and the
 * text "-" is %2D). Times are seconds since 1970. Lines that begin with "#" are comments.
 * Does not know: files, names.
 */
#include "client/import_impl.h"

#include "base/num.h"
#include "base/sys.h"

enum { EXPORT_FLUSH = 65536, EXPORT_ROOM = 2 * EXPORT_FLUSH };

struct export {
    int fd;
    uint64_t count;
    struct buf out;
    struct err *e;
    bool ok;
};

static bool put_octets(struct buf *out, struct span in)
{
    static const char digits[] = "0123456789ABCDEF";

    if (in.n == 0)
        return buf_put_str(out, " -");
    if (span_is(in, "-"))
        return buf_put_str(out, " %2D");
    bool ok = buf_put_str(out, " ");

    for (size_t i = 0; ok && i < in.n; i++) {
        uint8_t c = in.p[i], escaped[3] = { '%', (uint8_t)digits[c >> 4], (uint8_t)digits[c & 15] };
        bool is_plain = c > ' ' && c < 0x7f && c != '%';

        ok = is_plain ? buf_put(out, &c, 1) : buf_put(out, escaped, sizeof escaped);
    }
    return ok;
}

static bool put_digest(struct buf *out, bool is_known, const uint8_t digest[JOURNAL_DIGEST])
{
    uint8_t hex[2 * JOURNAL_DIGEST];

    if (!is_known)
        return buf_put_str(out, " -");
    hex_put(hex, span_of(digest, JOURNAL_DIGEST));
    return buf_put_str(out, " ") && buf_put(out, hex, sizeof hex);
}

static bool put_size(struct buf *out, const struct entry *entry)
{
    return entry->has_size ? buf_printf(out, " %llu", (unsigned long long)entry->size) : buf_put_str(out, " -");
}

static bool put_entry(struct buf *out, const struct entry *entry)
{
    return buf_printf(out, "%s %u", entry_state_name(entry->state), entry->nth) && put_octets(out, entry->uid) &&
           put_size(out, entry) &&
           buf_printf(out, " %llu %llu", (unsigned long long)entry->octets,
                      (unsigned long long)entry->stored_octets) &&
           put_digest(out, entry->has_digest, entry->wire_digest) &&
           put_digest(out, entry->has_digest, entry->stored_digest) && put_octets(out, span_str(entry->name)) &&
           put_octets(out, span_str(entry->dest)) && put_octets(out, span_str(entry->note)) &&
           put_octets(out, span_str(entry->why)) &&
           buf_printf(out, " %u %lld %lld %lld %u\n", entry->tries, (long long)entry->first_seen,
                      (long long)entry->stored_at, (long long)entry->absent_since, entry->absent_listings);
}

static bool flush(struct export *x)
{
    bool ok = sys_write_all(x->fd, buf_span(&x->out)) || err_errno(x->e, "write", "the export");

    x->out.n = 0;
    return ok;
}

static bool visit(void *ctx, const struct entry *entry)
{
    struct export *x = ctx;

    x->ok = put_entry(&x->out, entry) || err_set(x->e, FAULT_BAD, "an entry too long for a line");
    x->count++;
    if (x->ok && x->out.n >= EXPORT_FLUSH)
        x->ok = flush(x);
    return x->ok;
}

bool export_journal(struct journal *j, const char *account, int fd, struct err *e)
{
    const unsigned all = (ENTRY_BIT(ENTRY_QUARANTINED + 1) - 1) & ~1u;
    struct export x = { .fd = fd, .out = BUF(EXPORT_ROOM), .e = e, .ok = true };
    bool ok = buf_printf(&x.out, EXPORT_HEAD " %d %s\n", EXPORT_VERSION, account) || err_set(e, FAULT_BAD, "name");

    ok = ok && journal_each(j, all, visit, &x, e) && x.ok;
    ok = ok && (buf_printf(&x.out, "end %llu\n", (unsigned long long)x.count) || err_set(e, FAULT_BAD, "end")) &&
         flush(&x);
    buf_free(&x.out);
    return ok;
}
