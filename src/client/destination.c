/* destination.c - settings become a sink: see destination.h. Does not know: messages. */
#include "client/destination.h"

#include <limits.h>
#include <stdio.h>

bool destination_open(const struct destination *d, struct sink **s, struct err *e)
{
    const struct account *a = d->account;
    char spool[PATH_MAX];
    struct sink_conf conf = {
        .kind = a->sink,
        .target = a->sink_target,
        .spool_dir = spool,
        .account = a->name,
        .crlf = a->line_ends == 1,
        .size_fields = a->size_fields,
        .received_line = a->received_line,
        .host = d->host,
        .recipient = a->recipient,
        .sender = a->sender,
        .timeout_s = a->reply_s,
        .max_octets = a->max_message,
        .reserve_octets = a->disk_reserve,
    };

    if ((size_t)snprintf(spool, sizeof spool, "%s/spool/%s", d->state_dir, a->name) >= sizeof spool)
        return err_set(e, FAULT_BAD, "the path of the state folder is too long");
    return sink_open(&conf, d->note, d->ctx, s, e);
}
