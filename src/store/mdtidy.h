/* mdtidy.h - what opening a maildrop sets right on disk, under its lock.
 *
 * Each step can fail without harm (read-only file systems, other programs in the way): then things stay as
 * they are and the next open tries again. Does not know: the snapshot, the index.
 */
#ifndef RESTANTE_STORE_MDTIDY_H
#define RESTANTE_STORE_MDTIDY_H

#include "store/mdlist.h"
#include "store/store.h"

/* Files in tmp/ that nobody touched (mtime and atime) for 36 hours are left over from crashes: MD-08. */
void mdtidy_tmp(const struct mddir *d);

/* Of several files with one base all but the oldest get bases of their own. Maildir names are unique, so
 * this undoes a copy or a broken delivery; without it the UIDL of one would pass to another when the first
 * is deleted. List sorted by base. */
void mdtidy_twins(struct mdlist *l, const struct mddir *d);

/* Removes what arrived more than policy->expire_days ago (never for 0 and UINT32_MAX), like a commit. */
void mdtidy_expire(struct mdlist *l, const struct mddir *d, const struct store_policy *policy);

/* Moves new/x to cur/x:2, (MD-12). */
void mdtidy_move(struct mdlist *l, const struct mddir *d);

#endif
