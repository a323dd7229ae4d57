/* conf.c - a struct conf from birth to death: defaults, repeated sections, walking, freeing.
 * Does not know: which settings exist (conf_rows.c), text, files.
 */
#include "server/conf/conf_rows.h"

#include <stdlib.h>
#include <unistd.h>

static void reset_section(const char *section, void *base)
{
    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].section, section) == 0)
            conf_row_reset(&conf_rows[i], base);
}

static void free_section(const char *section, void *base)
{
    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].section, section) == 0)
            conf_row_free(&conf_rows[i], base);
}

static void free_instances(struct conf *conf)
{
    for (uint32_t i = 0; i < conf->nlisten; i++) {
        free_section("listen", &conf->listen[i]);
        free(conf->listen[i].name);
    }
    for (uint32_t i = 0; i < conf->ncertificate; i++) {
        free_section("certificate", &conf->certificate[i]);
        free(conf->certificate[i].name);
    }
    free(conf->listen);
    free(conf->certificate);
}

static bool visit_section(const struct conf_section *section, const char *title, void *base, conf_visit *visit,
                          void *ctx)
{
    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].section, section->name) == 0 && !visit(ctx, &conf_rows[i], title, base))
            return false;
    return true;
}

static bool resolve(void *ctx, const struct conf_row *row, const char *title, void *base)
{
    const char *file = ctx, *slash = strrchr(file, '/');
    char **path = (char **)(void *)((char *)base + row->offset);
    struct buf b = BUF(65536);

    (void)title;
    if (row->type != ROW_PATH || **path == '\0' || **path == '/' || !slash)
        return true;
    if (buf_put(&b, file, (size_t)(slash - file) + 1) && buf_put_str(&b, *path)) {
        free(*path);
        *path = mem_strn(buf_span(&b));
    }
    buf_free(&b);
    return true;
}

struct conf_listen *conf_listen_new(struct conf *conf, struct span name)
{
    struct conf_listen *listen;

    conf->listen = mem_grow(conf->listen, conf->nlisten + 1, sizeof *conf->listen);
    listen = &conf->listen[conf->nlisten++];
    *listen = (struct conf_listen){ .name = mem_strn(name) };
    reset_section("listen", listen);
    return listen;
}

struct conf_certificate *conf_certificate_new(struct conf *conf, struct span name)
{
    struct conf_certificate *certificate;

    conf->certificate = mem_grow(conf->certificate, conf->ncertificate + 1, sizeof *conf->certificate);
    certificate = &conf->certificate[conf->ncertificate++];
    *certificate = (struct conf_certificate){ .name = mem_strn(name) };
    reset_section("certificate", certificate);
    return certificate;
}

bool conf_each(struct conf *conf, conf_visit *visit, void *ctx)
{
    for (size_t i = 0; i < conf_sections_n; i++) {
        const struct conf_section *section = &conf_sections[i];

        if (!section->titled && !visit_section(section, NULL, conf, visit, ctx))
            return false;
        for (uint32_t n = 0; strcmp(section->name, "listen") == 0 && n < conf->nlisten; n++)
            if (!visit_section(section, conf->listen[n].name, &conf->listen[n], visit, ctx))
                return false;
        for (uint32_t n = 0; strcmp(section->name, "certificate") == 0 && n < conf->ncertificate; n++)
            if (!visit_section(section, conf->certificate[n].name, &conf->certificate[n], visit, ctx))
                return false;
    }
    return true;
}

void conf_resolve(struct conf *conf)
{
    char name[256] = "";

    (void)conf_each(conf, resolve, conf->file);
    if (*conf->hostname)
        return;
    free(conf->hostname);
    conf->hostname = mem_str(gethostname(name, sizeof name - 1) == 0 && *name ? name : "localhost");
}

struct conf *conf_defaults(void)
{
    struct conf *conf = mem_zero(1, sizeof *conf);

    conf->file = mem_str("");
    for (size_t i = 0; i < conf_sections_n; i++)
        if (!conf_sections[i].titled)
            reset_section(conf_sections[i].name, conf);
    return conf;
}

void conf_free(struct conf **conf)
{
    struct conf *c = *conf;

    if (!c)
        return;
    free_instances(c);
    for (size_t i = 0; i < conf_sections_n; i++)
        if (!conf_sections[i].titled)
            free_section(conf_sections[i].name, c);
    free(c->file);
    free(c);
    *conf = NULL;
}
