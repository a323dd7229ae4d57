/* t_index.c - the listing's format: what is written is read back, what is damaged is refused.
 *
 * Proves: R1939-SIZE-07 (a wrong cache gives no wrong reply), R1939-UIDL-05 (UIDLs outlive the index). And that
 * an unchanged index is used as it is. Does not know: scanning.
 */
#include "store_help.h"

#include "base/sys.h"
#include "store/index_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct made {
    char uid[80], name[300];
    unsigned count_names;
};

static bool get_made(void *ctx, uint32_t i, struct index_item *item)
{
    struct made *m = ctx;

    snprintf(m->uid, sizeof m->uid, "uid-%u", i);
    snprintf(m->name, sizeof m->name, "cur/%u.name%.*s", i, (int)(i % 200),
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    *item = (struct index_item){
        .r = {.octets = i * 3u + 1,
              .legacy_octets = i * 3u + 2,
              .file_size = i,
              .mtime_ns = -(int64_t)i,
              .flags = i & 3},
        .uid = span_str(m->uid),
        .name = span_str(m->name),
    };
    return true;
}

static int make(uint32_t count, uint64_t *octets)
{
    struct made m;
    struct index_source src = { count, get_made, &m, 11, -22, true };
    struct err e = { FAULT_NONE, "" };
    int fd;

    if (!index_write_memfd(&src, &fd, octets, &e))
        fail_msg("%s", e.text);
    return fd;
}

static void check_item(struct index_reader *r, uint32_t i)
{
    struct index_record rec;
    struct index_item want;
    struct span uid, name;
    struct made m;

    assert_true(index_reader_get(r, i, &rec, &uid, &name));
    get_made(&m, i, &want);
    assert_true(span_eq(uid, want.uid) && span_eq(name, want.name));
    assert_int_equal(rec.octets, want.r.octets);
    assert_int_equal(rec.legacy_octets, want.r.legacy_octets);
    assert_int_equal(rec.file_size, want.r.file_size);
    assert_true(rec.mtime_ns == want.r.mtime_ns);
    assert_int_equal(rec.flags, want.r.flags);
}

static void written_is_read(void **state)
{
    static const uint32_t counts[] = { 0, 1, 255, 256, 257, 5000 };

    (void)state;
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        struct index_reader r;
        uint64_t octets;
        int fd = make(counts[k], &octets);

        assert_true(index_reader_open(&r, fd, octets, NULL));
        assert_int_equal(r.h.count, counts[k]);
        assert_true(r.h.legacy && r.h.new_mtime_ns == 11 && r.h.cur_mtime_ns == -22);
        for (uint32_t i = 0; i < counts[k]; i++)
            check_item(&r, i);
        for (uint32_t i = counts[k]; i > 0; i -= i < 37 ? i : 37)
            check_item(&r, i - 1);
        index_reader_rest(&r);
        if (counts[k])
            check_item(&r, counts[k] / 2);
        index_reader_close(&r);
    }
}

/* A copy in memory reads as the descriptor does, at any order and after a rest, and outlives what it was made of. */
static void octets_are_read(void **state)
{
    uint64_t octets;
    struct buf b = read_fd(make(300, &octets));
    struct index_reader r;

    (void)state;
    assert_true(index_reader_open_octets(&r, buf_span(&b), NULL));
    memset(b.p, 0xff, b.n);
    assert_true(r.fd == -1 && r.h.count == 300);
    for (uint32_t i = 0; i < 300; i++)
        check_item(&r, 299 - i);
    index_reader_rest(&r);
    check_item(&r, 7);
    index_reader_close(&r);
    buf_free(&b);
}

static void damaged_octets_are_refused(void **state)
{
    uint64_t octets;
    struct buf b = read_fd(make(3, &octets));
    struct index_reader r;
    struct index_record rec;
    struct span uid, name;

    (void)state;
    for (size_t n = 0; n < b.n; n++)
        assert_false(index_reader_open_octets(&r, span_of(b.p, n), NULL));
    for (size_t i = INDEX_HEADER_OCTETS; i < b.n; i++) { /* what was changed is read or refused, never outside */
        struct span copy = span_of(mem_new(b.n), b.n);
        uint8_t *p = (uint8_t *)(uintptr_t)copy.p;

        memcpy(p, b.p, b.n);
        p[i] ^= 0xff;
        if (index_reader_open_octets(&r, copy, NULL)) {
            for (uint32_t k = 0; k < 3; k++)
                index_reader_get(&r, k, &rec, &uid, &name);
            index_reader_close(&r);
        }
        free(p);
    }
    buf_free(&b);
}

static void memfd_is_sealed(void **state)
{
    uint64_t octets;
    int fd = make(3, &octets);

    (void)state;
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
}

static void unfit_items_are_refused(void **state)
{
    struct index_header h = { .count = 1, .octets = 10, .legacy_octets = 10, .strings_octets = 100 };
    struct index_record r = { .octets = 10, .uid_octets = 1 }, got;
    uint8_t b[INDEX_RECORD_OCTETS], header[INDEX_HEADER_OCTETS];

    (void)state;
    index_put_record(b, &r);
    assert_true(index_get_record(b, &h, &got));
    r.octets = 11;
    index_put_record(b, &r);
    assert_false(index_get_record(b, &h, &got));
    r = (struct index_record){ .uid_octets = 71 };
    index_put_record(b, &r);
    assert_false(index_get_record(b, &h, &got));
    r = (struct index_record){ .uid_octets = 70, .name_octets = 31 };
    index_put_record(b, &r);
    assert_false(index_get_record(b, &h, &got));
    r = (struct index_record){ .uid_octets = 1, .string_offset = UINT32_MAX };
    index_put_record(b, &r);
    assert_false(index_get_record(b, &h, &got));
    index_put_header(header, &h);
    assert_true(index_get_header(header, 128 + 48 + 100, &h));
    assert_false(index_get_header(header, 128 + 48 + 101, &h));
    h.count = INDEX_MAX_COUNT + 1;
    index_put_header(header, &h);
    assert_false(index_get_header(header, 128 + 48ull * h.count + 100, &h));
}

