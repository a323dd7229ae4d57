/* mdcommit.c - removes a set of messages under a journal: see mdcommit.h.
 *
 * Journal: header of 40 octets (magic 8, version u32, count u32, octets of records u64, checksum of records
 * u64, zeros 8), then per message size u64, mtime i64, length u16, "new/…" or "cur/…". Little-endian.
 */
#include "store/mdcommit.h"

#include "base/num.h"

#include "base/log.h"
#include "base/sys.h"
#include "store/blockio.h"
#include "store/index.h"

#include <errno.h>

#define MAGIC "RESTCMT1"
enum { VERSION = 1, HEADER = 40, FIXED = 18 };

static bool is_marked(const struct md_victims *v, uint32_t i)
{
    return !v->marks || (v->marks[i / 8] >> (i % 8) & 1);
}

static uint32_t count_marked(const struct md_victims *v)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < v->count; i++)
        n += is_marked(v, i);
    return n;
}

static bool put_records(struct block_writer *w, const struct md_victims *v, uint64_t *octets)
{
    *octets = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        uint8_t fixed[FIXED];
        struct md_seen seen;

        if (!is_marked(v, i))
            continue;
        if (!v->get(v->ctx, i, &seen)) {
            errno = EIO;
            return false;
        }
        le_put(fixed, seen.size, 8);
        le_put(fixed + 8, (uint64_t)seen.mtime_ns, 8);
        le_put(fixed + 16, seen.name.n + 4, 2);
        block_put(w, span_of(fixed, sizeof fixed));
        block_put(w, span_str(mddir_sub_name(seen.sub)));
        block_put(w, span_str("/"));
        block_put(w, seen.name);
        *octets += FIXED + 4 + seen.name.n;
    }
    return true;
}

/* Fills the file; false with errno. */
static bool fill_journal(int fd, const struct md_victims *v, bool durable)
{
    uint8_t header[HEADER] = { 0 };
    struct block_writer w;
    uint64_t octets;
    bool got, written;

    if (!sys_write_all(fd, span_of(header, sizeof header)))
        return false;
    block_writer_open(&w, fd);
    got = put_records(&w, v, &octets);
    written = block_writer_close(&w);
    if (!got)
        errno = EIO;
    if (!got || !written)
        return false;
    memcpy(header, MAGIC, 8);
    le_put(header + 8, VERSION, 4);
    le_put(header + 12, count_marked(v), 4);
    le_put(header + 16, octets, 8);
    le_put(header + 24, checksum_end(&w.sum), 8);
    return sys->pwrite(fd, header, sizeof header, 0) == (ssize_t)sizeof header &&
           (!durable || sys->fsync(fd) == 0);
}

static bool write_journal(const struct mddir *d, const struct md_victims *v, bool durable)
{
    char tmp_name[MDDIR_TMP_NAME];
    int fd = mddir_new_own(d, tmp_name);
    bool ok;

    if (fd < 0)
        return false;
    ok = fill_journal(fd, v, durable);
    sys_close(&fd);
    if (!ok || !mddir_put_own(d, tmp_name, JOURNAL_FILE)) {
        mddir_drop_own(d, tmp_name);
        return false;
    }
    return !durable || sys->fsync(d->root) == 0;
}

static void end_journal(const struct mddir *d)
{
    if (sys->unlinkat(d->root, JOURNAL_FILE, 0) != 0 && errno != ENOENT)
        event(LOG_ERROR, "commit-journal-stuck", F_STR("path", d->path), F_STR("error", strerror(errno)));
}

/* Room for a journal is missing, or nothing can be written: the removals are tried without one. */
static bool is_no_room(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EFBIG || code == EROFS || code == ENOENT;
}

/* Removes one by one and syncs the directories. *first keeps the first trouble. */
static bool remove_all(struct mdfind *f, const struct md_victims *v, bool durable, struct md_outcome *out,
                       struct err *first)
{
    bool touched[2] = { false, false };
    struct err e, *to = first;

    for (uint32_t i = 0; i < v->count; i++) {
        enum md_found found = MD_TROUBLE;
        enum md_sub sub = MD_CUR;
        struct md_seen seen;

        if (!is_marked(v, i))
            continue;
        if (v->get(v->ctx, i, &seen))
            found = mdfind_unlink(f, &seen, &sub, to);
        else
            err_set(to, FAULT_TEMP, "%s: the listing cannot be read any more", f->dir_ref->path);
        if (found == MD_CHANGED)
            err_set(to, FAULT_TEMP, "a message in %s was changed by others and stays", f->dir_ref->path);
        if (found == MD_FOUND || found == MD_GONE) {
            out->removed++;
            /* Gone already, perhaps by a run that crashed before its fsync: then both need one. */
            touched[MD_NEW] |= found == MD_GONE || sub == MD_NEW;
            touched[MD_CUR] |= found == MD_GONE || sub == MD_CUR;
        } else {
            out->failed++;
            to = &e;
        }
    }
    for (int i = 0; i < 2 && durable; i++)
        if (touched[i] && sys->fsync(f->dir_ref->sub[i]) != 0)
            return mddir_fail(f->dir_ref, to, "fsync", mddir_sub_name((enum md_sub)i));
    return true;
}

