/* users.c - the table of accounts: reading the file, finding a name, what all have in common: see users.h. */
#include "auth/users.h"

#include "auth/keyed.h"
#include "auth/password.h"
#include "auth/users_line.h"
#include "sasl/prep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLASSES = 32, CLASS_TEXT = 48 };

struct users {
    char *text;                 /* the file; entries point into it */
    size_t octets;
    struct users_entry *entry;
    uint32_t count, room;
    uint32_t *by_name, *by_cert; /* buckets (a power of two): entry number + 1, open addressing */
    uint32_t buckets;
    struct keyed key;
    char **owned;               /* prepared names that differ from what the file says */
    uint32_t nowned;
    struct users_summary summary;
};

void users_entry_init(struct users_entry *entry)
{
    memset(entry, 0, sizeof *entry);
    entry->expire_days = entry->login_delay_s = USERS_NUMBER_NONE;
}

void users_free(struct users **tp)
{
    struct users *t = *tp;

    *tp = NULL;
    if (!t)
        return;
    if (t->text)
        explicit_bzero(t->text, t->octets);
    for (uint32_t i = 0; i < t->nowned; i++)
        free(t->owned[i]);
    free(t->owned);
    free(t->text);
    free(t->entry);
    free(t->by_name);
    free(t->by_cert);
    free(t);
}

uint32_t users_count(const struct users *t)
{
    return t->count;
}

const struct users_entry *users_at(const struct users *t, uint32_t i)
{
    return &t->entry[i];
}

const struct users_summary *users_summary(const struct users *t)
{
    return &t->summary;
}

static uint32_t *slot(const struct users *t, uint32_t *buckets, struct span name)
{
    uint32_t i = (uint32_t)keyed_hash(&t->key, name) & (t->buckets - 1);

    for (;; i = (i + 1) & (t->buckets - 1)) {
        const struct users_entry *entry = buckets[i] ? &t->entry[buckets[i] - 1] : NULL;

        if (!entry || span_is(name, buckets == t->by_name ? entry->name : entry->cert))
            return &buckets[i];
    }
}

static const struct users_entry *exact(const struct users *t, struct span name)
{
    uint32_t i = t->count ? *slot(t, t->by_name, name) : 0;

    return i ? &t->entry[i - 1] : NULL;
}

const struct users_entry *users_find(const struct users *t, struct span name, const char *default_domain)
{
    const struct users_entry *entry = exact(t, name);
    const uint8_t *at = name.n ? memrchr(name.p, '@', name.n) : NULL;
    char full[1100];
    int n;

    if (entry || !default_domain || !default_domain[0] || name.n == 0)
        return entry;
    if (at) {
        size_t local = (size_t)(at - name.p);

        if (!span_iis(span_of(at + 1, name.n - local - 1), default_domain))
            return NULL;
        return exact(t, span_of(name.p, local));
    }
    n = snprintf(full, sizeof full, "%.*s@%s", (int)(name.n < 512 ? name.n : 512), (const char *)name.p,
                 default_domain);
    return n > 0 && (size_t)n < sizeof full ? exact(t, span_of(full, (size_t)n)) : NULL;
}

const struct users_entry *users_by_cert(const struct users *t, struct span identity)
{
    uint32_t i = t->count ? *slot(t, t->by_cert, identity) : 0;

    return i ? &t->entry[i - 1] : NULL;
}

bool users_scram(const struct users_entry *entry, enum scram_hash hash, struct scram_keys *keys)
{
    enum password_scheme want = hash == SCRAM_SHA_256 ? PASSWORD_SCRAM_SHA_256 : PASSWORD_SCRAM_SHA_1;
    struct span rest;

    if (entry->scram[hash])
        return scram_keys_parse(span_str(entry->scram[hash]), hash, keys);
    return entry->password && password_scheme_of(span_str(entry->password), &rest) == want &&
           scram_keys_parse(rest, hash, keys);
}

