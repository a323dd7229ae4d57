/* view.c - a maildrop looked at from outside of sessions: see view.h. Does not know: output. */
#include "admin/view.h"

#include <fcntl.h>

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

static bool find(struct view *v, struct span uid, uint32_t from, uint32_t end)
{
    struct index_record record;
    struct span other, name;

    for (uint32_t i = from; i < end; i++) {
        if (index_reader_get(&v->listing, i, &record, &other, &name) && span_eq(other, uid)) {
            v->at = i;
            return true;
        }
    }
    return false;
}

int view_open(const struct cli *ctl, const char *user, struct view *view)
{
    static const struct store_policy policy = { .sessions = STORE_LOOK, .expire_days = UINT32_MAX };
    struct err e;
    int code;

    *view = (struct view){ 0 };
    code = account_open(ctl, user, &view->account);
    if (code == EX_OK)
        code = account_become(&view->account);
    if (code != EX_OK)
        return code;
    if (!store_maildir.open(view->account.maildrop, &policy, &view->drop, &e)) {
        if (e.fault == FAULT_GONE)
            return ctl_fail(EX_NOINPUT, "%s has no maildrop yet: %s does not exist",
                            view->account.entry->name, view->account.maildrop);
        return ctl_fail_err(&e);
    }
    view->has_listing = open_reader(view->drop, &view->listing, &e);
    return view->has_listing ? EX_OK : ctl_fail_err(&e);
}

bool view_fetch(struct view *view, struct span uid, int *fd, struct err *e)
{
    if (!find(view, uid, view->at, view->listing.h.count) && !find(view, uid, 0, view->at))
        return err_set(e, FAULT_GONE, "the message is gone");
    return store_maildir.fetch(view->drop, view->at, fd, e);
}

void view_close(struct view *view)
{
    if (view->has_listing)
        index_reader_close(&view->listing);
    view->has_listing = false;
    store_maildir.close(&view->drop);
    account_close(&view->account);
}
