/* fuzz_sasl_client.c - libFuzzer entry: any octets as a server's challenges to the client's mechanisms.
 *
 * The first octet chooses mechanism and bindings; challenges are divided by 0xFE. "%" at the start of one stands for
 * "r=" and our own nonce, else no input would get past it. No input knows the password: SCRAM that counts as complete
 * is a crash, and so is an iteration count over the bound of this test.
 */
#include "sasl/client.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "EXTERNAL",
                                     "OAUTHBEARER", "XOAUTH2" };

/* client-first ends in "r=" and the nonce. */
static bool put_challenge(struct buf *out, struct span line, const struct buf *first)
{
    size_t at = first->n;

    if (!line.n || line.p[0] != '%')
        return buf_put_span(out, line);
    while (at && first->p[at - 1] != ',')
        at--;
    span_take(&line, 1);
    return buf_put(out, first->p + at, first->n - at) && buf_put_span(out, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct sasl_client_conf conf = { .user = "bob", .password = span_str("4 words no input has"), .token = span_str("tok"),
                                     .host = "mx", .port = 995, .tls = true, .has_certificate = true, .min_iterations = 1 };
    struct buf first = BUF(10000), challenge = BUF(100000), response = BUF(100000);
    struct sasl_client *c;
    bool has_initial = false, good;
    uint8_t choice;

    if (!size || memmem(data, size, "i=", 2) != memmem(data, size, "i=1,", 4)) /* keeps PBKDF2 short */
        return 0;
    choice = *span_take(&in, 1).p;
    conf.binding_exporter = span_str("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
    conf.binding_unique = span_str(choice & 8 ? "uuuuuuuuuuuu" : "");
    c = sasl_client_new(&conf, NULL);
    if (!c || !sasl_client_start(c, span_str(names[choice & 7]), &first, &has_initial))
        abort();
    for (int lines = 0; lines < 6; lines++) {
        challenge.n = response.n = 0;
        if (!put_challenge(&challenge, span_until(&in, 0xfe), &first))
            break;
        good = sasl_client_step(c, buf_span(&challenge), &response);
        if (!good && (response.n || !sasl_client_why(c)[0]))
            abort();
        if (names[choice & 7][0] == 'S' && sasl_client_complete(c))
            abort();
    }
    sasl_client_free(&c);
    buf_free(&first);
    buf_free(&challenge);
    buf_free(&response);
    return 0;
}
