/* conf_items.h - what stands in configuration files, in order: the form between the file's grammar
 * (conf_file.c, libconfuse) and their meaning.
 * Does not know: libconfuse, types, defaults.
 */
#ifndef RESTANTE_CONF_CONF_ITEMS_H
#define RESTANTE_CONF_CONF_ITEMS_H

#include "conf/conf_fault.h"
#include "conf/conf_grammar.h"

enum conf_item_kind {
    ITEM_VALUE,   /* section, title, name, value; fresh: the first value after "=" */
    ITEM_EMPTY,   /* name = {} */
    ITEM_UNKNOWN, /* a setting or (value "{") a section that does not exist */
    ITEM_SECTION, /* the end of a repeated section; its values came before */
    ITEM_INCLUDE  /* value: the path, as written */
};

struct conf_item {
    enum conf_item_kind kind;
    struct conf_place place;
    const char *section, *title, *name, *value; /* any may be NULL; owned by the list */
    bool fresh;
};

struct conf_items {
    struct conf_item *v;
    size_t n;
};

/* Appends an item; its strings are copied. */
void conf_items_add(struct conf_items *items, const struct conf_item *item);

/* Drops all from number n on. */
void conf_items_cut(struct conf_items *items, size_t n);

/* Reads one file (conf_file.c). False when its grammar is broken: the rest of it was not read. */
bool conf_file_items(const char *path, const struct conf_grammar *grammar, struct conf_items *items,
                     struct conf_faults *faults);

/* The same for a file and all that it includes, each once. */
bool conf_files_items(const char *path, const struct conf_grammar *grammar, struct conf_items *items,
                      struct conf_faults *faults);

/* The bytes of a file ready for the grammar (conf_source.c): comments of the C kind blanked, since libconfuse
 * counts their lines wrongly; strings and comments are closed. */
bool conf_source(const char *path, struct buf *text, struct conf_faults *faults);

#endif
