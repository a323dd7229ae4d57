/* text.c - text for people and programs: see text.h. Pure but for memory. */
#include "base/text.h"

#include <stdlib.h>

enum { CELL_MAX = 4096, GAP = 2, COLUMNS_MAX = 16 };

/* The length of the UTF-8 character at the front of s; 0 when there is none (RFC 3629 §4). */
static size_t utf8_length(struct span s)
{
    uint8_t c = s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (n == 0 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && s.p[1] < 0xa0) || (c == 0xed && s.p[1] > 0x9f) || (c == 0xf0 && s.p[1] < 0x90) ||
        (c == 0xf4 && s.p[1] > 0x8f))
        return 0;
    return n;
}

/* Controls (C0, DEL, C1), and U+200E, U+200F, U+2028..U+202E, U+2066..U+2069: they break lines or turn the
 * direction of what follows. */
static bool is_harmful(struct span c)
{
    if (c.n == 1)
        return c.p[0] < 0x20 || c.p[0] == 0x7f;
    if (c.n == 2)
        return c.p[0] == 0xc2 && c.p[1] < 0xa0;
    if (c.n != 3 || c.p[0] != 0xe2)
        return false;
    if (c.p[1] == 0x80)
        return c.p[2] == 0x8e || c.p[2] == 0x8f || (c.p[2] >= 0xa8 && c.p[2] <= 0xae);
    return c.p[1] == 0x81 && c.p[2] >= 0xa6 && c.p[2] <= 0xa9;
}

static size_t width(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((uint8_t)*s & 0xc0) != 0x80;
    return n;
}

static bool put_blanks(struct buf *out, size_t n)
{
    while (n--)
        if (!buf_put_str(out, " "))
            return false;
    return true;
}

size_t text_put_clean(struct buf *out, struct span s, size_t columns)
{
    size_t used = 0;

    while (s.n) {
        size_t n = utf8_length(s);
        struct span c = span_take(&s, n ? n : 1);

        if (used + 1 == columns && s.n)
            return buf_put_str(out, "…") ? used + 1 : used;
        if (used == columns)
            return used;
        if (n == 0 || is_harmful(c))
            c = span_str("?");
        if (!buf_put_span(out, c))
            return used;
        used++;
    }
    return used;
}

void grid_add(struct grid *t, struct span cell, size_t columns)
{
    struct buf clean = BUF(CELL_MAX);

    text_put_clean(&clean, cell, columns);
    t->cells = mem_grow(t->cells, t->n + 1, sizeof *t->cells);
    t->cells[t->n++] = mem_strn(buf_span(&clean));
    buf_free(&clean);
}

static bool put_cell(struct buf *out, const char *text, size_t columns, bool right, bool last)
{
    size_t fill = columns - width(text);

    return put_blanks(out, right ? fill : 0) && buf_put_str(out, text) &&
           put_blanks(out, last ? 0 : (right ? 0 : fill) + GAP);
}

bool grid_put(const struct grid *t, struct buf *out)
{
    size_t heads = 0, widths[COLUMNS_MAX] = { 0 };

    while (t->heads[heads] && heads < COLUMNS_MAX) {
        widths[heads] = width(t->heads[heads]) - (t->heads[heads][0] == '>');
        heads++;
    }
    for (size_t i = 0; i < t->n; i++)
        if (width(t->cells[i]) > widths[i % heads])
            widths[i % heads] = width(t->cells[i]);
    for (size_t i = 0; i < heads + t->n; i++) {
        size_t column = i % heads;
        bool right = t->heads[column][0] == '>', last = column + 1 == heads;
        const char *text = i < heads ? t->heads[i] + (t->heads[i][0] == '>') : t->cells[i - heads];

        if (!put_cell(out, text, widths[column], right, last) || (last && !buf_put_str(out, "\n")))
            return false;
    }
    return true;
}

void grid_free(struct grid *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->n = 0;
}

bool json_put(struct buf *out, struct span s)
{
    if (!buf_put_str(out, "\""))
        return false;
    while (s.n) {
        size_t n = utf8_length(s);
        struct span c = span_take(&s, n ? n : 1);
        bool ok;

        if (n == 0)
            ok = buf_put_str(out, "\\ufffd");
        else if (n == 1 && (c.p[0] < 0x20 || c.p[0] == 0x7f))
            ok = buf_printf(out, "\\u%04x", c.p[0]);
        else
            ok = (n > 1 || (c.p[0] != '"' && c.p[0] != '\\') || buf_put_str(out, "\\")) && buf_put_span(out, c);
        if (!ok)
            return false;
    }
    return buf_put_str(out, "\"");
}

bool json_key(struct buf *out, bool *first, const char *name)
{
    bool comma = !*first;

    *first = false;
    return (!comma || buf_put_str(out, ", ")) && json_put(out, span_str(name)) && buf_put_str(out, ": ");
}
