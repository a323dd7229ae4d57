/* dialog_list.c - STAT, LIST and UIDL: how many messages there are, how large, under which unique-ids.
 *
 * A size is a hint and may be nonsense; a number may not: 0, one above the count of STAT, one seen before or a
 * line too many ends the session (R1939-LIST-09), since everything later is done by number. Gaps and any order are
 * taken. Does not know: what a unique-id is compared with.
 */
#include "base/num.h"
#include "pop3/dialog_impl.h"

static void ask(struct dialog *d, enum dialog_answer answer, const char *word)
{
    dialog_command(d, answer, span_str(word), span_str(""));
}

/* Asks the next question, or all of them at once where the server takes that. */
void list_ask(struct dialog *d)
{
    bool all = order_pipelining(d);

    if (!d->stat_asked) {
        d->stat_asked = true;
        ask(d, ANSWER_STAT, "STAT");
        if (!all)
            return;
    }
    if (!d->list_asked) {
        d->list_asked = true;
        ask(d, ANSWER_LIST, "LIST");
        if (!all)
            return;
    }
    if (!d->uidl_asked && d->conf->want_uidl) { /* listed by CAPA or not: some servers forget to (quirk) */
        d->uidl_asked = true;
        ask(d, ANSWER_UIDL, "UIDL");
    }
}

static bool all_digits(struct span s)
{
    size_t n = 0;

    while (n < s.n && ascii_digit(s.p[n]))
        n++;
    return s.n > 0 && n == s.n;
}

/* "count octets", and whatever follows (R1939-STAT-06). The octets may be negative or past 64 bits: a hint. */
static void stat_reply(struct dialog *d, const struct dialog_reply *r)
{
    struct dialog_event event = { .kind = DIALOG_STAT };
    struct span rest = r->rest, count = dialog_word(&rest), total = dialog_word(&rest), digits = total;
    uint64_t messages;

    event.has_octets = num_all_u64(total, &event.octets);
    if (digits.n && *digits.p == '-')
        span_take(&digits, 1);
    if (!num_all_u64(count, &messages) || messages > DIALOG_MESSAGES || !all_digits(digits)) {
        dialog_fail(d, FAILURE_PROTOCOL, "STAT does not tell how many messages there are");
        return;
    }
    d->messages = event.number = (uint32_t)messages;
    if (!event.has_octets)
        event.octets = 0;
    dialog_answered(d);
    dialog_emit(d, &event);
    if (d->messages == 0 && d->npending == 0)
        d->list_asked = d->uidl_asked = true; /* there is nothing to list */
    dialog_next(d);
}

static void begin_listing(struct dialog *d)
{
    size_t octets = (d->messages + 7u) / 8;
    uint8_t *bits = buf_reserve(&d->seen, octets);

    if (bits && octets)
        memset(bits, 0, octets);
    d->lines = 0;
    d->reading = READ_LINES;
}

/* LIST or UIDL is not to be had: go on without, unless the server says that it will be had later. */
static void refused(struct dialog *d, enum dialog_answer answer, const struct dialog_reply *r)
{
    if (r->code == CODE_SYS_TEMP) {
        dialog_fail_reply(d, FAILURE_REFUSED, r);
        return;
    }
    dialog_answered(d);
    if (answer == ANSWER_UIDL)
        dialog_emit(d, &(struct dialog_event){ .kind = DIALOG_NO_UIDL, .code = r->code, .text = r->text });
    dialog_next(d);
}

void list_status(struct dialog *d, enum dialog_answer answer, const struct dialog_reply *r)
{
    if (answer == ANSWER_STAT && r->status == STATUS_OK)
        stat_reply(d, r);
    else if (answer == ANSWER_STAT)
        dialog_fail_reply(d, FAILURE_REFUSED, r);
    else if (r->status == STATUS_OK)
        begin_listing(d);
    else
        refused(d, answer, r);
}

/* True when number is one of ours and comes for the first time: so there are never more lines than messages. */
static bool fresh(struct dialog *d, uint32_t number)
{
    uint8_t *octet, bit;

    if (number == 0 || number > d->messages)
        return false;
    octet = &d->seen.p[(number - 1) / 8];
    bit = (uint8_t)(1u << ((number - 1) % 8));
    if (*octet & bit)
        return false;
    *octet |= bit;
    return true;
}

bool list_take(struct dialog *d, enum dialog_answer answer, struct span line)
{
    struct dialog_event event = { .kind = answer == ANSWER_LIST ? DIALOG_SIZE : DIALOG_UID };
    struct span rest = line, word = dialog_word(&rest);

    if (!num_take_u32(&word, &event.number) || word.n || !fresh(d, event.number)) {
        dialog_fail(d, FAILURE_PROTOCOL,
                    answer == ANSWER_LIST ? "LIST numbers messages wrongly" : "UIDL numbers messages wrongly");
        return false;
    }
    if (answer == ANSWER_LIST) {
        event.has_octets = num_all_u64(dialog_word(&rest), &event.octets);
        if (!event.has_octets)
            event.octets = 0;
    } else {
        while (rest.n && (rest.p[rest.n - 1] == ' ' || rest.p[rest.n - 1] == '\t' || rest.p[rest.n - 1] == '\r'))
            rest.n--;
        event.uid = rest.n <= DIALOG_UID_MAX ? rest : span_of(NULL, 0);
    }
    dialog_emit(d, &event);
    return true;
}

void list_end(struct dialog *d)
{
    buf_free(&d->seen);
    dialog_answered(d);
    dialog_next(d);
}
