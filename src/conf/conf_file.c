/* conf_file.c - configuration files through libconfuse, whose only user this is: see conf_items.h.
 *
 * libconfuse does the grammar alone. Every setting is declared as a list of strings whose callback records
 * value and line; types and ranges are the business of those who know the settings, so that one bad value does not hide
 * the next. It stops at a name that it does not know: that name is then declared as tolerated, and the file is
 * read again from the start, until the whole file is read or its grammar is broken.
 *
 * Callbacks get no argument of ours; the integer default of an option, which options of string type do not
 * use, carries the pointer instead of a global variable. Does not know: defaults, values, meaning.
 */
#include "conf/conf_items.h"

#include <confuse.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Stands at the end of every source: known outside of sections only, so it finds those left open. */
#define END_MARK "\001"

enum shape { AS_VALUE, AS_SECTION, AS_TITLED };
enum { UNKNOWN_MAX = 200 };

struct tolerated {
    char *section, *name;
    enum shape shape;
    uint32_t line;
    bool reported;
};

struct scan {
    const struct conf_grammar *grammar;
    struct conf_items *items;
    struct conf_faults *faults;
    uint32_t file;
    struct span text;
    struct tolerated *v;
    size_t n;
    bool again;  /* something more is tolerated now: read again */
    bool broken; /* the grammar; already reported */
};

static const char *section_name(const cfg_t *cfg)
{
    return strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
}

static struct scan *scan_of(const cfg_opt_t *opt)
{
    return (struct scan *)(intptr_t)opt->def.number;
}

static const struct conf_section *section_find(const struct scan *s, const char *name)
{
    for (size_t i = 0; i < s->grammar->nsections; i++)
        if (strcmp(s->grammar->sections[i].name, name) == 0)
            return &s->grammar->sections[i];
    return NULL;
}

static size_t count_settings(const struct scan *s)
{
    const char *section;
    size_t n = 0;

    while (s->grammar->setting(n, &section))
        n++;
    return n;
}

static bool is_setting(const struct scan *s, const char *section, const char *name)
{
    const char *in, *is;

    for (size_t i = 0; (is = s->grammar->setting(i, &in)) != NULL; i++)
        if (strcmp(in, section) == 0 && strcmp(is, name) == 0)
            return true;
    return false;
}

static struct tolerated *tolerated_find(struct scan *s, const char *section, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].section, section) == 0 && strcmp(s->v[i].name, name) == 0)
            return &s->v[i];
    return NULL;
}

static struct conf_place place_of(const struct scan *s, const cfg_t *cfg)
{
    return (struct conf_place){ s->file, (uint32_t)cfg->line };
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    struct scan *s = scan_of(opt);
    struct tolerated *t = tolerated_find(s, section_name(cfg), opt->name);
    struct conf_item item = {
        .kind = t ? ITEM_UNKNOWN : ITEM_VALUE,
        .place = place_of(s, cfg),
        .section = section_name(cfg),
        .title = cfg->title,
        .name = opt->name,
        .value = t ? NULL : value,
        .fresh = opt->nvalues == 1,
    };

    *(const char **)result = value;
    if (strcmp(opt->name, END_MARK) == 0)
        return 0;
    /* Unknown: once per place; what stands in an unknown section is not reported piece by piece. */
    if (t && (!item.fresh || item.place.line == t->line || !section_find(s, item.section)))
        return 0;
    conf_items_add(s->items, &item);
    return 0;
}

static bool take_token(struct span *in, uint8_t c, uint32_t *line)
{
    while (in->n && (in->p[0] == ' ' || in->p[0] == '\t' || in->p[0] == '\n')) {
        *line += in->p[0] == '\n';
        span_take(in, 1);
    }
    return in->n && *span_take(in, 1).p == c;
}

/* The first line of the text where "name = {}" stands. */
static uint32_t line_of_empty(const struct scan *s, const char *name, uint32_t otherwise)
{
    size_t n = strlen(name);
    uint32_t line = 1;

    for (size_t i = 0; i + n < s->text.n; i++) {
        struct span rest = span_of(s->text.p + i + n, s->text.n - i - n);
        uint32_t at = line;

        line += s->text.p[i] == '\n';
        if (memcmp(s->text.p + i, name, n) == 0 && take_token(&rest, '=', &at) && take_token(&rest, '{', &at) &&
            take_token(&rest, '}', &at))
            return at;
    }
    return otherwise;
}

