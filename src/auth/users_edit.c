/* users_edit.c - changing one line of the users file and nothing else: users_edit() of users.h.
 *
 * | step                            | on disk                 | a crash now leaves            | repaired by        |
 * | 1 lock PATH.lock                | old file                | old file                      | lock dies with us  |
 * | 2 PATH.RANDOM written, fsynced  | old file, new temporary | old file, an orphan temporary | removed by hand    |
 * | 3 rename over PATH              | new file                | old or new file, whole        | -                  |
 * | 4 fsync the folder              | new file, durable       | new file                      | -                  |
 * Does not know: the table that the server keeps; it sees a changed file (users_file.h).
 */
#include "auth/users.h"

#include "auth/users_line.h"
#include "base/num.h"
#include "base/secret.h"
#include "base/sys.h"
#include "sasl/prep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file as it is, and as it will be. */
struct edit {
    char path[PATH_MAX];
    struct buf old, new;
    bool exists;
    struct stat st;
};

static bool same_name(struct span a, struct span b)
{
    struct buf pa = BUF(1024), pb = BUF(1024);
    bool same = span_eq(a, b);

    if (!same && sasl_prep(a, PREP_STORED, &pa) && sasl_prep(b, PREP_STORED, &pb))
        same = span_eq(buf_span(&pa), buf_span(&pb));
    buf_free(&pa);
    buf_free(&pb);
    return same;
}

/* A value that can stand in a field: no colon, no control characters; in an extra field no blank either. */
static bool put_value(struct buf *out, const char *value, bool extra)
{
    for (const char *p = value; *p; p++)
        if ((uint8_t)*p < 0x20 || *p == 0x7f || *p == ':' || (extra && *p == ' '))
            return false;
    return buf_put_str(out, value);
}

static bool put_word(struct buf *out, const char *name, const char *value)
{
    if (out->n && !buf_put_str(out, " "))
        return false;
    return buf_put_str(out, name) && (!value || put_value(out, value, true));
}

static bool put_number(struct buf *out, const char *name, uint32_t value)
{
    char text[24];

    if (value == USERS_NUMBER_NONE)
        return true;
    snprintf(text, sizeof text, "%u", (unsigned)value);
    return put_word(out, name, text);
}

static bool put_scram(struct buf *out, const struct users_entry *entry)
{
    return (!entry->scram[SCRAM_SHA_256] || put_word(out, "scram-sha-256=", entry->scram[SCRAM_SHA_256])) &&
           (!entry->scram[SCRAM_SHA_1] || put_word(out, "scram-sha-1=", entry->scram[SCRAM_SHA_1]));
}

static bool put_extras(struct buf *out, const struct users_entry *entry)
{
    static const struct {
        unsigned flag;
        const char *word;
    } flags[] = { { USERS_REQUIRE_TLS, "require_tls" }, { USERS_DISABLED, "disabled" },
                  { USERS_READ_ONLY, "read_only" },     { USERS_APOP, "apop" },
                  { USERS_RAW_PASSWORD, "raw_password" } };
    bool ok = true;

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (entry->flags & flags[i].flag)
            ok = ok && put_word(out, flags[i].word, NULL);
    if (entry->mail) /* put_word refuses the colon in a value, not the one of "maildir:" */
        ok = ok && put_word(out, "userdb_mail=maildir:", entry->mail);
    if (entry->cert && strncmp(entry->cert, "sha256:", 7) == 0)
        ok = ok && put_word(out, "cert=sha256:", entry->cert + 7);
    else if (entry->cert)
        ok = ok && put_word(out, "cert=", entry->cert);
    if (entry->allow_nets) /* IPv6 has colons, and they do no harm in the last field */
        ok = ok && !strpbrk(entry->allow_nets, " \t\r\n") && put_word(out, "allow_nets=", NULL) &&
             buf_put_str(out, entry->allow_nets);
    return ok && put_number(out, "expire=", entry->expire_days) &&
           put_number(out, "login_delay=", entry->login_delay_s) && put_scram(out, entry);
}

/* Joins fields and extra words to a line; empty fields at the end are left out. */
static bool put_line(struct buf *out, const struct span fields[UF_EXTRA], struct span extra)
{
    size_t n = extra.n ? UF_EXTRA : 2;

    for (size_t i = 2; i < UF_EXTRA; i++)
        if (fields[i].n && n <= i)
            n = i + 1;
    for (size_t i = 0; i < n; i++)
        if ((i && !buf_put_str(out, ":")) || !buf_put_span(out, fields[i]))
            return false;
    return extra.n == 0 || (buf_put_str(out, ":") && buf_put_span(out, extra));
}

