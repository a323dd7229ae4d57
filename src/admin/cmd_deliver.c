/* cmd_deliver.c - restantectl deliver: a message from standard input into a maildrop, for mail servers.
 *
 * Started as root it becomes the owner of the maildrop before it touches it; nothing here is set-uid.
 * Does not know: how a message becomes durable (store/deliver.h), who else writes there.
 */
#include "admin/account.h"
#include "store/deliver.h"

#include <signal.h>
#include <sys/stat.h>

enum { PREFIX_MAX = 4096, SENDER_MAX = 1024 };

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text < 0x20 || (uint8_t)*text == 0x7f)
            return false;
    return true;
}

/* "Return-Path: <sender>" with the brackets whether they were given or not; "" and "<>" are the null sender. */
static int put_prefix(const struct cli *ctl, const struct account *a, struct buf *prefix)
{
    const char *sender = args_get(&ctl->args, "from");
    bool ok = true;

    if (sender) {
        struct span s = span_str(sender);

        if (s.n > SENDER_MAX || !is_one_line(sender))
            return ctl_fail(EX_USAGE, "the sender is no address; write one such as a@example.org");
        if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
            s = span_of(s.p + 1, s.n - 2);
        ok = buf_printf(prefix, "Return-Path: <%.*s>\n", (int)s.n, (const char *)s.p);
    }
    if (args_get(&ctl->args, "delivered-to"))
        ok = ok && buf_printf(prefix, "Delivered-To: %s\n", a->entry->name);
    return ok ? EX_OK : ctl_fail(EX_USAGE, "the added lines are too long");
}

static int failed(const struct account *a, const struct err *e)
{
    int code = ctl_code(e->fault);

    if (e->fault == FAULT_GONE)
        code = EX_CANTCREAT;
    if (e->fault == FAULT_BAD)
        code = EX_UNAVAILABLE;
    return ctl_fail(code, "%s: %s", a->entry->name, e->text);
}

static int deliver(const struct cli *ctl, struct account *a)
{
    struct deliver_result result;
    struct buf prefix = BUF(PREFIX_MAX);
    struct deliver_options options = { .create = a->conf->mail.create,
                                       .durable = true, /* "delivered" is a promise to the mail server */
                                       .strip_from_line = args_get(&ctl->args, "strip-from") != NULL,
                                       .host = a->conf->hostname };
    struct err e;
    int code = put_prefix(ctl, a, &prefix);

    if (code == EX_OK)
        code = account_become(a);
    if (code == EX_OK) {
        umask(077);
        options.prefix = buf_span(&prefix);
        if (!maildir_deliver(a->maildrop, 0, &options, &result, &e))
            code = failed(a, &e);
    }
    buf_free(&prefix);
    return code;
}

/* A limit on file size that the mail server set is a failure to be told, not a reason to be killed. */
static void survive_file_limit(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    sigaction(SIGXFSZ, &ignore, NULL);
}

int cmd_deliver(struct cli *ctl)
{
    struct account account;
    int code;

    survive_file_limit();
    code = account_open(ctl, ctl->args.words[0], &account);

    if (code == EX_OK)
        code = deliver(ctl, &account);
    account_close(&account);
    if (args_get(&ctl->args, "defer") && code != EX_OK && code != EX_USAGE && code != EX_NOUSER &&
        code != EX_UNAVAILABLE)
        return EX_TEMPFAIL;
    return code;
}
