/* cmd_maildrop.c - restantectl maildrop list, show: what a POP3 client would see, without one.
 *
 * Looks at a snapshot and changes nothing; sessions wait for moments at most (view.h).
 * Does not know: maildrop formats (store/store.h).
 */
#include "admin/header.h"
#include "base/text.h"
#include "admin/view.h"
#include "base/num.h"

#include <errno.h>
#include <unistd.h>

enum { HEAD_MAX = 65536, VALUE_MAX = 8192, OUTPUT_MAX = 512 * 1024 * 1024 };

/* The beginning of a message; empty when it cannot be read now. */
static void read_head(struct view *v, struct span uid, struct buf *head)
{
    int fd;
    ssize_t n = 0;
    uint8_t *room = buf_reserve(head, HEAD_MAX);
    struct err e;

    if (!room || !view_fetch(v, uid, &fd, &e))
        return;
    n = pread(fd, room, HEAD_MAX, 0);
    close(fd);
    if (n > 0)
        head->n = (size_t)n;
}

struct shown {
    struct buf date, from, subject;
};

static void read_field(struct span head, const char *name, struct buf *out)
{
    struct buf raw = BUF(VALUE_MAX);

    if (header_field(head, name, &raw) && !header_decode(buf_span(&raw), out))
        out->n = 0;
    buf_free(&raw);
}

static struct shown read_shown(struct view *v, struct span uid)
{
    struct shown s = { BUF(4 * VALUE_MAX), BUF(4 * VALUE_MAX), BUF(4 * VALUE_MAX) };
    struct buf head = BUF(HEAD_MAX);

    read_head(v, uid, &head);
    read_field(buf_span(&head), "Date", &s.date);
    read_field(buf_span(&head), "From", &s.from);
    read_field(buf_span(&head), "Subject", &s.subject);
    buf_free(&head);
    return s;
}

static void shown_free(struct shown *s)
{
    buf_free(&s->date);
    buf_free(&s->from);
    buf_free(&s->subject);
}

static void add_number(struct grid *t, uint64_t v)
{
    uint8_t text[20];

    grid_add(t, span_of(text, num_put_u64(text, v)), 20);
}

static bool put_json(struct buf *out, uint32_t i, struct span uid, uint64_t octets, const struct shown *s)
{
    bool first = true;

    return buf_put_str(out, i ? ",\n {" : "\n {") && json_key(out, &first, "number") &&
           buf_printf(out, "%u", i + 1) && json_key(out, &first, "uidl") && json_put(out, uid) &&
           json_key(out, &first, "octets") && buf_printf(out, "%llu", (unsigned long long)octets) &&
           json_key(out, &first, "date") && json_put(out, buf_span(&s->date)) && json_key(out, &first, "from") &&
           json_put(out, buf_span(&s->from)) && json_key(out, &first, "subject") &&
           json_put(out, buf_span(&s->subject)) && buf_put_str(out, "}");
}

static void put_cells(struct grid *t, uint32_t i, struct span uid, uint64_t octets, const struct shown *s)
{
    add_number(t, (uint64_t)i + 1);
    add_number(t, octets);
    grid_add(t, buf_span(&s->date), 31);
    grid_add(t, buf_span(&s->from), 30);
    grid_add(t, buf_span(&s->subject), 40);
    grid_add(t, uid, 70);
}

static int list(const struct cli *ctl, struct view *v)
{
    static const char *const heads[] = { ">N", ">OCTETS", "DATE", "FROM", "SUBJECT", "UIDL", NULL };
    struct grid t = { .heads = heads };
    struct buf out = BUF(OUTPUT_MAX);
    bool ok = !ctl->json || buf_put_str(&out, "[");

    for (uint32_t i = 0; i < v->listing.h.count && ok; i++) {
        struct index_record record;
        struct span uid, name;
        struct shown shown;

        if (!index_reader_get(&v->listing, i, &record, &uid, &name)) {
            ctl_fail(EX_IOERR, "the listing cannot be read at message %u", i + 1);
            grid_free(&t);
            buf_free(&out);
            return EX_IOERR;
        }
        shown = read_shown(v, uid);
        if (ctl->json)
            ok = put_json(&out, i, uid, record.octets, &shown);
        else
            put_cells(&t, i, uid, record.octets, &shown);
        shown_free(&shown);
    }
    ok = ok && (ctl->json ? buf_put_str(&out, "\n]\n") : grid_put(&t, &out));
    grid_free(&t);
    return ctl_print(&out, ok);
}

/* The UIDL of the message that "N" or "UIDL" names; false when there is none. */
static bool find_message(struct view *v, const char *which, struct span *uid)
{
    struct index_record record;
    struct span name;
    uint64_t n;

    for (uint32_t i = 0; i < v->listing.h.count; i++)
        if (index_reader_get(&v->listing, i, &record, uid, &name) && span_is(*uid, which))
            return true;
    if (!num_all_u64(span_str(which), &n) || n == 0 || n > v->listing.h.count)
        return false;
    return index_reader_get(&v->listing, (uint32_t)(n - 1), &record, uid, &name);
}

/* Copies in to out with every line end CRLF and one at the end, as RETR sends it. */
struct wire {
    bool after_cr, at_bol;
};

static bool put_wire(struct wire *w, struct span in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];

        if (c == '\n' && !w->after_cr && !buf_put_str(out, "\r"))
            return false;
        if (!buf_put(out, &c, 1))
            return false;
        w->after_cr = c == '\r';
        w->at_bol = c == '\n';
    }
    return true;
}

static int copy(int fd, bool crlf)
{
    struct wire w = { false, true };
    uint8_t piece[32768];
    int code = EX_OK;

    while (code == EX_OK) {
        struct buf out = BUF(2 * sizeof piece + 2);
        ssize_t n = read(fd, piece, sizeof piece);
        bool ok;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ctl_fail(EX_IOERR, "the message cannot be read: %s", strerror(errno));
        ok = crlf ? put_wire(&w, span_of(piece, (size_t)n), &out) : buf_put(&out, piece, (size_t)n);
        if (n == 0)
            return ctl_print(&out, !crlf || w.at_bol || buf_put_str(&out, "\r\n"));
        code = ctl_print(&out, ok);
    }
    return code;
}

int cmd_maildrop_list(struct cli *ctl)
{
    struct view v;
    int code = view_open(ctl, ctl->args.words[0], &v);

    if (code == EX_OK)
        code = list(ctl, &v);
    view_close(&v);
    return code;
}

int cmd_maildrop_show(struct cli *ctl)
{
    const char *which = ctl->args.words[1];
    struct view v;
    struct span uid;
    int code = view_open(ctl, ctl->args.words[0], &v), fd;
    struct err e;

    if (code == EX_OK && !find_message(&v, which, &uid)) {
        code = ctl_fail(EX_NOINPUT, "there is no message \"%.100s\"; see \"maildrop list\"", which);
    } else if (code == EX_OK && !view_fetch(&v, uid, &fd, &e)) {
        code = ctl_fail(e.fault == FAULT_GONE ? EX_NOINPUT : ctl_code(e.fault), "%s", e.text);
    } else if (code == EX_OK) {
        code = copy(fd, args_get(&ctl->args, "crlf") != NULL);
        close(fd);
    }
    view_close(&v);
    return code;
}
