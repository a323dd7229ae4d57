/* restante_bench_mail.c - messages for Maildirs, made from numbers alone; see restante_bench_mail.h.
 *
 * The same plan makes the same octets on every machine. Each message has a dot at the start of a line, so that
 * stuffing is always put to the test.
 * Does not know: what is done with them (restante_bench_run.c).
 */
#include "restante_bench_mail.h"

#include "restante_bench_body.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE = 76, LARGEST = 256 * 1024 * 1024 };

/* splitmix64, which needs no state but a number. */
static uint64_t shake(uint64_t v)
{
    v += 0x9E3779B97F4A7C15ull;
    v = (v ^ v >> 30) * 0xBF58476D1CE4E5B9ull;
    v = (v ^ v >> 27) * 0x94D049BB133111EBull;
    return v ^ v >> 31;
}

static uint64_t number_of(uint32_t user, uint32_t message)
{
    return shake((uint64_t)user << 32 | message);
}

/* Octets on the wire: the median, or a log-normal spread around it (plan->spread / 100 is sigma). */
static uint64_t size_of(const struct plan *plan, uint64_t number)
{
    double u = ((double)(shake(number + 1) >> 11) + 1) / 9007199254740993.0;
    double v = (double)(shake(number + 2) >> 11) / 9007199254740992.0;
    double z = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
    double n = (double)plan->octets * exp(z * (double)plan->spread / 100);

    if (!plan->spread)
        return plan->octets;
    return n > 10e6 ? 10000000 : n < 600 ? 600 : (uint64_t)n;
}

/* A message of exactly n octets on the wire (n of at least 400, or what the header needs), here with LF. */
static bool compose(struct buf *out, uint32_t user, uint32_t message, uint64_t wire)
{
    static const char letters[] = "etaoin shrdlu cmfwyp vbgkjq xz ETAOIN 0123456789 eeea tttn ";
    uint64_t state = number_of(user, message);
    size_t lines = 0;

    out->n = 0;
    if (!buf_printf(out,
                    "Received: from relay.example.org by mail.example.org;\n\tMon, 05 Jan 2026 10:00:00 +0000\n"
                    "From: Sender <sender@example.org>\nTo: user %" PRIu32 " <user@example.org>\n"
                    "Subject: Message %" PRIu32 " of the benchmark\nDate: Mon, 05 Jan 2026 10:00:00 +0000\n"
                    "Message-ID: <%" PRIu32 ".%" PRIu32 ".%016" PRIx64 "@example.org>\n\n.a line with a dot\n",
                    user, message, user, message, state))
        return false;
    for (size_t i = 0; i < out->n; i++)
        lines += out->p[i] == '\n';
    for (uint64_t have = out->n + lines; have < wire;) {
        uint64_t left = wire - have, n = left > LINE + 2 + 2 ? LINE : left > 2 ? left - 2 : 0;
        uint8_t *p = buf_reserve(out, (size_t)n + 1);

        if (!p)
            return false;
        for (uint64_t i = 0; i < n; i++) {
            if (i % 8 == 0)
                state = shake(state);
            p[i] = (uint8_t)letters[(state >> i % 8 * 8 & 0xff) % (sizeof letters - 1)];
        }
        p[n] = '\n';
        out->n += (size_t)n + 1;
        have += n + 2;
    }
    return true;
}

/* Digest and size of the form on the wire: every LF that has no CR gets one, the last line an end. */
static struct known digest_of(struct span text)
{
    struct digest d;
    struct span end = span_str("\r\n");

    digest_start(&d);
    while (text.n) {
        const uint8_t *hit = memchr(text.p, '\n', text.n);
        struct span line = span_take(&text, hit ? (size_t)(hit - text.p) : text.n);

        if (hit)
            span_take(&text, 1);
        if (hit && line.n && line.p[line.n - 1] == '\r')
            line.n--;
        digest_put(&d, line);
        digest_put(&d, end);
    }
    return (struct known){ digest_end(&d), d.total };
}

static bool write_file(const struct plan *plan, const char *path, struct span text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(e, "create", path);
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);

        if (n <= 0)
            break;
        span_take(&text, (size_t)n);
    }
    if (text.n || (plan->owner && fchown(fd, plan->owner, plan->owner) != 0)) {
        err_errno(e, "write", path);
        close(fd);
        return false;
    }
    close(fd);
    return true;
}

static bool make_folder(const struct plan *plan, const char *path, struct err *e)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_errno(e, "make folder", path);
    if (plan->owner && chown(path, plan->owner, plan->owner) != 0)
        return err_errno(e, "change owner of", path);
    return true;
}

static bool make_maildir(const struct plan *plan, const char *path, struct err *e)
{
    static const char *const parts[] = { "", "/tmp", "/new", "/cur" };
    char folder[PATH_MAX];

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int n = snprintf(folder, sizeof folder, "%s%s", path, parts[i]);

        if (n < 0 || (size_t)n >= sizeof folder)
            return err_set(e, FAULT_BAD, "%.60s…: too long a path", path);
        if (!make_folder(plan, folder, e))
            return false;
    }
    return true;
}

static void put_known(FILE *out, struct known k)
{
    if (out)
        fprintf(out, "%016" PRIx64 " %" PRIu64 "\n", k.digest, k.octets);
}

