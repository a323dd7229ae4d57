/* settings_rows.h - one row per setting of the client, and what can be done with any row.
 *
 * A row's base is the struct that its offset counts from: struct settings outside of accounts, struct account inside.
 * Pure but for memory. Does not know: files, libconfuse, what values mean together (settings_check.c).
 */
#ifndef RESTANTE_CLIENT_SETTINGS_ROWS_H
#define RESTANTE_CLIENT_SETTINGS_ROWS_H

#include "client/settings.h"
#include "conf/conf_items.h"

enum setting_type {
    SETTING_TEXT,   /* char *, never NULL once set */
    SETTING_PATH,   /* the same; "~/" is the home folder, other relative paths count from the file's folder */
    SETTING_CHOICE, /* char *: one of words */
    SETTING_WORD,   /* uint32_t: index into words; words "" cannot be chosen */
    SETTING_FLAG,   /* bool */
    SETTING_NUMBER, /* uint32_t */
    SETTING_TIME,   /* uint32_t seconds */
    SETTING_DAYS,   /* uint32_t days */
    SETTING_SIZE,   /* uint64_t octets */
    SETTING_KEEP,   /* struct keep */
    SETTING_PINS    /* pins and npins of struct account */
};

struct setting_row {
    const char *name;
    const char *alias; /* accepted as well: with "_" for "-" */
    const char *def;
    const char *sentence;
    const char *const *words; /* NULL at the end */
    size_t offset;
    uint64_t min, max; /* of numbers, times, days and sizes; max 0 = none */
    enum setting_type type;
    bool secret; /* never shown, never on command lines; its file must be private */
};

/* Rows outside of sections, and of accounts and "defaults"; each ends with a row without a name. */
extern const struct setting_row setting_top_rows[];
extern const struct setting_row setting_account_rows[];

/* Sections "", "account" and "defaults", and the names of their settings for the grammar. */
enum { SETTINGS_SECTIONS = 3 };
extern const struct conf_section settings_sections[SETTINGS_SECTIONS];
const char *settings_name(size_t i, const char **section);

/* By name or alias; NULL when there is none. */
const struct setting_row *setting_find(const struct setting_row *rows, const char *name);

/* Takes one value; a second one only for SETTING_PINS, which appends. False: e says what is wrong and what to do. */
bool setting_set(const struct setting_row *row, void *base, const char *text, struct err *e);
void setting_reset(const struct setting_row *row, void *base);
void setting_clear(const struct setting_row *row, void *base);
void setting_copy(const struct setting_row *row, void *to, const void *from);

/* Is this value of the row a secret? A proxy is one with a password in it alone. */
bool setting_hides(const struct setting_row *row, const char *text);

/* The value in configuration syntax; secrets as they are. */
bool setting_put(const struct setting_row *row, const void *base, struct buf *out);
bool setting_same(const struct setting_row *row, const void *a, const void *b);

/* "TEXT", "yes|no", "TIME", "lf|as-sent" …; "10s to 7d" (false: no range). */
bool setting_kind(const struct setting_row *row, struct buf *out);
bool setting_range(const struct setting_row *row, struct buf *out);

/* A copy of all rows. */
void account_copy(struct account *to, const struct account *from);

/* The part of a file name before its last "/", for relative paths; "~/" in front is expanded. */
char *settings_path(const char *path, const char *file);

/* "500", "10K", "10M", "2G", "1T": powers of 1024. */
bool size_parse(struct span text, uint64_t *octets);
bool size_put(struct buf *out, uint64_t octets);

/* Sets what the items say, and what accounts take from "defaults". */
void settings_apply(struct settings *settings, const struct conf_items *items, struct conf_faults *faults);

/* Derives host, port, destination …, and tells what cannot work. first: number of the first account to look at. */
void settings_check(struct settings *settings, uint32_t first, struct conf_faults *faults);

#endif
