/* log.h - structured events: one line each, key=value, untrusted octets escaped in one place.
 *
 *   time=2026-11-24T11:05:53.123Z role=front pid=712 level=info event=login sid=0001… user="bob" mech=PLAIN
 *
 * Who handles an error logs it; who returns it does not. Secrets have no field kind: they cannot be logged.
 * Event names and their fields are listed in doc/events.md, checked against the sources by a test.
 * A line is cut at LOG_LINE octets and leaves in one write(2), or after log_gather with others. The sink is one of
 * the tree's few mutable globals.
 */
#ifndef RESTANTE_BASE_LOG_H
#define RESTANTE_BASE_LOG_H

#include "base/err.h"
#include "base/span.h"

enum { LOG_LINE = 2048, LOG_VALUE = 256 };
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct field {
    const char *name;
    enum { FIELD_SPAN, FIELD_U64, FIELD_HEX } kind;
    struct span s;
    uint64_t u;
};

#define F_STR(k, v)  ((struct field){ (k), FIELD_SPAN, span_str(v), 0 })
#define F_SPAN(k, v) ((struct field){ (k), FIELD_SPAN, (v), 0 })
#define F_U64(k, v)  ((struct field){ (k), FIELD_U64, { 0, 0 }, (uint64_t)(v) })
#define F_SID(v)     ((struct field){ "sid", FIELD_HEX, { 0, 0 }, (uint64_t)(v) })
#define F_ERR(e)     F_STR("error", (e)->text)

#define event(level, name, ...)                                                                   \
    event_write((level), (name), (const struct field[]){ __VA_ARGS__ },                           \
                sizeof((const struct field[]){ __VA_ARGS__ }) / sizeof(struct field))

void event_write(enum log_level level, const char *name, const struct field *fields, size_t n);

/* Sets where lines go (default 2), the role they carry and the least important level written. */
void log_open(const char *role, int fd, enum log_level max);

/* From now on lines of info and debug are gathered and leave together: at log_flush, before a line of more weight,
 * when there are many, and at exit. Whoever calls this calls log_flush before it waits for anything. */
void log_gather(void);
void log_flush(void);

/* The line of an event, without its end; for tests and fuzzers. Returns its length. */
size_t event_format(char *dst, size_t room, const char *name, const struct field *fields, size_t n);

#endif
