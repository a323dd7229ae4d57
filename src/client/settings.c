/* settings.c - the client's configuration as a whole: made, read, searched, freed. See settings.h.
 * Does not know: grammar (src/conf), rows, what values mean.
 */
#include "client/settings_rows.h"

#include <stdlib.h>

enum { PATH_TEXT = 65536 };

static char *taken(struct buf *b)
{
    char *text = mem_strn(buf_span(b));

    buf_free(b);
    return text;
}

char *settings_path(const char *path, const char *file)
{
    const char *home = getenv("HOME"), *slash = file ? strrchr(file, '/') : NULL;
    struct buf b = BUF(PATH_TEXT);
    bool ok = true;

    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && home && *home)
        ok = buf_put_str(&b, home) && buf_put_str(&b, path + 1);
    else if (*path && *path != '/' && slash)
        ok = buf_put(&b, file, (size_t)(slash - file) + 1) && buf_put_str(&b, path);
    else
        ok = buf_put_str(&b, path);
    if (!ok)
        b.n = 0; /* longer than any path may be */
    return taken(&b);
}

/* A folder of the user: $VARIABLE/restante, or ~/OTHERWISE/restante. */
static char *user_folder(const char *variable, const char *otherwise, const char *end)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    struct buf b = BUF(PATH_TEXT);
    bool ok = base && *base == '/' ? buf_put_str(&b, base) : buf_printf(&b, "%s/%s", home ? home : "", otherwise);

    if (!ok || !buf_printf(&b, "/restante%s", end))
        b.n = 0;
    return taken(&b);
}

char *settings_default_file(void)
{
    return user_folder("XDG_CONFIG_HOME", ".config", "/config");
}

static void account_reset(struct account *account)
{
    for (const struct setting_row *row = setting_account_rows; row->name; row++)
        setting_reset(row, account);
}

void account_copy(struct account *to, const struct account *from)
{
    for (const struct setting_row *row = setting_account_rows; row->name; row++)
        setting_copy(row, to, from);
}

static void account_free(struct account *account)
{
    for (const struct setting_row *row = setting_account_rows; row->name; row++)
        setting_clear(row, account);
    free(account->name);
    free(account->host);
    free(account->sink_target);
    *account = (struct account){ 0 };
}

struct settings *settings_new(void)
{
    struct settings *settings = mem_zero(1, sizeof *settings);

    settings->file = mem_str("");
    settings->defaults = mem_zero(1, sizeof *settings->defaults);
    for (const struct setting_row *row = setting_top_rows; row->name; row++)
        setting_reset(row, settings);
    account_reset(settings->defaults);
    free(settings->state_dir);
    settings->state_dir = user_folder("XDG_STATE_HOME", ".local/state", "");
    return settings;
}

void settings_free(struct settings **settings)
{
    struct settings *s = *settings;

    *settings = NULL;
    if (!s)
        return;
    for (uint32_t i = 0; i < s->naccount; i++)
        account_free(&s->account[i]);
    account_free(s->defaults);
    for (const struct setting_row *row = setting_top_rows; row->name; row++)
        setting_clear(row, s);
    free(s->defaults);
    free(s->account);
    free(s->file);
    free(s);
}

const struct account *settings_find(const struct settings *settings, const char *name)
{
    for (uint32_t i = 0; i < settings->naccount; i++)
        if (strcmp(settings->account[i].name, name) == 0)
            return &settings->account[i];
    return NULL;
}

bool settings_read(const char *path, struct settings **settings, struct buf *report)
{
    struct conf_grammar grammar = { settings_sections, SETTINGS_SECTIONS, settings_name };
    struct conf_faults faults = { 0 };
    struct conf_items items = { 0 };
    bool whole = conf_files_items(path, &grammar, &items, &faults), ok;

    *settings = settings_new();
    free((*settings)->file);
    (*settings)->file = mem_str(path);
    settings_apply(*settings, &items, &faults);
    conf_items_cut(&items, 0);
    if (whole)
        settings_check(*settings, 0, &faults);
    ok = conf_faults_report(&faults, report) && faults.errors == 0;
    conf_faults_free(&faults);
    if (!ok)
        settings_free(settings);
    return ok;
}

/* R2384-06: what was stored for a server of the file does not go to one that a command line names. */
static void forget_secrets(struct account *a)
{
    static const char *const names[] = { "password",      "password-command", "password-file",
                                         "token-command", "certificate",      "key",
                                         "user" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setting_reset(setting_find(setting_account_rows, names[i]), a);
}

static bool add_pair(struct account *a, const char *name, const char *value, struct err *e)
{
    const struct setting_row *row = setting_find(setting_account_rows, name);

    if (!row)
        return err_set(e, FAULT_BAD, "there is no such setting");
    if (row->secret)
        return err_set(e, FAULT_BAD, "a secret does not stand on a command line, where all can read it");
    if (row->type != SETTING_PATH)
        return setting_set(row, a, value, e);

    char *path = settings_path(value, NULL);
    bool ok = setting_set(row, a, path, e);

    free(path);
    return ok;
}

bool settings_add(struct settings *settings, const char *name, const char *const *pairs, struct buf *report)
{
    struct conf_faults faults = { 0 };
    struct account *a;
    struct err e;
    bool ok;

    settings->account = mem_grow(settings->account, settings->naccount + 1u, sizeof *settings->account);
    a = &settings->account[settings->naccount++];
    *a = (struct account){ .name = mem_str(name) };
    account_copy(a, settings->defaults);
    forget_secrets(a);
    conf_faults_file(&faults, "command line");
    for (; *pairs; pairs += 2)
        if (!add_pair(a, pairs[0], pairs[1], &e))
            conf_fault_at(&faults, (struct conf_place){ 0, 0 }, "%s: %s", pairs[0], e.text);
    if (faults.errors == 0)
        settings_check(settings, settings->naccount - 1, &faults);
    ok = conf_faults_report(&faults, report) && faults.errors == 0;
    conf_faults_free(&faults);
    if (!ok)
        account_free(&settings->account[--settings->naccount]);
    return ok;
}
