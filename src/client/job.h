/* job.h - what the fetcher is told about one session: a flat list of "name=value" lines, one row per field.
 *
 * Its first line is the version of the program, which is to be that of the fetcher too: both are parts of one client.
 * Made from an account by the writer; secrets and files travel apart (LINK_SECRET, LINK_FILE).
 * Does not know: configuration files, what happens to messages.
 */
#ifndef RESTANTE_CLIENT_JOB_H
#define RESTANTE_CLIENT_JOB_H

#include "base/buf.h"
#include "base/err.h"

enum { JOB_TEXT = 32 * 1024, JOB_PINS = 16 };

struct job {
    char *host, *user, *authzid, *srv_domain, *sasl_name;
    char *pins;                          /* 64 hex digits each, blanks between */
    char *proxy_user, *proxy_password;
    uint32_t port;
    uint32_t tls, auth, verify;          /* enum dialog_tls, dialog_auth, tls_verify */
    uint32_t mechs, top_lines;
    uint32_t connect_s, reply_s, read_s; /* deadlines: handshake; one answer; silence within an answer */
    uint64_t window, max_octets;
    bool use_proxy, srv_implicit, tls13_only, plaintext_auth, one_line_auth, use_capa, use_pipelining, force_pipelining;
    bool lf_dot_ends, apop_after_stls, login_only, no_login, want_uidl, trace, has_certificate, force_utf8;
};

bool job_put(const struct job *job, struct buf *out);
bool job_parse(struct span text, struct job *job, struct err *e);
void job_free(struct job *job); /* what job_parse made; wipes the proxy's password */

#endif
