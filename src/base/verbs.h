/* verbs.h - programs with commands: one row per command; dispatch and help come from the rows.
 * Does not know: what commands do, what they work on (struct cli is each program's own).
 */
#ifndef RESTANTE_BASE_VERBS_H
#define RESTANTE_BASE_VERBS_H

#include "base/args.h"

struct cli;

struct verb {
    const char *group, *name; /* name "" = the group is the command */
    const char *words;        /* placeholders of its arguments */
    int min, max;             /* how many */
    const struct option_row *options;
    int (*run)(struct cli *cli);
    const char *sentence;
    const char *more; /* further lines of its help, or NULL */
};

struct verb_set {
    const char *program;
    const struct verb *all;        /* up to a row without group */
    const struct option_row *options; /* those without a command */
};

/* Reads a command line with the options of all commands, so that the command can be found among them; it then takes
 * its own. args refers to rows. */
bool verb_scan(const struct verb_set *set, char **argv, struct args *args,
                  struct option_row rows[ARGS_OPTIONS + 1], struct err *e);

/* The command that the words begin with, or NULL. */
const struct verb *verb_find(const struct verb_set *set, const struct args *args);

/* Reads the command line again with the command's own options; its names are taken away from the words (a command
 * that they do not name keeps them all), and what is left is counted. */
bool verb_take(const struct verb_set *set, const struct verb *c, char **argv, struct args *args,
                  struct err *e);

/* One line for each command; all about one. */
bool verb_put_list(const struct verb_set *set, struct buf *out);
bool verb_put_help(const struct verb_set *set, const struct verb *c, struct buf *out);

/* The second words of a group, with commas; nothing when there is no such group. */
bool verb_put_names(const struct verb_set *set, const char *group, struct buf *out);

#endif