static bool line_for_add(const struct users_entry *entry, struct buf *line)
{
    struct buf extra = BUF(USERS_LINE_MAX), name = BUF(1024), password = BUF(2048), home = BUF(4096);
    char uid[12], gid[12];
    struct span fields[UF_EXTRA] = { { NULL, 0 } };
    bool ok = entry->name && entry->name[0] != '#' && entry->name[0] != ' ' &&
              put_value(&name, entry->name, false) &&
              (!entry->password || put_value(&password, entry->password, false)) &&
              (!entry->home || put_value(&home, entry->home, false)) && put_extras(&extra, entry);

    snprintf(uid, sizeof uid, "%u", (unsigned)entry->uid);
    snprintf(gid, sizeof gid, "%u", (unsigned)entry->gid);
    fields[UF_NAME] = buf_span(&name);
    fields[UF_PASSWORD] = buf_span(&password);
    fields[UF_UID] = entry->uid ? span_str(uid) : span_str("");
    fields[UF_GID] = entry->gid ? span_str(gid) : span_str("");
    fields[UF_HOME] = buf_span(&home);
    ok = ok && put_line(line, fields, buf_span(&extra));
    buf_free(&extra);
    buf_free(&name);
    buf_wipe(&password);
    buf_free(&home);
    return ok;
}

/* Is the word one of "a", "b=…" whose names stand in the list? */
static bool listed(struct span word, const char *const *names)
{
    struct span name = span_until(&word, '=');

    for (; *names; names++)
        if (span_is(name, *names))
            return true;
    return false;
}

static bool copy_extras(struct span extra, const char *const *without, struct buf *out)
{
    for (;;) {
        struct span word = users_line_word(&extra);

        if (word.n == 0)
            return true;
        if (listed(word, without))
            continue;
        if ((out->n && !buf_put_str(out, " ")) || !buf_put_span(out, word))
            return false;
    }
}

/* The changed form of an account's line. */
static bool line_for_change(struct span old, enum users_change change, const struct users_entry *entry,
                            struct buf *line)
{
    static const char *const keys[] = { "scram-sha-256", "scram-sha-1", "raw_password", NULL };
    static const char *const switches[] = { "disabled", "nologin", NULL };
    struct span fields[USERS_FIELDS];
    struct buf extra = BUF(USERS_LINE_MAX);
    bool ok;

    users_line_split(old, fields);
    if (change == USERS_PASSWD) {
        ok = entry->password && !strpbrk(entry->password, ":\r\n") &&
             copy_extras(fields[UF_EXTRA], keys, &extra) && put_scram(&extra, entry);
        fields[UF_PASSWORD] = span_str(entry->password ? entry->password : "");
    } else {
        ok = copy_extras(fields[UF_EXTRA], switches, &extra) &&
             (change == USERS_ENABLE || put_word(&extra, "disabled", NULL));
    }
    ok = ok && put_line(line, fields, buf_span(&extra));
    buf_wipe(&extra);
    return ok;
}

/* Would the server take this line? */
static bool line_valid(const struct buf *line, struct err *e)
{
    struct buf text = BUF(1024), copy = BUF(USERS_LINE_MAX + 1);
    struct users_report r = { .path = "the new line", .out = &text, .line = 1 };
    struct users_entry entry;
    bool ok = buf_put_span(&copy, buf_span(line)) && buf_put(&copy, "", 1) &&
              users_line_parse((char *)copy.p, line->n, &entry, &r);

    if (!ok)
        err_set(e, FAULT_BAD, "%.*s", (int)(text.n ? text.n - 1 : 0), text.n ? (char *)text.p : "");
    buf_wipe(&copy);
    buf_free(&text);
    return ok;
}

/* Writes ed->new: all lines as they are but the one of the account. */
static bool apply(struct edit *ed, enum users_change change, const struct users_entry *entry, struct err *e)
{
    struct span in = buf_span(&ed->old), name = span_str(entry->name);
    struct buf line = BUF(USERS_LINE_MAX);
    bool found = false, ok = true;

    while (in.n && ok) {
        struct span whole = in, text = span_until(&in, '\n'), first = text;
        size_t end = whole.n - in.n - text.n;

        whole.n = text.n + end;
        if (text.n && text.p[text.n - 1] == '\r')
            text.n--, end++;
        if (found || users_line_empty(text) || !same_name(span_until(&first, ':'), name)) {
            ok = buf_put_span(&ed->new, whole);
            continue;
        }
        found = true;
        if (change == USERS_ADD) {
            ok = err_set(e, FAULT_IN_USE, "%s exists already", entry->name);
        } else if (change != USERS_DELETE) {
            ok = line_for_change(text, change, entry, &line) ||
                 err_set(e, FAULT_BAD, "a value holds a colon or a control character");
            ok = ok && line_valid(&line, e) && buf_put_span(&ed->new, buf_span(&line)) &&
                 buf_put(&ed->new, text.p + text.n, end);
        }
    }
    if (ok && change == USERS_ADD) {
        ok = line_for_add(entry, &line) ||
             err_set(e, FAULT_BAD, "the name or a value holds a colon, a control character or a blank");
        if (ok && ed->new.n && ed->new.p[ed->new.n - 1] != '\n')
            ok = buf_put_str(&ed->new, "\n");
        ok = ok && line_valid(&line, e) && buf_put_span(&ed->new, buf_span(&line)) &&
             buf_put_str(&ed->new, "\n");
    } else if (ok && !found) {
        ok = err_set(e, FAULT_GONE, "%s: no such user", entry->name);
    }
    buf_wipe(&line);
    return ok;
}

