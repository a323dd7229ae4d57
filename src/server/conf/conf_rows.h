/* conf_rows.h - one row per setting, and what can be done with any row: find it, set it from text, put it.
 *
 * A row's base is the struct that its offset counts from: struct conf, or for the sections that may be
 * repeated struct conf_listen and struct conf_certificate. Pure but for memory.
 * Does not know: files, libconfuse, what values mean together (conf_check.c).
 */
#ifndef RESTANTE_SERVER_CONF_ROWS_H
#define RESTANTE_SERVER_CONF_ROWS_H

#include "conf/conf_grammar.h"
#include "server/conf.h"

enum row_type {
    ROW_TEXT,    /* char * */
    ROW_PATH,    /* char *; relative to the folder of the configuration file */
    ROW_NUMBER,  /* uint32_t */
    ROW_FLAG,    /* bool */
    ROW_TIME,    /* uint32_t seconds: "90", "90s", "10m", "2h", "7d" */
    ROW_TIME_MS, /* uint32_t milliseconds: the same and "250ms" */
    ROW_DAYS,    /* uint32_t days: "30", "30d"; UINT32_MAX "never" */
    ROW_WORD,    /* uint32_t: index into words */
    ROW_LIST     /* struct strlist */
};

enum row_reload {
    ROW_LIVE,   /* SIGHUP: holds for new sessions */
    ROW_RESTART /* holds from the next start */
};

struct conf_row {
    const char *section; /* "" = outside of sections */
    const char *name;
    enum row_type type;
    enum row_reload reload;
    size_t offset;
    const char *def;          /* in configuration syntax; items of a list are separated by blanks */
    uint32_t min, max;        /* of numbers, times and days */
    const char *const *words; /* of ROW_WORD, NULL at the end */
    const char *sentence;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_rows_n;
extern const struct conf_section conf_sections[]; /* [0] is "" */
extern const size_t conf_sections_n;

const struct conf_row *conf_row_find(const char *section, const char *name);
const struct conf_section *conf_section_find(const char *name);

/* Sets a scalar. False when the text does not fit: e says what is wrong and what to do. */
bool conf_row_set(const struct conf_row *row, void *base, const char *text, struct err *e);

/* Empties a list, or appends an item. */
void conf_row_clear(const struct conf_row *row, void *base);
void conf_row_add(const struct conf_row *row, void *base, const char *item);

/* The default. Whatever the row held is freed. */
void conf_row_reset(const struct conf_row *row, void *base);

/* A scalar as text that conf_row_set takes back. */
bool conf_row_put(const struct conf_row *row, const void *base, struct buf *out);

const struct strlist *conf_row_list(const struct conf_row *row, const void *base);
bool conf_row_same(const struct conf_row *row, const void *a, const void *b);
void conf_row_free(const struct conf_row *row, void *base);

/* "10m0s"-free range for messages and the manual: "10m to 1d". False when the row has no range. */
bool conf_row_range(const struct conf_row *row, struct buf *out);

/* The word for a row's type in help texts: "TEXT", "yes|no", "TIME", "stls|none|implicit" … */
bool conf_row_kind(const struct conf_row *row, struct buf *out);

/* New instances of repeated sections, set to defaults. */
struct conf_listen *conf_listen_new(struct conf *conf, struct span name);
struct conf_certificate *conf_certificate_new(struct conf *conf, struct span name);

/* Makes relative ROW_PATH values relative to the folder of conf->file, and an empty hostname the system's. */
void conf_resolve(struct conf *conf);

/* The file that a new administrator gets: what must be decided stands there, all else as a comment. */
bool conf_sample(struct buf *out);

/* Calls visit for each row of each section in order, instances and all; stops at the first false. */
typedef bool conf_visit(void *ctx, const struct conf_row *row, const char *title, void *base);
bool conf_each(struct conf *conf, conf_visit *visit, void *ctx);

#endif
