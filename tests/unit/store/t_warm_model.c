/* t_warm_model.c - a maildrop that others change in every way, opened again and again by a process that remembers it:
 * what is listed is always what is there.
 *
 * After each open the names and sizes are compared with the directories themselves, read here, and the UIDLs with a
 * scan by a store that remembers nothing. The steps are random, from a fixed seed (or RESTANTE_SEED).
 * Proves: R1939-SIZE-07, MDPP-02.
 * Does not know: what an open costs (t_warm.c).
 */
#include "store_help.h"

#include "mail/mdname.h"
#include "mail/msgsize.h"
#include "store/uidmap.h"
#include "store/warm.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 100000, MANY = 24, NAME_ROOM = 300 };

struct world {
    struct box *box;
    struct warm *warm;
    uint64_t random;
    unsigned made; /* names so far; none is used again, but on purpose */
    int64_t stamp; /* mtimes given so far */
    unsigned opens, at_once;
    unsigned second_names; /* seen by the last check */
    char path[512];
};

static unsigned pick(struct world *w, unsigned n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)(w->random >> 33) % n;
}

static const char *at(struct world *w, const char *name, char path[512])
{
    return box_join(w->box, name, path);
}

/* Lines of random length, with dots and bare line ends here and there. */
static struct buf content(struct world *w)
{
    static const char *const parts[] = { "Subject: x\n", "\n", ".\n", "line\r\n", "caf\xc3\xa9\n", "no end", "\r" };
    struct buf b = BUF(4096);

    for (unsigned i = 1 + pick(w, 8); i; i--)
        assert_true(buf_put_str(&b, parts[pick(w, 7)]));
    return b;
}

/* A new mtime that no file had: within one tick of the clock two contents of one size could not be told apart. */
static void stamp(struct world *w, const char *name)
{
    struct timespec times[2] = { { 0, UTIME_OMIT }, { 1500000000 + w->stamp++, 0 } };
    char path[512];

    utimensat(AT_FDCWD, at(w, name, path), times, AT_SYMLINK_NOFOLLOW);
}

/* Each content has an mtime of its own: a name is used again here for another message, which no delivery does, and
 * within one tick of the clock two of one size would be one file for everybody. So a seed is one sequence, too. */
static void write_file(struct world *w, const char *name, int flags)
{
    char path[512];
    struct buf b = content(w);
    int fd = open(at(w, name, path), O_WRONLY | O_CLOEXEC | flags, 0600);

    if (fd >= 0) {
        assert_int_equal(write(fd, b.p, b.n), b.n);
        close(fd);
        stamp(w, name);
    }
    buf_free(&b);
}

static void new_base(struct world *w, char base[64])
{
    unsigned n = w->made++;

    switch (pick(w, 8)) {
    case 0: snprintf(base, 64, "odd name %u", n); break; /* no UIDL as it is, and no time */
    case 1: snprintf(base, 64, "1600000000.M%u.Host", n / 32); break; /* differ in case */
    case 2: snprintf(base, 64, "1600000000.M%u.host", n / 32); break;
    default: snprintf(base, 64, "%u.M%uP1Q%u.host", 1600000000 + pick(w, 100000), pick(w, 1000000), n);
    }
}

/* A random file of new/ or cur/: "new/x". False when there is none. */
static bool any_file(struct world *w, char name[NAME_ROOM])
{
    const char *sub = pick(w, 2) ? "new" : "cur";
    char path[512];
    DIR *dir = opendir(at(w, sub, path));
    unsigned n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.' && pick(w, ++n) == 0)
            snprintf(name, NAME_ROOM, "%s/%s", sub, e->d_name);
    closedir(dir);
    return n > 0;
}

static void move(struct world *w, const char *from, const char *to)
{
    char a[512], b[512];

    rename(at(w, from, a), at(w, to, b));
}

static void deliver(struct world *w)
{
    char base[64], tmp[NAME_ROOM], name[NAME_ROOM], a[512], b[512];

    if (box_files(w->box, "new") + box_files(w->box, "cur") >= MANY)
        return;
    new_base(w, base);
    snprintf(tmp, sizeof tmp, "tmp/%s", base);
    snprintf(name, sizeof name, "new/%s", base);
    switch (pick(w, 4)) {
    case 0:
        write_file(w, tmp, O_CREAT);
        link(at(w, tmp, a), at(w, name, b)); /* fails where the name is taken, as it may be */
        unlink(a);
        break;
    case 1: /* by a program that knows no tmp/ */
        write_file(w, name, O_CREAT);
        write_file(w, name, O_APPEND);
        break;
    default:
        write_file(w, tmp, O_CREAT);
        move(w, tmp, name);
    }
}

