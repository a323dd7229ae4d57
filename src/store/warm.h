/* warm.h - what a store process remembers of the maildrops it opened: their listings, and how to tell that these
 * are still true.
 *
 * For each maildrop two inotify watches, on new/ and cur/, placed before the scan that made its listing. The kernel
 * queues an event within the very system call that changes a file, so after reading the queue the table holds for
 * each maildrop the names that were touched since: a listing is true but for these. A visit takes a maildrop's names
 * out, looks at them (mdrecall.h) and leaves a listing that is true again; meanwhile new names are gathered.
 *
 * Remembered are only maildrops on file systems that no other host changes. A message with a second name can be
 * changed where nobody watches: such are kept apart, to be looked at each time. When the queue overflows, a watch
 * cannot be placed or a directory itself changes, what was remembered is forgotten. Bounded: the maildrop that was
 * not asked for longest makes room. Any thread. Does not know: policies, locks, how listings are made.
 */
#ifndef RESTANTE_STORE_WARM_H
#define RESTANTE_STORE_WARM_H

#include "base/buf.h"
#include "store/mdstate.h"
#include "store/mdview.h"

struct warm;
struct warm_visit;

enum { WARM_MAILDROPS = 4096, WARM_NAMES = 256 };

/* 0: the usual. */
struct warm_limits {
    uint32_t maildrops, names;
};

struct warm_name {
    uint32_t at; /* in text, ends with a NUL */
    uint8_t sub, octets;
    bool written; /* its content or its state was changed, not only its place */
    uint64_t size; /* of linked ones */
    int64_t mtime_ns;
};

struct warm_names {
    struct buf text;
    struct warm_name *v;
    uint32_t n, room;
    bool lost; /* there were too many */
};

struct warm_facts {
    struct mdview *view;
    struct md_state state; /* taken before the names were */
    bool legacy;           /* sizes of surrogates were counted */
    uint32_t in_new;       /* messages in new/ */
    uint64_t oldest;       /* when the first message arrived, seconds */
    uint64_t looked_ms;    /* when every message was looked at last */
    struct warm_names linked;
};

/* NULL when the kernel gives no queue: then every open looks at every message. */
struct warm *warm_new(struct warm_limits limits);
void warm_free(struct warm **w); /* NULL-safe; no visit is going on */

/* Reads the queue, so that it does not overflow while nobody logs in. */
void warm_drain(struct warm *w);

/* Is there anything to look for. */
bool warm_has(struct warm *w, const char *path);

/* What is remembered, when it is true as it stands; the caller leaves facts->view. linked is left out, and is empty. */
bool warm_look(struct warm *w, const char *path, struct warm_facts *facts);

/* Begins a visit of a remembered maildrop, or of one that shall be from now on: watches are placed, the caller
 * scans after that. NULL: not remembered or visited by another; cannot be remembered. */
struct warm_visit *warm_enter(struct warm *w, const char *path);
struct warm_visit *warm_begin(struct warm *w, const struct mddir *d);

struct warm_facts *warm_facts(struct warm_visit *v); /* the visitor's to change while the visit lasts */

/* Moves the names touched since to *names; *any tells whether there were such. False when they are too many or the watch was lost: then the
 * maildrop must be scanned, in a visit of its own. */
bool warm_take(struct warm *w, struct warm_visit *v, struct warm_names *names, bool *any);
/* Gives names back, for the next visit. */
void warm_give(struct warm *w, struct warm_visit *v, const struct warm_names *names);

/* Ends a visit; with keep the facts are those of the listing that is true but for the names not taken. */
void warm_end(struct warm *w, struct warm_visit *v, bool keep);

void warm_forget(struct warm *w, const char *path);

/* The name, added unless it is there. NULL, and all are lost, when that would be more than limit. */
struct warm_name *warm_name_add(struct warm_names *names, enum md_sub sub, const char *name, uint32_t limit);
const char *warm_name(const struct warm_names *names, uint32_t i);
void warm_names_free(struct warm_names *names);

#endif
