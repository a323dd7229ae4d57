/* script.h - reads a transcript: see tests/transcripts/FORMAT.md. Does not know: engines, sockets. */
#ifndef RESTANTE_TESTS_SCRIPT_H
#define RESTANTE_TESTS_SCRIPT_H

#include "base/buf.h"
#include "base/span.h"
#include "sim.h"

#include <regex.h>

enum { SCRIPT_STEPS = 512, SCRIPT_USERS = 24, SCRIPT_CONF = 16, SCRIPT_MAILBOX = 64, SCRIPT_IDS = 32 };

enum step_kind {
    STEP_SEND, STEP_GLOB, STEP_EXACT, STEP_REGEX, STEP_SOME, STEP_NONE, STEP_BODY, STEP_TLS, STEP_CLOSE, STEP_EOF
};

struct step {
    enum step_kind kind;
    unsigned line;
    struct buf data;      /* octets, or the glob as it stands */
    regex_t regex;
};

struct setting {
    char *name, *value;
};

enum script_start { START_GREETING, START_AZ, START_TX };

struct script {
    char *path;           /* GROUP/NAME.pop */
    char *title;
    char *ids[SCRIPT_IDS];
    unsigned nids;
    struct buf mail[SCRIPT_MAILBOX];
    struct span mailbox[SCRIPT_MAILBOX];
    unsigned nmailbox;
    bool has_mailbox;
    enum script_start start;
    char *tls, *only, *apop, *after, *fault;
    struct sim_user users[SCRIPT_USERS + 1]; /* of the transcript alone */
    unsigned nusers;
    struct setting conf[SCRIPT_CONF];
    unsigned nconf;
    struct step steps[SCRIPT_STEPS];
    unsigned nsteps;
    char error[200];      /* "LINE: what is wrong", empty when the file is good */
};

/* Loads fixtures.txt; aborts when it is not as it should be. */
void fixtures_load(const char *path);
void fixtures_free(void);
struct span fixture(struct span name); /* p == NULL: there is none */

/* Octets of a quoted text whose quote stands at the front of *in; false: malformed. */
bool script_unquote(struct span *in, struct buf *out);

bool glob_match(struct span glob, struct span line);

struct script *script_read(const char *path); /* never NULL; see error */
struct script *script_of(struct span text, const char *path);
void script_free(struct script *s);

#endif
