/* net_addr.c - IP addresses and networks as octets: see net_addr.h. Pure. */
#include "base/net_addr.h"

#include "base/num.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t v4_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool is_v4(const struct net_addr *a)
{
    return memcmp(a->b, v4_prefix, sizeof v4_prefix) == 0;
}

void net_addr_text(const struct net_addr *a, char text[NET_ADDR_TEXT])
{
    if (is_v4(a))
        inet_ntop(AF_INET, a->b + 12, text, NET_ADDR_TEXT);
    else
        inet_ntop(AF_INET6, a->b, text, NET_ADDR_TEXT);
}

static bool parse_host(const char *text, uint8_t b[16])
{
    if (inet_pton(AF_INET6, text, b) == 1)
        return true;
    if (inet_pton(AF_INET, text, b + 12) != 1)
        return false;
    memcpy(b, v4_prefix, sizeof v4_prefix);
    return true;
}

/* Copies the n octets at text as a C string; false when they do not fit. */
static bool host_text(const char *text, size_t n, char host[NET_ADDR_TEXT])
{
    if (n == 0 || n >= NET_ADDR_TEXT)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    return true;
}

bool net_block_parse(const char *text, struct net_block *block)
{
    const char *slash = strchr(text, '/');
    char host[NET_ADDR_TEXT];
    struct net_addr a = { { 0 }, 0 };
    uint64_t bits;

    if (!host_text(text, slash ? (size_t)(slash - text) : strlen(text), host) ||
        !parse_host(host, a.b))
        return false;
    memcpy(block->b, a.b, sizeof block->b);
    block->bits = 128;
    if (!slash)
        return true;
    if (!num_all_u64(span_str(slash + 1), &bits) || bits > (is_v4(&a) ? 32 : 128))
        return false;
    block->bits = (unsigned)bits + (is_v4(&a) ? 96 : 0);
    return true;
}

bool net_block_has(const struct net_block *block, const struct net_addr *a)
{
    unsigned whole = block->bits / 8, rest = block->bits % 8;

    if (memcmp(block->b, a->b, whole) != 0)
        return false;
    return rest == 0 || (block->b[whole] ^ a->b[whole]) >> (8 - rest) == 0;
}

bool net_addr_parse(const char *text, struct net_addr *a)
{
    const char *colon = strrchr(text, ':');
    char host[NET_ADDR_TEXT];
    uint64_t port;

    if (!colon || !num_all_u64(span_str(colon + 1), &port) || port > 65535)
        return false;
    if (!host_text(text, (size_t)(colon - text), host))
        return false;
    memset(a, 0, sizeof *a);
    a->port = (uint16_t)port;
    if (strcmp(host, "*") == 0)
        return true; /* [::], which also takes IPv4 */
    if (host[0] == '[') {
        size_t n = strlen(host);

        if (host[n - 1] != ']')
            return false;
        host[n - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, a->b) == 1;
    }
    if (inet_pton(AF_INET, host, a->b + 12) != 1)
        return false;
    memcpy(a->b, v4_prefix, sizeof v4_prefix);
    return true;
}

bool net_addr_from(const struct sockaddr *sa, struct net_addr *a)
{
    memset(a, 0, sizeof *a);
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)sa;

        memcpy(a->b, v4_prefix, sizeof v4_prefix);
        memcpy(a->b + 12, &in->sin_addr, 4);
        a->port = ntohs(in->sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;

        memcpy(a->b, &in6->sin6_addr, 16);
        a->port = ntohs(in6->sin6_port);
        return true;
    }
    return false;
}

unsigned net_addr_to(const struct net_addr *a, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof *ss);
    if (is_v4(a)) {
        struct sockaddr_in *in = (void *)ss;

        in->sin_family = AF_INET;
        memcpy(&in->sin_addr, a->b + 12, 4);
        in->sin_port = htons(a->port);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (void *)ss;

    in6->sin6_family = AF_INET6;
    memcpy(&in6->sin6_addr, a->b, 16);
    in6->sin6_port = htons(a->port);
    return sizeof *in6;
}

void net_addr_key(const struct net_addr *a, uint8_t key[16])
{
    memcpy(key, a->b, 16);
    if (!is_v4(a))
        memset(key + 8, 0, 8);
}
