/* conf_sample.c - the configuration file that a new administrator gets (packaging/restante.conf).
 * Made of the rows, so that it never misses one. Does not know: values of a real site.
 */
#include "server/conf/conf_rows.h"

/* What a site must decide is set; everything else is commented out with its default. */
struct example {
    const char *section, *instance, *name, *value;
};

static const struct example examples[] = {
    {"listen",  "pop3s", "address",     "{\"[::]:995\"}"                         },
    { "listen", "pop3s", "tls",         "implicit"                               },
    { "tls",    NULL,    "certificate", "\"/etc/ssl/mail/fullchain.pem\""        },
    { "tls",    NULL,    "key",         "\"/etc/ssl/mail/privkey.pem\""          },
    { "mail",   NULL,    "maildrop",    "\"/var/vmail/{domain}/{local}/Maildir\""},
    { "mail",   NULL,    "user",        "\"vmail\""                              },
};

enum { WIDTH = 96 };

static const char *example(const struct conf_row *row, const char *instance)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const struct example *x = &examples[i];

        if (strcmp(x->section, row->section) == 0 && strcmp(x->name, row->name) == 0 &&
            (!x->instance || (instance && strcmp(x->instance, instance) == 0)))
            return x->value;
    }
    return NULL;
}

/* A sentence as comment lines. */
static bool put_comment(struct buf *out, const char *indent, const char *text)
{
    struct span rest = span_str(text);
    size_t column = 0;

    while (rest.n) {
        struct span word = span_until(&rest, ' ');

        if (column && column + 1 + word.n > WIDTH) {
            if (!buf_put_str(out, "\n"))
                return false;
            column = 0;
        }
        if (!(column ? buf_put_str(out, " ") : buf_printf(out, "%s# ", indent)) || !buf_put_span(out, word))
            return false;
        column += (column ? 1 : strlen(indent) + 2) + word.n;
    }
    return buf_put_str(out, "\n");
}

static bool put_default(struct buf *out, const struct conf_row *row)
{
    struct span rest = span_str(row->def);
    bool first = true;

    if (row->type == ROW_TEXT || row->type == ROW_PATH)
        return buf_printf(out, "\"%s\"", row->def);
    if (row->type != ROW_LIST)
        return buf_put_str(out, row->def);
    if (!buf_put_str(out, "{"))
        return false;
    while (rest.n) {
        struct span item = span_until(&rest, ' ');

        if (!buf_printf(out, "%s\"%.*s\"", first ? "" : ", ", (int)item.n, (const char *)item.p))
            return false;
        first = false;
    }
    return buf_put_str(out, "}");
}

static bool put_row(struct buf *out, const struct conf_row *row, const char *instance)
{
    const char *indent = *row->section ? "    " : "", *value = example(row, instance);

    return put_comment(out, indent, row->sentence) &&
           buf_printf(out, "%s%s%s = ", indent, value ? "" : "#", row->name) &&
           (value ? buf_put_str(out, value) : put_default(out, row)) && buf_put_str(out, "\n");
}

/* A repeated section without an instance is commented out as a whole. */
static bool put_section(struct buf *out, const struct conf_section *section, const char *instance)
{
    const char *off = section->titled && !instance ? "#" : "";

    if (!buf_put_str(out, "\n"))
        return false;
    if (*section->name) {
        if (!put_comment(out, "", section->sentence) || !buf_printf(out, "%s%s ", off, section->name) ||
            (section->titled && !buf_printf(out, "\"%s\" ", instance ? instance : "NAME")) ||
            !buf_put_str(out, "{\n"))
            return false;
    }
    for (size_t i = 0; i < conf_rows_n; i++)
        if (strcmp(conf_rows[i].section, section->name) == 0 && !put_row(out, &conf_rows[i], instance))
            return false;
    return *section->name == '\0' || buf_printf(out, "%s}\n", off);
}

bool conf_sample(struct buf *out)
{
    if (!buf_put_str(out, "# restante.conf - the settings of restanted; restante.conf(5) explains "
                          "them.\n# Lines that start with #name = show defaults. After a change: "
                          "restantectl config check,\n# then systemctl reload restanted.\n"))
        return false;
    for (size_t i = 0; i < conf_sections_n; i++) {
        const struct conf_section *section = &conf_sections[i];
        bool is_listen = strcmp(section->name, "listen") == 0;

        if (!put_section(out, section, is_listen ? "pop3s" : NULL))
            return false;
        if (is_listen && !buf_put_str(out, "\nlisten \"pop3\" {\n    address = {\"[::]:110\"}\n"
                                           "    tls = stls\n}\n"))
            return false;
    }
    return true;
}