static bool read_all(struct edit *ed, struct err *e)
{
    int fd = sys_open(AT_FDCWD, ed->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    bool ok = true;

    if (fd < 0)
        return errno == ENOENT || err_errno(e, "open", ed->path);
    if (sys->fstat(fd, &ed->st) != 0 || !S_ISREG(ed->st.st_mode) || ed->st.st_size > USERS_MAX_FILE)
        ok = err_set(e, FAULT_PERM, "%s: not a regular file, or larger than 1 GiB", ed->path);
    ed->exists = true;
    while (ok) {
        uint8_t *p = buf_reserve(&ed->old, 65536);
        ssize_t got = p ? sys_read_some(fd, p, 65536) : -1;

        if (got < 0)
            ok = err_errno(e, "read", ed->path);
        if (got <= 0)
            break;
        ed->old.n += (size_t)got;
    }
    sys_close(&fd);
    return ok;
}

static bool sync_folder(const char *path, struct err *e)
{
    char folder[PATH_MAX];
    char *slash;
    int fd;
    bool ok;

    snprintf(folder, sizeof folder, "%s", path);
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    fd = sys_open(AT_FDCWD, slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    ok = fd >= 0 && sys->fsync(fd) == 0;
    if (!ok)
        err_errno(e, "fsync folder of", path);
    sys_close(&fd);
    return ok;
}

/* A name beside the file that nobody else uses. */
static bool temp_name(const char *path, char temp[PATH_MAX])
{
    uint8_t random[6], hex[12];
    int n;

    secret_random(random, sizeof random);
    hex_put(hex, span_of(random, sizeof random));
    n = snprintf(temp, PATH_MAX, "%s.%.12s", path, (const char *)hex);
    return n > 0 && n < PATH_MAX;
}

/* The server's user may read the file by its group: owner, group and that right stay; others never get one. */
static bool keep_owner(const struct edit *ed, int fd)
{
    if (!ed->exists)
        return true;
    return ((ed->st.st_uid == geteuid() && ed->st.st_gid == getegid()) ||
            fchown(fd, ed->st.st_uid, ed->st.st_gid) == 0) &&
           fchmod(fd, ed->st.st_mode & 0640) == 0;
}

/* The new content beside the old file, then in its place. */
static bool replace(struct edit *ed, struct err *e)
{
    char temp[PATH_MAX];
    int fd;
    bool ok;

    if (!temp_name(ed->path, temp))
        return err_set(e, FAULT_PERM, "%s: the path is too long", ed->path);
    fd = sys_open(AT_FDCWD, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(e, "make", temp);
    ok = (sys_write_all(fd, buf_span(&ed->new)) && keep_owner(ed, fd) && sys->fsync(fd) == 0) ||
         err_errno(e, "write", temp);
    sys_close(&fd);
    ok = ok && (sys->renameat2(AT_FDCWD, temp, AT_FDCWD, ed->path, 0) == 0 ||
                err_errno(e, "rename", temp));
    if (!ok)
        sys->unlinkat(AT_FDCWD, temp, 0);
    return ok && sync_folder(ed->path, e);
}

static bool lock(const struct edit *ed, int *fd, struct err *e)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s.lock", ed->path);

    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, FAULT_PERM, "%s: the path is too long", ed->path);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return err_errno(e, "open", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    close(*fd);
    return err_set(e, FAULT_IN_USE, "%s: another change is running", ed->path);
}

bool users_edit(const char *path, enum users_change change, const struct users_entry *entry, struct err *e)
{
    struct edit *ed = mem_zero(1, sizeof *ed);
    char *real = realpath(path, NULL); /* a link stays a link */
    int n = snprintf(ed->path, sizeof ed->path, "%s", real ? real : path), fd = -1;
    bool ok;

    free(real);
    ed->old.cap = ed->new.cap = (size_t)USERS_MAX_FILE + 2 * USERS_LINE_MAX + 65536;
    if (!entry->name || !entry->name[0])
        ok = err_set(e, FAULT_BAD, "the name is empty");
    else if (n < 0 || (size_t)n >= sizeof ed->path)
        ok = err_set(e, FAULT_PERM, "the path is too long");
    else
        ok = lock(ed, &fd, e) && read_all(ed, e) && apply(ed, change, entry, e) && replace(ed, e);
    buf_wipe(&ed->old);
    buf_wipe(&ed->new);
    free(ed);
    if (fd >= 0)
        close(fd);
    return ok;
}
