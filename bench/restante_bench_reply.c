/* restante_bench_reply.c - judges answers: see restante_bench_reply.h. */
#include "restante_bench_reply.h"

#include "base/num.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static enum verdict fail(struct session *s, const struct desk *desk, enum kind kind, struct span line)
{
    struct buf text = BUF(1024);

    text_put_clean(&text, line, 100);
    if (buf_put(&text, "", 1))
        session_fail(s, desk, kind, (const char *)text.p);
    buf_free(&text);
    return VERDICT_DONE;
}

/* "+OK" and "-ERR"; false: neither, or a refusal, and the session has failed. */
static bool is_ok(struct session *s, const struct desk *desk, struct span line)
{
    bool ok = line.n >= 3 && memcmp(line.p, "+OK", 3) == 0 && (line.n == 3 || line.p[3] == ' ');
    bool no = line.n >= 4 && memcmp(line.p, "-ERR", 4) == 0 && (line.n == 4 || line.p[4] == ' ');

    if (s->step == STEP_GREETING && !ok)
        fail(s, desk, KIND_GREETING, line);
    else if (no)
        fail(s, desk, s->step == STEP_USER || s->step == STEP_PASS ? KIND_LOGIN : KIND_REPLY, line);
    else if (!ok)
        fail(s, desk, KIND_SYNTAX, line);
    return ok;
}

static bool two_numbers(struct span line, uint64_t *a, uint64_t *b)
{
    struct span first = span_until(&line, ' '), second = span_until(&line, ' ');

    return num_all_u64(first, a) && num_all_u64(second, b);
}

/* What was there when the session began must be counted, and nothing that was never dropped. */
static bool posted(const struct session *s, const struct desk *desk)
{
    uint32_t at = s->user - desk->plan->first;
    struct post *p = desk->post;

    if (s->count < s->least || s->count > p->delivered[at])
        return false;
    if (s->count > p->seen[at]) {
        samples_add(&desk->tally->phase[PHASE_SEEN], now_ns() - p->since[at]);
        p->seen[at] = s->count;
        p->since[at] = now_ns();
    }
    return true;
}

static enum verdict take_stat(struct session *s, const struct desk *desk, struct span line)
{
    uint64_t count, octets;

    if (line.n < 4 || !two_numbers(span_of(line.p + 4, line.n - 4), &count, &octets) || count > UINT32_MAX / 4)
        return fail(s, desk, KIND_SYNTAX, line);
    s->count = (uint32_t)count;
    s->octets = octets;
    if ((s->drop && s->count != s->drop->n) || (desk->post && !posted(s, desk)))
        return fail(s, desk, KIND_COUNT, line);
    if (s->drop && s->octets != s->drop->octets)
        return fail(s, desk, KIND_SIZE, line);
    return VERDICT_DONE;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static enum verdict end_list(struct session *s, const struct desk *desk)
{
    s->in_list = false;
    if (s->rows != s->count)
        return fail(s, desk, KIND_COUNT, span_str("not as many rows as STAT said"));
    if (s->step == STEP_LIST && s->listed != s->octets)
        return fail(s, desk, KIND_SIZE, span_str("the sizes do not add up to what STAT said"));
    if (s->step == STEP_UIDL) {
        if (s->count)
            qsort(s->uids, s->count, sizeof *s->uids, by_number);
        for (uint32_t i = 1; i < s->count; i++)
            if (s->uids[i] == s->uids[i - 1])
                return fail(s, desk, KIND_UID, span_str("two messages have the same unique-id"));
    }
    return VERDICT_DONE;
}

static bool is_uid(struct span uid)
{
    for (size_t i = 0; i < uid.n; i++)
        if (uid.p[i] < 0x21 || uid.p[i] > 0x7e)
            return false;
    return uid.n >= 1 && uid.n <= 70;
}

static enum verdict take_row(struct session *s, const struct desk *desk, struct span line)
{
    struct span rest = line, number = span_until(&rest, ' ');
    uint64_t n, size;

    if (span_is(line, "."))
        return end_list(s, desk);
    if (!num_all_u64(number, &n))
        return fail(s, desk, KIND_SYNTAX, line);
    if (n != s->rows + 1 || n > s->count)
        return fail(s, desk, KIND_COUNT, line);
    if (s->step == STEP_UIDL) {
        struct digest d;

        if (!is_uid(rest))
            return fail(s, desk, KIND_UID, line);
        digest_start(&d);
        digest_put(&d, rest);
        s->uids[s->rows] = digest_end(&d);
    } else {
        if (!num_all_u64(span_until(&rest, ' '), &size))
            return fail(s, desk, KIND_SYNTAX, line);
        s->sizes[s->rows] = size;
        s->listed += size;
    }
    s->rows++;
    return VERDICT_MORE;
}

static enum verdict open_list(struct session *s)
{
    uint64_t *rows = mem_zero((size_t)s->count + 1, sizeof *rows);

    if (s->step == STEP_UIDL)
        s->uids = rows;
    else
        s->sizes = rows;
    s->in_list = true;
    return VERDICT_MORE;
}

/* A message is complete: is it one of the user's, and new? What is wrong with it does not end the session. */
static void end_message(struct session *s, const struct desk *desk)
{
    uint32_t number = s->answered / (desk->plan->dele ? 2 : 1), i;
    struct tally *t = desk->tally;

    s->in_body = false;
    s->answered++;
    t->messages++;
    t->octets += s->body.octets;
    if (s->sizes && s->sizes[number] != s->body.octets) {
        tally_error(t, KIND_SIZE, "message %" PRIu32 ": LIST said %" PRIu64 ", RETR sent %" PRIu64 " octets",
                    number + 1, s->sizes[number], s->body.octets);
        s->failed = true;
    }
    if (!s->drop)
        return;
    i = drop_find(s->drop, digest_end(&s->body.digest), s->body.octets, s->seen);
    if (i < DROP_TWICE) {
        s->seen[i / 8] |= (uint8_t)(1u << i % 8);
        t->proved++;
        return;
    }
    tally_error(t, i == DROP_TWICE ? KIND_TWICE : KIND_CONTENT, "%s: message %" PRIu32 " of %" PRIu64 " octets %s",
                s->drop->user, number + 1, s->body.octets,
                i == DROP_TWICE ? "came before" : "is none that was put there");
    s->failed = true;
}

enum verdict reply_take(struct session *s, const struct desk *desk, struct span line)
{
    if (s->in_body) {
        end_message(s, desk);
        return VERDICT_DONE;
    }
    if (s->in_list)
        return take_row(s, desk, line);
    if (!is_ok(s, desk, line))
        return VERDICT_DONE;
    switch (s->step) {
    case STEP_STAT: return take_stat(s, desk, line);
    case STEP_UIDL:
    case STEP_LIST: return open_list(s);
    case STEP_DRAIN:
        if (desk->plan->dele && s->answered % 2) {
            s->answered++;
            return VERDICT_DONE;
        }
        s->in_body = true;
        body_start(&s->body, s->drop != NULL);
        return VERDICT_MORE;
    default: return VERDICT_DONE;
    }
}
