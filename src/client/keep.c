/* keep.c - the rule of what stays on the server: "all", "none", "14d", "newest 500", "until 80% of 2G".
 * Pure. Does not know: messages (plan.c applies it). For its form see client/settings.h.
 */
#include "client/settings_rows.h"

#include "base/num.h"

#include <stdio.h>

static bool take_word(struct span *in, const char *word)
{
    struct span rest = *in, first;

    while (rest.n && rest.p[0] == ' ')
        span_take(&rest, 1);
    first = span_until(&rest, ' ');
    if (!span_iis(first, word))
        return false;
    while (rest.n && rest.p[0] == ' ')
        span_take(&rest, 1);
    *in = rest;
    return true;
}

static bool days(struct span in, struct keep *keep)
{
    struct keep k = { .kind = KEEP_DAYS };
    struct span unit = in;

    if (!num_take_u32(&unit, &k.days) || k.days == 0 || k.days > 36500 || unit.n == 0)
        return false;
    if (!span_iis(unit, "d") && !span_iis(unit, " days") && !span_iis(unit, " day"))
        return false;
    *keep = k;
    return true;
}

static bool newest(struct span in, struct keep *keep)
{
    struct keep k = { .kind = KEEP_NEWEST };

    if (!take_word(&in, "newest") || !num_take_u32(&in, &k.newest) || in.n || k.newest == 0)
        return false;
    *keep = k;
    return true;
}

static bool until(struct span in, struct keep *keep)
{
    struct keep k = { .kind = KEEP_UNTIL };

    if (!take_word(&in, "until") || !num_take_u32(&in, &k.percent) || !take_word(&in, "%") ||
        !take_word(&in, "of") || !size_parse(in, &k.octets))
        return false;
    if (k.percent == 0 || k.percent > 100 || k.octets == 0)
        return false;
    *keep = k;
    return true;
}

bool keep_parse(const char *text, struct keep *keep, struct err *e)
{
    struct span in = span_str(text);

    if (span_iis(in, "all") || span_iis(in, "none")) {
        *keep = (struct keep){ .kind = span_iis(in, "all") ? KEEP_ALL : KEEP_NONE };
        return true;
    }
    if (days(in, keep) || newest(in, keep) || until(in, keep))
        return true;
    return err_set(e, FAULT_BAD,
                   "\"%.60s\" is no rule; write all, none, \"14d\", \"newest 500\" or \"until 80%% of 2G\"", text);
}

void keep_print(const struct keep *keep, char text[64])
{
    struct buf size = BUF(32);

    switch (keep->kind) {
    case KEEP_ALL: snprintf(text, 64, "all"); break;
    case KEEP_NONE: snprintf(text, 64, "none"); break;
    case KEEP_DAYS: snprintf(text, 64, "%ud", keep->days); break;
    case KEEP_NEWEST: snprintf(text, 64, "newest %u", keep->newest); break;
    case KEEP_UNTIL:
        if (size_put(&size, keep->octets))
            snprintf(text, 64, "until %u%% of %.*s", keep->percent, (int)size.n, (const char *)size.p);
        break;
    }
    buf_free(&size);
}
