/* t_uidmap.c - imported UIDLs, and which UIDL a message gets.
 *
 * Proves: R1939-UIDL-03, R1939-UIDL-04, R1939-UIDL-05, R1939-UIDL-07, R1939-UIDL-08, MD-10.
 * Does not know: the formats of other servers.
 */
#include "store_help.h"

#include "base/sys.h"
#include "store/mduid.h"
#include "store/uidmap.h"

#include <unistd.h>

static void append(const struct box *box, const char *base, const char *uid)
{
    struct uid_pair pair = { span_str(base), span_str(uid) };
    struct mddir d;
    struct err e = { FAULT_NONE, "" };

    assert_true(mddir_open(&d, box->path, false, &e));
    if (!uidmap_append(&d, &pair, 1, &e))
        fail_msg("%s", e.text);
    mddir_close(&d);
}

static bool has(const struct box *box, const char *base, const char *want)
{
    struct uidmap map;
    struct mddir d;
    struct span uid;
    bool same;

    assert_true(mddir_open(&d, box->path, false, NULL));
    assert_true(uidmap_load(&map, &d, NULL));
    same = uidmap_get(&map, span_str(base), &uid) && span_is(uid, want);
    uidmap_free(&map);
    mddir_close(&d);
    return same;
}

static void appended_is_read(void **state)
{
    struct box *box = *state;

    assert_false(has(box, "1.a", "x"));
    append(box, "1.a", "0000001a5f5e1000");
    append(box, "b with space%\n\xff", "UID12-345");
    append(box, "1.a", "again");
    assert_true(has(box, "1.a", "again"));
    assert_true(has(box, "b with space%\n\xff", "UID12-345"));
    assert_false(has(box, "1", "again"));
}

static void illegal_pairs_are_refused(void **state)
{
    static const char *const uids[] = {
        "", "a b", "a\r", "caf\xc3\xa9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    };
    static const char *const bases[] = { "", ".x", "a/b", "a,S=1", "a:2,S" };
    struct box *box = *state;
    struct mddir d;
    struct err e;

    assert_true(mddir_open(&d, box->path, false, &e));
    for (size_t i = 0; i < sizeof uids / sizeof *uids; i++) {
        struct uid_pair pairs[2] = {
            {span_str("ok"), span_str("ok")   },
            { span_str("b"), span_str(uids[i])}
        };

        assert_false(uidmap_append(&d, pairs, 2, &e));
        assert_int_equal(e.fault, FAULT_BAD);
    }
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        struct uid_pair pair = { span_str(bases[i]), span_str("u") };

        assert_false(uidmap_append(&d, &pair, 1, &e));
    }
    mddir_close(&d);
    assert_false(box_has(box, UIDMAP_FILE));
}

static void torn_tails_and_damage(void **state)
{
    struct box *box = *state;
    struct buf file;

    append(box, "1.a", "first");
    append(box, "2.b", "second");
    file = box_read(box, UIDMAP_FILE);
    for (size_t i = 0; i < file.n; i++) { /* a crash while the second line was written */
        box_put(box, UIDMAP_FILE, span_of(file.p, i));
        append(box, "3.c", "third");
        assert_true(has(box, "3.c", "third"));
        assert_true(i < 1 + (size_t)((uint8_t *)memchr(file.p, '\n', file.n) - file.p) ||
                    has(box, "1.a", "first"));
    }
    for (size_t i = 0; i < file.n; i++) { /* any octet; without the line end between them both are lost */
        if (file.p[i] == '\n')
            continue;
        file.p[i] ^= 0x04;
        box_put(box, UIDMAP_FILE, buf_span(&file));
        assert_true(has(box, "1.a", "first") || has(box, "2.b", "second"));
        assert_false(has(box, "1.a", "second"));
        file.p[i] ^= 0x04;
    }
    assert_true(events_named("uidl-file-damaged") > 0);
    buf_free(&file);
}

static void imported_come_first(void **state)
{
    struct box *box = *state;
    struct view v;

    box_put_str(box, "new/1.a", "1\n");
    box_put_str(box, "new/2.b", "2\n");
    box_put_str(box, "new/3.c", "3\n");
    box_put_str(box, "new/4.d", "4\n");
    append(box, "2.b", "Foreign");
    append(box, "3.c", "foreign"); /* differs in case only: other servers may do that */
    append(box, "4.d", "1.A");     /* takes what 1.a folds to */
    v = look(box->path);
    assert_int_equal(v.n, 4);
    assert_memory_equal(v.rows[0].uid, "h-", 2);
    assert_string_equal(v.rows[1].uid, "Foreign");
    assert_string_equal(v.rows[2].uid, "foreign");
    assert_string_equal(v.rows[3].uid, "1.A");
    view_free(&v);
    append(box, "1.a", "Foreign"); /* the same UIDL for two: only one gets it */
    v = look(box->path);
    assert_string_not_equal(v.rows[0].uid, v.rows[1].uid);
    view_free(&v);
}

static void unreadable_map_stops_the_open(void **state)
{
    struct box *box = *state;
    struct drop *drop;
    struct err e;
    char path[512];

    assert_int_equal(mkdir(box_join(box, UIDMAP_FILE, path), 0700), 0);
    assert_false(store_maildir.open(box->path, &plain_policy, &drop, &e));
    assert_int_not_equal(e.fault, FAULT_NONE);
    assert_int_equal(rmdir(path), 0);
    view_free(&(struct view){ 0 });
}

static void hashes_are_fixed(void **state)
{
    uint8_t uid[MDUID_HASH_OCTETS], other[MDUID_HASH_OCTETS];

    (void)state; /* a change of this value would make every client download again */
    mduid_hash(span_str("abc"), 0, uid);
    assert_memory_equal(uid, "h-ba7816bf8f01cfea414140de5dae2223b00361a3", sizeof uid);
    mduid_hash(span_str("abc"), 1, other);
    assert_memory_not_equal(uid, other, sizeof uid);
}

#define T(f) cmocka_unit_test_setup_teardown(f, box_start, box_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(appended_is_read),    T(illegal_pairs_are_refused),     T(torn_tails_and_damage),
        T(imported_come_first), T(unreadable_map_stops_the_open), T(hashes_are_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
