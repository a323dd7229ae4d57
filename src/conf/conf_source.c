/* conf_source.c - the bytes of a configuration file, made ready for the grammar: see conf_items.h.
 * Does not know: settings, libconfuse.
 */
#include "conf/conf_items.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { SOURCE_MAX = 1024 * 1024 };

struct lines {
    struct buf *text;
    struct conf_faults *faults;
    uint32_t file;
    size_t at;
    uint32_t line;
};

static bool fail(struct lines *l, uint32_t line, const char *text)
{
    conf_fault_at(l->faults, (struct conf_place){ l->file, line }, "%s", text);
    return false;
}

/* Past the end of a quoted string. */
static bool skip_string(struct lines *l)
{
    const uint8_t *p = l->text->p;
    uint8_t quote = p[l->at];
    uint32_t start = l->line;

    for (l->at++; l->at < l->text->n; l->at++) {
        if (p[l->at] == '\n')
            l->line++;
        if (p[l->at] == quote) {
            l->at++;
            return true;
        }
        if (p[l->at] == '\\' && l->at + 1 < l->text->n && p[++l->at] == '\n')
            l->line++;
    }
    return fail(l, start, "a string starts here and never ends; close it with the same quote");
}

static bool blank_comment(struct lines *l)
{
    uint8_t *p = l->text->p;
    uint32_t start = l->line;

    for (size_t i = l->at + 2; i + 1 < l->text->n; i++) {
        if (p[i] != '*' || p[i + 1] != '/')
            continue;
        for (; l->at < i + 2; l->at++) {
            if (p[l->at] == '\n')
                l->line++;
            else
                p[l->at] = ' ';
        }
        return true;
    }
    return fail(l, start, "a comment starts here and never ends; close it with */");
}

static void skip_line(struct lines *l)
{
    while (l->at < l->text->n && l->text->p[l->at] != '\n')
        l->at++;
}

static bool walk(struct lines *l)
{
    const uint8_t *p = l->text->p;

    while (l->at < l->text->n) {
        uint8_t c = p[l->at], next = l->at + 1 < l->text->n ? p[l->at + 1] : 0;

        if (c == '"' || c == '\'') {
            if (!skip_string(l))
                return false;
        } else if (c == '/' && next == '*') {
            if (!blank_comment(l))
                return false;
        } else if (c == '#' || (c == '/' && next == '/')) {
            skip_line(l);
        } else {
            if (c == 0)
                return fail(l, l->line, "a NUL octet stands here; this is no text file");
            l->line += c == '\n';
            l->at++;
        }
    }
    return true;
}

static bool read_all(int fd, struct buf *text)
{
    for (;;) {
        uint8_t *room = buf_reserve(text, 4096);
        ssize_t n;

        if (!room) {
            errno = EFBIG;
            return false;
        }
        n = read(fd, room, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        text->n += (size_t)n;
    }
}

bool conf_source(const char *path, struct buf *text, struct conf_faults *faults)
{
    struct lines l = { text, faults, conf_faults_file(faults, path), 0, 1 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool ok = false;

    text->cap = SOURCE_MAX;
    if (fd >= 0) {
        ok = read_all(fd, text);
        int code = errno;

        close(fd);
        errno = code;
    }
    if (!ok) {
        conf_fault_at(faults, (struct conf_place){ l.file, 0 },
                      "cannot be read: %s; check the path and its permissions", strerror(errno));
        return false;
    }
    if (text->n && memchr(text->p, 0, text->n)) {
        for (size_t i = 0; text->p[i]; i++)
            l.line += text->p[i] == '\n';
        return fail(&l, l.line, "a NUL octet stands here; this must be a text file");
    }
    return walk(&l);
}
