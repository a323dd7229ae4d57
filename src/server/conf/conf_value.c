/* conf_value.c - values of settings: text into typed fields and back, by the type of the row.
 * Pure but for memory. Does not know: which settings exist (conf_rows.c), files, lines.
 */
#include "server/conf/conf_rows.h"

#include "base/num.h"
#include "conf/conf_forms.h"

#include <stdlib.h>

static const struct conf_unit units[] = {
    {"d",   86400000},
    { "h",  3600000 },
    { "m",  60000   },
    { "s",  1000    },
    { "ms", 1       },
    { NULL, 0       }
};

static void *field(const struct conf_row *row, void *base)
{
    return (char *)base + row->offset;
}

static const void *const_field(const struct conf_row *row, const void *base)
{
    return (const char *)base + row->offset;
}

static bool put_number(const struct conf_row *row, uint32_t v, struct buf *out)
{
    switch (row->type) {
    case ROW_TIME: return conf_put_units(out, units, (uint64_t)v * 1000);
    case ROW_TIME_MS: return conf_put_units(out, units, v);
    case ROW_DAYS:
        if (v == UINT32_MAX)
            return buf_put_str(out, "never");
        return buf_printf(out, v ? "%ud" : "%u", v);
    default: return buf_printf(out, "%u", v);
    }
}

static bool out_of_range(const struct conf_row *row, const char *text, struct err *e)
{
    struct buf range = BUF(80);

    if (conf_row_range(row, &range))
        err_set(e, FAULT_BAD, "\"%.60s\" is out of range; choose %.*s", text, (int)range.n, (const char *)range.p);
    buf_free(&range);
    return false;
}

static bool set_time(const struct conf_row *row, uint32_t *v, const char *text, struct err *e)
{
    uint32_t scale = row->type == ROW_TIME ? 1000 : 1;
    uint64_t ms;

    if (!conf_take_units(span_str(text), units, 1000, &ms) || ms % scale)
        return err_set(e, FAULT_BAD, "\"%.60s\" is no time; write seconds, or %s", text,
                       scale == 1 ? "250ms, 5s, 1m" : "30s, 10m, 2h, 1d");
    ms /= scale;
    if (ms < row->min || ms > row->max)
        return out_of_range(row, text, e);
    *v = (uint32_t)ms;
    return true;
}

static bool set_number(const struct conf_row *row, uint32_t *v, const char *text, struct err *e)
{
    struct span in = span_str(text);
    uint64_t n;

    if (row->type == ROW_DAYS && strcmp(text, "never") == 0) {
        *v = UINT32_MAX;
        return true;
    }
    if (row->type == ROW_DAYS && in.n && in.p[in.n - 1] == 'd')
        in.n--;
    if (in.n == 0 || !num_all_saturating(in, &n))
        return err_set(e, FAULT_BAD, "\"%.60s\" is no %s; write %s", text,
                       row->type == ROW_DAYS ? "number of days" : "number",
                       row->type == ROW_DAYS ? "a number such as 30, or never" : "decimal digits");
    if (n < row->min || n > row->max)
        return out_of_range(row, text, e);
    *v = (uint32_t)n;
    return true;
}

/* What is not one of the words leaves the field as it is. */
static bool set_word(const struct conf_row *row, uint32_t *v, const char *text, struct err *e)
{
    uint32_t at;

    if (!conf_take_word(text, row->words, &at, e))
        return false;
    *v = at;
    return true;
}

static bool set_text(char **v, const char *text, struct err *e)
{
    if (!conf_is_text(text, e))
        return false;
    free(*v);
    *v = mem_str(text);
    return true;
}

bool conf_row_set(const struct conf_row *row, void *base, const char *text, struct err *e)
{
    switch (row->type) {
    case ROW_TEXT:
    case ROW_PATH: return set_text(field(row, base), text, e);
    case ROW_FLAG: return conf_take_flag(text, field(row, base), e);
    case ROW_WORD: return set_word(row, field(row, base), text, e);
    case ROW_TIME:
    case ROW_TIME_MS: return set_time(row, field(row, base), text, e);
    case ROW_NUMBER:
    case ROW_DAYS: return set_number(row, field(row, base), text, e);
    case ROW_LIST: break;
    }
    return err_set(e, FAULT_BAD, "a list; write {\"one\", \"two\"}");
}

