/* password.c - password schemes over libxcrypt and OpenSSL: see password.h.
 *
 * Bounds: a stored password is text from a file. What it may cost is limited before any hashing starts, so that
 * a mistyped or hostile "rounds" never holds a worker for minutes: SCRAM at most 10^7 iterations (scram_keys.c),
 * bcrypt 2^16, the SHA crypts 5,000,000 rounds, yescrypt N up to 2^16 with r up to 32 (256 MiB).
 */
#include "auth/password.h"

#include "base/num.h"
#include "base/secret.h"
#include "sasl/prep.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BCRYPT_MAX_COST = 16,
    BCRYPT_MAX_PASSWORD = 72, /* octets behind these do not count in bcrypt */
    SHA_MAX_ROUNDS = 5000000,
    YESCRYPT_MAX_N = 16,      /* as a power of two */
    CRYPT_MAX_PASSWORD = 511, /* libxcrypt takes no longer ones */
    STORED_MAX = 1024,
    SCRAM_DEFAULT_ITERATIONS = 15000, /* RFC 7677 §4 */
    SCRAM_LEAST_ITERATIONS = 4096,    /* RFC 5802 §5.1 */
    SCRAM_NEW_SALT = 16
};

/* Names as they stand in braces, in any case; several may mean one scheme. tool: for new passwords. */
static const struct scheme_name {
    const char *name;
    enum password_scheme scheme;
    const char *prefix; /* of the rest; NULL = SCRAM or PLAIN */
    const char *wrap;   /* how a new one is written */
} schemes[] = {
    { "SCRAM-SHA-256", PASSWORD_SCRAM_SHA_256, NULL, "{SCRAM-SHA-256}" },
    { "SCRAM-SHA-1", PASSWORD_SCRAM_SHA_1, NULL, "{SCRAM-SHA-1}" },
    { "YESCRYPT", PASSWORD_YESCRYPT, "$y$", "{CRYPT}" },
    { "BLF-CRYPT", PASSWORD_BCRYPT, "$2", "{BLF-CRYPT}" },
    { "BCRYPT", PASSWORD_BCRYPT, "$2", "{BLF-CRYPT}" },
    { "SHA512-CRYPT", PASSWORD_SHA512_CRYPT, "$6$", "{SHA512-CRYPT}" },
    { "SHA256-CRYPT", PASSWORD_SHA256_CRYPT, "$5$", "{SHA256-CRYPT}" },
    { "PLAIN", PASSWORD_PLAIN, NULL, "{PLAIN}" },
    { "CLEAR", PASSWORD_PLAIN, NULL, "{PLAIN}" },
    { "CLEARTEXT", PASSWORD_PLAIN, NULL, "{PLAIN}" },
};

enum { SCHEMES = sizeof schemes / sizeof schemes[0] };

static bool begins(struct span s, const char *text)
{
    size_t n = strlen(text);

    return s.n >= n && memcmp(s.p, text, n) == 0;
}

static const struct scheme_name *scheme_row(struct span name)
{
    for (size_t i = 0; i < SCHEMES; i++)
        if (span_iis(name, schemes[i].name))
            return &schemes[i];
    return NULL;
}

enum password_scheme password_scheme_find(struct span name)
{
    const struct scheme_name *row = scheme_row(name);

    return row ? row->scheme : PASSWORD_UNKNOWN;
}

const char *password_scheme_name(enum password_scheme scheme)
{
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].scheme == scheme)
            return schemes[i].name;
    return "unknown";
}

/* A crypt(3) string says by its prefix what it is. */
static enum password_scheme scheme_of_crypt(struct span hash)
{
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].prefix && begins(hash, schemes[i].prefix))
            return schemes[i].scheme;
    return PASSWORD_UNKNOWN;
}

enum password_scheme password_scheme_of(struct span stored, struct span *rest)
{
    const struct scheme_name *row;
    struct span name;

    *rest = stored;
    if (!stored.n || stored.p[0] != '{') /* Dovecot's default scheme of passwd files is CRYPT */
        return scheme_of_crypt(stored);
    span_take(rest, 1);
    if (!memchr(rest->p, '}', rest->n))
        return PASSWORD_UNKNOWN;
    name = span_until(rest, '}');
    if (span_iis(name, "CRYPT"))
        return scheme_of_crypt(*rest);
    row = scheme_row(name);
    if (!row || (row->prefix && !begins(*rest, row->prefix)))
        return PASSWORD_UNKNOWN;
    return row->scheme;
}

static bool crypt_alphabet(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_digit(s.p[i]) && (ascii_lower(s.p[i]) < 'a' || ascii_lower(s.p[i]) > 'z') &&
            s.p[i] != '.' && s.p[i] != '/' && s.p[i] != '$' && s.p[i] != '=')
            return false;
    return true;
}

