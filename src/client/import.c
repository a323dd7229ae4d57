/* import.c - reading what other programs knew, whole or not at all: see import.h.
 *
 * A text is read twice: the first pass names every fault and the accounts, the second hands out the entries.
 * Does not know: the formats (import_format.c, import_text.c).
 */
#include "client/import_impl.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

enum { READ_STEP = 65536, NAME_COLUMNS = 60 };

static const struct {
    const char *name;
    reading_format *read;
} formats[] = {
    [IMPORT_GUESS] = { "guess", NULL },
    [IMPORT_RESTANTE] = { "restante", read_restante },
    [IMPORT_FETCHMAIL] = { "fetchmail", read_fetchmail },
    [IMPORT_GETMAIL] = { "getmail", read_getmail },
    [IMPORT_MPOP] = { "mpop", read_mpop },
    [IMPORT_THUNDERBIRD] = { "thunderbird", read_thunderbird },
};

bool import_format_find(const char *name, enum import_format *format)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *format = (enum import_format)i;
            return true;
        }
    }
    return false;
}

bool reading_line(struct reading *r, struct span *text, struct span *line)
{
    if (text->n == 0 || r->is_stopped)
        return false;
    *line = span_until(text, '\n');
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    r->line++;
    return true;
}

static void report_line(struct reading *r, uint64_t line, const char *text)
{
    const char *file = r->want->file ? r->want->file : "import";
    bool fits = line ? buf_printf(r->report, "%s:%llu: %s\n", file, (unsigned long long)line, text)
                     : buf_printf(r->report, "%s: %s\n", file, text);

    (void)fits; /* a full report says enough */
}

void reading_fault(struct reading *r, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    r->faults++;
    if (r->faults > READING_FAULTS)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    report_line(r, r->line, text);
}

void reading_give(struct reading *r, struct entry *entry)
{
    if (r->delivers && !r->is_stopped)
        r->is_stopped = !r->take(r->ctx, entry);
}

/* Users are compared as they are, hosts without case. */
static bool is_wanted(const struct reading *r, struct span user, struct span host)
{
    return (!r->want->user || span_is(user, r->want->user)) && (!r->want->host || span_iis(host, r->want->host));
}

static void note_account(struct reading *r, struct span user, struct span host)
{
    for (size_t i = r->accounts; i-- > 0;)
        if (span_eq(r->account[i].user, user) && span_ieq(r->account[i].host, host))
            return;
    bool wanted = is_wanted(r, user, host);

    if (r->accounts < READING_ACCOUNTS)
        r->account[r->accounts++] = (struct reading_account){ user, host, wanted };
    if (wanted)
        r->wanted++; /* one that found no room is counted again: more than one either way */
}

void reading_seen(struct reading *r, struct span user, struct span host, struct span uid, int64_t at)
{
    struct entry entry = { .uid = uid, .state = ENTRY_SEEN, .first_seen = at };

    if (uid.n == 0) {
        reading_fault(r, "no unique-id");
        return;
    }
    if (uid.n > JOURNAL_UID) {
        reading_fault(r, "a unique-id of %zu octets; the longest is %d", uid.n, JOURNAL_UID);
        return;
    }
    if (user.p && !r->delivers)
        note_account(r, user, host);
    if (!user.p || is_wanted(r, user, host))
        reading_give(r, &entry);
}

static void name_accounts(struct reading *r, const char *what)
{
    struct buf text = BUF(8192);
    bool fits = buf_put_str(&text, what);

    for (size_t i = 0; i < r->accounts; i++) {
        fits = fits && buf_put_str(&text, i ? ", " : " ");
        text_put_clean(&text, r->account[i].user, NAME_COLUMNS);
        fits = fits && buf_put_str(&text, " at ");
        text_put_clean(&text, r->account[i].host, NAME_COLUMNS);
    }
    fits = fits && buf_put_str(&text, r->accounts == READING_ACCOUNTS ? ", ..." : "") && buf_put(&text, "", 1);
    if (fits)
        report_line(r, 0, (const char *)text.p);
    r->faults++;
    buf_free(&text);
}

static bool has_number_behind_nul(struct span line)
{
    struct span rest = line;

    span_until(&rest, '\0');
    return rest.n && ascii_digit(rest.p[0]);
}

static struct span first_line_of_content(struct span text)
{
    struct span line = { NULL, 0 };

    while (text.n) {
        line = span_until(&text, '\n');
        if (line.n && line.p[0] != '\r' && (line.p[0] != '#' || memchr(line.p, 0, line.n)))
            return line; /* a unique-id of getmail's may begin with what is a comment elsewhere */
    }
    return span_of(NULL, 0);
}