bool users_clear(const struct users_entry *entry, struct span *password)
{
    return entry->password && password_scheme_of(span_str(entry->password), password) == PASSWORD_PLAIN;
}

/* The prepared form becomes the name. A name that cannot be prepared (Latin-1 from an old system) keeps its
 * octets and is found by those alone. */
static void prepare_name(struct users *t, struct users_entry *entry, struct users_report *r)
{
    struct buf prepared = BUF(1024);
    struct span name = span_str(entry->name);

    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < 0x20 || name.p[i] == 0x7f) {
            users_error(r, "the name holds a control character");
            return;
        }
    if (!sasl_prep(name, PREP_STORED, &prepared)) {
        users_warn(r, "the name is no valid UTF-8 or forbidden by RFC 4013: SASL cannot use it");
    } else if (!span_eq(buf_span(&prepared), name)) {
        t->owned = mem_grow(t->owned, t->nowned + 1, sizeof *t->owned);
        entry->name = t->owned[t->nowned++] = mem_strn(buf_span(&prepared));
    }
    buf_free(&prepared);
}

static void add_lines(struct users *t, size_t n, struct users_report *r)
{
    char *line = t->text, *end = t->text + n;

    while (line < end) {
        char *stop = memchr(line, '\n', (size_t)(end - line)), *next = stop ? stop + 1 : end;
        size_t len = (size_t)((stop ? stop : end) - line);
        struct users_entry entry;

        r->line++;
        if (len && line[len - 1] == '\r')
            len--;
        if (!users_line_empty(span_of(line, len)) && users_line_parse(line, len, &entry, r)) {
            if (t->count == t->room) {
                t->room = t->room ? t->room * 2 : 64;
                t->entry = mem_grow(t->entry, t->room, sizeof *t->entry);
            }
            prepare_name(t, &entry, r);
            t->entry[t->count++] = entry;
        }
        line = next;
    }
}

static void build_index(struct users *t, struct users_report *r)
{
    for (t->buckets = 64; t->buckets < t->count * 2; t->buckets *= 2)
        ;
    t->by_name = mem_zero(t->buckets, sizeof *t->by_name);
    t->by_cert = mem_zero(t->buckets, sizeof *t->by_cert);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct users_entry *entry = &t->entry[i];
        uint32_t *at = slot(t, t->by_name, span_str(entry->name));

        r->line = entry->line;
        if (*at)
            users_error(r, "this name stands on line %u already; remove one of them",
                        (unsigned)t->entry[*at - 1].line);
        else
            *at = i + 1;
        if (!entry->cert)
            continue;
        at = slot(t, t->by_cert, span_str(entry->cert));
        if (*at)
            users_error(r, "this certificate belongs to line %u already; remove one of them",
                        (unsigned)t->entry[*at - 1].line);
        else
            *at = i + 1;
    }
}

/* A few classes of equal text and how many accounts are in each; the first account stands for its class. */
struct classes {
    char text[CLASSES][CLASS_TEXT];
    uint32_t count[CLASSES], first[CLASSES], n;
};

static void classes_add(struct classes *c, const char *text, uint32_t i)
{
    uint32_t k = 0;

    while (k < c->n && strcmp(c->text[k], text) != 0)
        k++;
    if (k == CLASSES)
        return; /* that many different costs have no majority worth knowing */
    if (k == c->n) {
        snprintf(c->text[c->n++], CLASS_TEXT, "%s", text);
        c->first[k] = i;
    }
    c->count[k]++;
}

static const struct users_entry *classes_most(const struct users *t, const struct classes *c)
{
    uint32_t best = 0;

    for (uint32_t k = 1; k < c->n; k++)
        if (c->count[k] > c->count[best])
            best = k;
    return c->n ? &t->entry[c->first[best]] : NULL;
}

