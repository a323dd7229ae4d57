/* conf_help.h - what the tests of configuration share: files made of text, reports looked into. */
#ifndef RESTANTE_TESTS_CONF_HELP_H
#define RESTANTE_TESTS_CONF_HELP_H

#include "server/conf/conf_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct conf_try {
    char folder[64], path[80];
    struct conf *conf;
    char *report; /* NUL-terminated */
    bool ok;
};

static inline void try_begin(struct conf_try *t)
{
    *t = (struct conf_try){ .folder = "/tmp/t_conf.XXXXXX" };
    assert_non_null(mkdtemp(t->folder));
    snprintf(t->path, sizeof t->path, "%s/restante.conf", t->folder);
}

static inline void try_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static inline void try_forget(struct conf_try *t)
{
    conf_free(&t->conf);
    free(t->report);
    t->report = NULL;
}

static inline bool try_read(struct conf_try *t, const char *text)
{
    struct buf report = BUF(1 << 20);

    try_forget(t);
    try_write(t->path, text);
    t->ok = conf_read(t->path, &t->conf, &report);
    t->report = mem_strn(buf_span(&report));
    buf_free(&report);
    assert_int_equal(t->ok, t->conf != NULL);
    return t->ok;
}

/* The report has a line "FILE:LINE: …" that holds what. */
static inline bool try_has(const struct conf_try *t, unsigned line, const char *what)
{
    struct span rest = span_str(t->report);
    char start[120];
    size_t n = (size_t)snprintf(start, sizeof start, line ? "%s:%u: " : "%s: ", t->path, line);

    while (rest.n) {
        struct span one = span_until(&rest, '\n');

        if (one.n > n && memcmp(one.p, start, n) == 0 && memmem(one.p + n, one.n - n, what, strlen(what)))
            return true;
    }
    print_error("no line %u with \"%s\" in:\n%s", line, what, t->report);
    return false;
}

static inline unsigned try_lines(const struct conf_try *t)
{
    unsigned n = 0;

    for (const char *c = t->report; *c; c++)
        n += *c == '\n';
    return n;
}

static inline void try_end(struct conf_try *t)
{
    try_forget(t);
    unlink(t->path);
    assert_int_equal(rmdir(t->folder), 0);
}

#endif
