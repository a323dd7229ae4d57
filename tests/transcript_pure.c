/* transcript_pure.c - replays transcripts (tests/transcripts/FORMAT.md) against the pure engine, prints
 * TAP.
 *
 *     transcript_pure [--results FILE] FILE...
 */
#include "play.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANDOM_REPLAYS = 50 };

static const char *const cut_names[] = { "whole", "octet by octet", "cut at random",
                                         "all at once" };

static bool replay(const struct script *s, const struct replay *how, struct buf *error)
{
    bool good = play(s, how, error);

    if (!good && !buf_printf(error, " [door %s, %s", door_names[how->door], cut_names[how->cuts]))
        abort();
    if (!good && !buf_printf(error, how->cuts == CUTS_RANDOM ? ", seed %u]" : "]", how->seed))
        abort();
    return good;
}

static bool replay_all(const struct script *s, enum door door, struct buf *error)
{
    if (!replay(s, &(struct replay){ door, CUTS_WHOLE, 1 }, error) ||
        !replay(s, &(struct replay){ door, CUTS_OCTETS, 1 }, error))
        return false;
    for (uint32_t seed = 1; seed <= RANDOM_REPLAYS; seed++)
        if (!replay(s, &(struct replay){ door, CUTS_RANDOM, seed }, error))
            return false;
    return play_has_tls(s) || replay(s, &(struct replay){ door, CUTS_NONE, 1 }, error);
}

static bool run(const struct script *s, struct buf *error)
{
    enum door doors[DOOR_N];
    unsigned n = stage_doors(s, doors);

    if (s->error[0] || n == 0) {
        if (!buf_printf(error, "line %s", s->error[0] ? s->error : "?: tls: no such door"))
            abort();
        return false;
    }
    for (unsigned i = 0; i < n; i++)
        if (!replay_all(s, doors[i], error))
            return false;
    return true;
}

/* False: failed. */
static bool one(const char *path, unsigned number, FILE *results)
{
    struct script *s = script_read(path);
    struct buf error = BUF(1u << 20);
    bool skip = !s->error[0] && s->only && strcmp(s->only, "live") == 0;
    bool good = skip || run(s, &error);

    printf("%sok %u - %s%s\n", good ? "" : "not ", number, path, skip ? " # SKIP only: live" : "");
    if (!good)
        printf("# %s: %.*s\n", s->path, (int)error.n, (const char *)error.p);
    fflush(stdout);
    for (unsigned i = 0; i < s->nids && results && !skip; i++)
        fprintf(results, "%s\ttranscript:%s\t%s\n", s->ids[i], s->path, good ? "pass" : "fail");
    buf_free(&error);
    script_free(s);
    return good;
}

/* fixtures.txt stands in the folder transcripts, above the transcript. */
static void load_fixtures(const char *path)
{
    char *copy = mem_str(path);
    struct buf name = BUF(65536);
    const char *group = dirname(copy);
    char *file;

    if (!buf_printf(&name, "%s/../fixtures.txt", group))
        abort();
    file = mem_strn(buf_span(&name));
    fixtures_load(file);
    free(file);
    free(copy);
    buf_free(&name);
}

int main(int argc, char **argv)
{
    FILE *results = NULL;
    int first = 1, failed = 0;

    if (argc > 2 && strcmp(argv[1], "--results") == 0) {
        results = fopen(argv[2], "w");
        first = 3;
    }
    if (first == argc || (first == 3 && !results)) {
        fprintf(stderr, "usage: transcript_pure [--results FILE] FILE...\n");
        return 2;
    }
    load_fixtures(argv[first]);
    printf("1..%d\n", argc - first);
    for (int i = first; i < argc; i++)
        failed += !one(argv[i], (unsigned)(i - first + 1), results);
    if (results && fclose(results) != 0)
        return 2;
    fixtures_free();
    return failed ? 1 : 0;
}
