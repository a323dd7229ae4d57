/* conf_fault.h - the faults of a configuration: collected, ordered by place, reported together.
 * Does not know: what is a fault.
 */
#ifndef RESTANTE_CONF_CONF_FAULT_H
#define RESTANTE_CONF_CONF_FAULT_H

#include "base/buf.h"

struct conf_place {
    uint32_t file; /* index into files */
    uint32_t line; /* 0 = the file as a whole */
};

/* Where a setting (name) or a repeated section (name NULL) stands in the files. */
struct conf_where {
    const char *section;
    uint32_t instance;
    const char *name;
    struct conf_place place;
    bool bad; /* its value was refused and reported: say no more about it */
};

struct conf_fault {
    struct conf_place place;
    size_t seq;
    char *text;
};

struct conf_faults {
    char **files;
    uint32_t nfiles;
    struct conf_where *where;
    size_t nwhere;
    struct conf_fault *v;
    size_t n;
    size_t errors; /* those of v that are more than warnings */
};

uint32_t conf_faults_file(struct conf_faults *f, const char *path);

/* Remembers where something is set; section and name are borrowed from tables. */
void conf_faults_where(struct conf_faults *f, struct conf_where where);
struct conf_where *conf_faults_find(const struct conf_faults *f, const char *section, uint32_t instance,
                                    const char *name);

__attribute__((format(printf, 3, 4))) void conf_fault_at(struct conf_faults *f, struct conf_place place,
                                                         const char *fmt, ...);

/* A fault of a setting: at its line, else at its section's, else of the file. The name of the setting is put
 * in front of the text; without a name it is the section's, and the file's as a whole outside of sections. */
struct conf_spot {
    const char *section; /* "" = outside of sections */
    const char *name;    /* of the setting, or NULL */
    uint32_t instance;
    const char *title; /* NULL in sections that are not repeated */
    bool warning;
};
__attribute__((format(printf, 3, 4))) void conf_fault_in(struct conf_faults *f, const struct conf_spot *spot,
                                                         const char *fmt, ...);

/* Appends the report, a line per fault: "FILE:LINE: text". False when something did not fit. */
bool conf_faults_report(struct conf_faults *f, struct buf *report);
void conf_faults_free(struct conf_faults *f);

#endif
