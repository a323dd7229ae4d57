/* job.c - the lines of a job by table, behind one that names the version: see job.h.
 * Does not know: what the fields mean.
 */
#include "client/job.h"

#include "base/num.h"

#include <stdlib.h>

enum kind { TEXT, U32, U64, FLAG };

struct field {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define F(kind, name) { #name, kind, offsetof(struct job, name) }

static const struct field fields[] = {
    F(TEXT, host), F(TEXT, user), F(TEXT, authzid), F(TEXT, srv_domain), F(TEXT, sasl_name), F(TEXT, pins),
    F(TEXT, proxy_user), F(TEXT, proxy_password), F(U32, port), F(U32, tls), F(U32, auth), F(U32, verify),
    F(U32, mechs), F(U32, top_lines), F(U32, connect_s), F(U32, reply_s), F(U32, read_s), F(U64, window), F(U64, max_octets),
    F(FLAG, use_proxy), F(FLAG, srv_implicit), F(FLAG, tls13_only), F(FLAG, plaintext_auth), F(FLAG, one_line_auth),
    F(FLAG, use_capa), F(FLAG, use_pipelining), F(FLAG, force_pipelining), F(FLAG, lf_dot_ends),
    F(FLAG, apop_after_stls), F(FLAG, login_only), F(FLAG, no_login), F(FLAG, want_uidl), F(FLAG, trace),
    F(FLAG, has_certificate), F(FLAG, force_utf8),
};
enum { FIELDS = sizeof fields / sizeof *fields };

static uint64_t number_of(const struct field *f, const struct job *job)
{
    const uint8_t *at = (const uint8_t *)job + f->offset;
    uint32_t u32;
    uint64_t u64;

    switch (f->kind) {
    case U32:
        memcpy(&u32, at, sizeof u32);
        return u32;
    case U64:
        memcpy(&u64, at, sizeof u64);
        return u64;
    default:
        return *at;
    }
}

bool job_put(const struct job *job, struct buf *out)
{
    if (!buf_put_str(out, RESTANTE_VERSION "\n"))
        return false;
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *f = &fields[i];
        const char *text;
        uint8_t digits[20];

        if (!buf_put_str(out, f->name) || !buf_put(out, "=", 1))
            return false;
        if (f->kind == TEXT) {
            memcpy(&text, (const uint8_t *)job + f->offset, sizeof text);
            if (text && (strchr(text, '\n') || !buf_put_str(out, text)))
                return false;
        } else if (!buf_put(out, digits, num_put_u64(digits, number_of(f, job)))) {
            return false;
        }
        if (!buf_put(out, "\n", 1))
            return false;
    }
    return true;
}

static bool set(const struct field *f, struct job *job, struct span value)
{
    uint8_t *at = (uint8_t *)job + f->offset;
    uint64_t number;
    uint32_t u32;
    char *text;

    if (f->kind == TEXT) {
        text = mem_strn(value);
        memcpy(at, &text, sizeof text);
        return true;
    }
    if (!num_all_u64(value, &number) || (f->kind == U32 && number > UINT32_MAX) || (f->kind == FLAG && number > 1))
        return false;
    u32 = (uint32_t)number;
    if (f->kind == U32)
        memcpy(at, &u32, sizeof u32);
    else if (f->kind == U64)
        memcpy(at, &number, sizeof number);
    else
        *at = (uint8_t)number;
    return true;
}

/* Lines come in the order of the table, each once: the writer is this very version. */
bool job_parse(struct span text, struct job *job, struct err *e)
{
    struct span version = span_until(&text, '\n');

    memset(job, 0, sizeof *job);
    if (!span_is(version, RESTANTE_VERSION))
        return err_set(e, FAULT_BAD, "restante-fetch is version " RESTANTE_VERSION ", restante is version %.*s: "
                       "install both from one build", (int)(version.n < 40 ? version.n : 40), (const char *)version.p);
    for (size_t i = 0; i < FIELDS; i++) {
        struct span line = span_until(&text, '\n');
        struct span name = span_until(&line, '=');

        if (!span_is(name, fields[i].name) || !set(&fields[i], job, line)) {
            job_free(job);
            return err_set(e, FAULT_BAD, "malformed job at %s: restante and restante-fetch are of two builds",
                           fields[i].name);
        }
    }
    return true;
}

void job_free(struct job *job)
{
    for (size_t i = 0; i < FIELDS; i++) {
        char *text;

        if (fields[i].kind != TEXT)
            continue;
        memcpy(&text, (uint8_t *)job + fields[i].offset, sizeof text);
        if (text)
            explicit_bzero(text, strlen(text));
        free(text);
    }
    memset(job, 0, sizeof *job);
}
