/* settings_apply.c - from what stands in the client's configuration files to typed settings: see settings_rows.h.
 *
 * "defaults" come first, wherever they stand: each account begins as their copy.
 * Does not know: libconfuse (src/conf), what settings mean together (settings_check.c).
 */
#include "client/settings_rows.h"

#include "conf/conf_near.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LABEL_OCTETS = 200 };

struct apply {
    struct settings *settings;
    struct conf_faults *faults;
    bool open; /* an account is being filled: its end has not come yet */
};

static const struct setting_row *rows_of(const char *section)
{
    return *section ? setting_account_rows : setting_top_rows;
}

static const char *nearest(const char *section, const char *name)
{
    struct near near = near_begin(name);

    for (const struct setting_row *row = rows_of(section); row->name; row++)
        near_try(&near, row->name);
    for (size_t i = 1; i < SETTINGS_SECTIONS && *section == '\0'; i++)
        near_try(&near, settings_sections[i].name);
    return near.best;
}

static void unknown(struct apply *a, const struct conf_item *item)
{
    const char *what = item->value ? "section" : "setting", *near = nearest(item->section, item->name);
    bool inside = *item->section != '\0';
    const struct setting_row *elsewhere = setting_find(rows_of(inside ? "" : "account"), item->name);

    if (!item->value && elsewhere)
        conf_fault_at(a->faults, item->place, "unknown setting \"%.80s\"; it belongs %s", item->name,
                      inside ? "outside of sections" : "into an account or into defaults { }");
    else if (near)
        conf_fault_at(a->faults, item->place, "unknown %s \"%.80s\"; did you mean \"%s\"?", what, item->name,
                      near);
    else
        conf_fault_at(a->faults, item->place,
                      "unknown %s \"%.80s\"; remove it (\"restante config describe\" lists all)", what,
                      item->name);
}

/* The struct that the rows of the item's section live in; an account is begun when needed. */
static void *base_of(struct apply *a, const struct conf_item *item, uint32_t *instance)
{
    struct settings *s = a->settings;

    *instance = 0;
    if (strcmp(item->section, "account") != 0)
        return *item->section ? (void *)s->defaults : (void *)s;
    if (!a->open) {
        s->account = mem_grow(s->account, s->naccount + 1u, sizeof *s->account);
        s->account[s->naccount] = (struct account){ .name = mem_str(item->title ? item->title : ""),
                                                    .line = item->place.line };
        account_copy(&s->account[s->naccount++], s->defaults);
        a->open = true;
        conf_faults_where(a->faults, (struct conf_where){ "account", s->naccount - 1, NULL, item->place, false });
    }
    *instance = s->naccount - 1;
    return &s->account[*instance];
}

static const char *label(const struct conf_item *item, const char *name, char dst[LABEL_OCTETS])
{
    if (item->title)
        snprintf(dst, LABEL_OCTETS, "%s \"%.60s\".%s", item->section, item->title, name);
    else
        snprintf(dst, LABEL_OCTETS, "%s%s%s", item->section, *item->section ? "." : "", name);
    return dst;
}

/* A file with a secret in it is its owner's alone (C-28, XCL-10). */
static void check_private(struct apply *a, const struct conf_item *item, const char *name)
{
    const char *file = a->faults->files[item->place.file];
    struct stat st;

    a->settings->holds_secret = true;
    if (stat(file, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    if (st.st_uid != geteuid())
        conf_fault_at(a->faults, item->place,
                      "%s: the file belongs to another user; a secret needs a file of your own", name);
    else if (st.st_mode & 077)
        conf_fault_at(a->faults, item->place,
                      "%s: others may read this file; chmod 600 it, or use password-command", name);
}

/* The value that stands there may not be taken a second time. True when that was reported. */
static bool is_twice(struct apply *a, const struct setting_row *row, uint32_t instance,
                     const struct conf_item *item, const char *name)
{
    const struct conf_where *first = conf_faults_find(a->faults, item->section, instance, row->name);

    if (!first || (row->type == SETTING_PINS && !item->fresh))
        return false;
    if (!item->fresh)
        conf_fault_at(a->faults, item->place, "%s: takes one value; remove the others", name);
    else
        conf_fault_at(a->faults, item->place, "%s: set twice; the first is at %.200s:%u; remove one", name,
                      a->faults->files[first->place.file], first->place.line);
    return true;
}

static bool set(struct apply *a, const struct setting_row *row, void *base, const struct conf_item *item,
                struct err *e)
{
    char *path;
    bool ok;

    if (item->kind == ITEM_EMPTY)
        return row->type == SETTING_PINS || err_set(e, FAULT_BAD, "there is no value; write one after \"=\"");
    if (strcmp(item->section, "defaults") == 0 && setting_hides(row, item->value))
        return err_set(e, FAULT_BAD, "a secret belongs to one server; put it into its account");
    if (row->type != SETTING_PATH)
        return setting_set(row, base, item->value, e);
    path = settings_path(item->value, a->faults->files[item->place.file]);
    ok = setting_set(row, base, path, e);
    free(path);
    return ok;
}

/* sections borrow their names from the table: items do not outlive this. */
static const char *section_of(const struct conf_item *item)
{
    for (size_t i = 0; i < SETTINGS_SECTIONS; i++)
        if (strcmp(settings_sections[i].name, item->section) == 0)
            return settings_sections[i].name;
    return "";
}

static void value(struct apply *a, const struct conf_item *item)
{
    const struct setting_row *row = setting_find(rows_of(item->section), item->name);
    char name[LABEL_OCTETS];
    uint32_t instance;
    void *base = base_of(a, item, &instance);
    bool known = conf_faults_find(a->faults, item->section, instance, row->name) != NULL;
    struct err e;

    label(item, row->name, name);
    if (is_twice(a, row, instance, item, name))
        return;
    if (!known)
        conf_faults_where(a->faults,
                          (struct conf_where){ section_of(item), instance, row->name, item->place, false });
    if (!known && row->type == SETTING_PINS)
        setting_clear(row, base);
    if (item->kind == ITEM_VALUE && setting_hides(row, item->value))
        check_private(a, item, name);
    if (set(a, row, base, item, &e))
        return;
    conf_fault_at(a->faults, item->place, "%s: %s", name, e.text);
    conf_faults_find(a->faults, item->section, instance, row->name)->bad = true;
}

static void apply_one(struct apply *a, const struct conf_item *item)
{
    uint32_t instance;

    switch (item->kind) {
    case ITEM_VALUE:
    case ITEM_EMPTY: value(a, item); break;
    case ITEM_UNKNOWN: unknown(a, item); break;
    case ITEM_SECTION:
        base_of(a, item, &instance);
        a->open = false;
        break;
    case ITEM_INCLUDE: break; /* conf_include.c */
    }
}

void settings_apply(struct settings *settings, const struct conf_items *items, struct conf_faults *faults)
{
    struct apply a = { settings, faults, false };

    for (int accounts = 0; accounts < 2; accounts++)
        for (size_t i = 0; i < items->n; i++)
            if ((items->v[i].section && strcmp(items->v[i].section, "account") == 0) == (accounts == 1))
                apply_one(&a, &items->v[i]);
}