/* "$y$j9T$": the flags "j" (yescrypt's recommended), N as a power of two less one, r less one, each one
 * character of crypt's alphabet; further parameters are not taken. */
static bool yescrypt_sane(struct span hash)
{
    static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *n, *r;

    if (hash.n < 20 || hash.p[3] != 'j' || hash.p[6] != '$')
        return false;
    n = memchr(alphabet, hash.p[4], 64);
    r = memchr(alphabet, hash.p[5], 64);
    return n && r && n - alphabet + 1 <= YESCRYPT_MAX_N && r - alphabet + 1 <= 32;
}

static bool bcrypt_sane(struct span hash)
{
    unsigned cost;

    if (hash.n != 60 || !memchr("aby", hash.p[2], 3) || hash.p[3] != '$' || hash.p[6] != '$' ||
        !ascii_digit(hash.p[4]) || !ascii_digit(hash.p[5]))
        return false;
    cost = 10u * (hash.p[4] - '0') + (hash.p[5] - '0');
    return cost >= 4 && cost <= BCRYPT_MAX_COST;
}

static bool sha_sane(struct span hash)
{
    uint64_t rounds;

    span_take(&hash, 3);
    if (!begins(hash, "rounds="))
        return true;
    span_take(&hash, 7);
    return num_take_u64(&hash, &rounds) && hash.n && hash.p[0] == '$' && rounds <= SHA_MAX_ROUNDS;
}

static bool crypt_sane(enum password_scheme scheme, struct span hash)
{
    if (hash.n >= STORED_MAX || hash.n >= CRYPT_OUTPUT_SIZE || !crypt_alphabet(hash))
        return false;
    if (scheme == PASSWORD_YESCRYPT)
        return yescrypt_sane(hash);
    return scheme == PASSWORD_BCRYPT ? bcrypt_sane(hash) : sha_sane(hash);
}

static enum scram_hash hash_of(enum password_scheme scheme)
{
    return scheme == PASSWORD_SCRAM_SHA_256 ? SCRAM_SHA_256 : SCRAM_SHA_1;
}

bool password_usable(struct span stored, struct err *e)
{
    struct span rest;
    enum password_scheme scheme = password_scheme_of(stored, &rest);
    struct scram_keys keys;
    bool ok;

    switch (scheme) {
    case PASSWORD_UNKNOWN:
        return err_set(e, FAULT_BAD, "the password's scheme is not known here");
    case PASSWORD_PLAIN:
        ok = rest.n != 0;
        break;
    case PASSWORD_SCRAM_SHA_256:
    case PASSWORD_SCRAM_SHA_1:
        ok = scram_keys_parse(rest, hash_of(scheme), &keys);
        explicit_bzero(&keys, sizeof keys);
        break;
    default:
        ok = crypt_sane(scheme, rest);
    }
    return ok || err_set(e, FAULT_BAD, "the %s password is malformed or costs too much to check",
                         password_scheme_name(scheme));
}

static enum password_verdict check_crypt(struct span hash, struct span password)
{
    struct crypt_data *data = mem_zero(1, sizeof *data);
    char setting[CRYPT_OUTPUT_SIZE], secret[CRYPT_MAX_PASSWORD + 1];
    const char *made;
    enum password_verdict verdict = PASSWORD_BROKEN;

    memcpy(setting, hash.p, hash.n);
    setting[hash.n] = '\0';
    memcpy(secret, password.p, password.n);
    secret[password.n] = '\0';
    made = crypt_rn(secret, setting, data, (int)sizeof *data);
    if (made && made[0] != '*')
        verdict = secret_eq(span_str(made), hash) ? PASSWORD_RIGHT : PASSWORD_WRONG;
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(data, sizeof *data);
    free(data);
    return verdict;
}

static enum password_verdict check_scram(enum scram_hash hash, struct span rest, struct span password)
{
    struct scram_keys keys, made;
    size_t octets = scram_hash_octets(hash);
    enum password_verdict verdict = PASSWORD_BROKEN;

    if (!scram_keys_parse(rest, hash, &keys))
        return PASSWORD_BROKEN;
    made = keys;
    if (scram_keys_derive(hash, password, &made))
        verdict = secret_eq(span_of(made.stored, octets), span_of(keys.stored, octets)) &&
                          secret_eq(span_of(made.server, octets), span_of(keys.server, octets))
                      ? PASSWORD_RIGHT : PASSWORD_WRONG;
    explicit_bzero(&made, sizeof made);
    explicit_bzero(&keys, sizeof keys);
    return verdict;
}

/* The stored text is prepared as RFC 4616 §2 asks for; raw octets match too, for accounts that say so. */
static enum password_verdict check_plain(struct span rest, struct span password)
{
    struct buf prepared = BUF(4096);
    bool same = secret_eq(rest, password);

