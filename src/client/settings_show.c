/* settings_show.c - the client's settings for readers: "config show", the manual page, the example.
 * See settings.h. Does not know: where the configuration came from, terminals.
 */
#include "client/settings_rows.h"

#include <stdlib.h>

enum { WIDTH = 96 };

static bool put_line(const struct setting_row *row, const void *base, const char *indent, struct buf *out)
{
    if (row->secret && setting_hides(row, *(char *const *)(const void *)((const char *)base + row->offset)))
        return buf_printf(out, "%s# %s is set and not shown\n", indent, row->name);
    return buf_printf(out, "%s%s = ", indent, row->name) && setting_put(row, base, out) && buf_put_str(out, "\n");
}

static bool show_account(const struct account *a, const struct account *defaults, bool only_changed,
                         struct buf *out)
{
    if (!buf_printf(out, "account \"%s\" {\n", a->name))
        return false;
    for (const struct setting_row *row = setting_account_rows; row->name; row++) {
        const struct account *from = a->user_guessed && strcmp(row->name, "user") == 0 ? defaults : a; /* as it was set */

        if ((!only_changed || !setting_same(row, from, defaults)) && !put_line(row, from, "    ", out))
            return false;
    }
    return buf_put_str(out, "}\n");
}

bool settings_show(const struct settings *settings, bool only_changed, struct buf *out)
{
    struct settings *plain = settings_new();
    bool ok = true;

    for (const struct setting_row *row = setting_top_rows; row->name && ok; row++)
        if (!only_changed || !setting_same(row, settings, plain))
            ok = put_line(row, settings, "", out);
    if (!only_changed && settings->naccount == 0) {
        ok = ok && buf_put_str(out, "defaults {\n");
        for (const struct setting_row *row = setting_account_rows; row->name && ok; row++)
            ok = put_line(row, settings->defaults, "    ", out);
        ok = ok && buf_put_str(out, "}\n");
    }
    for (uint32_t i = 0; i < settings->naccount && ok; i++)
        ok = show_account(&settings->account[i], plain->defaults, only_changed, out);
    settings_free(&plain);
    return ok;
}

/* Text in roff: backslashes and hyphens escaped, no line may start with a dot or a quote. */
static bool put_roff(struct buf *out, const char *text)
{
    if ((*text == '.' || *text == '\'') && !buf_put_str(out, "\\&"))
        return false;
    for (const char *c = text; *c; c++) {
        if (*c == '~' ? !buf_put_str(out, "\\(ti")
                      : ((*c == '\\' || *c == '-') && !buf_put_str(out, "\\")) || !buf_put(out, c, 1))
            return false;
    }
    return true;
}

static bool describe_man(const struct setting_row *row, const char *kind, const char *range, struct buf *out)
{
    return buf_put_str(out, ".TP\n\\fB") && put_roff(out, row->name) && buf_put_str(out, "\\fR = \\fI") &&
           put_roff(out, kind) && buf_put_str(out, "\\fR\n") && put_roff(out, row->sentence) &&
           buf_put_str(out, ".\nDefault: ") && put_roff(out, *row->def ? row->def : "empty") &&
           (*range == '\0' || (buf_put_str(out, "; range: ") && put_roff(out, range))) && buf_put_str(out, ".\n");
}

static bool describe_row(const struct setting_row *row, bool as_man, struct buf *out)
{
    struct buf kind = BUF(200), range = BUF(200);
    bool ok = setting_kind(row, &kind) && buf_put(&kind, "", 1) && (setting_range(row, &range) || !row->max) &&
              buf_put(&range, "", 1);

    if (ok && as_man)
        ok = describe_man(row, (const char *)kind.p, (const char *)range.p, out);
    else if (ok)
        ok = buf_printf(out, "%-20s %-24s %-8s %s%s%s%s\n", row->name, (const char *)kind.p,
                        *row->def ? row->def : "-", row->sentence, row->max ? " (" : "",
                        row->max ? (const char *)range.p : "", row->max ? ")" : "");
    buf_free(&kind);
    buf_free(&range);
    return ok;
}

bool settings_describe(bool as_man, struct buf *out)
{
    bool ok = buf_put_str(out, as_man ? ".SS Settings outside of sections\n" : "");

    for (const struct setting_row *row = setting_top_rows; row->name && ok; row++)
        ok = describe_row(row, as_man, out);
    ok = ok && buf_put_str(out, as_man ? ".SS \"account \\(dqNAME\\(dq { ... } and defaults { ... }\"\n" : "\n");
    for (const struct setting_row *row = setting_account_rows; row->name && ok; row++)
        ok = describe_row(row, as_man, out);
    return ok;
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

static bool sample_row(const struct setting_row *row, const void *base, const char *indent, struct buf *out)
{
    return put_comment(out, indent, row->sentence) && buf_printf(out, "%s#%s = ", indent, row->name) &&
           setting_put(row, base, out) && buf_put_str(out, "\n");
}

bool settings_sample(struct buf *out)
{
    static const char head[] =
        "# ~/.config/restante/config - the accounts that restante fetches; restante-config(5) explains all settings.\n"
        "# Lines that begin with #name = show defaults. After a change: restante config check\n\n"
        "account \"work\" {\n"
        "    server = \"pop.example.org\"\n"
        "    user = \"me@example.org\"\n"
        "    password-command = \"pass show mail/work\"\n"
        "    deliver = \"maildir:~/Mail/work\"\n"
        "    keep = \"14d\"\n"
        "}\n\n";
    struct settings *plain = settings_new();
    bool ok = buf_put_str(out, head);

    setting_reset(setting_find(setting_top_rows, "state-dir"), plain); /* not this user's */
    for (const struct setting_row *row = setting_top_rows; row->name && ok; row++)
        ok = sample_row(row, plain, "", out);
    ok = ok && buf_put_str(out, "\n# What holds for all accounts that do not say otherwise\ndefaults {\n");
    for (const struct setting_row *row = setting_account_rows; row->name && ok; row++)
        ok = sample_row(row, plain->defaults, "    ", out);
    ok = ok && buf_put_str(out, "}\n");
    settings_free(&plain);
    return ok;
}
