/* wiresize.c - counts a message by the filter that sends it: see wiresize.h. */
#include "pop3/wiresize.h"

static bool has_8bit(struct span s)
{
    uint8_t all = 0;

    for (size_t i = 0; i < s.n; i++)
        all |= s.p[i];
    return all > 0x7f;
}

void wiresize_init(struct wiresize *w)
{
    *w = (struct wiresize){ .filter = STUFF_START, .header = TOPCUT_START(0) };
}

void wiresize_feed(struct wiresize *w, struct span in)
{
    struct span rest = in, run;

    if (!w->header.done && has_8bit(topcut_take(&w->header, &rest)))
        w->header_8bit = true;
    while (in.n) {
        switch (stuff_next(&w->filter, &in, &run)) {
        case STUFF_CR: w->repaired = true; break;
        case STUFF_DOT: w->dotted = true; continue;
        case STUFF_RUN: break;
        }
        w->octets += run.n;
    }
}

void wiresize_end(struct wiresize *w)
{
    if (w->filter.at_bol)
        return;
    w->octets += 2;
    w->repaired = true;
    w->filter = STUFF_START;
}