static void summarise_scram(struct users *t, enum scram_hash hash)
{
    struct classes *classes = mem_zero(1, sizeof *classes);
    struct span clear;
    char text[CLASS_TEXT];

    for (uint32_t i = 0; i < t->count; i++) {
        struct scram_keys keys;

        if (users_clear(&t->entry[i], &clear) && !(t->entry[i].flags & (USERS_DISABLED | USERS_APOP)) &&
            !users_scram(&t->entry[i], hash, &keys))
            t->summary.scram[hash]++; /* its keys are derived when they are asked for */
        if (!users_scram(&t->entry[i], hash, &keys))
            continue;
        if (!(t->entry[i].flags & USERS_DISABLED))
            t->summary.scram[hash]++;
        snprintf(text, sizeof text, "%u %zu", (unsigned)keys.iterations, keys.salt_n);
        classes_add(classes, text, i);
        explicit_bzero(&keys, sizeof keys);
    }
    t->summary.typical_scram[hash] = classes_most(t, classes);
    free(classes);
}

static void summarise(struct users *t)
{
    struct users_summary *s = &t->summary;
    struct classes *classes = mem_zero(1, sizeof *classes);
    char text[CLASS_TEXT];

    s->expire_min = USERS_NUMBER_NONE;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct users_entry *entry = &t->entry[i];

        if (entry->password && !entry->broken_password) {
            password_cost_class(span_str(entry->password), text, sizeof text);
            classes_add(classes, text, i);
        }
        if (entry->flags & USERS_DISABLED)
            continue;
        s->enabled++;
        s->apop += (entry->flags & USERS_APOP) != 0;
        if (entry->expire_days < s->expire_min)
            s->expire_min = entry->expire_days;
        if (entry->login_delay_s != USERS_NUMBER_NONE && entry->login_delay_s > s->login_delay_max)
            s->login_delay_max = entry->login_delay_s;
    }
    s->typical = classes_most(t, classes);
    free(classes);
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        summarise_scram(t, hash);
}

/* Takes text over. */
static bool make(char *text, size_t n, struct users_report *r, struct users **table)
{
    struct users *t = mem_zero(1, sizeof *t);

    t->text = text;
    t->octets = n;
    t->key = keyed_new();
    add_lines(t, n, r);
    build_index(t, r);
    if (r->failed && !r->good_only) {
        users_free(&t);
        return false;
    }
    summarise(t);
    *table = t;
    return true;
}

bool users_parse(struct span text, const char *path, struct users **table, struct buf *report)
{
    struct users_report r = { .path = path, .out = report };
    char *copy = mem_strn(text);

    return make(copy, text.n, &r, table);
}

static bool load(int fd, struct users_report *r, struct users **table)
{
    struct stat st;
    char *text;
    size_t n = 0;
    ssize_t got = 1;

    if (fd < 0 || fstat(fd, &st) != 0) {
        users_error(r, "%s; make it with \"restantectl user add\" or correct users.file", strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > USERS_MAX_FILE) {
        users_error(r, "not a regular file, or larger than 1 GiB");
        return false;
    }
    if (st.st_mode & S_IRWXO)
        users_warn(r, "everybody on this machine may read the file; chmod o= it");
    text = mem_new((size_t)st.st_size + 1);
    while (n < (size_t)st.st_size && (got = pread(fd, text + n, (size_t)st.st_size - n, (off_t)n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    if (got < 0) {
        users_error(r, "reading: %s", strerror(errno));
        free(text);
        return false;
    }
    return make(text, n, r, table);
}

struct users *users_load_good(int fd, const char *path)
{
    struct users_report r = { .path = path, .good_only = true };
    struct users *t = NULL;

    return load(fd, &r, &t) ? t : NULL;
}

bool users_load_fd(int fd, const char *path, struct users **table, struct buf *report)
{
    struct users_report r = { .path = path, .out = report };

    return load(fd, &r, table);
}

bool users_load(const char *path, struct users **table, struct buf *report)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool ok = users_load_fd(fd, path, table, report);

    if (fd >= 0)
        close(fd);
    return ok;
}
