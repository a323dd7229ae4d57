/* conf_read.c - reads a configuration: the file, what it includes, then the checks.
 * Does not know: grammar (src/conf), types (conf_apply.c), meaning (conf_check.c).
 */
#include "server/conf/conf_apply.h"
#include "server/conf/conf_check.h"

#include <stdlib.h>

static const char *setting(size_t i, const char **section)
{
    if (i >= conf_rows_n)
        return NULL;
    *section = conf_rows[i].section;
    return conf_rows[i].name;
}

bool conf_read_more(const char *path, conf_more *more, struct conf **conf, struct buf *report)
{
    struct conf_faults faults = { 0 };
    struct conf_items items = { 0 };
    struct conf_grammar grammar = { conf_sections, conf_sections_n, setting };
    bool whole = conf_files_items(path, &grammar, &items, &faults), ok;

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