/* A listing with any octet changed or cut anywhere: the reader may refuse, it may not misbehave. */
static void read_all(const uint8_t *p, size_t n)
{
    int fd = memfd_create("damaged", MFD_CLOEXEC);
    struct index_reader r;
    struct index_record rec;
    struct span uid, name;

    assert_int_equal(write(fd, p, n), n);
    if (!index_reader_open(&r, fd, n, NULL))
        return;
    for (uint32_t i = 0; i < r.h.count && i < 20; i++)
        if (index_reader_get(&r, i, &rec, &uid, &name))
            for (size_t k = 0; k < uid.n; k++)
                assert_true(uid.p[k] > 0x20 && uid.p[k] < 0x7f);
    index_reader_close(&r);
}

static void damage_is_survived(void **state)
{
    static const uint8_t masks[] = { 0x01, 0x80, 0xff };
    uint64_t octets;
    struct buf b = read_fd(make(6, &octets));

    (void)state;
    for (size_t i = 0; i < b.n; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            b.p[i] ^= masks[k];
            read_all(b.p, b.n);
            b.p[i] ^= masks[k];
        }
    for (size_t i = 0; i < b.n; i++)
        read_all(b.p, i);
    buf_free(&b);
}

static void cut_under_the_reader(void **state)
{
    struct box box;
    struct index_reader r;
    struct index_record rec;
    struct span uid, name;
    char path[512];
    uint64_t octets;
    struct buf b = read_fd(make(6, &octets));
    int fd;

    (void)state;
    box_new(&box);
    box_put(&box, "x", buf_span(&b));
    fd = open(box_join(&box, "x", path), O_RDONLY | O_CLOEXEC);
    assert_true(index_reader_open(&r, fd, octets, NULL));
    assert_int_equal(truncate(path, 300), 0);
    assert_false(index_reader_get(&r, 5, &rec, &uid, &name));
    index_reader_close(&r);
    buf_free(&b);
    box_free(&box);
}

static bool same_view(const struct view *a, const struct view *b)
{
    if (a->n != b->n || a->octets != b->octets)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (strcmp(a->rows[i].uid, b->rows[i].uid) || a->rows[i].octets != b->rows[i].octets)
            return false;
    return true;
}

/* A few small messages are counted again rather than kept in a file. */
static void few_small_messages_make_no_index(void **state)
{
    struct box box;
    struct view v;

    (void)state;
    events_quiet();
    box_new(&box);
    box_put_str(&box, "new/1.a", "Subject: a\n\n1\n");
    v = look(box.path);
    assert_int_equal(v.n, 1);
    view_free(&v);
    assert_false(box_has(&box, "restante-index"));
    for (char name[] = "cur/2.a:2,"; name[6] <= 'z'; name[6]++)
        box_put_str(&box, name, "Subject: b\n\n2\n");
    v = look(box.path);
    assert_int_equal(v.n, 27);
    view_free(&v);
    assert_true(box_has(&box, "restante-index"));
    box_free(&box);
}

static void store_rebuilds(void **state)
{
    struct box box;
    struct view want, got;
    struct buf good, big = BUF(1 << 20);

    (void)state;
    events_quiet();
    box_new(&box);
    memset(buf_reserve(&big, 300000), '\n', 300000); /* so much counting is worth an index */
    box_put(&box, "cur/3.c:2,", span_of(big.p, 300000));
    buf_free(&big);
    box_put_str(&box, "new/1.a", "Subject: a\n\n1\n");
    box_put_str(&box, "cur/2.b:2,S", "Subject: b\n\n22");
    want = look(box.path);
    good = box_read(&box, "restante-index");
    for (size_t i = 0; i < good.n; i++) {
        good.p[i] ^= 0x10;
        box_put(&box, "restante-index", buf_span(&good));
        good.p[i] ^= 0x10;
        got = look(box.path);
        assert_true(same_view(&want, &got));
        view_free(&got);
    }
    assert_int_equal(events_named("index-discarded"), good.n);
    for (size_t i = 0; i < good.n; i++) {
        box_put(&box, "restante-index", span_of(good.p, i));
        got = look(box.path);
        assert_true(same_view(&want, &got));
        view_free(&got);
    }
    got = look(box.path);
    struct buf again = box_read(&box, "restante-index");

    assert_true(same_view(&want, &got));
    assert_int_equal(again.n, good.n);
    view_free(&got);
    view_free(&want);
    buf_free(&again);
    buf_free(&good);
    box_free(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read),         cmocka_unit_test(octets_are_read),
        cmocka_unit_test(damaged_octets_are_refused),
        cmocka_unit_test(memfd_is_sealed),
        cmocka_unit_test(unfit_items_are_refused), cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(cut_under_the_reader),    cmocka_unit_test(few_small_messages_make_no_index),
        cmocka_unit_test(store_rebuilds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
