/* mdname.h - the names of messages in a Maildir: what they say, and how new ones are made.
 *
 *   1700000000.M123456P77Q1R0123456789abcdef.host,S=54,W=60:2,FS
 *   \___________________ base ___________________/\_ fields_/\info/
 *
 * A message is the same message as long as its base is the same: flags, size hints and the directory
 * change during its life (rows MD-10, R1939-UIDL-05). Spans point into the name given. Pure.
 * Does not know: directories, what a size hint is worth (nothing, without the file: MDPP-02).
 */
#ifndef RESTANTE_MAIL_MDNAME_H
#define RESTANTE_MAIL_MDNAME_H

#include "base/span.h"

enum {
    MDNAME_MAX = 255, /* NAME_MAX of every file system that matters */
    MDNAME_ROOM = MDNAME_MAX + 1,
    MDNAME_UID = 70 /* RFC 1939 §7: a UIDL is 1..70 octets */
};

struct mdname {
    struct span base;  /* up to the first ',' or the info part */
    struct span info;  /* behind ":2," or ":1,"; empty without one */
    bool has_info;     /* there is ":2," or ":1," */
    bool experimental; /* the info part is ":1,": never changed by us (MD-06) */
    bool has_when;     /* the base begins with a number and a dot */
    uint64_t when;     /* that number: seconds since 1970 */
    uint32_t usec;     /* M… (all) or H… (Exim) of the second part; 0 without */
    bool has_size, has_wire;
    uint64_t size, wire; /* hints S=, W= (MDPP-01, -02) */
};

struct mdname mdname_parse(struct span name);

/* The base alone, at less cost. */
struct span mdname_base(struct span name);

/* Is it a name that can be a message: no leading dot, no '/', 1..255 octets (MD-07). */
bool mdname_is_message(struct span name);

/* Oldest first: time, microseconds, base as octets (MD-14). Flags and hints do not take part. */
int mdname_compare(const struct mdname *a, const struct mdname *b);

/* May the base stand as a UIDL as it is: 1..70 of A-Z a-z 0-9 . _ - = : and not "h-…", which marks hashes
 * (R1939-UIDL-03, -07). */
bool mdname_is_uid(struct span base);

bool mdname_has_flag(struct span name, char flag);

/* Writes name with the flag added in its place (ASCII order, each once, unknown ones kept) or, with flag 0,
 * with an info part if it has none: what it is called in cur/. Returns the length; 0 = it would be too
 * long, or its info part is experimental. dst is NUL-terminated. */
size_t mdname_in_cur(char dst[MDNAME_ROOM], struct span name, char flag);

/* What makes a new name unique (MD-04). */
struct mdname_seed {
    uint64_t when; /* seconds */
    uint32_t usec;
    uint32_t pid;
    uint64_t sequence; /* deliveries of this process so far */
    uint64_t random;
    const char *host;
};

/* A new base; the host is escaped ('/' as \057, ':' as \072 …) and cut so that the base can be a UIDL. */
size_t mdname_unique(char dst[MDNAME_ROOM], const struct mdname_seed *seed);

/* base,S=size,W=wire */
size_t mdname_sized(char dst[MDNAME_ROOM], struct span base, uint64_t size, uint64_t wire);

/* A second name for a message whose base another one has: base-<16 hex>, hints and info kept. Too long: 0. */
size_t mdname_twin(char dst[MDNAME_ROOM], struct span name, uint64_t random);

#endif
