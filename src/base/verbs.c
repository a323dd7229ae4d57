/* verbs.c - programs with commands: see verbs.h. Pure but for memory. */
#include "base/verbs.h"

#include <stdio.h>

static bool is_among(const struct option_row *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return true;
    return false;
}

static void add_rows(struct option_row *rows, size_t *n, const struct option_row *more)
{
    for (; more->name; more++)
        if (*n < ARGS_OPTIONS && !is_among(rows, *n, more->name))
            rows[(*n)++] = *more;
}

bool verb_scan(const struct verb_set *set, char **argv, struct args *args,
                  struct option_row rows[ARGS_OPTIONS + 1], struct err *e)
{
    size_t n = 0;

    add_rows(rows, &n, set->options);
    for (const struct verb *c = set->all; c->group; c++)
        add_rows(rows, &n, c->options);
    rows[n] = (struct option_row){ 0, NULL, NULL, NULL };
    return args_parse(args, rows, argv, e);
}

/* How many words name the command: 0 when they name another, or none. */
static int named_by(const struct verb *c, const struct args *args)
{
    if (args->nwords < 1 || strcmp(args->words[0], c->group) != 0)
        return 0;
    if (*c->name == '\0')
        return 1;
    return args->nwords > 1 && strcmp(args->words[1], c->name) == 0 ? 2 : 0;
}

const struct verb *verb_find(const struct verb_set *set, const struct args *args)
{
    for (const struct verb *c = set->all; c->group; c++)
        if (named_by(c, args))
            return c;
    return NULL;
}

static const char *blank(const struct verb *c)
{
    return *c->name ? " " : "";
}

bool verb_take(const struct verb_set *set, const struct verb *c, char **argv, struct args *args,
                  struct err *e)
{
    int used;

    if (!args_parse(args, c->options, argv, e))
        return false;
    used = named_by(c, args);
    args->nwords -= used;
    memmove(args->words, args->words + used, (size_t)args->nwords * sizeof *args->words);
    if (args->nwords >= c->min && args->nwords <= c->max)
        return true;
    return err_set(e, FAULT_BAD, "usage: %s %s%s%s %s; see \"%s %s%s%s --help\"", set->program, c->group, blank(c),
                   c->name, c->words, set->program, c->group, blank(c), c->name);
}

bool verb_put_list(const struct verb_set *set, struct buf *out)
{
    for (const struct verb *c = set->all; c->group; c++) {
        char left[64];

        snprintf(left, sizeof left, "%s%s%s %s", c->group, blank(c), c->name, c->words);
        if (!buf_printf(out, "  %-28s %s\n", left, c->sentence))
            return false;
    }
    return true;
}

bool verb_put_help(const struct verb_set *set, const struct verb *c, struct buf *out)
{
    return buf_printf(out, "Usage: %s %s%s%s%s%s [OPTION]...\n\n%c%s.\n\n", set->program, c->group, blank(c), c->name,
                      *c->words ? " " : "", c->words, ascii_upper((uint8_t)*c->sentence), c->sentence + 1) &&
           args_help(c->options, out) && (!c->more || buf_printf(out, "\n%s\n", c->more));
}

bool verb_put_names(const struct verb_set *set, const char *group, struct buf *out)
{
    size_t before = out->n;

    for (const struct verb *c = set->all; c->group; c++)
        if (*c->name && strcmp(c->group, group) == 0 && !buf_printf(out, "%s%s", out->n > before ? ", " : "", c->name))
            return false;
    return true;
}
