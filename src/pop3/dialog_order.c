/* dialog_order.c - orders after the listing: the queue, the window of what is under way, the answers.
 *
 * Without PIPELINING one command is under way; with it as many as DIALOG_WINDOW_COMMANDS and _OCTETS allow, and of
 * messages as many octets as the account allows, but always one. QUIT goes out when all is answered, and nothing
 * after it. Does not know: why a message is wanted.
 */
#include "base/num.h"
#include "pop3/dialog_impl.h"

bool order_pipelining(const struct dialog *d)
{
    return d->conf->force_pipelining || (d->conf->use_pipelining && d->capa.known && d->capa.pipelining);
}

static bool brings_body(enum dialog_order order)
{
    return order == ORDER_RETR || order == ORDER_TOP;
}

size_t dialog_orders_room(const struct dialog *d)
{
    return DIALOG_ORDERS - d->nitems;
}

bool dialog_order(struct dialog *d, enum dialog_order order, uint32_t number, uint64_t size)
{
    bool counted = order != ORDER_NOOP;

    if (d->step != STEP_ORDERS || d->quit_wanted || d->nitems == DIALOG_ORDERS)
        return false;
    if (counted && (number == 0 || number > d->messages))
        return false;
    d->items[(d->items_first + d->nitems++) % DIALOG_ORDERS] = (struct dialog_item){ order, number, size };
    order_pump(d);
    return true;
}

static uint64_t weight(const struct dialog_item *item)
{
    if (item->order != ORDER_RETR)
        return 0;
    return item->size ? item->size : DIALOG_SIZE_GUESS;
}

/* "RETR 4294967295", "TOP 4294967295 0" and the like. */
static struct span put_args(const struct dialog *d, const struct dialog_item *item, uint8_t dst[40])
{
    size_t n = 0;

    if (item->order != ORDER_NOOP)
        n = num_put_u64(dst, item->number);
    if (item->order == ORDER_TOP) {
        dst[n++] = ' ';
        n += num_put_u64(dst + n, d->conf->top_lines);
    }
    return span_of(dst, n);
}

static bool fits(const struct dialog *d, const struct dialog_item *item)
{
    uint64_t octets;

    if (d->npending == 0)
        return true;
    if (!order_pipelining(d) || d->npending >= DIALOG_WINDOW_COMMANDS ||
        d->pending_octets + 24 > DIALOG_WINDOW_OCTETS)
        return false;
    if (!brings_body(item->order) || d->retrs == 0)
        return true;
    if (d->retrs >= d->retr_window || __builtin_add_overflow(d->retr_octets, weight(item), &octets))
        return false;
    return d->conf->window_octets == 0 || octets <= d->conf->window_octets;
}

static void send_item(struct dialog *d, const struct dialog_item *item)
{
    static const struct {
        const char *word;
        enum dialog_answer answer;
    } commands[] = {
        [ORDER_RETR] = {"RETR",  ANSWER_RETR},
        [ORDER_TOP] = { "TOP",  ANSWER_TOP },
        [ORDER_DELE] = { "DELE", ANSWER_DELE},
        [ORDER_NOOP] = { "NOOP", ANSWER_NOOP},
    };
    uint8_t room[40];
    struct dialog_pending *p = dialog_command(d, commands[item->order].answer,
                                              span_str(commands[item->order].word), put_args(d, item, room));

    if (d->step != STEP_ORDERS)
        return;
    p->number = item->number;
    p->size = weight(item);
    if (brings_body(item->order)) {
        d->retrs++;
        d->retr_octets += p->size;
    }
}

void order_pump(struct dialog *d)
{
    while (d->step == STEP_ORDERS && d->nitems && fits(d, &d->items[d->items_first])) {
        struct dialog_item item = d->items[d->items_first];

        d->items_first = (d->items_first + 1) % DIALOG_ORDERS;
        d->nitems--;
        send_item(d, &item);
    }
    if (d->step == STEP_ORDERS && d->quit_wanted && dialog_idle(d))
        dialog_next(d);
}

/* The front answer is complete; tells so and fills the window again. */
static void served(struct dialog *d, const struct dialog_event *event)
{
    const struct dialog_pending *p = dialog_front(d);

    if (brings_body(event->order)) {
        d->retrs--;
        d->retr_octets -= p->size;
        if (++d->retrs_done >= d->retr_window) {
            d->retrs_done = 0;
            d->retr_window = d->retr_window * 2 < DIALOG_WINDOW_COMMANDS ? d->retr_window * 2
                                                                         : DIALOG_WINDOW_COMMANDS;
        }
    }
    dialog_answered(d);
    dialog_emit(d, event);
    order_pump(d);
}

static enum dialog_order order_of(enum dialog_answer answer)
{
    return answer == ANSWER_RETR ? ORDER_RETR
         : answer == ANSWER_TOP  ? ORDER_TOP
         : answer == ANSWER_DELE ? ORDER_DELE
                                 : ORDER_NOOP;
}

void order_reply(struct dialog *d, const struct dialog_reply *r)
{
    const struct dialog_pending *p = dialog_front(d);
    struct dialog_event event = {
        .order = order_of(p->answer), .number = p->number, .code = r->code, .text = r->text
    };

    if (event.order == ORDER_NOOP)
        event.kind = DIALOG_ALIVE; /* "-ERR" is an answer too */
    else if (r->status != STATUS_OK)
        event.kind = DIALOG_REFUSED;
    else if (event.order == ORDER_DELE)
        event.kind = DIALOG_DELETED;
    else {
        dialog_body_begin(d);
        return;
    }
    served(d, &event);
}

void order_body_end(struct dialog *d)
{
    const struct dialog_pending *p = dialog_front(d);

    served(d, &(struct dialog_event){ .kind = DIALOG_BODY_END,
                                      .order = order_of(p->answer),
                                      .number = p->number,
                                      .octets = d->body_octets,
                                      .has_octets = true });
}
