/* conf_read.c - reads a configuration: the file, what it includes, then the checks.
 * Does not know: grammar (conf_file.c), types (conf_apply.c), meaning (conf_check.c).
 */
#include "server/conf/conf_check.h"
#include "server/conf/conf_items.h"

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
static bool include(const struct conf_item *item, struct conf_items *items, struct conf_faults *faults)
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
        ok = conf_file_items(path, items, faults);
    free(path);
    return ok;
}

static bool read_all(const char *path, struct conf_items *items, struct conf_faults *faults)
{
    bool whole = conf_file_items(path, items, faults);

    for (size_t i = 0; i < items->n; i++) {
        struct conf_item item = items->v[i]; /* the array moves while we read on */

        if (item.kind == ITEM_INCLUDE && !include(&item, items, faults))
            whole = false;
    }
    return whole;
}

bool conf_read_more(const char *path, conf_more *more, struct conf **conf, struct buf *report)
{
    struct conf_faults faults = { 0 };
    struct conf_items items = { 0 };
    bool whole = read_all(path, &items, &faults), ok;

    *conf = conf_defaults();
    free((*conf)->file);
    (*conf)->file = mem_str(path);
    conf_apply(*conf, &items, &faults);
    conf_items_cut(&items, 0);
    conf_resolve(*conf);
    if (whole)
        conf_check(*conf, &faults);
    if (more && faults.errors == 0)
        more(*conf, &faults);
    ok = faults.errors == 0;
    if (!conf_faults_report(&faults, report))
        ok = false;
    conf_faults_free(&faults);
    if (!ok)
        conf_free(conf);
    return ok;
}

bool conf_read(const char *path, struct conf **conf, struct buf *report)
{
    return conf_read_more(path, NULL, conf, report);
}