static void to_cur(struct world *w)
{
    static const char *const flags[] = { ":2,", ":2,S", ":2,FS", ",S=3,W=9:2,S", ":1,x" };
    char from[NAME_ROOM], to[NAME_ROOM + 20];

    if (!any_file(w, from))
        return;
    snprintf(to, sizeof to, "cur/%s", from + 4);
    to[4 + strcspn(to + 4, ",:")] = '\0';
    strcat(to, flags[pick(w, 5)]);
    move(w, from, to);
}

static void change(struct world *w)
{
    char name[NAME_ROOM], path[512];

    if (!any_file(w, name))
        return;
    switch (pick(w, 6)) {
    case 0: write_file(w, name, O_APPEND); break;
    case 1:
        if (truncate(at(w, name, path), pick(w, 20)) == 0)
            stamp(w, name);
        break;
    case 2:
        write_file(w, name, O_TRUNC);
        stamp(w, name);
        break;
    case 3: stamp(w, name); break;
    case 4: chmod(at(w, name, path), pick(w, 2) ? 0600 : 0); break;
    default: unlink(at(w, name, path));
    }
}

/* Second names: in the maildrop under another base or the same one, or outside of it, from the delivery on. */
static void link_up(struct world *w)
{
    char from[NAME_ROOM], to[NAME_ROOM], base[64], a[512], b[512];

    new_base(w, base);
    switch (pick(w, 4)) {
    case 0:
        snprintf(to, sizeof to, "cur/%s:2,", base);
        if (any_file(w, from) && link(at(w, from, a), at(w, to, b)) == 0)
            return;
        break;
    case 1: /* a mover that was stopped */
        if (any_file(w, from)) {
            snprintf(to, sizeof to, "cur/%s", from + 4);
            link(at(w, from, a), at(w, to, b));
        }
        break;
    case 2:
        snprintf(to, sizeof to, "new/%s", base);
        unlink(at(w, "outside", a));
        write_file(w, "outside", O_CREAT);
        link(a, at(w, to, b));
        break;
    default:
        write_file(w, "outside", O_APPEND);
        stamp(w, "outside");
    }
}

/* What stands in new/ and cur/ and is no message, and a copy with a base that is taken. */
static void clutter(struct world *w)
{
    char from[NAME_ROOM], to[NAME_ROOM + 8], path[512];

    switch (pick(w, 5)) {
    case 0: mkdir(at(w, "new/directory", path), 0700); break;
    case 1: rmdir(at(w, "new/directory", path)); break;
    case 2: write_file(w, "cur/.hidden", O_CREAT); break;
    case 3:
        unlink(at(w, "cur/link", path));
        assert_int_equal(symlink("../linked", path), 0);
        break;
    default:
        if (any_file(w, from)) {
            snprintf(to, sizeof to, "cur/%s", from + 4);
            to[4 + strcspn(to + 4, ",:")] = '\0';
            strcat(to, ":2,T");
            write_file(w, to, O_CREAT);
        }
    }
}

static void remove_tree(struct world *w, const char *name)
{
    char path[512], command[600];

    snprintf(command, sizeof command, "rm -rf '%s'", at(w, name, path));
    assert_int_equal(system(command), 0);
}

/* Another directory in the place of new/ or cur/, or another maildrop in the place of this one; sometimes the old one
 * comes back. */
static void replace(struct world *w)
{
    const char *sub = pick(w, 2) ? "new" : "cur";
    struct box *box = w->box;
    char a[512], other[200];

    snprintf(other, sizeof other, "%s/other", box->root);
    if (pick(w, 2)) {
        remove_tree(w, "aside");
        move(w, sub, "aside");
        assert_int_equal(mkdir(at(w, sub, a), 0700), 0);
        if (pick(w, 3) == 0) { /* and back: the same inodes again */
            rmdir(a);
            move(w, "aside", sub);
        }
    } else if (access(other, F_OK) != 0) {
        assert_int_equal(rename(box->path, other), 0);
        if (pick(w, 2)) {
            static const char *const subs[] = { "", "tmp", "new", "cur" };

            for (int i = 0; i < 4; i++)
                assert_int_equal(mkdir(at(w, subs[i], a), 0700), 0);
        } else {
            assert_int_equal(rename(other, box->path), 0);
        }
    } else {
        char third[200];

        snprintf(third, sizeof third, "%s/third", box->root);
        assert_int_equal(rename(box->path, third), 0);
        assert_int_equal(rename(other, box->path), 0);
        assert_int_equal(rename(third, other), 0);
    }
}

