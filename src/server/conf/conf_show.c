/* conf_show.c - settings for readers: "config show", help tables and the manual page.
 * Does not know: where the configuration came from, terminals.
 */
#include "server/conf/conf_rows.h"

#include <stdlib.h>

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

static bool put_syntax(const struct conf_row *row, const void *base, struct buf *out)
{
    if (row->type == ROW_LIST) {
        const struct strlist *list = conf_row_list(row, base);

        if (!buf_put_str(out, "{"))
            return false;
        for (uint32_t i = 0; i < list->n; i++)
            if (!buf_put_str(out, i ? ", " : "") || !put_quoted(out, list->v[i]))
                return false;
        return buf_put_str(out, "}");
    }
    if (row->type == ROW_TEXT || row->type == ROW_PATH)
        return put_quoted(out, *(char *const *)(const void *)((const char *)base + row->offset));
    return conf_row_put(row, base, out);
}

struct show {
    struct buf *out;
    const struct conf *defaults;
    const struct conf_listen *listen; /* defaults of the repeated sections */
    const struct conf_certificate *certificate;
    bool only_changed;
    const char *section; /* that is open, NULL = none */
    const void *base;
};

static bool is_default(const struct show *s, const struct conf_row *row, const void *base)
{
    if (strcmp(row->section, "listen") == 0)
        return conf_row_same(row, base, s->listen);
    if (strcmp(row->section, "certificate") == 0)
        return conf_row_same(row, base, s->certificate);
    return conf_row_same(row, base, s->defaults);
}

static bool show_close(struct show *s)
{
    bool open = s->section && *s->section;

    s->section = NULL;
    return !open || buf_put_str(s->out, "}\n");
}

static bool show_open(struct show *s, const struct conf_row *row, const char *title, void *base)
{
    if (s->section && strcmp(s->section, row->section) == 0 && s->base == base)
        return true;
    if (!show_close(s))
        return false;
    s->section = row->section;
    s->base = base;
    if (*row->section == '\0')
        return true;
    return buf_put_str(s->out, row->section) &&
           (!title || (buf_put_str(s->out, " ") && put_quoted(s->out, title))) && buf_put_str(s->out, " {\n");
}

static bool show_row(void *ctx, const struct conf_row *row, const char *title, void *base)
{
    struct show *s = ctx;

    /* A repeated section always shows: that it exists is a change. */
    if (title && !show_open(s, row, title, base))
        return false;
    if (s->only_changed && is_default(s, row, base))
        return true;
    return show_open(s, row, title, base) && buf_put_str(s->out, *row->section ? "    " : "") &&
           buf_printf(s->out, "%s = ", row->name) && put_syntax(row, base, s->out) && buf_put_str(s->out, "\n");
}

static const char *reload_text(const struct conf_row *row)
{
    return row->reload == ROW_LIVE ? "" : " Takes effect at the next start.";
}

/* Text in roff: backslashes and hyphens escaped, no line may start with a dot or a quote. */
static bool put_roff(struct buf *out, const char *text)
{
    if ((*text == '.' || *text == '\'') && !buf_put_str(out, "\\&"))
        return false;
    for (const char *c = text; *c; c++)
        if (((*c == '\\' || *c == '-') && !buf_put_str(out, "\\")) || !buf_put(out, c, 1))
            return false;
    return true;
}

static bool describe_man(const struct conf_row *row, const char *kind, const char *range, struct buf *out)
{
    return buf_printf(out, ".TP\n\\fB%s\\fR = \\fI", row->name) && put_roff(out, kind) &&
           buf_put_str(out, "\\fR\n") && put_roff(out, row->sentence) && buf_put_str(out, ".\n") &&
           buf_put_str(out, "Default: ") && put_roff(out, *row->def ? row->def : "empty") &&
           (*range == '\0' || (buf_put_str(out, "; range: ") && put_roff(out, range))) && buf_put_str(out, ".") &&
           buf_put_str(out, reload_text(row)) && buf_put_str(out, "\n");
}

static bool describe_row(const struct conf_row *row, bool as_man, struct buf *out)
{
    struct buf kind = BUF(200), range = BUF(200), name = BUF(100);
    bool ok = conf_row_kind(row, &kind) && buf_put(&kind, "", 1) &&
              (conf_row_range(row, &range) || row->max == 0) && buf_put(&range, "", 1) &&
              buf_printf(&name, "%s%s%s", row->section, *row->section ? "." : "", row->name);

    if (ok && as_man)
        ok = describe_man(row, (const char *)kind.p, (const char *)range.p, out);
    else if (ok)
        ok = buf_printf(out, "%-31.*s %-27s %-22s %s%s%s%s\n", (int)name.n, (const char *)name.p,
                        (const char *)kind.p, *row->def ? row->def : "-", row->sentence, row->max ? " (" : "",
                        row->max ? (const char *)range.p : "", row->max ? ")" : "");
    buf_free(&kind);
    buf_free(&range);
    buf_free(&name);
    return ok;
}

static bool describe_section(const struct conf_section *section, bool as_man, struct buf *out)
{
    if (as_man && *section->name == '\0')
        return buf_printf(out, ".SS %s\n", section->sentence);
    if (as_man)
        return buf_printf(out, ".SS \"%s %s{ ... }\"\n%s.\n", section->name,
                          section->titled ? "\\(dqNAME\\(dq " : "", section->sentence);
    return true;
}

bool conf_show(const struct conf *conf, bool only_changed, struct buf *out)
{
    struct conf *defaults = conf_defaults();
    struct show s = { out, defaults, NULL, NULL, only_changed, NULL, NULL };
    bool ok;

    free(defaults->file);
    defaults->file = mem_str(conf->file);
    conf_resolve(defaults);
    s.listen = conf_listen_new(defaults, span_str(""));
    s.certificate = conf_certificate_new(defaults, span_str(""));
    ok = conf_each((struct conf *)(uintptr_t)conf, show_row, &s) && show_close(&s);
    conf_free(&defaults);
    return ok;
}

bool conf_describe(bool as_man, struct buf *out)
{
    for (size_t i = 0; i < conf_sections_n; i++) {
        if (!describe_section(&conf_sections[i], as_man, out))
            return false;
        for (size_t k = 0; k < conf_rows_n; k++)
            if (strcmp(conf_rows[k].section, conf_sections[i].name) == 0 &&
                !describe_row(&conf_rows[k], as_man, out))
                return false;
    }
    return true;
}
