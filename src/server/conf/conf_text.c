/* conf_text.c - a configuration as text, for workers: no libconfuse needed to read it back.
 *
 *   restante-conf 1
 *   file=/etc/restante/restante.conf
 *   listen=2                                  how many of each repeated section
 *   certificate=0
 *   listen pop3s                              before the rows of each of them
 *   listen.address=[::]:995;                  each item of a list ends with ";"
 *   tls.min=1.2
 *   ...
 *   end
 *
 * Every row of every section stands there, in the order of the table. The parser takes exactly what
 * conf_put_text writes: it reads, writes again and compares. Does not know: files, meaning.
 */
#include "server/conf/conf_rows.h"

#include "base/num.h"

#include <stdlib.h>

enum { TEXT_MAX = 4 * 1024 * 1024, SECTIONS_MAX = 10000 };

static const char head[] = "restante-conf 1\n";

static bool put_escaped(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (c <= 0x20 || c >= 0x7f || c == '%' || c == ';') {
            if (!buf_printf(out, "%%%02x", c))
                return false;
        } else if (!buf_put(out, &c, 1)) {
            return false;
        }
    }
    return true;
}

/* The NUL-terminated original; NULL when the escapes are broken. */
static char *take_escaped(struct span s)
{
    char *text = mem_new(s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (c == '%' && (s.n - i < 3 || !hex_get(span_of(s.p + i + 1, 2), &c, 1) || c == 0)) {
            free(text);
            return NULL;
        }
        if (s.p[i] == '%')
            i += 2;
        text[n++] = (char)c;
    }
    text[n] = '\0';
    return text;
}

static bool put_value(const struct conf_row *row, const void *base, struct buf *out)
{
    struct buf value = BUF(TEXT_MAX);
    bool ok = true;

    if (row->type == ROW_LIST) {
        const struct strlist *list = conf_row_list(row, base);

        for (uint32_t i = 0; i < list->n && ok; i++)
            ok = put_escaped(out, span_str(list->v[i])) && buf_put_str(out, ";");
        return ok;
    }
    ok = conf_row_put(row, base, &value) && put_escaped(out, buf_span(&value));
    buf_free(&value);
    return ok;
}

struct writer {
    struct buf *out;
    const void *last; /* base of the row before */
};

static bool put_row(void *ctx, const struct conf_row *row, const char *title, void *base)
{
    struct writer *w = ctx;

    if (title && base != w->last) {
        if (!buf_printf(w->out, "%s ", row->section) || !put_escaped(w->out, span_str(title)) ||
            !buf_put_str(w->out, "\n"))
            return false;
    }
    w->last = base;
    return buf_printf(w->out, "%s.%s=", row->section, row->name) && put_value(row, base, w->out) &&
           buf_put_str(w->out, "\n");
}

/* The rest of a line that starts with name, "." or "=" and so on put together by the caller. */
static bool take_line(struct span *in, const char *start, struct span *rest)
{
    size_t n = strlen(start);
    struct span line;

    if (!in->n || !memchr(in->p, '\n', in->n))
        return false;
    line = span_until(in, '\n');
    if (line.n < n || memcmp(line.p, start, n) != 0)
        return false;
    span_take(&line, n);
    *rest = line;
    return true;
}

static bool take_list(const struct conf_row *row, void *base, struct span rest)
{
    conf_row_clear(row, base);
    while (rest.n) {
        char *item = take_escaped(span_until(&rest, ';'));

        if (!item)
            return false;
        conf_row_add(row, base, item);
        free(item);
    }
    return true;
}

struct reader {
    struct span in;
    const void *last;
};

static bool take_row(void *ctx, const struct conf_row *row, const char *title, void *base)
{
    struct reader *r = ctx;
    struct buf start = BUF(200);
    struct span rest;
    char *text = NULL;
    bool ok;

    /* The names of repeated sections were taken before the walk (take_names): skip their lines. */
    if (title && base != r->last)
        span_until(&r->in, '\n');
    r->last = base;
    ok = buf_printf(&start, "%s.%s=", row->section, row->name) && buf_put(&start, "", 1) &&
         take_line(&r->in, (const char *)start.p, &rest);
    buf_free(&start);
    if (!ok)
        return false;
    if (row->type == ROW_LIST)
        return take_list(row, base, rest);
    text = take_escaped(rest);
    ok = text && conf_row_set(row, base, text, NULL);
    free(text);
    return ok;
}

static bool take_count(struct span *in, const char *start, uint64_t *n)
{
    struct span rest;

    return take_line(in, start, &rest) && num_all_u64(rest, n) && *n <= SECTIONS_MAX;
}

/* Makes the instances that the lines "SECTION NAME" of the text announce. */
static bool take_names(struct conf *conf, struct span in, uint64_t listens, uint64_t certificates)
{
    while (in.n) {
        struct span line = span_until(&in, '\n'), word = span_until(&line, ' ');
        bool is_listen = span_is(word, "listen");
        char *name;

        if (line.p == NULL || (!is_listen && !span_is(word, "certificate")))
            continue;
        name = take_escaped(line);
        if (!name)
            return false;
        if (is_listen)
            conf_listen_new(conf, span_str(name));
        else
            conf_certificate_new(conf, span_str(name));
        free(name);
        if (conf->nlisten > listens || conf->ncertificate > certificates)
            return false;
    }
    return conf->nlisten == listens && conf->ncertificate == certificates;
}

static bool parse(struct span text, struct conf *conf)
{
    struct reader r = { text, NULL };
    uint64_t listens, certificates;
    struct span rest;

    if (!take_line(&r.in, "restante-conf 1", &rest) || rest.n || !take_line(&r.in, "file=", &rest))
        return false;
    free(conf->file);
    conf->file = take_escaped(rest);
    return conf->file && take_count(&r.in, "listen=", &listens) &&
           take_count(&r.in, "certificate=", &certificates) && take_names(conf, r.in, listens, certificates) &&
           conf_each(conf, take_row, &r) && take_line(&r.in, "end", &rest) && rest.n == 0 && r.in.n == 0;
}

bool conf_put_text(const struct conf *conf, struct buf *out)
{
    struct writer w = { out, NULL };

    return buf_put_str(out, head) && buf_put_str(out, "file=") && put_escaped(out, span_str(conf->file)) &&
           buf_printf(out, "\nlisten=%u\ncertificate=%u\n", conf->nlisten, conf->ncertificate) &&
           conf_each((struct conf *)(uintptr_t)conf, put_row, &w) && buf_put_str(out, "end\n");
}

bool conf_parse_text(struct span text, struct conf **conf, struct err *e)
{
    struct buf again = BUF(TEXT_MAX);
    bool ok;

    *conf = conf_defaults();
    ok = parse(text, *conf) && conf_put_text(*conf, &again) && span_eq(buf_span(&again), text);
    buf_free(&again);
    if (ok)
        return true;
    conf_free(conf);
    return err_set(e, FAULT_BAD, "configuration text for workers is malformed");
}