/* The process ends; what it left on the disk may be damaged, old or gone. */
static void crash(struct world *w)
{
    struct buf b;
    char path[512];

    warm_free(&w->warm);
    w->warm = warm_new((struct warm_limits){ 0, 0 });
    assert_non_null(w->warm);
    if (!box_has(w->box, "restante-index"))
        return;
    b = box_read(w->box, "restante-index");
    switch (pick(w, 4)) {
    case 0: unlink(at(w, "restante-index", path)); break;
    case 1: assert_int_equal(truncate(at(w, "restante-index", path), b.n ? pick(w, (unsigned)b.n) : 0), 0); break;
    case 2:
        if (b.n) {
            b.p[pick(w, (unsigned)b.n)] ^= 0x20;
            box_put(w->box, "restante-index", buf_span(&b));
        }
        break;
    default: break;
    }
    buf_free(&b);
}

static void import(struct world *w)
{
    char name[NAME_ROOM], uid[32];
    struct uid_pair pair;
    struct mddir d;

    if (!any_file(w, name))
        return;
    snprintf(uid, sizeof uid, "imported-%u", w->made++);
    pair = (struct uid_pair){ mdname_parse(span_str(name + 4)).base, span_str(uid) };
    assert_true(mddir_open(&d, w->box->path, false, NULL));
    uidmap_append(&d, &pair, 1, NULL);
    mddir_close(&d);
}

static struct store_policy any_policy(struct world *w)
{
    struct store_policy policy = plain_policy;

    policy.durable = false;
    policy.warm = w->warm;
    policy.need_legacy = pick(w, 16) == 0;
    policy.move_to_cur = pick(w, 16) == 0;
    policy.mark_seen = pick(w, 2);
    policy.sessions = pick(w, 8) ? STORE_EXCLUSIVE : STORE_SHARED;
    if (pick(w, 64) == 0) /* names begin at 1600000000: about half of some of them */
        policy.expire_days = (uint32_t)((time(NULL) - 1600050000) / 86400);
    return policy;
}

static struct drop *open_drop(struct world *w, const struct store_policy *policy)
{
    struct drop *drop = NULL;
    struct err e = { FAULT_NONE, "" };

    w->opens++;
    switch (store_maildir.open_warm(w->box->path, policy, &drop, &e)) {
    case STORE_OPENED: w->at_once++; return drop;
    case STORE_FAILED: fail_msg("open at once: %s", e.text); break;
    case STORE_COLD: break;
    }
    return must_open(&store_maildir, w->box->path, policy);
}

/* A second name of a listed file: a mover was stopped, the two are one message. The first may have been given another
 * base in this open, where a third file had the base of both. */
static bool is_second_name(struct world *w, const struct view *v, const char *name, const struct stat *st)
{
    struct span base = mdname_parse(span_str(name + 4)).base;
    char path[512];
    struct stat other;

    for (uint32_t i = 0; i < v->n; i++)
        if (span_eq(mdname_parse(span_str(v->rows[i].name + 4)).base, base) ||
            (lstat(at(w, v->rows[i].name, path), &other) == 0 && other.st_ino == st->st_ino))
            return true;
    return false;
}

/* How many messages the directories hold, each of which must be listed with its true size. */
static uint32_t check_sub(struct world *w, const char *sub, const struct view *v)
{
    char path[512], name[NAME_ROOM];
    DIR *dir = opendir(at(w, sub, path));
    uint32_t n = 0;

    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        const struct row *row = NULL;
        struct stat st;
        struct buf b;

        snprintf(name, sizeof name, "%s/%s", sub, e->d_name);
        if (e->d_name[0] == '.' || lstat(at(w, name, path), &st) != 0 || !S_ISREG(st.st_mode) ||
            !(st.st_mode & 0400))
            continue;
        for (uint32_t i = 0; i < v->n && !row; i++)
            if (strcmp(v->rows[i].name, name) == 0)
                row = &v->rows[i];
        if (!row && st.st_nlink > 1 && is_second_name(w, v, name, &st)) {
            w->second_names++;
            continue;
        }
        if (!row)
            fail_msg("not listed: %s", name);
        b = box_read(w->box, name);
        if (row->octets != msgsize_of(buf_span(&b)).octets)
            fail_msg("%s is listed with %llu octets", name, (unsigned long long)row->octets);
        buf_free(&b);
        n++;
    }
    closedir(dir);
    return n;
}

