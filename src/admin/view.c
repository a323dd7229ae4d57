/* view.c - a maildrop looked at from outside of sessions: see view.h. */
#include "admin/view.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* A login waits a second for the lock unless mail.lock_wait says otherwise. */
enum { HOLD_MS = 200, PAUSE_MS = 100, WAIT_MS = 5000, POLL_MS = 20 };

static void rest_ms(unsigned ms)
{
    struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

    nanosleep(&t, NULL);
}

static bool open_reader(struct drop *drop, struct index_reader *reader, struct err *e)
{
    uint64_t octets;
    int fd;

    if (!store_maildir.listing(drop, &fd, &octets, e))
        return false;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the drop keeps its own */
    if (fd < 0)
        return err_errno(e, "dup", "listing");
    return index_reader_open(reader, fd, octets, e);
}

/* Opens the maildrop, waiting for a session that is at it. */
static bool take(struct view *v, struct err *e)
{
    static const struct store_policy policy = { .sessions = STORE_SHARED,
                                                .durable = true,
                                                .expire_days = UINT32_MAX };
    uint64_t give_up = clock_mono_ms() + WAIT_MS;

    while (!store_maildir.open(v->account.maildrop, &policy, &v->drop, e)) {
        if (e->fault != FAULT_IN_USE || clock_mono_ms() > give_up)
            return false;
        rest_ms(POLL_MS);
    }
    if (!open_reader(v->drop, &v->now, e)) {
        store_maildir.close(&v->drop);
        return false;
    }
    v->at = 0;
    v->until_ms = clock_mono_ms() + HOLD_MS;
    return true;
}

static bool find(struct view *v, struct span uid, uint32_t from, uint32_t end)
{
    struct index_record record;
    struct span other, name;

    for (uint32_t i = from; i < end; i++) {
        if (index_reader_get(&v->now, i, &record, &other, &name) && span_eq(other, uid)) {
            v->at = i;
            return true;
        }
    }
    return false;
}

static int open_failed(const struct view *v, const struct err *e)
{
    if (e->fault == FAULT_GONE)
        return ctl_fail(EX_NOINPUT, "%s has no maildrop yet: %s does not exist", v->account.entry->name,
                        v->account.maildrop);
    return ctl_fail_err(e);
}

int view_open(const struct ctl *ctl, const char *user, struct view *view)
{
    struct err e;
    int code;

    *view = (struct view){ 0 };
    code = account_open(ctl, user, &view->account);
    if (code == EX_OK)
        code = account_become(&view->account);
    if (code != EX_OK)
        return code;
    if (!take(view, &e))
        return open_failed(view, &e);
    if (!open_reader(view->drop, &view->listing, &e))
        return ctl_fail_err(&e);
    view->has_listing = true;
    return EX_OK;
}

bool view_fetch(struct view *view, struct span uid, int *fd, struct err *e)
{
    if (view->drop && clock_mono_ms() > view->until_ms) {
        view_rest(view);
        rest_ms(PAUSE_MS);
    }
    if (!view->drop) {
        if (view->blocked)
            return err_set(e, FAULT_IN_USE, "the maildrop is in use by a session");
        if (!take(view, e)) {
            view->blocked = e->fault == FAULT_IN_USE;
            return false;
        }
    }
    if (!find(view, uid, view->at, view->now.h.count) && !find(view, uid, 0, view->at))
        return err_set(e, FAULT_GONE, "the message is gone");
    return store_maildir.fetch(view->drop, view->at, fd, e);
}

void view_rest(struct view *view)
{
    if (!view->drop)
        return;
    index_reader_close(&view->now);
    store_maildir.close(&view->drop);
}

void view_close(struct view *view)
{
    view_rest(view);
    if (view->has_listing)
        index_reader_close(&view->listing);
    view->has_listing = false;
    account_close(&view->account);
}
