/* uid.c - the check of a UIDL: see uid.h. */
#include "pop3/uid.h"

#include "pop3/engine.h"

bool uid_legal(struct span uid)
{
    for (size_t i = 0; i < uid.n; i++)
        if (uid.p[i] < 0x21 || uid.p[i] > 0x7e)
            return false;
    return uid.n >= 1 && uid.n <= LIMIT_UID;
}
