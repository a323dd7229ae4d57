/* conf_include.c - a configuration file and all that it includes: see conf_items.h.
 * Does not know: grammar (conf_file.c), meaning.
 */
#include "conf/conf_items.h"

#include <stdlib.h>

enum { FILES_MAX = 64 };

/* An included path is relative to the folder of the file that names it. */
static char *beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    struct buf b = BUF(65536);
    char *joined;

    if (*path == '/' || !slash || !buf_put(&b, file, (size_t)(slash - file) + 1) || !buf_put_str(&b, path)) {
        buf_free(&b);
        return mem_str(path);
    }
    joined = mem_strn(buf_span(&b));
    buf_free(&b);
    return joined;
}

/* Reads the file of an include item; its items are appended behind all others. */
static bool include(const struct conf_item *item, const struct conf_grammar *grammar, struct conf_items *items,
                    struct conf_faults *faults)
{
    struct conf_place place = item->place;
    char *path = beside(faults->files[place.file], item->value);
    uint32_t before = faults->nfiles, file = conf_faults_file(faults, path);
    bool ok = false;

    if (file < before)
        conf_fault_at(faults, place, "%.300s is included a second time; remove one include", path);
    else if (file >= FILES_MAX)
        conf_fault_at(faults, place, "more than %d files are included; join some", FILES_MAX);
    else
        ok = conf_file_items(path, grammar, items, faults);
    free(path);
    return ok;
}

bool conf_files_items(const char *path, const struct conf_grammar *grammar, struct conf_items *items,
                      struct conf_faults *faults)
{
    bool whole = conf_file_items(path, grammar, items, faults);

    for (size_t i = 0; i < items->n; i++) {
        struct conf_item item = items->v[i]; /* the array moves while we read on */

        if (item.kind == ITEM_INCLUDE && !include(&item, grammar, items, faults))
            whole = false;
    }
    return whole;
}
