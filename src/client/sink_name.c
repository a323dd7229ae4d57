/* sink_name.c - destinations as text, and names of files that no server decides: see sink.h.
 * Does not know: directories, messages.
 */
#include "client/sink.h"

#include "base/clock.h"
#include "base/num.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] == 0x7f)
            return true;
    return false;
}

static bool put_path(struct buf *target, struct span text, const char *home, struct err *e)
{
    struct span all = text;

    if (text.n >= 2 && text.p[0] == '~' && text.p[1] == '/') {
        span_take(&text, 1);
        if (!home || home[0] != '/')
            return err_set(e, FAULT_BAD, "\"~/\" means nothing here: there is no home directory");
        if (!buf_put_str(target, home))
            return err_set(e, FAULT_BAD, "the path of the destination is too long");
    }
    if (text.n == 0 || text.p[0] != '/' || has_control(text) || all.n >= PATH_MAX)
        return err_set(e, FAULT_BAD, "the path of a destination is absolute (or begins with \"~/\"): %.*s",
                       (int)(all.n > 100 ? 100 : all.n), (const char *)all.p);
    return buf_put_span(target, text) || err_set(e, FAULT_BAD, "the path of the destination is too long");
}

static bool put_peer(struct buf *target, struct span text, const char *home, struct err *e)
{
    struct span port = text;
    uint64_t number;
    size_t colon = text.n;

    if (text.n && (text.p[0] == '/' || text.p[0] == '~'))
        return put_path(target, text, home, e);
    while (colon && text.p[colon - 1] != ':')
        colon--;
    span_take(&port, colon);
    if (colon < 2 || has_control(text) || text.n > 300 || !num_all_u64(port, &number) || !number || number > 65535)
        return err_set(e, FAULT_BAD, "\"lmtp:\" wants HOST:PORT or an absolute path");
    return buf_put_span(target, text) || err_set(e, FAULT_BAD, "the name of the LMTP server is too long");
}

bool sink_parse(const char *text, const char *home, enum sink_kind *kind, struct buf *target, struct err *e)
{
    static const char *const kinds[] = {
        [SINK_MAILDIR] = "maildir", [SINK_MBOX] = "mbox", [SINK_LMTP] = "lmtp", [SINK_COMMAND] = "command"
    };
    struct span rest = span_str(text), word = span_until(&rest, ':');

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!span_is(word, kinds[i]))
            continue;
        *kind = (enum sink_kind)i;
        if (*kind == SINK_LMTP)
            return put_peer(target, rest, home, e);
        if (*kind != SINK_COMMAND)
            return put_path(target, rest, home, e);
        if (rest.n == 0)
            return err_set(e, FAULT_BAD, "\"command:\" wants a command line");
        return buf_put_span(target, rest) || err_set(e, FAULT_BAD, "the command line is too long");
    }
    return err_set(e, FAULT_BAD, "a destination begins with maildir:, mbox:, lmtp: or command:");
}

/* SHA-256 of the parts, each with its length before it. */
static void digest_parts(const struct span *parts, size_t n, uint8_t digest[JOURNAL_DIGEST])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    if (!c || !EVP_DigestInit_ex(c, EVP_sha256(), NULL))
        abort();
    for (size_t i = 0; i < n; i++) {
        uint8_t length[8];

        le_put(length, parts[i].n, sizeof length);
        EVP_DigestUpdate(c, length, sizeof length);
        EVP_DigestUpdate(c, parts[i].p, parts[i].n);
    }
    EVP_DigestFinal_ex(c, digest, NULL);
    EVP_MD_CTX_free(c);
}

void sink_name(char name[JOURNAL_NAME], const char *account, const struct entry *entry, uint64_t random)
{
    int64_t now = clock_real_ns();
    struct span parts[] = { span_str(account),
                            entry->uid,
                            span_of(&entry->nth, sizeof entry->nth),
                            span_of(&entry->first_seen, sizeof entry->first_seen),
                            span_of(&random, sizeof random),
                            span_of(&now, sizeof now) };
    uint8_t tag[JOURNAL_DIGEST], digest[JOURNAL_DIGEST];
    char hex[8 + 16 + 1] = "";

    digest_parts(parts, 1, tag);
    digest_parts(parts, sizeof parts / sizeof *parts, digest);
    hex_put((uint8_t *)hex, span_of(tag, 4));
    hex_put((uint8_t *)hex + 8, span_of(digest, 8));
    snprintf(name, JOURNAL_NAME, "%lld.M%06uR%s.restante", (long long)(now / 1000000000),
             (unsigned)(now % 1000000000 / 1000), hex);
}
