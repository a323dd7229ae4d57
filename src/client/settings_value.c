/* settings_value.c - values of settings: text into typed fields and back, by the type of the row.
 * Pure but for memory. Does not know: which settings exist (settings_rows.c), files, lines. See settings_rows.h.
 */
#include "client/settings_rows.h"

#include "base/num.h"
#include "conf/conf_forms.h"
#include "net/tls_client.h"

#include <stdlib.h>

static const struct conf_unit times[] = {
    {"d",   86400},
    { "h",  3600 },
    { "m",  60   },
    { "s",  1    },
    { NULL, 0    }
};
/* Either case may be written. */
static const struct conf_unit sizes[] = {
    {"T",   1ull << 40},
    { "G",  1ull << 30},
    { "M",  1ull << 20},
    { "K",  1ull << 10},
    { "t",  1ull << 40},
    { "g",  1ull << 30},
    { "m",  1ull << 20},
    { "k",  1ull << 10},
    { "",   1         },
    { NULL, 0         }
};

static void *field(const struct setting_row *row, void *base)
{
    return (char *)base + row->offset;
}

static const void *const_field(const struct setting_row *row, const void *base)
{
    return (const char *)base + row->offset;
}

static bool is_string(const struct setting_row *row)
{
    return row->type == SETTING_TEXT || row->type == SETTING_PATH || row->type == SETTING_CHOICE;
}

bool size_parse(struct span text, uint64_t *octets)
{
    if (text.n > 1 && ascii_lower(text.p[text.n - 1]) == 'b' && !ascii_digit(text.p[text.n - 2]))
        text.n--; /* "10MB" */
    return conf_take_units(text, sizes, 1, octets);
}

bool size_put(struct buf *out, uint64_t octets)
{
    return conf_put_units(out, sizes, octets);
}

static bool put_number(const struct setting_row *row, uint64_t v, struct buf *out)
{
    switch (row->type) {
    case SETTING_TIME: return conf_put_units(out, times, v);
    case SETTING_SIZE: return size_put(out, v);
    case SETTING_DAYS: return buf_printf(out, v ? "%llud" : "%llu", (unsigned long long)v);
    default: return buf_printf(out, "%llu", (unsigned long long)v);
    }
}

static uint64_t get_number(const struct setting_row *row, const void *base)
{
    const void *at = const_field(row, base);

    return row->type == SETTING_SIZE ? *(const uint64_t *)at : *(const uint32_t *)at;
}

static bool take_days(struct span in, uint64_t *v)
{
    if (in.n > 1 && in.p[in.n - 1] == 'd')
        in.n--;
    return num_all_u64(in, v);
}

static bool set_number(const struct setting_row *row, void *base, const char *text, struct err *e)
{
    struct span in = span_str(text);
    struct buf range = BUF(100);
    uint64_t v = 0;
    bool ok;

    switch (row->type) {
    case SETTING_TIME:
        if (!conf_take_units(in, times, 1, &v))
            return err_set(e, FAULT_BAD, "\"%.60s\" is no time; write 30s, 5m, 2h, 14d", text);
        break;
    case SETTING_SIZE:
        if (!size_parse(in, &v))
            return err_set(e, FAULT_BAD, "\"%.60s\" is no size; write octets, or 500K, 10M, 2G", text);
        break;
    case SETTING_DAYS:
        if (!take_days(in, &v))
            return err_set(e, FAULT_BAD, "\"%.60s\" is no number of days; write 14d", text);
        break;
    default:
        if (!num_all_u64(in, &v))
            return err_set(e, FAULT_BAD, "\"%.60s\" is no number; write decimal digits", text);
    }
    ok = v >= row->min && v <= row->max;
    if (!ok && setting_range(row, &range))
        err_set(e, FAULT_BAD, "\"%.60s\" is out of range; choose %.*s", text, (int)range.n, (const char *)range.p);
    buf_free(&range);
    if (ok && row->type == SETTING_SIZE)
        *(uint64_t *)field(row, base) = v;
    else if (ok)
        *(uint32_t *)field(row, base) = (uint32_t)v;
    return ok;
}

static bool set_text(char **v, const char *text, struct err *e)
{
    if (!conf_is_text(text, e))
        return false;
    if (*v)
        explicit_bzero(*v, strlen(*v));
    free(*v);
    *v = mem_str(text);
    return true;
}

static void add_pin(struct account *a, const char *text)
{
    a->pins = mem_grow(a->pins, a->npins + 1, sizeof *a->pins);
    a->pins[a->npins++] = mem_str(text);
}

static bool set_pin(struct account *a, const char *text, struct err *e)
{
    uint8_t pin[32];

    if (!tls_pin_parse(text, pin))
        return err_set(e, FAULT_BAD,
                       "\"%.80s\" is no pin; write \"sha256//\" and 44 characters of Base64, or 64 "
                       "hexadecimal digits",
                       text);
    add_pin(a, text);
    return true;
}