/* Reads a journal's records one after the other. */
struct replay {
    struct block_reader r;
    bool bad;
};

static bool next_record(void *ctx, uint32_t i, struct md_seen *seen)
{
    struct replay *p = ctx;
    struct span s;
    uint16_t n;

    (void)i; /* in rising order, each once: no marks, no journal of a journal */
    p->bad = true;
    if (!block_take(&p->r, FIXED, &s))
        return false;
    seen->size = le_get(s.p, 8);
    seen->mtime_ns = (int64_t)le_get(s.p + 8, 8);
    n = (uint16_t)le_get(s.p + 16, 2);
    if (n > INDEX_MAX_NAME || !block_take(&p->r, n, &s) || !md_split(s, seen))
        return false;
    p->bad = false;
    return true;
}

/* Magic, sizes, checksum and every record: only then anything is removed. */
static bool check_journal(int fd, uint64_t octets, uint32_t *count)
{
    uint8_t header[HEADER];
    struct replay p = { 0 };
    struct md_seen seen;
    struct checksum sum;
    bool ok;

    if (octets < HEADER || !sys_pread_all(fd, header, sizeof header, 0) || memcmp(header, MAGIC, 8) ||
        le_get(header + 8, 4) != VERSION || le_get(header + 16, 8) != octets - HEADER || le_get(header + 32, 8) != 0)
        return false;
    *count = (uint32_t)le_get(header + 12, 4);
    block_reader_open(&p.r, fd, HEADER, octets);
    checksum_init(&sum);
    ok = block_sum(&p.r, &sum) && checksum_end(&sum) == le_get(header + 24, 8);
    block_reader_close(&p.r);
    if (!ok)
        return false;
    block_reader_open(&p.r, fd, HEADER, octets);
    for (uint32_t i = 0; i < *count && ok; i++)
        ok = next_record(&p, i, &seen);
    ok = ok && p.r.at == octets && p.r.used == p.r.n;
    block_reader_close(&p.r);
    return ok;
}

static bool replay(struct mdfind *f, int fd, uint64_t octets, uint32_t count, bool durable)
{
    struct replay p = { 0 };
    struct md_victims v = { count, NULL, next_record, &p };
    struct md_outcome out = { 0, 0 };
    struct err e = { FAULT_NONE, "" };
    bool ok;

    block_reader_open(&p.r, fd, HEADER, octets);
    ok = remove_all(f, &v, durable, &out, &e);
    block_reader_close(&p.r);
    event(out.failed || !ok ? LOG_ERROR : LOG_WARNING, "commit-replayed", F_STR("path", f->dir_ref->path),
          F_U64("removed", out.removed), F_U64("failed", out.failed), F_ERR(&e));
    return ok;
}

bool mdcommit_run(struct mdfind *f, const struct md_victims *v, bool durable, struct md_outcome *out,
                  struct err *e)
{
    const struct mddir *d = f->dir_ref;
    uint32_t marked = count_marked(v);
    bool synced;

    *out = (struct md_outcome){ 0, 0 };
    /* One message needs no journal: one unlink is all or nothing by itself. */
    if (marked > 1 && !write_journal(d, v, durable)) {
        int code = errno;

        if (!is_no_room(code)) {
            end_journal(d);
            out->failed = marked;
            errno = code;
            return mddir_fail(d, e, "write", JOURNAL_FILE);
        }
        event(LOG_WARNING, "commit-unjournalled", F_STR("path", d->path), F_STR("error", strerror(code)));
    }
    synced = remove_all(f, v, durable, out, e);
    /* Unsynced removals are left to the next open, which replays them. */
    if (marked > 1 && synced)
        end_journal(d);
    return synced && !out->failed;
}

void mdcommit_replay(struct mdfind *f, bool durable)
{
    const struct mddir *d = f->dir_ref;
    uint64_t octets;
    uint32_t count;
    int fd = mddir_open_own(d, JOURNAL_FILE, &octets);

    if (fd < 0) {
        if (errno != ENOENT)
            event(LOG_ERROR, "commit-journal-stuck", F_STR("path", d->path), F_STR("error", strerror(errno)));
        return;
    }
    if (!check_journal(fd, octets, &count)) {
        /* Torn: the crash came before its rename was durable, so nothing had been promised or begun. */
        event(LOG_WARNING, "commit-journal-torn", F_STR("path", d->path), F_U64("octets", octets));
        end_journal(d);
    } else if (replay(f, fd, octets, count, durable)) {
        end_journal(d);
    }
    sys_close(&fd);
}
