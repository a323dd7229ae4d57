/* reply.h - a reply is a value; one function turns it into octets.
 *
 * A handler returns its reply, so that one command has one reply by its type. The encoder keeps the rules: at
 * most 512 octets with CRLF (RFC 1939 §3), printable, a SP and text behind the status word (R1957-01), no text
 * that looks like a response code (RFC 2449 §8). Nothing that a client sent is ever repeated.
 * Does not know: multi-line bodies (listing.h), commands.
 */
#ifndef RESTANTE_POP3_REPLY_H
#define RESTANTE_POP3_REPLY_H

#include "pop3/engine.h"
#include "pop3/text.h"

enum verdict {
    REPLY_OK,
    REPLY_ERR,
    REPLY_LATER, /* a request stands; the reply comes with its answer */
    REPLY_READY, /* SASL: "+ ", the empty challenge (RFC 5034 §4) */
    REPLY_ONE    /* "+OK" and one line of a listing: LIST n, UIDL n */
};

/* The lists that listing.h can make. */
enum listing_kind { LISTING_NONE, LISTING_LIST, LISTING_UIDL, LISTING_CAPA, LISTING_MECHS, LISTING_LANGS };

struct reply {
    enum verdict verdict;
    enum resp_code code;
    enum text_id text;
    enum listing_kind list; /* follows the status line, or with REPLY_ONE is its text */
    uint32_t item;          /* REPLY_ONE: which */
    bool bad;               /* counts towards the limit on bad commands */
    uint64_t n[2];          /* for each # of the text */
    const char *arg;        /* for the @ of the text; made printable, "<", ">" and a first "[" taken out */
    const char *tail;       /* behind the text, as it is: the APOP timestamp */
};

static inline struct reply reply_ok(enum text_id text)
{
    return (struct reply){ .verdict = REPLY_OK, .text = text };
}

static inline struct reply reply_err(enum resp_code code, enum text_id text)
{
    return (struct reply){ .verdict = REPLY_ERR, .code = code, .text = text };
}

static inline struct reply reply_bad(enum resp_code code, enum text_id text)
{
    return (struct reply){ .verdict = REPLY_ERR, .code = code, .text = text, .bad = true };
}

static inline struct reply reply_later(void)
{
    return (struct reply){ .verdict = REPLY_LATER };
}

/* Writes the status line of REPLY_OK, REPLY_ERR or REPLY_READY; the same octets at each call. */
size_t reply_encode(const struct reply *r, enum lang lang, uint8_t dst[LIMIT_REPLY_LINE]);

#endif