/* Lists that were set to {} have no value that a callback could see: the text is searched for their line. */
static void find_empty(struct scan *s, cfg_t *cfg)
{
    for (cfg_opt_t *opt = cfg->opts; opt->name; opt++) {
        struct conf_item item = {
            .kind = ITEM_EMPTY,
            .place = place_of(s, cfg),
            .section = section_name(cfg),
            .title = cfg->title,
            .name = opt->name,
            .fresh = true,
        };

        if (opt->type != CFGT_STR || !(opt->flags & CFGF_MODIFIED) || opt->nvalues ||
            !is_setting(s, item.section, item.name))
            continue;
        item.place.line = line_of_empty(s, item.name, item.place.line);
        conf_items_add(s->items, &item);
    }
}

/* After the closing brace of a section. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
    struct scan *s = scan_of(opt);
    const struct conf_section *known = section_find(s, opt->name);
    cfg_t *last = opt->values[opt->nvalues - 1]->section;
    struct conf_item item = {
        .kind = ITEM_SECTION,
        .place = place_of(s, cfg),
        .section = opt->name,
        .title = last->title,
    };

    if (!known)
        return 0;
    find_empty(s, last);
    if (known->titled)
        conf_items_add(s->items, &item);
    return 0;
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
    struct scan *s = scan_of(opt);
    struct conf_item item = { .kind = ITEM_INCLUDE, .place = place_of(s, cfg) };

    if (*section_name(cfg)) {
        conf_fault_at(s->faults, item.place, "include cannot stand inside section %.60s; move it outside",
                      section_name(cfg));
        return 0;
    }
    if (argc != 1 || argv[0][0] == '\0') {
        conf_fault_at(s->faults, item.place, "include takes one file; write include(\"PATH\")");
        return 0;
    }
    item.value = argv[0];
    conf_items_add(s->items, &item);
    return 0;
}

static bool tolerate(struct scan *s, const cfg_t *cfg, const char *name)
{
    if (s->n >= UNKNOWN_MAX)
        return false;
    s->v = mem_grow(s->v, s->n + 1, sizeof *s->v);
    s->v[s->n++] = (struct tolerated){ mem_str(section_name(cfg)), mem_str(name), AS_VALUE, (uint32_t)cfg->line,
                                       false };
    s->again = true;
    return true;
}

/* The next shape to try for a tolerated name. False when name is not one or has no next. */
static bool reshape(struct scan *s, const char *section, const char *name, enum shape from)
{
    struct tolerated *t = tolerated_find(s, section, name);

    if (!t || t->shape != from || *section)
        return false;
    t->shape = from == AS_VALUE ? AS_SECTION : AS_TITLED;
    s->again = true;
    return true;
}

static void broken(struct scan *s, const cfg_t *cfg, const char *what, const char *name)
{
    /* clang-format off */
    static const struct {
        const char *theirs, *ours;
    } texts[] = {
        { "missing equal sign after option '%s'", "\"%s\" must be followed by \"=\" and a value" },
        { "missing opening brace for section '%s'", "section %s must be followed by \"{\"" },
        { "missing title for section '%s'",
          "section %s needs a name in quotes between this word and \"{\"" },
        { "missing parenthesis for function '%s'", "\"%s\" must be followed by (\"PATH\")" },
        { "unexpected closing brace",
          "this \"}\" closes nothing; remove it, or see whether a section is closed too early%s" },
        { "unexpected token '%s'",
          "unexpected \"%s\"; check quotes, braces and commas here and in the line before" },
    };
    /* clang-format on */

    s->broken = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *hole = strstr(texts[i].ours, "%s");

        if (strcmp(what, texts[i].theirs) != 0)
            continue;
        conf_fault_at(s->faults, place_of(s, cfg), "%.*s%.80s%s; the rest was not read",
                      (int)(hole - texts[i].ours), texts[i].ours, name, hole + 2);
        return;
    }
    conf_fault_at(s->faults, place_of(s, cfg), "%.200s %.80s; the rest was not read", what, name);
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    struct scan *s = scan_of(&cfg->opts[0]);
    const char *section = section_name(cfg), *name = strstr(fmt, "%s") ? va_arg(ap, char *) : "";

    if (s->again || s->broken)
        return;
    if (strcmp(fmt, "no such option '%s'") == 0) {
        if (strcmp(name, END_MARK) == 0) {
            s->broken = true;
            conf_fault_at(s->faults, (struct conf_place){ s->file, (uint32_t)cfg->line - 1 },
                          "the file ends inside section %s; add \"}\" where it ends", section);
            return;
        }
        if (tolerate(s, cfg, name))
            return;
    }
    if (strcmp(fmt, "missing equal sign after option '%s'") == 0 && tolerated_find(s, section, name)) {
        if (reshape(s, section, name, AS_VALUE))
            return;
        s->broken = tolerated_find(s, section, name)->reported = true;
        conf_fault_at(s->faults, place_of(s, cfg),
                      "\"%.80s\" cannot stand inside section %s; close that section first; "
                      "the rest was not read",
                      name, section);
        return;
    }
    if (strcmp(fmt, "missing opening brace for section '%s'") == 0 && reshape(s, section, name, AS_SECTION))
        return;
    broken(s, cfg, fmt, name);
}

