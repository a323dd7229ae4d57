/* sink_impl.h - what the kinds of destinations share behind sink.h.
 *
 * A kind (sink_ops) says where its spool files stand and what a commit does; octets, line ends, digests, limits and
 * the life of an item are the same for all (sink.c, sink_body.c). Nothing in a sink changes after sink_open but
 * "began", "opened" and the table of names, and these only before the first commit: the loop spools while a worker commits.
 * Does not know: POP3, the journal's database.
 */
#ifndef RESTANTE_CLIENT_SINK_IMPL_H
#define RESTANTE_CLIENT_SINK_IMPL_H

#include "client/sink.h"
#include "mail/identity.h"
#include "mail/mdname.h"
#include "pop3/wiresize.h"
#include "store/mddir.h"

#include <openssl/evp.h>

enum { SINK_PIECE = 65536, SINK_TAG = 8 };

struct sink_ops {
    bool exact;     /* a commit can be repeated */
    bool keep_crlf; /* whatever sink_conf.crlf says */
    bool (*open)(struct sink *s, struct err *e);
    void (*commit)(struct sink *s, struct sink_item *items);
    bool (*recover)(struct sink *s, struct entry *entry, bool *stored, struct err *e);
    bool (*verify)(struct sink *s, const struct entry *entry, struct err *e);
};

extern const struct sink_ops sink_maildir, sink_mbox, sink_lmtp, sink_command;

/* A name in new/ or cur/ of a Maildir, for recovery and "verify". */
struct sink_seen {
    char *name;
    size_t base; /* octets of it that are its base */
    enum md_sub sub;
};

struct sink {
    struct sink_conf conf; /* its strings are copies */
    const struct sink_ops *ops;
    sink_note *note;
    void *ctx;
    struct mddir dir; /* Maildir */
    int spool;        /* directory of spool files: tmp/ of the Maildir, or conf.spool_dir */
    int folder;       /* mbox: the directory of the folder */
    char *file;       /* mbox: the folder's name in it */
    char tag[SINK_TAG + 1];
    bool keep_crlf, began;
    int64_t opened; /* ns since 1970 */
    bool listed;
    struct sink_seen *seen;
    size_t seen_n, seen_room;
};

/* item->state. */
struct sink_body {
    EVP_MD_CTX *wire, *stored; /* wire: of what identifies it */
    struct identity identity;
    struct buf out;
    uint64_t octets, stored_octets, checked; /* checked: octets at the last look at the free space */
    int64_t when;                            /* mbox: of the From_ line */
    bool has_cr;                             /* a CR waits for what follows it */
    bool is_mbox, has_line, at_start, ended; /* at_start: only '>' so far in this line; ended: last octet is LF */
    size_t from;                             /* octets of "From " matched and not yet written */
    bool has_sizes;
    struct wiresize sizes;
    uint64_t stored_wire; /* what POP3 would call the size of the stored form */
};

/* sink_body.c: digests, line ends, quoting, limits, buffered writing. False: item->result and item->err are set. */
bool body_begin(struct sink *s, struct sink_item *item);
bool body_write(struct sink *s, struct sink_item *item, struct span data);
bool body_end(struct sink *s, struct sink_item *item);
void body_free(struct sink_item *item);

/* Of what is stored in a file from an offset: digests of the stored and (line ends restored, mbox: unquoted) the sent form. */
struct sink_digests {
    uint64_t stored_octets, octets;
    uint8_t stored[JOURNAL_DIGEST], wire[JOURNAL_DIGEST];
};
bool digests_of_file(int fd, uint64_t at, uint64_t length, bool keep_crlf, struct sink_digests *d);

/* sink_note.c: entry.note, "OFFSET LENGTH SHA256 OCTETS SHA256-ON-THE-WIRE SECONDS"; Maildir: OFFSET is "-". */
struct sink_mark {
    bool has_offset;
    uint64_t offset, length, octets, when;
    uint8_t stored[JOURNAL_DIGEST], wire[JOURNAL_DIGEST];
};
void mark_put(struct entry *entry, const uint64_t *offset, int64_t when);
bool mark_get(const struct entry *entry, struct sink_mark *mark);
enum { FROM_LINE = 64 };
size_t from_line(char line[FROM_LINE], int64_t when, bool keep_crlf);

/* sink_spool.c: the folder of spool files, and the names that are ours. */
bool spool_open(struct sink *s, struct err *e);
bool spool_is_ours(const struct sink *s, struct span name);
bool spool_path_trusted(const char *path, struct err *e); /* C-27 */
typedef bool spool_visit(void *ctx, const char *name);
bool spool_list(int dir, spool_visit *visit, void *ctx);
void spool_start_writing(int fd);

/* Ends of an item: closes, removes the spool file, frees. result and err say what became of it. */
void item_done(struct sink *s, struct sink_item *item, enum sink_result result);
void item_failed(struct sink *s, struct sink_item *item, enum sink_result result, const char *what); /* errno */
void item_close(struct sink_item *item);

/* sink_find.c: the table of names of a Maildir. */
const struct sink_seen *find_name(struct sink *s, const char *base, struct err *e);
void find_forget(struct sink *s);

/* sink_mbox_lock.c: a folder that is open, locked and still the one of its name. */
struct mbox {
    int fd;
    bool has_dot;
    uint64_t octets;
};
bool mbox_lock(struct sink *s, struct mbox *m, bool create, struct err *e);
void mbox_unlock(struct sink *s, struct mbox *m);

/* sink_mbox_recover.c */
bool mbox_recover(struct sink *s, struct entry *entry, bool *stored, struct err *e);
bool mbox_verify(struct sink *s, const struct entry *entry, struct err *e);
bool mbox_truncate(int fd, uint64_t octets);

/* sink_lmtp_peer.c: one connection. Replies are bounded; false: text in e, the connection is of no use any more. */
struct lmtp {
    int fd;
    uint32_t timeout_s;
    bool has_size, has_8bit;
    struct buf in;
    uint8_t out[SINK_PIECE];
    size_t out_n;
    unsigned code;
    char text[160]; /* of the last reply, clean */
};
bool lmtp_connect(struct lmtp *c, const char *target, struct err *e);
bool lmtp_reply(struct lmtp *c, struct err *e);
bool lmtp_send(struct lmtp *c, struct span s, struct err *e); /* collected in out */
bool lmtp_flush(struct lmtp *c, struct err *e);
void lmtp_close(struct lmtp *c);

#endif
