/* bench.h - an engine on the bench: a transcript's header sets it up, the test talks to it. */
#ifndef RESTANTE_TESTS_BENCH_H
#define RESTANTE_TESTS_BENCH_H

#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct bench {
    struct stage stage;
    struct sim *sim; /* stage.sim */
    struct script *script;
    size_t at;  /* of the output: what has been looked at */
    char *last; /* what ask returned */
};

/* header: lines as in a transcript, "" for maildrop A at the door stls. The greeting has been
 * read. */
struct bench *bench(const char *header);
/* The same, not yet started: the test may still change sim->conf and sim->link. */
struct bench *bench_set(const char *header);
void bench_start(struct bench *b);
/* The same with bob logged in. */
struct bench *bench_in(const char *header);
void bench_end(struct bench *b);

/* Sends and returns the octets that came back; valid until the next call. */
struct span ask_span(struct bench *b, struct span text);
const char *ask(struct bench *b, const char *text);

/* The answer to text is exactly this, or begins so. */
void expect(struct bench *b, const char *text, const char *answer);
void expect_head(struct bench *b, const char *text, const char *head);

/* Glue for string.h without including it everywhere. */
bool begins(const char *text, const char *head);

#endif