static cfg_opt_t include_option(struct scan *s)
{
    cfg_opt_t opt = CFG_FUNC("include", on_include);

    opt.def.number = (long)(intptr_t)s;
    return opt;
}

static cfg_opt_t value_option(const char *name, struct scan *s)
{
    cfg_opt_t opt = CFG_STR_LIST_CB(name, 0, CFGF_NODEFAULT, on_value);

    opt.def.number = (long)(intptr_t)s;
    return opt;
}

/* The settings of a section, known and tolerated, with room for more behind them. */
static cfg_opt_t *section_options(struct scan *s, const char *section, size_t room, size_t *n)
{
    cfg_opt_t *v = mem_zero(count_settings(s) + s->n + room + 2, sizeof *v);
    const char *in, *name;

    *n = 0;
    v[(*n)++] = include_option(s);
    for (size_t i = 0; (name = s->grammar->setting(i, &in)) != NULL; i++)
        if (strcmp(in, section) == 0)
            v[(*n)++] = value_option(name, s);
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].section, section) == 0 && s->v[i].shape == AS_VALUE)
            v[(*n)++] = value_option(s->v[i].name, s);
    return v;
}

static cfg_opt_t section_option(struct scan *s, const char *name, bool titled)
{
    size_t n;
    cfg_opt_t opt = CFG_SEC(name, section_options(s, name, 0, &n), CFGF_MULTI | (titled ? CFGF_TITLE : CFGF_NONE));

    opt.validcb = on_section;
    opt.def.number = (long)(intptr_t)s;
    return opt;
}

static cfg_t *make_cfg(struct scan *s)
{
    size_t n, sections;
    cfg_opt_t *v = section_options(s, "", s->grammar->nsections + s->n + 1, &n);
    cfg_t *cfg;

    v[n++] = value_option(END_MARK, s);
    sections = n;
    for (size_t i = 1; i < s->grammar->nsections; i++)
        v[n++] = section_option(s, s->grammar->sections[i].name, s->grammar->sections[i].titled);
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].shape != AS_VALUE)
            v[n++] = section_option(s, s->v[i].name, s->v[i].shape == AS_TITLED);
    cfg = cfg_init(v, CFGF_NONE);
    if (!cfg)
        abort(); /* out of memory */
    cfg_set_error_function(cfg, on_error);
    for (; sections < n; sections++)
        free(v[sections].subopts);
    free(v);
    return cfg;
}

static void report_unknown(struct scan *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct tolerated *t = &s->v[i];
        struct conf_item item = {
            .kind = ITEM_UNKNOWN,
            .place = {s->file, t->line},
            .section = t->section,
            .name = t->name,
            .value = t->shape == AS_VALUE ? NULL : "{",
        };

        if (section_find(s, t->section) && !t->reported)
            conf_items_add(s->items, &item);
        free(t->section);
        free(t->name);
    }
    free(s->v);
}

bool conf_file_items(const char *path, const struct conf_grammar *grammar, struct conf_items *items,
                     struct conf_faults *faults)
{
    struct scan s = {
        .grammar = grammar, .items = items, .faults = faults, .file = conf_faults_file(faults, path)
    };
    struct buf text = BUF(0);
    size_t start = items->n;
    bool ok = conf_source(path, &text, faults);

    text.cap += 64;
    s.text = buf_span(&text);
    if (ok && text.n && text.p[text.n - 1] != '\n')
        ok = buf_put_str(&text, "\n");
    ok = ok && buf_put_str(&text, END_MARK " = 1\n") && buf_put(&text, "", 1);
    s.text = span_of(text.p, s.text.n); /* it may have moved */
    do {
        cfg_t *cfg;

        if (!ok)
            break;
        conf_items_cut(items, start);
        s.again = false;
        cfg = make_cfg(&s);
        if (cfg_parse_buf(cfg, (const char *)text.p) == CFG_SUCCESS)
            find_empty(&s, cfg);
        else if (!s.again && !s.broken)
            broken(&s, cfg, "cannot be read", "");
        cfg_free(cfg);
    } while (s.again);
    report_unknown(&s);
    buf_free(&text);
    return ok && !s.broken;
}
