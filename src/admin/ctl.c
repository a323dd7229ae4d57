/* ctl.c - what the commands of restantectl share: see ctl.h. */
#include "admin/ctl.h"

#include "base/sys.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { REPORT_MAX = 1024 * 1024, LINE_MAX_OCTETS = 1024 };

int ctl_fail(int code, const char *fmt, ...)
{
    char text[LINE_MAX_OCTETS];
    struct buf line = BUF(4 * LINE_MAX_OCTETS);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (buf_put_str(&line, "restantectl: ")) {
        text_put_clean(&line, span_str(text), sizeof text);
        if (buf_put_str(&line, "\n"))
            (void)sys_write_all(2, buf_span(&line));
    }
    buf_free(&line);
    return code;
}

int ctl_code(enum fault fault)
{
    static const int codes[FAULT_N] = {
        [FAULT_NONE] = EX_SOFTWARE,   [FAULT_TEMP] = EX_TEMPFAIL, [FAULT_PERM] = EX_NOPERM,
        [FAULT_IN_USE] = EX_TEMPFAIL, [FAULT_GONE] = EX_NOUSER,   [FAULT_BAD] = EX_DATAERR,
    };

    return codes[fault];
}

int ctl_fail_err(const struct err *e)
{
    return ctl_fail(ctl_code(e->fault), "%s", e->text);
}

int ctl_conf(const struct cli *ctl, struct conf **conf)
{
    struct buf report = BUF(REPORT_MAX);
    bool ok = conf_read(ctl->conf_path, conf, &report);
    bool readable = access(ctl->conf_path, R_OK) == 0;

    (void)sys_write_all(2, buf_span(&report));
    buf_free(&report);
    if (ok)
        return EX_OK;
    return !readable && errno == EACCES ? EX_NOPERM : EX_CONFIG;
}

int ctl_print(struct buf *out, bool ok)
{
    bool written = ok && sys_write_all(1, buf_span(out));
    int code = errno;

    buf_free(out);
    if (!ok)
        return ctl_fail(EX_SOFTWARE, "the output is larger than this program allows");
    if (!written)
        return ctl_fail(EX_IOERR, "standard output: %s", strerror(code));
    return EX_OK;
}
