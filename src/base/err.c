/* err.c - errors as values: see err.h. Does not know: logging, replies. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *e, enum fault fault, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return false;
    e->fault = fault;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return false;
}

enum fault fault_of_errno(int code)
{
    switch (code) {
    case ENOENT:
        return FAULT_GONE;
    case EACCES:
    case EPERM:
    case ENOTDIR:
    case ELOOP:
    case EISDIR:
    case EROFS:
        return FAULT_PERM;
    default:
        return FAULT_TEMP;
    }
}

bool err_errno(struct err *e, const char *what, const char *path)
{
    int code = errno;

    return err_set(e, fault_of_errno(code), "%s %s: %s", what, path, strerror(code));
}

const char *fault_name(enum fault fault)
{
    static const char *const names[FAULT_N] = {
        [FAULT_NONE] = "none",     [FAULT_TEMP] = "temp", [FAULT_PERM] = "perm",
        [FAULT_IN_USE] = "in-use", [FAULT_GONE] = "gone", [FAULT_BAD] = "bad",
    };

    return fault < FAULT_N ? names[fault] : "unknown";
}
