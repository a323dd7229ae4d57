/* conf_apply.c - from what stands in configuration files to a struct conf: types, ranges, names, duplicates.
 * Does not know: libconfuse (conf_file.c), what settings mean together (conf_check.c).
 */
#include "server/conf/conf_apply.h"

#include "conf/conf_near.h"

#include <stdio.h>

enum { LABEL_OCTETS = 160 };

struct apply {
    struct conf *conf;
    struct conf_faults *faults;
    bool open; /* a repeated section is being filled: its end has not come yet */
};

/* The nearest setting or section name, or NULL. */
static const char *nearest(const char *section, const char *name)
{
    struct near near = near_begin(name);

    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].section, section) == 0)
            near_try(&near, conf_rows[i].name);
    for (size_t i = 1; i < conf_sections_n && *section == '\0'; i++)
        near_try(&near, conf_sections[i].name);
    return near.best;
}

/* The section that has a setting of that name, or NULL. */
static const char *owner(const char *name)
{
    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].name, name) == 0)
            return conf_rows[i].section;
    return NULL;
}

static void unknown(struct apply *a, const struct conf_item *item)
{
    bool is_section = item->value != NULL;
    const char *near = nearest(item->section, item->name);
    const char *home = is_section ? NULL : owner(item->name);
    char place[80] = "";

    if (*item->section)
        snprintf(place, sizeof place, " in section %.60s", item->section);
    if (home && *home)
        conf_fault_at(a->faults, item->place, "unknown setting \"%.80s\"%s; it belongs in section %s", item->name,
                      place, home);
    else if (home)
        conf_fault_at(a->faults, item->place, "unknown setting \"%.80s\"%s; it belongs outside of sections",
                      item->name, place);
    else if (near)
        conf_fault_at(a->faults, item->place, "unknown %s \"%.80s\"%s; did you mean \"%s\"?",
                      is_section ? "section" : "setting", item->name, place, near);
    else
        conf_fault_at(a->faults, item->place,
                      "unknown %s \"%.80s\"%s; remove it (\"restantectl config describe\" lists "
                      "all)",
                      is_section ? "section" : "setting", item->name, place);
}

/* The struct that the rows of the item's section live in; a repeated section is begun when needed. */
static void *base_of(struct apply *a, const struct conf_item *item, uint32_t *instance)
{
    bool is_listen = strcmp(item->section, "listen") == 0;
    struct span title = span_str(item->title ? item->title : "");
    struct conf *conf = a->conf;

    *instance = 0;
    if (!conf_section_find(item->section)->titled)
        return conf;
    if (!a->open) {
        if (is_listen)
            conf_listen_new(conf, title);
        else
            conf_certificate_new(conf, title);
        a->open = true;
        conf_faults_where(a->faults, (struct conf_where){ conf_section_find(item->section)->name,
                                                          (is_listen ? conf->nlisten : conf->ncertificate) - 1,
                                                          NULL, item->place, false });
    }
    *instance = (is_listen ? conf->nlisten : conf->ncertificate) - 1;
    return is_listen ? (void *)&conf->listen[*instance] : (void *)&conf->certificate[*instance];
}

static bool is_clean(const char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text < 0x20 || (uint8_t)*text == 0x7f)
            return false;
    return true;
}

/* "listen "pop3".idle", as faults call a setting. */
static const char *label(const struct conf_item *item, char dst[LABEL_OCTETS])
{
    if (item->title)
        snprintf(dst, LABEL_OCTETS, "%s \"%.60s\".%s", item->section, item->title, item->name);
    else
        snprintf(dst, LABEL_OCTETS, "%s%s%s", item->section, *item->section ? "." : "", item->name);
    return dst;
}

/* A setting that stands there twice. True when it was reported. */
static bool is_twice(struct apply *a, const struct conf_row *row, uint32_t instance, const struct conf_item *item)
{
    const struct conf_where *first = conf_faults_find(a->faults, row->section, instance, row->name);
    char name[LABEL_OCTETS];

    if (!first || (row->type == ROW_LIST && !item->fresh))
        return false;
    if (!item->fresh)
        conf_fault_at(a->faults, item->place, "%s: takes one value; remove the others", label(item, name));
    else
        conf_fault_at(a->faults, item->place, "%s: set twice; the first is at %.200s:%u; remove one",
                      label(item, name), a->faults->files[first->place.file], first->place.line);
    return true;
}

static bool set_value(const struct conf_row *row, void *base, const struct conf_item *item, struct err *e)
{
    if (row->type != ROW_LIST && item->kind == ITEM_EMPTY)
        return err_set(e, FAULT_BAD, "there is no value; write one after \"=\"");
    if (row->type != ROW_LIST)
        return conf_row_set(row, base, item->value, e);
    if (item->kind == ITEM_EMPTY)
        return true;
    if (*item->value == '\0' || !is_clean(item->value))
        return err_set(e, FAULT_BAD, "an item is empty or holds a control character; remove it");
    conf_row_add(row, base, item->value);
    return true;
}

static void value(struct apply *a, const struct conf_item *item)
{
    const struct conf_row *row = conf_row_find(item->section, item->name);
    char name[LABEL_OCTETS];
    uint32_t instance;
    void *base = base_of(a, item, &instance);
    struct err e;

    if (is_twice(a, row, instance, item))
        return;
    if (!conf_faults_find(a->faults, row->section, instance, row->name)) {
        conf_faults_where(a->faults, (struct conf_where){ row->section, instance, row->name, item->place, false });
        if (row->type == ROW_LIST)
            conf_row_clear(row, base);
    }
    if (set_value(row, base, item, &e))
        return;
    conf_fault_at(a->faults, item->place, "%s: %s", label(item, name), e.text);
    conf_faults_find(a->faults, row->section, instance, row->name)->bad = true;
}

void conf_apply(struct conf *conf, const struct conf_items *items, struct conf_faults *faults)
{
    struct apply a = { conf, faults, false };
    uint32_t instance;

    for (size_t i = 0; i < items->n; i++) {
        const struct conf_item *item = &items->v[i];

        switch (item->kind) {
        case ITEM_VALUE:
        case ITEM_EMPTY: value(&a, item); break;
        case ITEM_UNKNOWN: unknown(&a, item); break;
        case ITEM_SECTION:
            (void)base_of(&a, item, &instance);
            a.open = false;
            break;
        case ITEM_INCLUDE: break; /* conf_read.c */
        }
    }
}
