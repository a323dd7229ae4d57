/* cmd_config.c - restantectl config check, show, describe.
 * Does not know: what a valid configuration is (server/conf).
 */
#include "admin/ctl.h"
#include "base/text.h"
#include "server/conf/conf_check.h"

#include <stdio.h>

enum { OUTPUT_MAX = 4 * 1024 * 1024 };

struct json_walk {
    struct buf *out;
    bool first_section, first_title, first_row;
    const char *section;
    const char *title;
};

static bool put_json_value(struct buf *out, const struct conf_row *row, const void *base)
{
    struct buf text = BUF(OUTPUT_MAX);
    const void *at = (const char *)base + row->offset;
    bool ok = true;

    if (row->type == ROW_LIST) {
        const struct strlist *list = conf_row_list(row, base);

        ok = buf_put_str(out, "[");
        for (uint32_t i = 0; i < list->n && ok; i++)
            ok = buf_put_str(out, i ? ", " : "") && json_put(out, span_str(list->v[i]));
        return ok && buf_put_str(out, "]");
    }
    if (row->type == ROW_FLAG)
        return buf_put_str(out, *(const bool *)at ? "true" : "false");
    if (row->type == ROW_TIME_MS)
        return buf_printf(out, "%u.%03u", *(const uint32_t *)at / 1000, *(const uint32_t *)at % 1000);
    if (row->type == ROW_DAYS && *(const uint32_t *)at == UINT32_MAX)
        return buf_put_str(out, "null");
    if (row->type == ROW_NUMBER || row->type == ROW_TIME || row->type == ROW_DAYS)
        return buf_printf(out, "%u", *(const uint32_t *)at);
    ok = conf_row_put(row, base, &text) && json_put(out, buf_span(&text));
    buf_free(&text);
    return ok;
}

/* Closes the objects that are open and opens those that the row stands in. */
static bool json_section(struct json_walk *w, const struct conf_row *row, const char *title)
{
    bool same = w->section && strcmp(w->section, row->section) == 0;
    bool ok = true;

    if (same && w->title == title)
        return true;
    if (w->section && *w->section)
        ok = buf_put_str(w->out, w->title ? "}" : "") && (same || buf_put_str(w->out, "}"));
    if (ok && !same) {
        ok = *row->section == '\0' ||
             (json_key(w->out, &w->first_section, row->section) && buf_put_str(w->out, "{"));
        w->first_title = true;
    }
    if (ok && title)
        ok = json_key(w->out, &w->first_title, title) && buf_put_str(w->out, "{");
    w->first_row = true;
    w->section = row->section;
    w->title = title;
    return ok;
}

static bool json_row(void *ctx, const struct conf_row *row, const char *title, void *base)
{
    struct json_walk *w = ctx;

    return json_section(w, row, title) &&
           json_key(w->out, *row->section ? &w->first_row : &w->first_section, row->name) &&
           put_json_value(w->out, row, base);
}

static bool show_json(struct conf *conf, struct buf *out)
{
    struct json_walk w = { out, true, true, true, NULL, NULL };

    return buf_put_str(out, "{") && conf_each(conf, json_row, &w) && buf_put_str(out, w.title ? "}}" : "}") &&
           buf_put_str(out, "}\n");
}

int cmd_config_check(struct cli *ctl)
{
    const char *path = ctl->args.nwords ? ctl->args.words[0] : ctl->conf_path;
    struct buf report = BUF(OUTPUT_MAX);
    struct conf *conf = NULL;
    bool ok = conf_read_more(path, conf_check_site, &conf, &report);
    bool quiet = args_get(&ctl->args, "quiet") != NULL;

    conf_free(&conf);
    fprintf(stderr, "%.*s", (int)report.n, report.n ? (const char *)report.p : "");
    if (ok && !quiet)
        printf("%s: no faults\n", path);
    buf_free(&report);
    return ok ? EX_OK : EX_CONFIG;
}

int cmd_config_show(struct cli *ctl)
{
    struct buf out = BUF(OUTPUT_MAX);
    struct conf *conf = NULL;
    bool ok;
    int code = EX_OK;

    if (args_get(&ctl->args, "defaults"))
        conf = conf_defaults();
    else
        code = ctl_conf(ctl, &conf);
    if (code != EX_OK)
        return code;
    ok = ctl->json ? show_json(conf, &out) : conf_show(conf, args_get(&ctl->args, "changed") != NULL, &out);
    conf_free(&conf);
    return ctl_print(&out, ok);
}

int cmd_config_describe(struct cli *ctl)
{
    struct buf out = BUF(OUTPUT_MAX);
    bool ok = args_get(&ctl->args, "sample") ? conf_sample(&out)
                                             : conf_describe(args_get(&ctl->args, "man") != NULL, &out);

    return ctl_print(&out, ok);
}