/* The messages of one user; what the manifest says of them goes to list. */
static bool make_drop(const struct plan *plan, uint32_t user, struct drop *list, struct buf *text, struct err *e)
{
    char path[PATH_MAX], file[PATH_MAX];

    if (!pattern_put(plan->maildir, user, path, sizeof path))
        return err_set(e, FAULT_BAD, "%.60s…: too long a path", plan->maildir);
    if (!make_maildir(plan, path, e))
        return false;
    for (uint32_t i = 0; i < plan->messages; i++) {
        uint32_t number = plan->first_message + i;
        bool cur = strcmp(plan->folder, "cur") == 0;
        int n = snprintf(file, sizeof file, "%s/%s/%" PRIu32 ".M%06" PRIu32 "P1.bench%s", path, plan->folder,
                         1700000000 + number, number % 1000000, cur ? ":2," : "");

        if (n < 0 || (size_t)n >= sizeof file)
            return err_set(e, FAULT_BAD, "%.60s…: too long a path", path);
        if (!compose(text, user, number, size_of(plan, number_of(user, number))))
            return err_set(e, FAULT_BAD, "too long a message");
        if (!write_file(plan, file, buf_span(text), e))
            return false;
        list->known[list->n] = digest_of(buf_span(text));
        list->octets += list->known[list->n++].octets;
    }
    return true;
}

static bool read_message(const char *folder, const char *name, struct buf *text, struct err *e)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name), fd;
    ssize_t got = 1;

    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, FAULT_BAD, "%.60s…: too long a path", folder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, "open", path);
    text->n = 0;
    while (got > 0) {
        uint8_t *p = buf_reserve(text, 65536);

        got = p ? read(fd, p, 65536) : -1;
        if (got > 0)
            text->n += (size_t)got;
    }
    close(fd);
    return got == 0 || err_errno(e, "read", path);
}

/* Calls for each message of cur and new: text == NULL only counts. */
static bool walk(const char *path, struct drop *list, struct buf *text, struct err *e)
{
    static const char *const parts[] = { "new", "cur" };
    char folder[PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
        int n = snprintf(folder, sizeof folder, "%s/%s", path, parts[i]);
        DIR *dir = n > 0 && (size_t)n < sizeof folder ? opendir(folder) : NULL;
        struct dirent *entry;
        bool good = true;

        if (!dir)
            return err_errno(e, "open", folder);
        while (good && (entry = readdir(dir))) {
            if (entry->d_name[0] == '.')
                continue;
            if (text) {
                list->known = mem_grow(list->known, (size_t)list->n + 1, sizeof *list->known);
                good = read_message(folder, entry->d_name, text, e);
                list->known[list->n] = digest_of(buf_span(text));
                list->octets += list->known[list->n].octets;
            }
            list->n++;
        }
        closedir(dir);
        if (!good)
            return false;
    }
    return true;
}

bool mail_count(const char *path, uint32_t *n, struct err *e)
{
    struct drop list = { 0 };
    bool good = walk(path, &list, NULL, e);

    *n = list.n;
    return good;
}

static void put_drop(FILE *out, const char *user, const struct drop *list)
{
    if (out)
        fprintf(out, "user %s %" PRIu32 " %" PRIu64 "\n", user, list->n, list->octets);
    for (uint32_t i = 0; i < list->n; i++)
        put_known(out, list->known[i]);
}

/* One user of a manifest: made now, or read from the Maildir that is there. */
static bool one_drop(const struct plan *plan, uint32_t user, FILE *out, struct buf *text, struct err *e)
{
    char name[256], path[PATH_MAX];
    struct drop list = { 0 };
    bool good;

    if (!pattern_put(plan->user, user, name, sizeof name) || !pattern_put(plan->maildir, user, path, sizeof path))
        return err_set(e, FAULT_BAD, "%.60s…: too long", plan->maildir);
    if (plan->mode == MODE_MAKE) {
        list.known = mem_zero((size_t)plan->messages + 1, sizeof *list.known);
        good = make_drop(plan, user, &list, text, e);
    } else {
        good = walk(path, &list, text, e);
    }
    if (good)
        put_drop(out, name, &list);
    free(list.known);
    return good;
}

static bool all_drops(const struct plan *plan, struct err *e)
{
    FILE *out = plan->manifest ? fopen(plan->manifest, "we") : NULL;
    struct buf text = BUF(LARGEST);
    bool good = true;

    if (plan->manifest && !out)
        return err_errno(e, "create", plan->manifest);
    for (uint32_t i = 0; i < plan->users && good; i++)
        good = one_drop(plan, plan->first + i, out, &text, e);
    buf_free(&text);
    if (out && (ferror(out) | fclose(out)) != 0 && good)
        return err_errno(e, "write", plan->manifest);
    return good;
}

bool mail_make(const struct plan *plan, struct err *e)
{
    return all_drops(plan, e);
}

bool mail_manifest(const struct plan *plan, struct err *e)
{
    return all_drops(plan, e);
}

bool mail_deliver(const struct plan *plan, const char *path, uint32_t user, uint32_t number, struct err *e)
{
    char tmp[PATH_MAX], end[PATH_MAX], name[64];
    struct buf text = BUF(LARGEST);
    bool good = false;
    int n;

    snprintf(name, sizeof name, "%" PRIu32 ".M%06" PRIu32 "P%d.bench", 1800000000 + number, number % 1000000,
             (int)getpid());
    n = snprintf(tmp, sizeof tmp, "%s/tmp/%s", path, name);
    if (n < 0 || (size_t)n >= sizeof tmp ||
        (size_t)snprintf(end, sizeof end, "%s/new/%s", path, name) >= sizeof end)
        return err_set(e, FAULT_BAD, "%.60s…: too long a path", path);
    if (compose(&text, user, 1000000000 + number, plan->octets))
        good = write_file(plan, tmp, buf_span(&text), e) && (rename(tmp, end) == 0 || err_errno(e, "rename", tmp));
    buf_free(&text);
    return good;
}
