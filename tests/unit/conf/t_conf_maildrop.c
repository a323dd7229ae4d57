/* t_conf_maildrop.c - the maildrop template against names that strangers send. */
#include "conf_help.h"

struct good {
    const char *templ, *user, *domain, *home, *path;
};

static const struct good goods[] = {
    {"/m/{domain}/{local}/Maildir", "bob@example.org",          "",            NULL,        "/m/example.org/bob/Maildir" },
    { "/m/{domain}/{local}",        "bob",                      "example.net", NULL,        "/m/example.net/bob"         },
    { "/m/{user}",                  "bob@example.org",          "",            NULL,        "/m/bob@example.org"         },
    { "/m/{local}.d",               "a@b@c",                    "",            NULL,        "/m/a@b.d"                   },
    { "{home}/Maildir",             "bob",                      "",            "/home/bob", "/home/bob/Maildir"          },
    { "/m/{user}",                  "...",                      "",            NULL,        "/m/..."                     },
    { "/m/{user}",                  "J\xc3\xb6rg \"x\" {home}", "",            NULL,        "/m/J\xc3\xb6rg \"x\" {home}"},
    { "/fixed",                     "bob",                      "",            NULL,        "/fixed"                     },
};

struct bad {
    const char *templ, *domain, *home;
    size_t n;
    const char *user;
};

static const struct bad bads[] = {
    {"/m/{user}",            "", NULL,           0,  ""           },
    { "/m/{user}",           "", NULL,           1,  "."          },
    { "/m/{user}",           "", NULL,           2,  ".."         },
    { "/m/{user}",           "", NULL,           11, "../../etc/x"},
    { "/m/{user}",           "", NULL,           3,  "a/b"        },
    { "/m/{user}",           "", NULL,           3,  "a\0b"       },
    { "/m/{user}",           "", NULL,           3,  "a\nb"       },
    { "/m/{user}",           "", NULL,           1,  "\x7f"       },
    { "/m/{domain}/{local}", "", NULL,           4,  "a@.."       },
    { "/m/{domain}/{local}", "", NULL,           4,  "..@a"       },
    { "/m/{domain}/{local}", "", NULL,           2,  "@a"         },
    { "/m/{domain}/{local}", "", NULL,           2,  "a@"         },
    { "/m/{domain}/{local}", "", NULL,           3,  "bob"        },
    { "/m/{domain}/{local}", "", NULL,           6,  "a@b/..x"    },
    { "{home}/x",            "", NULL,           3,  "bob"        },
    { "{home}/x",            "", "relative",     3,  "bob"        },
    { "{home}/x",            "", "/home/../etc", 3,  "bob"        },
    { "/m/{nobody}",         "", NULL,           3,  "bob"        },
    { "/m/{user",            "", NULL,           3,  "bob"        },
    { "m/{user}",            "", NULL,           3,  "bob"        },
    { "{user}",              "", NULL,           4,  "/etc"       },
    { "",                    "", NULL,           3,  "bob"        },
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        const struct good *g = &goods[i];
        struct buf path = BUF(8192);
        struct err e = { 0 };

        if (!conf_maildrop(g->templ, span_str(g->user), g->domain, g->home, &path, &e))
            fail_msg("%s, %s: %s", g->templ, g->user, e.text);
        assert_int_equal(path.n, strlen(g->path));
        assert_string_equal((char *)path.p, g->path);
        buf_free(&path);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        const struct bad *b = &bads[i];
        struct buf path = BUF(8192);
        struct err e = { 0 };

        if (conf_maildrop(b->templ, span_of(b->user, b->n), b->domain, b->home, &path, &e))
            fail_msg("%s, %s was taken: %s", b->templ, b->user, (char *)path.p);
        assert_int_equal(e.fault, FAULT_BAD);
        assert_true(strlen(e.text) > 10);
        buf_free(&path);
    }
}

static void test_long(void **state)
{
    char name[300];
    struct buf path = BUF(8192), small = BUF(64);
    struct err e;

    (void)state;
    memset(name, 'a', sizeof name);
    assert_true(conf_maildrop("/m/{user}", span_of(name, 255), "", NULL, &path, &e));
    buf_free(&path);
    assert_false(conf_maildrop("/m/{user}", span_of(name, 256), "", NULL, &path, &e));
    buf_free(&path);
    assert_false(conf_maildrop("/m/{user}", span_of(name, 200), "", NULL, &small, &e));
    buf_free(&small);
    /* Sixteen parts of 255 are no path: the system's limit is 4096 octets. */
    assert_false(conf_maildrop("/{user}/{user}/{user}/{user}/{user}/{user}/{user}/{user}/{user}"
                               "/{user}/{user}/{user}/{user}/{user}/{user}/{user}",
                               span_of(name, 255), "", NULL, &path, &e));
    buf_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
