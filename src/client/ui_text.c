/* ui_text.c - lines about a run: see ui_text.h. Pure but for memory. */
#include "client/ui_text.h"

#include "base/text.h"

enum { NAME_COLUMNS = 24, BAR_MOST = 30, BAR_LEAST = 8, WHY_COLUMNS = 300, LINE_MAX_OCTETS = 4096 };

bool ui_put_octets(struct buf *out, uint64_t octets)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
    uint64_t whole = octets, tenths = 0;
    size_t unit = 0;

    while (whole >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        tenths = whole % 1000 / 100;
        whole /= 1000;
        unit++;
    }
    if (unit && whole < 10)
        return buf_printf(out, "%llu.%llu %s", (unsigned long long)whole, (unsigned long long)tenths, units[unit]);
    return buf_printf(out, "%llu %s", (unsigned long long)whole, units[unit]);
}

static bool ui_put_time(struct buf *out, uint64_t seconds)
{
    unsigned long long h = seconds / 3600, m = seconds / 60 % 60, s = seconds % 60;

    return h ? buf_printf(out, "%llu:%02llu:%02llu", h, m, s) : buf_printf(out, "%llu:%02llu", m, s);
}

static bool put_name(struct buf *out, const struct ui_row *row)
{
    size_t want = row->name_columns < NAME_COLUMNS ? row->name_columns : NAME_COLUMNS;
    size_t used = text_put_clean(out, span_str(row->account), NAME_COLUMNS);

    for (; used < want + 2; used++)
        if (!buf_put_str(out, " "))
            return false;
    return true;
}

static bool put_bar(struct buf *out, const struct ui_totals *t, size_t columns)
{
    uint64_t now = t->octets_now < t->new_octets ? t->octets_now : t->new_octets;
    double share = t->new_octets ? (double)now / (double)t->new_octets : 1;
    size_t full = (size_t)(share * (double)columns);
    bool ok = buf_put_str(out, "[");

    for (size_t i = 0; i < columns && ok; i++)
        ok = buf_put_str(out, i < full ? "#" : "-");
    return ok && buf_put_str(out, "]  ");
}

/* What stands right of the bar. */
static bool put_numbers(struct buf *out, const struct ui_row *row)
{
    const struct ui_totals *t = &row->totals;
    uint64_t rate = row->elapsed_ms ? (uint64_t)((double)t->octets_now * 1000 / (double)row->elapsed_ms) : 0;
    uint64_t left = t->new_octets > t->octets_now ? t->new_octets - t->octets_now : 0;

    return buf_printf(out, "%llu/%llu  ", (unsigned long long)t->fetched, (unsigned long long)t->new_messages) &&
           ui_put_octets(out, t->octets_now) && buf_put_str(out, "/") && ui_put_octets(out, t->new_octets) &&
           (!rate || (buf_put_str(out, "  ") && ui_put_octets(out, rate) && buf_put_str(out, "/s"))) &&
           (!rate || !left || (buf_put_str(out, "  ") && ui_put_time(out, left / rate)));
}

bool ui_put_progress(struct buf *out, const struct ui_row *row, size_t columns)
{
    struct buf line = BUF(LINE_MAX_OCTETS), numbers = BUF(LINE_MAX_OCTETS);
    bool ok = put_name(&line, row), counts = row->totals.new_messages && *row->stage == '\0';
    size_t used = line.n;

    if (ok && counts) {
        ok = put_numbers(&numbers, row);
        used += numbers.n + 4; /* names are ASCII (settings_check.c), so octets are columns */
        if (ok && used + BAR_LEAST < columns)
            ok = put_bar(&line, &row->totals, columns - used - 1 < BAR_MOST ? columns - used - 1 : BAR_MOST);
        ok = ok && buf_put_span(&line, buf_span(&numbers));
    } else if (ok) {
        text_put_clean(&line, span_str(row->stage), LINE_MAX_OCTETS / 4);
    }
    if (ok)
        text_put_clean(out, buf_span(&line), columns ? columns - 1 : 0); /* the last column would wrap */
    buf_free(&line);
    buf_free(&numbers);
    return ok;
}