    if (!same && sasl_prep(rest, PREP_STORED, &prepared))
        same = secret_eq(buf_span(&prepared), password);
    buf_wipe(&prepared);
    return same ? PASSWORD_RIGHT : PASSWORD_WRONG;
}

enum password_verdict password_check(struct span stored, struct span password)
{
    struct span rest;
    enum password_scheme scheme = password_scheme_of(stored, &rest);

    if (!password_usable(stored, NULL))
        return PASSWORD_BROKEN;
    if (password.n == 0 || memchr(password.p, '\0', password.n))
        return PASSWORD_WRONG;
    switch (scheme) {
    case PASSWORD_PLAIN:
        return check_plain(rest, password);
    case PASSWORD_SCRAM_SHA_256:
    case PASSWORD_SCRAM_SHA_1:
        return check_scram(hash_of(scheme), rest, password);
    default:
        if (password.n > CRYPT_MAX_PASSWORD)
            return PASSWORD_WRONG;
        return check_crypt(rest, password);
    }
}

static bool hash_scram(enum scram_hash hash, struct span prepared, uint32_t cost, struct buf *out)
{
    struct scram_keys keys = { .iterations = cost ? cost : SCRAM_DEFAULT_ITERATIONS };
    bool ok;

    keys.salt_n = SCRAM_NEW_SALT;
    secret_random(keys.salt, keys.salt_n);
    ok = keys.iterations >= SCRAM_LEAST_ITERATIONS && keys.iterations <= SCRAM_MAX_ITERATIONS &&
         scram_keys_derive(hash, prepared, &keys) && scram_keys_put(&keys, hash, out);
    explicit_bzero(&keys, sizeof keys);
    return ok;
}

static bool hash_crypt(const struct scheme_name *row, struct span prepared, uint32_t cost, struct buf *out)
{
    const char *prefix = row->scheme == PASSWORD_BCRYPT ? "$2b$" : row->prefix;
    size_t most = row->scheme == PASSWORD_BCRYPT ? BCRYPT_MAX_PASSWORD : CRYPT_MAX_PASSWORD;
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], secret[CRYPT_MAX_PASSWORD + 1], random[64];
    struct crypt_data *data;
    const char *made;
    bool ok;

    if (prepared.n > most)
        return false;
    secret_random(random, sizeof random);
    if (!crypt_gensalt_rn(prefix, cost, random, sizeof random, setting, sizeof setting))
        return false;
    data = mem_zero(1, sizeof *data);
    memcpy(secret, prepared.p, prepared.n);
    secret[prepared.n] = '\0';
    made = crypt_rn(secret, setting, data, (int)sizeof *data);
    ok = made && made[0] != '*' && crypt_sane(row->scheme, span_str(made)) && buf_put_str(out, made);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(data, sizeof *data);
    free(data);
    return ok;
}

bool password_hash(enum password_scheme scheme, struct span password, uint32_t cost, struct buf *out,
                   struct err *e)
{
    const struct scheme_name *row = scheme_row(span_str(password_scheme_name(scheme)));
    struct buf prepared = BUF(4096);
    bool ok;

    if (!row)
        return err_set(e, FAULT_BAD, "unknown password scheme");
    if (!sasl_prep(password, PREP_STORED, &prepared))
        return err_set(e, FAULT_BAD, "the password is empty or holds characters that RFC 4013 forbids");
    ok = buf_put_str(out, row->wrap);
    if (scheme == PASSWORD_PLAIN)
        ok = ok && buf_put_span(out, buf_span(&prepared));
    else if (row->prefix)
        ok = ok && hash_crypt(row, buf_span(&prepared), cost, out);
    else
        ok = ok && hash_scram(hash_of(scheme), buf_span(&prepared), cost, out);
    buf_wipe(&prepared);
    return ok || err_set(e, FAULT_BAD, "%s cannot hash this password at this cost", row->name);
}

void password_cost_class(struct span stored, char *dst, size_t room)
{
    struct span rest, head;
    enum password_scheme scheme = password_scheme_of(stored, &rest);
    size_t n = 0;

    switch (scheme) {
    case PASSWORD_SCRAM_SHA_256:
    case PASSWORD_SCRAM_SHA_1:
        head = span_until(&rest, ',');
        n = head.n;
        break;
    case PASSWORD_BCRYPT:
    case PASSWORD_YESCRYPT:
        head = span_of(rest.p, n = rest.n < 7 ? rest.n : 7);
        break;
    default:
        head = rest;
        if (rest.n > 10 && memcmp(rest.p + 3, "rounds=", 7) == 0 &&
            (scheme == PASSWORD_SHA512_CRYPT || scheme == PASSWORD_SHA256_CRYPT)) {
            span_take(&rest, 3);
            n = 3 + span_until(&rest, '$').n;
        }
    }
    snprintf(dst, room, "%d %.*s", (int)scheme, (int)(n < 32 ? n : 32), (const char *)head.p);
}
