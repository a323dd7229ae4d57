/* sink.c - destinations: what all kinds share of the life of a message: see sink.h.
 * Does not know: how a kind commits.
 */
#include "client/sink_impl.h"

#include "base/clock.h"
#include "base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct sink_ops *const kinds[] = { [SINK_MAILDIR] = &sink_maildir,
                                                [SINK_MBOX] = &sink_mbox,
                                                [SINK_LMTP] = &sink_lmtp,
                                                [SINK_COMMAND] = &sink_command };

/* What goes into commands, environments and header lines of ours: one line. */
static bool is_line(const char *text)
{
    for (const char *p = text; p && *p; p++)
        if ((uint8_t)*p < ' ' || *p == 0x7f)
            return false;
    return true;
}

static char *copied(const char *text)
{
    return text ? mem_str(text) : NULL;
}

static void copy_conf(struct sink *s, const struct sink_conf *conf)
{
    s->conf = *conf;
    s->conf.target = copied(conf->target);
    s->conf.spool_dir = copied(conf->spool_dir);
    s->conf.account = copied(conf->account);
    s->conf.host = copied(conf->host);
    s->conf.recipient = copied(conf->recipient);
    s->conf.sender = copied(conf->sender);
}

static void free_conf(struct sink_conf *conf)
{
    free((char *)(uintptr_t)conf->target);
    free((char *)(uintptr_t)conf->spool_dir);
    free((char *)(uintptr_t)conf->account);
    free((char *)(uintptr_t)conf->host);
    free((char *)(uintptr_t)conf->recipient);
    free((char *)(uintptr_t)conf->sender);
}

/* The tag is the one that sink_name writes. */
static void set_tag(struct sink *s)
{
    struct entry nobody = { .first_seen = 1 };
    char name[JOURNAL_NAME];

    sink_name(name, s->conf.account, &nobody, 0);
    memcpy(s->tag, strchr(name, 'R') + 1, SINK_TAG);
}

bool sink_open(const struct sink_conf *conf, sink_note *note, void *ctx, struct sink **out, struct err *e)
{
    struct sink *s;

    *out = NULL;
    if (!conf->target || !conf->account || !is_line(conf->account) || !is_line(conf->host) ||
        !is_line(conf->recipient) || !is_line(conf->sender))
        return err_set(e, FAULT_BAD,
                       "a name of the destination or account is missing or holds a control character");
    s = mem_zero(1, sizeof *s);
    copy_conf(s, conf);
    s->ops = kinds[conf->kind];
    s->note = note;
    s->ctx = ctx;
    s->dir.root = s->spool = s->folder = -1;
    for (int i = 0; i < MD_SUBS; i++)
        s->dir.sub[i] = -1;
    s->keep_crlf = conf->crlf || s->ops->keep_crlf;
    s->opened = clock_real_ns();
    set_tag(s);
    if (!s->ops->open(s, e)) {
        sink_close(&s);
        return false;
    }
    *out = s;
    return true;
}

void sink_close(struct sink **s)
{
    if (!*s)
        return;
    find_forget(*s);
    if ((*s)->ops != &sink_maildir) /* there it is tmp/ */
        sys_close(&(*s)->spool);
    mddir_close(&(*s)->dir);
    sys_close(&(*s)->folder);
    free((*s)->file);
    free_conf(&(*s)->conf);
    free(*s);
    *s = NULL;
}

void item_close(struct sink_item *item)
{
    body_free(item);
    free(item->state);
    item->state = NULL;
    sys_close(&item->fd);
}

void item_done(struct sink *s, struct sink_item *item, enum sink_result result)
{
    item->result = result;
    if (!item->state)
        return;
    item_close(item);
    sys->unlinkat(s->spool, item->entry.name, 0);
}

void item_failed(struct sink *s, struct sink_item *item, enum sink_result result, const char *what)
{
    err_errno(&item->err, what, s->conf.target);
    item_done(s, item, result);
}

static bool failed(const struct sink_item *item, struct err *e)
{
    if (e)
        *e = item->err;
    return false;
}

bool sink_spool(struct sink *s, struct sink_item *item, struct err *e)
{
    item->fd = -1;
    item->result = SINK_PENDING;
    s->began = true;
    if (!mdname_is_message(span_str(item->entry.name))) {
        err_set(&item->err, FAULT_BAD, "a message needs the name of a file first");
        return failed(item, e);
    }
    item->fd = sys_open(s->spool, item->entry.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (item->fd < 0) {
        err_errno(&item->err, "create a file for", s->conf.target);
        item->result = SINK_TEMP;
        return failed(item, e);
    }
    item->state = mem_zero(1, sizeof(struct sink_body));
    if (body_begin(s, item))
        return true;
    return failed(item, e);
}

bool sink_write(struct sink *s, struct sink_item *item, struct span data, struct err *e)
{
    return body_write(s, item, data) || failed(item, e);
}

bool sink_finish(struct sink *s, struct sink_item *item, struct err *e)
{
    return body_end(s, item) || failed(item, e);
}

void sink_discard(struct sink *s, struct sink_item *item)
{
    if (item->state)
        item_done(s, item, item->result);
}

void sink_commit(struct sink *s, struct sink_item *items)
{
    find_forget(s); /* recovery is over */
    s->ops->commit(s, items);
}

bool sink_recover(struct sink *s, struct entry *entry, bool *stored, struct err *e)
{
    *stored = false;
    if (!mdname_is_message(span_str(entry->name)))
        return true; /* nothing was begun under a name of ours */
    if (!s->ops->recover(s, entry, stored, e))
        return false;
    return sys->unlinkat(s->spool, entry->name, 0) == 0 || errno == ENOENT ||
           err_errno(e, "remove what was left in the spool of", s->conf.target);
}

bool sink_verify(struct sink *s, const struct entry *entry, struct err *e)
{
    return s->ops->verify(s, entry, e);
}

bool sink_is_exact(const struct sink *s)
{
    return s->ops->exact;
}

static bool sweep_one(void *ctx, const char *name)
{
    struct sink *s = ctx;
    struct stat st;

    if (!spool_is_ours(s, span_str(name)) || sys->fstatat(s->spool, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec >= s->opened)
        return true;
    return sys->unlinkat(s->spool, name, 0) == 0 || errno == ENOENT;
}

bool sink_sweep(struct sink *s, struct err *e)
{
    if (s->began) /* files of this run are there by now */
        return true;
    return spool_list(s->spool, sweep_one, s) || err_errno(e, "clean up the spool of", s->conf.target);
}
