/* store_help.c - what the tests of the store share: see store_help.h. */
#include "store_help.h"

#include "base/log.h"
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const struct store_policy plain_policy = {
    .sessions = STORE_EXCLUSIVE, .create = true, .durable = true, .expire_days = UINT32_MAX
};

static int sink = -1;

const char *box_join(const struct box *b, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", b->path, name);
    return path;
}

void box_new(struct box *b)
{
    /* In memory where possible: the crash tests make hundreds of maildrops, and no power fails in them. */
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    static const char *const subs[] = { "", "tmp", "new", "cur" };
    char path[512];

    snprintf(b->root, sizeof b->root, "%s/restante-test-XXXXXX", base);
    assert_non_null(mkdtemp(b->root));
    snprintf(b->path, sizeof b->path, "%s/Maildir", b->root);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(mkdir(box_join(b, subs[i], path), 0700), 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    return type == FTW_D && S_ISDIR(st->st_mode) ? chmod(path, 0700) : 0;
}

void box_free(struct box *b)
{
    nftw(b->root, open_up, 16, FTW_PHYS);
    assert_int_equal(nftw(b->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void box_put(const struct box *b, const char *name, struct span content)
{
    char path[512];
    int fd = open(box_join(b, name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (content.n) {
        ssize_t n = write(fd, content.p, content.n);

        assert_true(n > 0);
        span_take(&content, (size_t)n);
    }
    close(fd);
}

void box_put_str(const struct box *b, const char *name, const char *content)
{
    box_put(b, name, span_str(content));
}

void box_age(const struct box *b, const char *name, int64_t seconds)
{
    struct timespec times[2] = {
        {time(NULL) - seconds,  0},
        { time(NULL) - seconds, 0}
    };
    char path[512];

    assert_int_equal(utimensat(AT_FDCWD, box_join(b, name, path), times, AT_SYMLINK_NOFOLLOW), 0);
}

bool box_has(const struct box *b, const char *name)
{
    struct stat st;
    char path[512];

    return lstat(box_join(b, name, path), &st) == 0;
}

uint32_t box_files(const struct box *b, const char *sub)
{
    char path[512];
    DIR *dir = opendir(box_join(b, sub, path));
    uint32_t n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

struct buf read_fd(int fd)
{
    struct buf b = BUF(1 << 30);
    ssize_t n;

    while ((n = pread(fd, buf_reserve(&b, 65536), 65536, (off_t)b.n)) > 0)
        b.n += (size_t)n;
    assert_int_equal(n, 0);
    close(fd);
    return b;
}

struct buf box_read(const struct box *b, const char *name)
{
    char path[512];
    int fd = open(box_join(b, name, path), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return read_fd(fd);
}

struct view view_of(const struct store_ops *ops, struct drop *drop)
{
    struct view v = { NULL, ops->count(drop), 0 };
    struct index_reader r;
    struct index_record rec;
    struct span uid, name;
    struct err e;
    uint64_t octets, sum = 0;
    int fd;

    assert_true(ops->listing(drop, &fd, &octets, &e));
    assert_true(index_reader_open(&r, dup(fd), octets, &e));
    assert_int_equal(r.h.count, v.n);
    v.octets = r.h.octets;
    v.rows = mem_zero(v.n, sizeof *v.rows);
    for (uint32_t i = 0; i < v.n; i++) {
        struct row *row = &v.rows[i];

        assert_true(index_reader_get(&r, i, &rec, &uid, &name));
        memcpy(row->uid, uid.p, uid.n);
        memcpy(row->name, name.p, name.n);
        row->octets = rec.octets;
        row->legacy = rec.legacy_octets;
        row->size = rec.file_size;
        row->flags = rec.flags;
        sum += rec.octets;
    }
    assert_true(sum == v.octets);
    assert_false(index_reader_get(&r, v.n, &rec, &uid, &name));
    index_reader_close(&r);
    return v;
}

void view_free(struct view *v)
{
    free(v->rows);
    v->rows = NULL;
}

const struct row *view_uid(const struct view *v, const char *uid)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (strcmp(v->rows[i].uid, uid) == 0)
            return &v->rows[i];
    return NULL;
}

struct drop *must_open(const struct store_ops *ops, const char *path, const struct store_policy *policy)
{
    struct drop *drop = NULL;
    struct err e = { FAULT_NONE, "" };

    if (!ops->open(path, policy, &drop, &e))
        fail_msg("open: %s: %s", fault_name(e.fault), e.text);
    return drop;
}

struct view look(const char *path)
{
    struct drop *drop = must_open(&store_maildir, path, &plain_policy);
    struct view v = view_of(&store_maildir, drop);

    store_maildir.close(&drop);
    assert_null(drop);
    return v;
}

/* clang-format off */
#define F(id, text, octets) { id, { (const uint8_t *)(text), sizeof(text) - 1 }, octets }
static const struct fixture table[FIXTURES] = {
    F("F01", "From: a@example.org\nSubject: plain\n\nline1\nline2\nline3\n", 60),
    F("F02", "Subject: dots\n\n.\n..\n.a\na.\n.\n", 35),
    F("F03", ".dotfirst: x\nSubject: y\n\nb\n", 31),
    F("F04", ".\nSubject: y\n\nb\n", 20),
    F("F05", "Subject: no final newline\n\nlast", 35),
    F("F06", "Subject: header only\n", 22),
    F("F07", "Subject: header only, no newline", 34),
    F("F08", "", 0),
    F("F09", "\nbody only\n", 13),
    F("F10", "Subject: crlf stored\r\n\r\nbody\r\n", 30),
    F("F11", "Subject: mixed\r\n\nA\r\nB\nC", 27),
    F("F12", "Subject: bare cr\n\na\rb\nc\r\r\nd\r", 33),
    F("F13", "Subject: nul\n\nx\x00y\n", 21),
    F("F14", "Subject: 8bit\n\n\xff\xfe\x80" "caf\xc3\xa9\n", 27),
    F("F15", "", 105022), /* made by fixtures_make */
    F("F16", "Subject: empty body\n\n", 23),
    F("F17", "Subject: only newlines\n\n\n\n\n", 32),
    F("F18", "Subject: dot last no nl\n\n.", 30),
    F("F19", "Subject: utf8 caf\xc3\xa9\nFrom: J\xc3\xb6rg <j\xc3\xb6rg@ex\xc3\xa4mple.org>\n\nhi\n", 61),
    F("F20", "\r\n\r\n", 4),
    F("F21", ".", 3),
    F("F22", "\n", 2),
    F("F23", "Subject: lf-dot-lf\n\na\n.\nb\r\n.\r\nc\n", 37),
};
/* clang-format on */

void fixtures_make(struct fixture f[FIXTURES])
{
    struct buf b = BUF(1 << 20);

    memcpy(f, table, sizeof table);
    assert_true(buf_put_str(&b, "Subject: long\n\n"));
    memset(buf_reserve(&b, 100000), 'x', 100000);
    b.n += 100000;
    assert_true(buf_put_str(&b, "\n."));
    memset(buf_reserve(&b, 5000), 'y', 5000);
    b.n += 5000;
    assert_true(buf_put_str(&b, "\n"));
    f[14].content = buf_span(&b); /* owned by the table until fixtures_free */
}

void fixtures_free(struct fixture f[FIXTURES])
{
    free((void *)(uintptr_t)f[14].content.p);
}

void events_quiet(void)
{
    if (sink < 0)
        sink = memfd_create("events", MFD_CLOEXEC);
    assert_int_equal(ftruncate(sink, 0), 0);
    lseek(sink, 0, SEEK_SET);
    log_open("test", sink, LOG_DEBUG);
}

unsigned events_named(const char *name)
{
    struct buf b = read_fd(dup(sink));
    struct span rest = buf_span(&b);
    char want[128];
    unsigned n = 0;

    snprintf(want, sizeof want, " event=%s ", name);
    while (rest.n) {
        struct span line = span_until(&rest, '\n');

        n += memmem(line.p, line.n, want, strlen(want)) != NULL;
    }
    buf_free(&b);
    return n;
}

int in_child(int (*fn)(void *ctx), void *ctx)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(ctx));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int box_start(void **state)
{
    static struct box box;

    events_quiet();
    box_new(&box);
    *state = &box;
    return 0;
}

int box_stop(void **state)
{
    box_free(*state);
    return 0;
}
