/* args.h - command lines: options by table, words in order.
 * Does not know: what commands exist, what options mean.
 */
#ifndef RESTANTE_BASE_ARGS_H
#define RESTANTE_BASE_ARGS_H

#include "base/buf.h"
#include "base/err.h"

enum { ARGS_OPTIONS = 40, ARGS_WORDS = 1024 };

struct option_row {
    char letter; /* 0 = long form only */
    const char *name;
    const char *value; /* placeholder of its value in the help; NULL = a switch */
    const char *help;
};

struct args {
    const struct option_row *rows;   /* up to a row without name */
    const char *value[ARGS_OPTIONS]; /* by row; NULL = not given; "" for a switch */
    const char *words[ARGS_WORDS];
    int nwords;
};

/* Takes "-x", "-x VALUE", "-xVALUE", "--name", "--name VALUE", "--name=VALUE"; "--" ends options. False: a text
 * for the user in e. Options may stand anywhere among the words. */
bool args_parse(struct args *args, const struct option_row *rows, char **argv, struct err *e);

/* The value of an option, "" for a switch that was given, NULL when it was not. */
const char *args_get(const struct args *args, const char *name);

/* The options as lines of a help text. */
bool args_help(const struct option_row *rows, struct buf *out);

#endif