static enum import_format guess(struct span text)
{
    struct span line = first_line_of_content(text), rest = line;

    if (line.n > strlen(EXPORT_HEAD) && memcmp(line.p, EXPORT_HEAD " ", strlen(EXPORT_HEAD) + 1) == 0)
        return IMPORT_RESTANTE;
    if (has_number_behind_nul(line))
        return IMPORT_GETMAIL;
    if (line.n && line.p[0] == '*')
        return IMPORT_THUNDERBIRD;
    if (line.n > 1 && line.p[0] == ' ' && ascii_digit(line.p[1]))
        return IMPORT_MPOP;
    struct span account = span_until(&rest, ' ');

    if (rest.n && account.n && memchr(account.p, '@', account.n))
        return IMPORT_FETCHMAIL;
    return IMPORT_GUESS;
}

static bool settle(struct reading *r)
{
    if (r->faults > READING_FAULTS)
        report_line(r, 0, "there are more bad lines");
    if (r->faults == 0 && r->wanted > 1)
        name_accounts(r, "holds several accounts; say which one:");
    else if (r->faults == 0 && r->wanted == 0 && r->accounts)
        name_accounts(r, "holds nothing of the account asked for, only of:");
    return r->faults == 0;
}

bool import_parse(struct span text, const struct import_want *want, import_take *take, void *ctx, struct buf *report)
{
    struct reading r = { .want = want, .take = take, .ctx = ctx, .report = report };
    enum import_format format = want->format == IMPORT_GUESS ? guess(text) : want->format;

    if (format == IMPORT_GUESS) {
        report_line(&r, 0, "is of no known format (restante, fetchmail, getmail, mpop, thunderbird)");
        return false;
    }
    formats[format].read(&r, text);
    if (!settle(&r))
        return false;
    r.delivers = true;
    r.line = 0;
    formats[format].read(&r, text);
    return r.faults == 0 && !r.is_stopped;
}

struct filling {
    struct journal *j;
    uint64_t added, known;
    int64_t now;
    struct err e;
};

static bool fill(void *ctx, struct entry *entry)
{
    struct filling *f = ctx;
    struct entry old;
    bool found;

    if (!journal_find(f->j, entry->uid, entry->nth, &old, &found, &f->e))
        return false;
    if (found) {
        f->known++;
        return true;
    }
    if (!entry->first_seen)
        entry->first_seen = f->now;
    f->added++;
    return journal_put(f->j, entry, &f->e);
}

static bool read_octets(int fd, const char *path, struct buf *text, struct err *e)
{
    for (;;) {
        uint8_t *p = buf_reserve(text, READ_STEP);
        ssize_t n = p ? sys_read_some(fd, p, READ_STEP) : 0;

        if (!p)
            return err_set(e, FAULT_BAD, "%.250s is larger than %d octets", path, IMPORT_FILE_MAX);
        if (n < 0)
            return err_errno(e, "read", path);
        if (n == 0)
            return true;
        text->n += (size_t)n;
    }
}

static bool read_file(const char *path, struct buf *text, struct err *e)
{
    struct stat st;
    int fd = sys_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    bool ok = (fd >= 0 && sys->fstat(fd, &st) == 0) || err_errno(e, "read", path);

    if (ok && !S_ISREG(st.st_mode))
        ok = err_set(e, FAULT_BAD, "%.250s is no regular file", path);
    ok = ok && read_octets(fd, path, text, e);
    sys_close(&fd);
    return ok;
}

/* size: contract of import.h */
bool import_file(struct journal *j, const char *path, struct import_want *want, uint64_t *added, uint64_t *known,
                 struct buf *report)
{
    struct filling f = { .j = j, .now = clock_real_ns() / 1000000000 };
    struct buf text = BUF(IMPORT_FILE_MAX);

    *added = *known = 0;
    if (!want->file)
        want->file = path;
    bool ok = read_file(path, &text, &f.e) && journal_begin(j, &f.e);

    if (ok) {
        ok = import_parse(buf_span(&text), want, fill, &f, report) && journal_commit(j, &f.e);
        if (!ok)
            journal_rollback(j);
    }
    buf_free(&text);
    want->fault = ok ? FAULT_NONE : f.e.fault;
    if (ok) {
        *added = f.added;
        *known = f.known;
    } else if (f.e.fault && !buf_printf(report, "%s\n", f.e.text)) {
        return false;
    }
    return ok;
}
