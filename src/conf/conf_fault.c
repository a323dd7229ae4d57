/* conf_fault.c - faults of a configuration: see conf_fault.h. */
#include "conf/conf_fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 600 };

static void push(struct conf_faults *f, struct conf_place place, const char *text, bool warning)
{
    /* A file is read several times when it holds unknown names (conf_file.c): say things once. */
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].place.file == place.file && f->v[i].place.line == place.line &&
            strcmp(f->v[i].text, text) == 0)
            return;
    f->v = mem_grow(f->v, f->n + 1, sizeof *f->v);
    f->v[f->n] = (struct conf_fault){ place, f->n, mem_str(text) };
    f->n++;
    f->errors += !warning;
}

static int order(const void *a, const void *b)
{
    const struct conf_fault *x = a, *y = b;

    if (x->place.file != y->place.file)
        return x->place.file < y->place.file ? -1 : 1;
    if (x->place.line != y->place.line)
        return x->place.line < y->place.line ? -1 : 1;
    return x->seq < y->seq ? -1 : 1;
}

uint32_t conf_faults_file(struct conf_faults *f, const char *path)
{
    for (uint32_t i = 0; i < f->nfiles; i++)
        if (strcmp(f->files[i], path) == 0)
            return i;
    f->files = mem_grow(f->files, f->nfiles + 1, sizeof *f->files);
    f->files[f->nfiles] = mem_str(path);
    return f->nfiles++;
}

void conf_faults_where(struct conf_faults *f, struct conf_where where)
{
    f->where = mem_grow(f->where, f->nwhere + 1, sizeof *f->where);
    f->where[f->nwhere++] = where;
}

struct conf_where *conf_faults_find(const struct conf_faults *f, const char *section, uint32_t instance,
                                    const char *name)
{
    for (size_t i = 0; i < f->nwhere; i++) {
        struct conf_where *w = &f->where[i];

        if (strcmp(w->section, section) == 0 && w->instance == instance &&
            (name ? w->name && strcmp(w->name, name) == 0 : !w->name))
            return w;
    }
    return NULL;
}

/* The first thing that is known to stand in a section. */
static const struct conf_where *find_section(const struct conf_faults *f, const char *section, uint32_t instance)
{
    for (size_t i = 0; i < f->nwhere && *section; i++)
        if (strcmp(f->where[i].section, section) == 0 && f->where[i].instance == instance)
            return &f->where[i];
    return NULL;
}

void conf_fault_at(struct conf_faults *f, struct conf_place place, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    push(f, place, text, false);
}

/* "warning: listen "pop3s".idle: " at text, which is long enough; returns its length. */
static int put_label(char text[TEXT_MAX], const struct conf_spot *spot, const char *section)
{
    const char *after = spot->name ? "." : ": ";
    int n = 0;

    if (spot->warning)
        n += snprintf(text, TEXT_MAX, "warning: ");
    if (*section && spot->title)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, "%.40s \"%.80s\"%s", section, spot->title, after);
    else if (*section)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, "%.40s%s", section, after);
    if (spot->name)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, "%.60s: ", spot->name);
    return n;
}

void conf_fault_in(struct conf_faults *f, const struct conf_spot *spot, const char *fmt, ...)
{
    const char *section = spot->section;
    const struct conf_where *where = NULL;
    struct conf_place place = { 0, 0 };
    char text[TEXT_MAX];
    int n;
    va_list ap;

    if (spot->name)
        where = conf_faults_find(f, section, spot->instance, spot->name);
    if (where && where->bad)
        return;
    if (!where && section)
        where = find_section(f, section, spot->instance);
    if (where)
        place = where->place;
    n = put_label(text, spot, section ? section : "");
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    push(f, place, text, spot->warning);
}

bool conf_faults_report(struct conf_faults *f, struct buf *report)
{
    bool ok = true;

    if (f->n)
        qsort(f->v, f->n, sizeof *f->v, order);
    for (size_t i = 0; i < f->n && ok; i++) {
        const struct conf_fault *v = &f->v[i];
        const char *file = v->place.file < f->nfiles ? f->files[v->place.file] : "configuration";

        ok = v->place.line ? buf_printf(report, "%s:%u: %s\n", file, v->place.line, v->text)
                           : buf_printf(report, "%s: %s\n", file, v->text);
    }
    return ok;
}

void conf_faults_free(struct conf_faults *f)
{
    for (uint32_t i = 0; i < f->nfiles; i++)
        free(f->files[i]);
    for (size_t i = 0; i < f->n; i++)
        free(f->v[i].text);
    free(f->files);
    free(f->where);
    free(f->v);
    *f = (struct conf_faults){ 0 };
}
