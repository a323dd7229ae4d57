/* conf_near.c - distance of names by edits: see conf_near.h. */
#include "conf/conf_near.h"

enum { NAME_MAX_OCTETS = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Edits (insert, remove, replace) between two names; long names are not near to anything. */
static size_t distance(struct span a, struct span b)
{
    size_t row[NAME_MAX_OCTETS + 1];

    if (a.n > NAME_MAX_OCTETS || b.n > NAME_MAX_OCTETS)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t above = row[j], differ = ascii_lower(a.p[i - 1]) != ascii_lower(b.p[j - 1]);

            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + differ);
            diagonal = above;
        }
    }
    return row[b.n];
}

struct near near_begin(const char *name)
{
    size_t n = strlen(name);

    return (struct near){ name, NULL, n < 5 ? 2 : n < 9 ? 3 : 4 };
}

void near_try(struct near *near, const char *candidate)
{
    size_t d = distance(span_str(near->name), span_str(candidate));

    if (d < near->distance) {
        near->distance = d;
        near->best = candidate;
    }
}
