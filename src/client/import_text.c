/* import_text.c - reads our own text of a journal; written by export.c, which describes it.
 * Does not know: journals. For the reading itself see client/import_impl.h.
 */
#include "client/import_impl.h"

#include "base/num.h"

static bool take_hex(struct span *in, uint8_t *c)
{
    return in->n >= 2 && hex_get(span_take(in, 2), c, 1);
}

/* A field with its escapes undone; "-" is the empty one. */
static bool take_octets(struct span field, uint8_t *dst, size_t room, size_t *n)
{
    *n = 0;
    if (field.n == 0)
        return false;
    if (span_is(field, "-"))
        return true;
    while (field.n) {
        uint8_t c = *span_take(&field, 1).p;

        if (c <= ' ' || c >= 0x7f || (c == '%' && !take_hex(&field, &c)) || *n >= room)
            return false;
        dst[(*n)++] = c;
    }
    return true;
}

static bool take_text(struct span *line, char *dst, size_t room)
{
    size_t n;

    if (!take_octets(span_until(line, ' '), (uint8_t *)dst, room - 1, &n))
        return false;
    dst[n] = '\0';
    return !memchr(dst, 0, n);
}

static bool take_number(struct span *line, uint64_t max, uint64_t *n)
{
    return num_all_u64(span_until(line, ' '), n) && *n <= max;
}

static bool take_count(struct span *line, uint32_t *n)
{
    uint64_t wide;

    if (!take_number(line, UINT32_MAX, &wide))
        return false;
    *n = (uint32_t)wide;
    return true;
}

/* Any time: clocks that were wrong once are no reason to lose a row. */
static bool take_time(struct span *line, int64_t *at)
{
    struct span field = span_until(line, ' ');
    bool minus = field.n > 1 && field.p[0] == '-';
    uint64_t n;

    if (minus)
        span_take(&field, 1);
    if (!num_all_u64(field, &n) || n > INT64_MAX)
        return false;
    *at = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

static bool take_size(struct span *line, struct entry *entry)
{
    struct span field = span_until(line, ' ');

    entry->has_size = !span_is(field, "-");
    return !entry->has_size || num_all_u64(field, &entry->size);
}

static bool take_digests(struct span *line, struct entry *entry)
{
    struct span wire = span_until(line, ' '), stored = span_until(line, ' ');

    entry->has_digest = !span_is(wire, "-");
    if (!entry->has_digest)
        return span_is(stored, "-");
    return hex_get(wire, entry->wire_digest, JOURNAL_DIGEST) && hex_get(stored, entry->stored_digest, JOURNAL_DIGEST);
}

static bool take_state(struct span *line, enum entry_state *state)
{
    struct span field = span_until(line, ' ');

    for (enum entry_state s = ENTRY_INTENT; s <= ENTRY_QUARANTINED; s++) {
        if (span_is(field, entry_state_name(s))) {
            *state = s;
            return true;
        }
    }
    return false;
}

/* NULL, or the name of the first field that is wrong. */
static const char *take_entry(struct span line, struct entry *entry, uint8_t uid[JOURNAL_UID])
{
    *entry = (struct entry){ 0 };
    if (!take_state(&line, &entry->state))
        return "state";
    if (!take_count(&line, &entry->nth))
        return "nth";
    if (!take_octets(span_until(&line, ' '), uid, JOURNAL_UID, &entry->uid.n))
        return "uid";
    entry->uid.p = uid;
    if (!take_size(&line, entry) || !take_number(&line, INT64_MAX, &entry->octets) ||
        !take_number(&line, INT64_MAX, &entry->stored_octets))
        return "size";
    if (!take_digests(&line, entry))
        return "digest";
    if (!take_text(&line, entry->name, sizeof entry->name))
        return "name";
    if (!take_text(&line, entry->dest, sizeof entry->dest))
        return "dest";
    if (!take_text(&line, entry->note, sizeof entry->note) || !take_text(&line, entry->why, sizeof entry->why))
        return "note";
    if (!take_count(&line, &entry->tries) || !take_time(&line, &entry->first_seen) ||
        !take_time(&line, &entry->stored_at) || !take_time(&line, &entry->absent_since) ||
        !take_count(&line, &entry->absent_listings) || line.n)
        return "times";
    return NULL;
}

static bool take_head(struct reading *r, struct span line)
{
    uint64_t version;

    if (!span_is(span_until(&line, ' '), EXPORT_HEAD) || !take_number(&line, UINT64_MAX, &version) || line.n == 0) {
        reading_fault(r, "is not \"" EXPORT_HEAD " VERSION ACCOUNT\"");
        return false;
    }
    if (version != EXPORT_VERSION) {
        reading_fault(r, "version %llu; this program knows %d", (unsigned long long)version, EXPORT_VERSION);
        return false;
    }
    return true;
}

/* "end COUNT": a text that was cut off is not a text. */
static bool is_end(struct reading *r, struct span line, uint64_t count)
{
    uint64_t said;

    if (!span_is(span_until(&line, ' '), "end"))
        return false;
    if (!num_all_u64(line, &said) || said != count)
        reading_fault(r, "the number of entries is wrong: %llu came before", (unsigned long long)count);
    return true;
}

void read_restante(struct reading *r, struct span text)
{
    uint8_t uid[JOURNAL_UID];
    struct entry entry;
    struct span line;
    uint64_t count = 0;
    bool ended = false;

    if (!reading_line(r, &text, &line))
        line = span_of(NULL, 0);
    if (!take_head(r, line))
        return;
    while (reading_line(r, &text, &line)) {
        const char *wrong = NULL;

        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (ended)
            reading_fault(r, "stands behind the end");
        else if (is_end(r, line, count))
            ended = true;
        else if ((wrong = take_entry(line, &entry, uid)))
            reading_fault(r, "bad %s", wrong);
        else
            reading_give(r, &entry);
        count += !ended;
    }
    if (!ended && !r->is_stopped)
        reading_fault(r, "the last line, \"end COUNT\", is missing");
}
