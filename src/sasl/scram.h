/* scram.h - SCRAM, server side, as a pure exchange (RFC 5802, RFC 7677, RFC 9266, RFC 5929).
 *
 * Three calls: scram_first takes client-first and finds out who it is; the caller looks the user up and hands
 * the keys to scram_challenge, which makes server-first; scram_final checks client-final and makes
 * server-final. Randomness (the server's nonce) is given by the caller, so the RFC's examples run through the
 * same code. Why not GNU SASL's server here: see scram.c. Does not know: users, Base64 of POP3, TLS.
 */
#ifndef RESTANTE_SASL_SCRAM_H
#define RESTANTE_SASL_SCRAM_H

#include "base/buf.h"
#include "base/span.h"

enum scram_hash { SCRAM_SHA_256, SCRAM_SHA_1, SCRAM_HASHES };

enum {
    SCRAM_MAX_HASH = 32,
    SCRAM_MAX_SALT = 64,
    SCRAM_MIN_ITERATIONS = 1,        /* of keys that are read; new ones get at least 4096 */
    SCRAM_MAX_ITERATIONS = 10000000, /* what any client or hash worker here would still compute */
    SCRAM_NONCE = 24,                /* octets of server nonce text: Base64 of 18 random octets */
    SCRAM_MAX_MESSAGE = 8192
};

/* What a server keeps of a password (RFC 5802 §3). */
struct scram_keys {
    uint32_t iterations;
    uint8_t salt[SCRAM_MAX_SALT];
    size_t salt_n;
    uint8_t stored[SCRAM_MAX_HASH], server[SCRAM_MAX_HASH];
};

size_t scram_hash_octets(enum scram_hash hash);

/* "iterations,salt,StoredKey,ServerKey", Base64; strict. */
bool scram_keys_parse(struct span text, enum scram_hash hash, struct scram_keys *keys);
bool scram_keys_put(const struct scram_keys *keys, enum scram_hash hash, struct buf *out);

/* Derives the keys of a prepared password; salt and iterations are already in *keys. */
bool scram_keys_derive(enum scram_hash hash, struct span password, struct scram_keys *keys);

/* Keys for a user that does not exist: the salt is a keyed hash of the name, so it stays the same from try to
 * try (RFC 4422 §3.6: nobody learns who exists); the keys fit no password. Iterations and salt_n (at most 32)
 * are already in *keys, like those of real accounts. */
bool scram_keys_fake(struct span secret, struct span name, struct scram_keys *keys);

enum scram_verdict {
    SCRAM_OK,
    SCRAM_MALFORMED, /* not a SCRAM message, or not one of this exchange: no matter of credentials */
    SCRAM_BINDING,   /* wrong flag, unknown type, wrong data: what a downgrade or a man in the middle looks like */
    SCRAM_REFUSED    /* the proof is wrong */
};

/* What the connection can bind to; empty = that type is not available on it. */
struct scram_link {
    bool plus;         /* the client chose the -PLUS mechanism */
    bool plus_offered; /* a -PLUS variant was announced on this connection: the flag "y" is a downgrade */
    struct span unique, exporter; /* tls-unique, tls-exporter */
};

struct scram {
    enum scram_hash hash;
    struct buf first;   /* client-first as received */
    size_t bare;        /* where client-first-bare begins in it: before it stands the gs2-header */
    struct buf binding; /* data of the binding that the client chose */
    struct buf challenge; /* server-first */
    size_t nonce_n;     /* the combined nonce is the first nonce_n octets behind "r=" of it */
    struct scram_keys keys;
    struct buf user, authzid; /* decoded (=2C, =3D), as received otherwise */
};

void scram_init(struct scram *s, enum scram_hash hash);
void scram_wipe(struct scram *s);

enum scram_verdict scram_first(struct scram *s, const struct scram_link *link, struct span message);

/* nonce: printable ASCII without a comma. The challenge is in s->challenge. */
bool scram_challenge(struct scram *s, const struct scram_keys *keys, struct span nonce);

/* A fresh server nonce. */
void scram_nonce(uint8_t nonce[SCRAM_NONCE]);

/* Appends server-final ("v=…") to out when the proof is right. */
enum scram_verdict scram_final(struct scram *s, struct span message, struct buf *out);

#endif
