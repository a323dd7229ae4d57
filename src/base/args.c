/* args.c - command lines by table: see args.h. Pure. */
#include "base/args.h"

#include <stdio.h>

static size_t count(const struct option_row *rows)
{
    size_t n = 0;

    while (rows[n].name)
        n++;
    return n;
}

/* The row of "--name…" or "-x…"; rest gets what follows the name in the same word. */
static const struct option_row *find(const struct option_row *rows, const char *word, const char **rest)
{
    for (; rows->name; rows++) {
        size_t n = strlen(rows->name);

        if (word[1] != '-' && rows->letter && word[1] == rows->letter) {
            *rest = word[2] ? word + 2 : NULL;
            return rows;
        }
        if (word[1] == '-' && strncmp(word + 2, rows->name, n) == 0 &&
            (word[2 + n] == '\0' || word[2 + n] == '=')) {
            *rest = word[2 + n] ? word + 3 + n : NULL;
            return rows;
        }
    }
    return NULL;
}

static bool take_option(struct args *args, char ***argv, struct err *e)
{
    const char *word = **argv, *rest = NULL;
    const struct option_row *row = find(args->rows, word, &rest);
    size_t at;

    if (!row)
        return err_set(e, FAULT_BAD, "unknown option \"%.60s\"; see --help", word);
    at = (size_t)(row - args->rows);
    if (args->value[at])
        return err_set(e, FAULT_BAD, "option --%s is given twice; give it once", row->name);
    if (!row->value) {
        if (rest)
            return err_set(e, FAULT_BAD, "option --%s takes no value; see --help", row->name);
        args->value[at] = "";
        return true;
    }
    if (!rest)
        rest = *++*argv;
    if (!rest) {
        --*argv;
        return err_set(e, FAULT_BAD, "option --%s needs a value: --%s %s", row->name, row->name, row->value);
    }
    args->value[at] = rest;
    return true;
}

bool args_parse(struct args *args, const struct option_row *rows, char **argv, struct err *e)
{
    bool options = true;

    *args = (struct args){ .rows = rows };
    if (count(rows) > ARGS_OPTIONS)
        return err_set(e, FAULT_BAD, "too many options in the table");
    for (; *argv; argv++) {
        const char *word = *argv;

        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && word[0] == '-' && word[1]) {
            if (!take_option(args, &argv, e))
                return false;
        } else if (args->nwords == ARGS_WORDS) {
            return err_set(e, FAULT_BAD, "more than %d arguments; give them in several runs", ARGS_WORDS);
        } else {
            args->words[args->nwords++] = word;
        }
    }
    return true;
}

const char *args_get(const struct args *args, const char *name)
{
    for (size_t i = 0; args->rows[i].name; i++)
        if (strcmp(args->rows[i].name, name) == 0)
            return args->value[i];
    return NULL;
}

bool args_help(const struct option_row *rows, struct buf *out)
{
    for (; rows->name; rows++) {
        char left[64];

        snprintf(left, sizeof left, "%c%c%s --%s%s%s", rows->letter ? '-' : ' ', rows->letter ? rows->letter : ' ',
                 rows->letter ? "," : " ", rows->name, rows->value ? " " : "", rows->value ? rows->value : "");
        if (!buf_printf(out, "  %-26s %s\n", left, rows->help))
            return false;
    }
    return true;
}
