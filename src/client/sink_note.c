/* sink_note.c - what a sink writes down beside an entry before a step, and the From_ line that it names.
 * Does not know: files, the journal.
 */
#include "client/sink_impl.h"

#include "base/num.h"

#include <stdio.h>
#include <time.h>

void mark_put(struct entry *entry, const uint64_t *offset, int64_t when)
{
    char stored[2 * JOURNAL_DIGEST + 1] = "", wire[2 * JOURNAL_DIGEST + 1] = "", at[24] = "-";

    hex_put((uint8_t *)stored, span_of(entry->stored_digest, JOURNAL_DIGEST));
    hex_put((uint8_t *)wire, span_of(entry->wire_digest, JOURNAL_DIGEST));
    if (offset)
        snprintf(at, sizeof at, "%llu", (unsigned long long)*offset);
    snprintf(entry->note, sizeof entry->note, "%s %llu %s %llu %s %lld", at,
             (unsigned long long)entry->stored_octets, stored, (unsigned long long)entry->octets, wire,
             (long long)when);
}

bool mark_get(const struct entry *entry, struct sink_mark *mark)
{
    struct span rest = span_of(entry->note, strnlen(entry->note, sizeof entry->note)),
                word = span_until(&rest, ' ');

    *mark = (struct sink_mark){ .has_offset = !span_is(word, "-") };
    return (!mark->has_offset || num_all_u64(word, &mark->offset)) &&
           num_all_u64(span_until(&rest, ' '), &mark->length) &&
           hex_get(span_until(&rest, ' '), mark->stored, JOURNAL_DIGEST) &&
           num_all_u64(span_until(&rest, ' '), &mark->octets) &&
           hex_get(span_until(&rest, ' '), mark->wire, JOURNAL_DIGEST) && num_all_u64(rest, &mark->when) &&
           mark->length <= INT64_MAX / 2 && mark->offset <= INT64_MAX / 2 && mark->when <= INT64_MAX / 2;
}

size_t from_line(char line[FROM_LINE], int64_t when, bool keep_crlf)
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t seconds = (time_t)when;
    struct tm tm = { 0 };
    int n;

    if (!gmtime_r(&seconds, &tm))
        tm = (struct tm){ .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
    n = snprintf(line, FROM_LINE, "From MAILER-DAEMON %s %s %2d %02d:%02d:%02d %d%s", days[tm.tm_wday],
                 months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900,
                 keep_crlf ? "\r\n" : "\n");
    return n > 0 && n < FROM_LINE ? (size_t)n : 0;
}
