/* mdopen.h - the snapshot that an open maildrop shows: remembered, brought up to date, or made by a scan.
 *
 * Does not know: the lock (the caller has it), sessions.
 */
#ifndef RESTANTE_STORE_MDOPEN_H
#define RESTANTE_STORE_MDOPEN_H

#include "store/mdfind.h"
#include "store/mdstate.h"
#include "store/mdview.h"
#include "store/store.h"

/* What is remembered and true as it stands, looked at with nothing but the root open; NULL when there is more to do.
 * *place is the maildrop it was seen in. */
struct mdview *mdopen_warm(const struct mddir *d, const struct store_policy *policy, struct md_state *place);

/* All there is to do: what is remembered with what was touched since, else a scan, with everything that opening sets
 * right on disk. NULL on failure. */
struct mdview *mdopen(struct mdfind *f, const struct store_policy *policy, struct err *e);

/* After a commit of few messages: brings what is remembered up to date. False when there is nothing such. */
bool mdopen_after_commit(struct mdfind *f, const struct store_policy *policy);

#endif
