/* parcels.c - queues of messages between receipt and durability. Does not know: sinks, the journal. */
#include "client/session.h"

#include <stdlib.h>

void parcels_init(struct parcels *p)
{
    memset(p, 0, sizeof *p);
    p->tail = &p->head;
}

void parcels_add(struct parcels *p, struct parcel *one)
{
    one->item.next = NULL;
    *p->tail = one;
    p->tail = (struct parcel **)(void *)&one->item.next;
    p->n++;
    p->octets += one->item.entry.octets;
}

struct parcel *parcels_take(struct parcels *p)
{
    struct parcel *one = p->head;

    if (!one)
        return NULL;
    p->head = (struct parcel *)(void *)one->item.next;
    if (!p->head)
        p->tail = &p->head;
    p->n--;
    p->octets -= one->item.entry.octets;
    one->item.next = NULL;
    return one;
}

void parcel_free(struct parcel **p)
{
    free(*p);
    *p = NULL;
}