bool setting_set(const struct setting_row *row, void *base, const char *text, struct err *e)
{
    uint32_t at;

    switch (row->type) {
    case SETTING_TEXT:
    case SETTING_PATH: return set_text(field(row, base), text, e);
    case SETTING_CHOICE: return conf_take_word(text, row->words, &at, e) && set_text(field(row, base), row->words[at], e);
    case SETTING_WORD: return conf_take_word(text, row->words, &at, e) && (*(uint32_t *)field(row, base) = at, true);
    case SETTING_FLAG: return conf_take_flag(text, field(row, base), e);
    case SETTING_KEEP: return keep_parse(text, field(row, base), e);
    case SETTING_PINS: return set_pin(base, text, e);
    default: return set_number(row, base, text, e);
    }
}

bool setting_hides(const struct setting_row *row, const char *text)
{
    return row->secret && *text && (strcmp(row->name, "proxy") != 0 || strchr(text, '@'));
}

void setting_clear(const struct setting_row *row, void *base)
{
    struct account *a = base;

    if (is_string(row)) {
        char **v = field(row, base);

        if (*v && row->secret)
            explicit_bzero(*v, strlen(*v));
        free(*v);
        *v = NULL;
    } else if (row->type == SETTING_PINS) {
        for (uint32_t i = 0; i < a->npins; i++)
            free(a->pins[i]);
        free(a->pins);
        a->pins = NULL;
        a->npins = 0;
    }
}

void setting_reset(const struct setting_row *row, void *base)
{
    setting_clear(row, base);
    if (row->type != SETTING_PINS && !setting_set(row, base, row->def, NULL))
        abort(); /* the table is wrong */
}

void setting_copy(const struct setting_row *row, void *to, const void *from)
{
    const struct account *a = from;

    setting_clear(row, to);
    if (is_string(row))
        *(char **)field(row, to) = mem_str(*(char *const *)const_field(row, from));
    else if (row->type == SETTING_FLAG)
        *(bool *)field(row, to) = *(const bool *)const_field(row, from);
    else if (row->type == SETTING_SIZE)
        *(uint64_t *)field(row, to) = *(const uint64_t *)const_field(row, from);
    else if (row->type == SETTING_KEEP)
        *(struct keep *)field(row, to) = *(const struct keep *)const_field(row, from);
    else if (row->type != SETTING_PINS)
        *(uint32_t *)field(row, to) = *(const uint32_t *)const_field(row, from);
    for (uint32_t i = 0; row->type == SETTING_PINS && i < a->npins; i++)
        add_pin(to, a->pins[i]);
}

/* A quoted string as libconfuse reads it: "$" would start an environment variable. */
static bool put_quoted(struct buf *out, const char *text)
{
    if (!buf_put_str(out, "\""))
        return false;
    for (const char *c = text; *c; c++)
        if (((*c == '"' || *c == '\\' || *c == '$') && !buf_put_str(out, "\\")) || !buf_put(out, c, 1))
            return false;
    return buf_put_str(out, "\"");
}

static bool put_pins(const struct account *a, struct buf *out)
{
    if (!buf_put_str(out, "{"))
        return false;
    for (uint32_t i = 0; i < a->npins; i++)
        if (!buf_put_str(out, i ? ", " : "") || !put_quoted(out, a->pins[i]))
            return false;
    return buf_put_str(out, "}");
}

bool setting_put(const struct setting_row *row, const void *base, struct buf *out)
{
    const void *at = const_field(row, base);
    char text[64];

    switch (row->type) {
    case SETTING_TEXT:
    case SETTING_PATH: return put_quoted(out, *(char *const *)at);
    case SETTING_CHOICE: return buf_put_str(out, *(char *const *)at);
    case SETTING_WORD: return buf_put_str(out, row->words[*(const uint32_t *)at]);
    case SETTING_FLAG: return buf_put_str(out, *(const bool *)at ? "yes" : "no");
    case SETTING_KEEP: keep_print(at, text); return put_quoted(out, text);
    case SETTING_PINS: return put_pins(base, out);
    default: return put_number(row, get_number(row, base), out);
    }
}

bool setting_same(const struct setting_row *row, const void *a, const void *b)
{
    struct buf x = BUF(65536), y = BUF(65536);
    bool same = setting_put(row, a, &x) && setting_put(row, b, &y) && span_eq(buf_span(&x), buf_span(&y));

    buf_wipe(&x);
    buf_wipe(&y);
    return same;
}

bool setting_range(const struct setting_row *row, struct buf *out)
{
    return row->max && put_number(row, row->min, out) && buf_put_str(out, " to ") &&
           put_number(row, row->max, out);
}

bool setting_kind(const struct setting_row *row, struct buf *out)
{
    static const char *const kinds[] = {
        [SETTING_TEXT] = "TEXT",     [SETTING_PATH] = "PATH", [SETTING_FLAG] = "yes|no",
        [SETTING_NUMBER] = "NUMBER", [SETTING_TIME] = "TIME", [SETTING_DAYS] = "DAYS",
        [SETTING_SIZE] = "SIZE",     [SETTING_KEEP] = "RULE", [SETTING_PINS] = "LIST",
    };

    return row->words ? conf_put_words(row->words, out) : buf_put_str(out, kinds[row->type]);
}
