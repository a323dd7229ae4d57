/* srv.c - SRV records of a mail domain: see srv.h. RFC 2782, 6186, 8314 §5.1.
 *
 * The answer is taken apart here, bounded, since every octet of it may be an attacker's. Does not know: what is done with
 * the targets.
 */
#include "net/srv.h"

#include "base/net_addr.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

enum { DNS_HEADER = 12, TYPE_SRV = 33, CLASS_IN = 1, JUMPS = 32, ANSWER = 16 * 1024,
       IS_ANSWER = 0x8000, RCODE = 0x000f };

static bool take16(struct span answer, size_t *at, unsigned *value)
{
    if (*at + 2 > answer.n)
        return false;
    *value = (unsigned)answer.p[*at] << 8 | answer.p[*at + 1];
    *at += 2;
    return true;
}

/* A name at *at, which moves behind it; text may be NULL. Letters, digits, "-", "_" and dots only. */
static bool take_name(struct span answer, size_t *at, char text[SRV_NAME])
{
    size_t p = *at, n = 0, jumps = 0;
    bool jumped = false;

    for (;;) {
        unsigned length;

        if (p >= answer.n)
            return false;
        length = answer.p[p];
        if ((length & 0xc0) == 0xc0) {
            if (p + 1 >= answer.n || ++jumps > JUMPS)
                return false;
            if (!jumped)
                *at = p + 2;
            jumped = true;
            p = (size_t)(length & 0x3f) << 8 | answer.p[p + 1];
            continue;
        }
        if (length > 63 || p + 1 + length > answer.n || n + length + 2 > SRV_NAME)
            return false;
        p++;
        if (length == 0)
            break;
        if (n && text)
            text[n] = '.';
        n += n ? 1 : 0;
        for (unsigned i = 0; i < length; i++, n++) {
            uint8_t c = answer.p[p + i];

            if (text && !(ascii_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' || c == '_'))
                return false;
            if (text)
                text[n] = (char)c;
        }
        p += length;
    }
    if (!jumped)
        *at = p;
    if (text)
        text[n] = '\0';
    return true;
}

static bool inside(const char *host, const char *domain)
{
    size_t h = strlen(host), d = strlen(domain);

    return h >= d && span_iis(span_of(host + h - d, d), domain) && (h == d || host[h - d - 1] == '.');
}

static bool take_target(struct span answer, size_t at, size_t end, struct srv_target *t)
{
    unsigned priority, weight, port;

    if (!take16(answer, &at, &priority) || !take16(answer, &at, &weight) || !take16(answer, &at, &port) ||
        !take_name(answer, &at, t->host) || at != end)
        return false;
    t->priority = (uint16_t)priority;
    t->weight = (uint16_t)weight;
    t->port = (uint16_t)port;
    return true;
}

/* size: the contract of the header names all that a caller decides */
bool srv_parse(struct span answer, const char *domain, bool implicit_tls, struct srv_target *out, size_t *n, size_t room)
{
    unsigned flags, questions, answers, type, class, length, ttl;
    size_t at = 2;

    *n = 0;
    if (!take16(answer, &at, &flags) || !take16(answer, &at, &questions) || !take16(answer, &at, &answers) ||
        answer.n < DNS_HEADER || !(flags & IS_ANSWER) || (flags & RCODE))
        return false;
    at = DNS_HEADER;
    for (; questions; questions--) {
        if (!take_name(answer, &at, NULL) || at + 4 > answer.n)
            return false;
        at += 4;
    }
    for (; answers; answers--) {
        struct srv_target t = { .implicit_tls = implicit_tls };

        if (!take_name(answer, &at, NULL) || !take16(answer, &at, &type) || !take16(answer, &at, &class) ||
            !take16(answer, &at, &ttl) || !take16(answer, &at, &ttl) || !take16(answer, &at, &length) ||
            at + length > answer.n)
            return false;
        if (type == TYPE_SRV && class == CLASS_IN) {
            if (!take_target(answer, at, at + length, &t))
                return false;
            if (t.host[0] && t.port && *n < room) { /* "." says: not here (R6186-03) */
                t.in_domain = inside(t.host, domain);
                out[(*n)++] = t;
            }
        }
        at += length;
    }
    return true;
}

static int by_rank(const void *a, const void *b)
{
    const struct srv_target *x = a, *y = b;

    if (x->implicit_tls != y->implicit_tls)
        return x->implicit_tls ? -1 : 1;
    return (x->priority > y->priority) - (x->priority < y->priority);
}

/* Weight 0 stands first within its rank, as RFC 2782 draws. */
static int by_rank_and_weight(const void *a, const void *b)
{
    const struct srv_target *x = a, *y = b;
    int rank = by_rank(a, b);

    return rank ? rank : (x->weight > y->weight) - (x->weight < y->weight);
}

/* Within one priority each next target is drawn by weight: a number from 0 to the sum, the first whose running sum
 * reaches it (RFC 2782). The others keep their order. */
static void draw(struct srv_target *t, size_t n, uint64_t *random)
{
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t total = 0, hit, sum;
        struct srv_target chosen;
        size_t j = i;

        for (size_t k = i; k < n; k++)
            total += t[k].weight;
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        hit = (*random >> 33) % (total + 1);
        for (sum = t[i].weight; sum < hit; sum += t[j].weight)
            j++;
        chosen = t[j];
        memmove(&t[i + 1], &t[i], (j - i) * sizeof *t);
        t[i] = chosen;
    }
}

void srv_order(struct srv_target *targets, size_t n, uint64_t random)
{
    qsort(targets, n, sizeof *targets, by_rank_and_weight);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && by_rank(&targets[i], &targets[j]) == 0; j++)
            ;
        draw(targets + i, j - i, &random);
    }
}

