/* err.h - errors as values with two readers.
 *
 * The fault class decides what a client is told (one table turns it into a response code of RFC 3206
 * or RFC 2449); the text is for the operator's log and carries path and errno. The two never mix.
 * Does not know: logging, replies.
 */
#ifndef RESTANTE_BASE_ERR_H
#define RESTANTE_BASE_ERR_H

#include <stdbool.h>

enum fault {
    FAULT_NONE,
    FAULT_TEMP,   /* likely to pass by itself: [SYS/TEMP] */
    FAULT_PERM,   /* needs a human: [SYS/PERM] */
    FAULT_IN_USE, /* the maildrop is locked by another session: [IN-USE] */
    FAULT_GONE,   /* the thing asked for does not exist (any more) */
    FAULT_BAD,    /* malformed or hostile input: a file, a message, an argument */
    FAULT_N
};

struct err {
    enum fault fault;
    char text[320];
};

/* Sets *e (e may be NULL) and returns false, so that "return err_set(...)" reads well. */
bool err_set(struct err *e, enum fault fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: "what path: strerror", fault class chosen by errno. */
bool err_errno(struct err *e, const char *what, const char *path);

/* FAULT_GONE for ENOENT, FAULT_PERM for EACCES, EPERM, ENOTDIR, ELOOP, EISDIR, EROFS; else FAULT_TEMP. */
enum fault fault_of_errno(int code);

/* A stable lower-case word for logs: "none", "temp", "perm", "in-use", "gone", "bad". */
const char *fault_name(enum fault fault);

#endif
