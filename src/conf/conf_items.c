/* conf_items.c - the list of what stands in configuration files: see conf_items.h. */
#include "conf/conf_items.h"

#include <stdlib.h>

static const char *copy(const char *s)
{
    return s ? mem_str(s) : NULL;
}

void conf_items_add(struct conf_items *items, const struct conf_item *item)
{
    items->v = mem_grow(items->v, items->n + 1, sizeof *items->v);
    items->v[items->n++] = (struct conf_item){
        item->kind,       item->place,       copy(item->section), copy(item->title),
        copy(item->name), copy(item->value), item->fresh,
    };
}

void conf_items_cut(struct conf_items *items, size_t n)
{
    for (; items->n > n; items->n--) {
        struct conf_item *item = &items->v[items->n - 1];

        free((void *)(uintptr_t)item->section);
        free((void *)(uintptr_t)item->title);
        free((void *)(uintptr_t)item->name);
        free((void *)(uintptr_t)item->value);
    }
    if (n == 0) {
        free(items->v);
        items->v = NULL;
    }
}