static bool use_server(struct __res_state *state, const char *nameserver)
{
    struct net_addr addr;
    struct sockaddr_storage ss;

    if (!nameserver)
        return true;
    if (!net_addr_parse(nameserver, &addr) || net_addr_to(&addr, &ss) != sizeof(struct sockaddr_in))
        return false;
    memcpy(&state->nsaddr_list[0], &ss, sizeof(struct sockaddr_in));
    state->nscount = 1;
    return true;
}

/* Adds the targets of one service; false when DNS failed, true also when it names none. */
static bool service(struct __res_state *state, const char *domain, bool implicit_tls, struct srv_target *targets, size_t *n)
{
    uint8_t *answer = malloc(ANSWER);
    char name[SRV_NAME + 16];
    size_t got = 0;
    bool ok;
    int length;

    snprintf(name, sizeof name, "_%s._tcp.%s", implicit_tls ? "pop3s" : "pop3", domain);
    length = answer ? res_nquery(state, name, ns_c_in, ns_t_srv, answer, ANSWER) : -1;
    if (length < 0)
        ok = state->res_h_errno == HOST_NOT_FOUND || state->res_h_errno == NO_DATA;
    else
        ok = srv_parse(span_of(answer, (size_t)length < ANSWER ? (size_t)length : ANSWER), domain, implicit_tls,
                       targets + *n, &got, SRV_MAX - *n);
    *n += got;
    free(answer);
    return ok;
}

bool srv_lookup(const char *domain, const char *nameserver, struct srv_target *targets, size_t *n, struct err *e)
{
    struct __res_state state;
    uint64_t random = 0;
    bool ok;

    *n = 0;
    memset(&state, 0, sizeof state);
    if (!*domain || strlen(domain) >= SRV_NAME - 16 || res_ninit(&state) != 0)
        return err_set(e, FAULT_BAD, "%.60s: no domain to ask about", domain);
    ok = use_server(&state, nameserver) && service(&state, domain, true, targets, n) &&
         service(&state, domain, false, targets, n);
    res_nclose(&state);
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = 1; /* which of equal servers is no secret */
    if (!ok)
        return err_set(e, FAULT_TEMP, "%s: DNS does not answer", domain);
    if (*n == 0)
        return err_set(e, FAULT_GONE, "%s names no POP3 server (_pop3s._tcp, _pop3._tcp)", domain);
    srv_order(targets, *n, random);
    return true;
}