static void check_uids(const struct world *w, const struct view *v, bool legacy)
{
    struct store_policy policy = { .sessions = STORE_LOOK, .need_legacy = legacy, .expire_days = UINT32_MAX };
    struct drop *drop = must_open(&store_maildir, w->box->path, &policy);
    struct view scanned = view_of(&store_maildir, drop);

    assert_int_equal(v->n, scanned.n);
    for (uint32_t i = 0; i < v->n; i++)
        if (memcmp(&v->rows[i], &scanned.rows[i], sizeof v->rows[i]) != 0)
            fail_msg("message %u: %s %s, scanned %s %s", i, v->rows[i].uid, v->rows[i].name, scanned.rows[i].uid,
                     scanned.rows[i].name);
    view_free(&scanned);
    store_maildir.close(&drop);
}

static void fetch_all(struct drop *drop, const struct view *v)
{
    for (uint32_t i = 0; i < v->n; i++) {
        struct err e;
        int fd;

        if (!store_maildir.fetch(drop, i, &fd, &e))
            fail_msg("fetch %s: %s", v->rows[i].name, e.text);
        close(fd);
    }
}

static void delete_some(struct world *w, struct drop *drop, const struct view *v)
{
    uint8_t deleted[MANY] = { 0 }, retrieved[MANY] = { 0 };
    struct store_commit c = { deleted, retrieved, 0, 0 };
    struct err e = { FAULT_NONE, "" };

    for (uint32_t i = 0; i < v->n; i++) {
        deleted[i / 8] |= (uint8_t)((pick(w, 4) == 0) << (i % 8));
        retrieved[i / 8] |= (uint8_t)((pick(w, 4) == 0) << (i % 8));
    }
    if (!store_maildir.commit(drop, &c, &e))
        fail_msg("commit: %s", e.text);
}

static void open_and_check(struct world *w)
{
    struct store_policy policy = any_policy(w);
    struct drop *drop = open_drop(w, &policy);
    struct view v = view_of(&store_maildir, drop);

    w->second_names = 0;
    assert_int_equal(check_sub(w, "new", &v) + check_sub(w, "cur", &v), v.n);
    if (!w->second_names) /* the other name of a twin that was just given a base of its own is a message from then on */
        check_uids(w, &v, policy.need_legacy);
    if (pick(w, 4) == 0)
        fetch_all(drop, &v);
    if (pick(w, 4) == 0)
        delete_some(w, drop, &v);
    store_maildir.close(&drop);
    view_free(&v);
}

static void step(struct world *w)
{
    unsigned what = pick(w, 100);

    if (what < 20)
        deliver(w);
    else if (what < 40)
        to_cur(w);
    else if (what < 55)
        change(w);
    else if (what < 56)
        link_up(w);
    else if (what < 57)
        clutter(w);
    else if (what < 58)
        replace(w);
    else if (what < 59)
        crash(w);
    else if (what < 60)
        import(w);
    else
        open_and_check(w);
}

static void listed_is_what_is_there(void **state)
{
    struct world w = { .box = *state, .random = 88172645463325252u };
    unsigned steps = getenv("RESTANTE_STEPS") ? (unsigned)atoi(getenv("RESTANTE_STEPS")) : STEPS;

    if (getenv("RESTANTE_SEED"))
        w.random = strtoull(getenv("RESTANTE_SEED"), NULL, 0) * 2 + 1;
    w.warm = warm_new((struct warm_limits){ 0, 0 });
    assert_non_null(w.warm);
    for (unsigned i = 0; i < steps; i++)
        step(&w);
    print_message("%u opens, %u of them at once\n", w.opens, w.at_once);
    assert_true(w.at_once > w.opens / 20); /* else this proves nothing */
    warm_free(&w.warm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(listed_is_what_is_there, box_start, box_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