void conf_row_clear(const struct conf_row *row, void *base)
{
    struct strlist *list = field(row, base);

    for (uint32_t i = 0; i < list->n; i++)
        free(list->v[i]);
    free(list->v);
    *list = (struct strlist){ NULL, 0 };
}

void conf_row_add(const struct conf_row *row, void *base, const char *item)
{
    struct strlist *list = field(row, base);

    list->v = mem_grow(list->v, list->n + 1, sizeof *list->v);
    list->v[list->n++] = mem_str(item);
}

void conf_row_reset(const struct conf_row *row, void *base)
{
    struct span rest = span_str(row->def);

    conf_row_free(row, base);
    if (row->type != ROW_LIST) {
        if (!conf_row_set(row, base, row->def, NULL))
            abort(); /* the table is wrong */
        return;
    }
    while (rest.n) {
        char *item = mem_strn(span_until(&rest, ' '));

        conf_row_add(row, base, item);
        free(item);
    }
}

bool conf_row_put(const struct conf_row *row, const void *base, struct buf *out)
{
    const void *at = const_field(row, base);

    switch (row->type) {
    case ROW_TEXT:
    case ROW_PATH: return buf_put_str(out, *(char *const *)at);
    case ROW_FLAG: return buf_put_str(out, *(const bool *)at ? "yes" : "no");
    case ROW_WORD: return buf_put_str(out, row->words[*(const uint32_t *)at]);
    case ROW_NUMBER:
    case ROW_TIME:
    case ROW_TIME_MS:
    case ROW_DAYS: return put_number(row, *(const uint32_t *)at, out);
    case ROW_LIST: break;
    }
    return false;
}

const struct strlist *conf_row_list(const struct conf_row *row, const void *base)
{
    return const_field(row, base);
}

bool conf_row_same(const struct conf_row *row, const void *a, const void *b)
{
    const void *x = const_field(row, a), *y = const_field(row, b);

    switch (row->type) {
    case ROW_TEXT:
    case ROW_PATH: return strcmp(*(char *const *)x, *(char *const *)y) == 0;
    case ROW_FLAG: return *(const bool *)x == *(const bool *)y;
    case ROW_LIST: {
        const struct strlist *l = x, *m = y;

        for (uint32_t i = 0; i < l->n && l->n == m->n; i++)
            if (strcmp(l->v[i], m->v[i]) != 0)
                return false;
        return l->n == m->n;
    }
    default: return *(const uint32_t *)x == *(const uint32_t *)y;
    }
}

void conf_row_free(const struct conf_row *row, void *base)
{
    if (row->type == ROW_LIST) {
        conf_row_clear(row, base);
    } else if (row->type == ROW_TEXT || row->type == ROW_PATH) {
        char **text = field(row, base);

        free(*text);
        *text = NULL;
    }
}

bool conf_row_range(const struct conf_row *row, struct buf *out)
{
    if (row->max == 0)
        return false;
    return put_number(row, row->min, out) && buf_put_str(out, " to ") && put_number(row, row->max, out) &&
           (row->type != ROW_DAYS || buf_put_str(out, ", or never"));
}

bool conf_row_kind(const struct conf_row *row, struct buf *out)
{
    static const char *const kinds[] = {
        [ROW_TEXT] = "TEXT",   [ROW_PATH] = "PATH",    [ROW_NUMBER] = "NUMBER",
        [ROW_FLAG] = "yes|no", [ROW_TIME] = "TIME",    [ROW_TIME_MS] = "TIME",
        [ROW_DAYS] = "DAYS",   [ROW_WORD] = "KEYWORD", [ROW_LIST] = "LIST",
    };

    return row->type == ROW_WORD ? conf_put_words(row->words, out) : buf_put_str(out, kinds[row->type]);
}