struct list {
    struct buf *out;
    bool any;
};

static bool put_count(struct list *l, uint64_t n, const char *what)
{
    if (n == 0)
        return true;
    if (l->any && !buf_put_str(l->out, ", "))
        return false;
    l->any = true;
    return buf_printf(l->out, "%llu %s", (unsigned long long)n, what);
}

static bool put_size(struct buf *out, uint64_t octets)
{
    return buf_put_str(out, " (") && ui_put_octets(out, octets) && buf_put_str(out, ")");
}

static bool put_good(struct buf *out, const struct ui_row *row)
{
    const struct ui_totals *t = &row->totals;
    struct list l = { out, false };
    bool ok = true;

    if (t->fetched) {
        ok = buf_put_str(out, row->color ? "\033[1m" : "") && put_count(&l, t->fetched, "new") &&
             buf_put_str(out, row->color ? "\033[0m" : "") && put_size(out, t->fetched_octets);
    } else {
        l.any = true;
        ok = buf_put_str(out, "nothing new");
    }
    return ok && put_count(&l, t->deleted, "deleted") && put_count(&l, t->kept, "kept") &&
           put_count(&l, t->skipped, "skipped") && put_count(&l, t->quarantined, "quarantined") &&
           put_count(&l, t->failed, "failed") && put_count(&l, t->pending_deletes, "deletions unconfirmed");
}

static bool put_dry(struct buf *out, const struct ui_totals *t)
{
    return buf_printf(out, "would fetch %llu", (unsigned long long)t->new_messages) &&
           (!t->new_messages || put_size(out, t->new_octets)) &&
           buf_printf(out, ", delete %llu, keep %llu", (unsigned long long)t->deleted,
                      (unsigned long long)t->kept) &&
           (!t->skipped || buf_printf(out, ", skip %llu", (unsigned long long)t->skipped)) &&
           (!t->quarantined || buf_printf(out, ", leave %llu in quarantine", (unsigned long long)t->quarantined));
}

static bool put_failure(struct buf *out, const struct ui_row *row, const char *why)
{
    const struct ui_totals *t = &row->totals;

    if (!buf_printf(out, "%sfailed%s: ", row->color ? "\033[31m" : "", row->color ? "\033[0m" : ""))
        return false;
    text_put_clean(out, span_str(*why ? why : "not everything was done"), WHY_COLUMNS);
    if (t->new_messages && t->fetched < t->new_messages)
        return buf_printf(out, "; %llu of %llu stored (will go on next time)", (unsigned long long)t->fetched,
                          (unsigned long long)t->new_messages);
    return !t->fetched || buf_printf(out, "; all %llu new stored", (unsigned long long)t->fetched);
}

bool ui_put_summary(struct buf *out, const struct ui_row *row, const struct ui_end *end)
{
    return put_name(out, row) &&
           (end->exit_code ? put_failure(out, row, end->why)
            : end->dry     ? put_dry(out, &row->totals)
                           : put_good(out, row)) &&
           buf_put_str(out, "\n");
}

bool ui_put_totals(struct buf *out, bool *first, const struct ui_totals *totals)
{
    const struct {
        const char *name;
        uint64_t n;
    } all[] = {
        {"listed",           totals->listed         },
        { "new",             totals->new_messages   },
        { "new_octets",      totals->new_octets     },
        { "fetched",         totals->fetched        },
        { "fetched_octets",  totals->fetched_octets },
        { "received_octets", totals->octets_now     },
        { "deleted",         totals->deleted        },
        { "kept",            totals->kept           },
        { "skipped",         totals->skipped        },
        { "quarantined",     totals->quarantined    },
        { "failed",          totals->failed         },
        { "pending_deletes", totals->pending_deletes},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!json_key(out, first, all[i].name) || !buf_printf(out, "%llu", (unsigned long long)all[i].n))
            return false;
    return true;
}
