/* settings_help.h - configuration files of tests: written, read, their report kept. */
#ifndef RESTANTE_TEST_SETTINGS_HELP_H
#define RESTANTE_TEST_SETTINGS_HELP_H

#include "state_help.h"

#include "client/settings.h"

struct tried {
    struct settings *settings;
    char *path, *report;
};

static inline void write_text(const char *path, const char *text, mode_t mode)
{
    FILE *f;

    unlink(path); /* the one before may be nobody's to write to */
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) < 0, 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* dir is also $HOME. */
static inline bool try_mode(struct tried *t, const char *dir, const char *text, mode_t mode)
{
    struct buf report = BUF(100000);
    bool ok;

    *t = (struct tried){ 0 };
    assert_true(asprintf(&t->path, "%s/config", dir) > 0);
    assert_int_equal(setenv("HOME", dir, 1), 0);
    write_text(t->path, text, mode);
    ok = settings_read(t->path, &t->settings, &report);
    t->report = mem_strn(buf_span(&report));
    buf_free(&report);
    assert_int_equal(ok, t->settings != NULL);
    return ok;
}

static inline bool try_text(struct tried *t, const char *dir, const char *text)
{
    return try_mode(t, dir, text, 0644);
}

static inline void try_end(struct tried *t)
{
    settings_free(&t->settings);
    free(t->path);
    free(t->report);
}

/* The report has this line about the file: "LINE: text". */
static inline void must_say(const struct tried *t, const char *line)
{
    char *whole = NULL;

    assert_true(asprintf(&whole, "%s:%s\n", t->path, line) > 0);
    if (!strstr(t->report, whole))
        fail_msg("not in the report: %s\n%s", whole, t->report);
    free(whole);
}

/* An account that has what it needs, with more settings. */
#define ACCOUNT(name, more)                                                                                      \
    "account \"" name "\" { server = \"pop.example.org\" user = \"" name "\" deliver = \"maildir:~/Mail\" " more \
    " }\n"

#endif
