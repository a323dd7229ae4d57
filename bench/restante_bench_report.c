/* restante_bench_report.c - tables and JSON: see restante_bench_report.h. Pure. */
#include "restante_bench_report.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

struct cost cost_of(const struct plan *plan, const struct result *r)
{
    const struct tally *t = &r->tally;
    double s = (double)r->ns / 1e9, cpu = (double)(r->after.cpu_ns - r->before.cpu_ns);
    struct cost c = { NAN, NAN, NAN, NAN, NAN, NAN, NAN };

    if (s > 0 && plan->mode != MODE_IDLE)
        c.sessions_per_s = (double)t->sessions / s;
    if (s > 0 && t->messages) {
        c.messages_per_s = (double)t->messages / s;
        c.octets_per_s = (double)t->octets / s;
    }
    if (!plan->server_pid)
        return c;
    if (plan->mode == MODE_IDLE)
        cpu = (double)(r->held.cpu_ns - r->before.cpu_ns);
    if (t->sessions)
        c.cpu_ms_per_1000 = cpu / 1e6 / (double)t->sessions * 1000;
    if (t->messages) {
        c.cpu_us_per_message = cpu / 1e3 / (double)t->messages;
        c.cpu_s_per_gb = cpu / (double)t->octets;
    }
    if (r->open)
        c.pss_kib_each = ((double)r->held.pss_kib - (double)r->before.pss_kib) / (double)r->open;
    return c;
}

static bool row_number(struct buf *out, const char *name, int decimals, double value)
{
    char text[48];

    if (isnan(value))
        return true;
    snprintf(text, sizeof text, "%.*f", decimals, value);
    return buf_printf(out, "  %-34s%14s\n", name, text);
}

static bool phase_rows(const struct tally *t, struct buf *out)
{
    bool good = buf_printf(out, "  %-10s %9s %10s %10s %10s %10s   ms\n", "latency", "n", "p50", "p90", "p99",
                           "max");

    for (size_t i = 0; i < PHASE_N && good; i++) {
        const struct samples *s = &t->phase[i];

        if (s->n)
            good = buf_printf(out, "  %-10s %9zu %10.3f %10.3f %10.3f %10.3f\n", phase_names[i], s->n,
                              ms(samples_at(s, 0.5)), ms(samples_at(s, 0.9)), ms(samples_at(s, 0.99)),
                              ms(samples_at(s, 1)));
    }
    return good;
}

static bool error_rows(const struct tally *t, struct buf *out)
{
    bool good = true;

    for (size_t i = 0; i < KIND_N && good; i++) {
        if (!t->errors[i])
            continue;
        good = buf_printf(out, "  ERROR %-10s %9" PRIu64 "   first: ", kind_names[i], t->errors[i]);
        text_put_clean(out, span_str(t->first[i]), 110);
        good = good && buf_put_str(out, "\n");
    }
    return good;
}

static bool server_rows(const struct plan *plan, const struct result *r, const struct cost *c, struct buf *out)
{
    if (!plan->server_pid)
        return true;
    return row_number(out, "server CPU ms per 1,000 sessions", 1, c->cpu_ms_per_1000) &&
           row_number(out, "server CPU us per message", 2, c->cpu_us_per_message) &&
           row_number(out, "server CPU s per GB", 3, c->cpu_s_per_gb) &&
           row_number(out, "PSS per open connection, KiB", 1, c->pss_kib_each) &&
           row_number(out, "server CPU ms per second held", 2,
                      r->held_ns ? (double)r->held_cpu_ns * 1e3 / (double)r->held_ns : NAN) &&
           row_number(out, "context switches, voluntary", 0, (double)(r->after.voluntary - r->before.voluntary)) &&
           row_number(out, "context switches, forced", 0, (double)(r->after.involuntary - r->before.involuntary));
}

static bool table_run(const struct plan *plan, const struct result *r, struct buf *out)
{
    struct cost c = cost_of(plan, r);
    const struct tally *t = &r->tally;

    return buf_printf(out,
                      "%s%s%s, %" PRIu32 " side by side: %" PRIu64 " sessions in %.3f s, %" PRIu64 " errors\n",
                      plan->name, *plan->name ? ": " : "", mode_names[plan->mode], r->concurrency, t->sessions,
                      (double)r->ns / 1e9, tally_errors(t)) &&
           row_number(out, "sessions per second", 1, c.sessions_per_s) &&
           row_number(out, "messages per second", 1, c.messages_per_s) &&
           row_number(out, "MB per second", 2, c.octets_per_s / 1e6) &&
           row_number(out, "messages", 0, t->messages ? (double)t->messages : NAN) &&
           row_number(out, "messages proved by the manifest", 0, t->messages ? (double)t->proved : NAN) &&
           row_number(out, "TLS handshakes", 0, t->handshakes ? (double)t->handshakes : NAN) &&
           row_number(out, "TLS handshakes resumed", 0, t->handshakes ? (double)t->resumed : NAN) &&
           server_rows(plan, r, &c, out) && row_number(out, "generator CPU ms", 1, ms(r->own_cpu_ns)) &&
           phase_rows(t, out) && error_rows(t, out);
}

bool report_table(const struct plan *plan, const struct result *results, size_t n, struct buf *out)
{
    bool good = true;

    for (size_t i = 0; i < n && good; i++)
        good = table_run(plan, &results[i], out);
    return good;
}

static bool json_number(struct buf *out, bool *first, const char *name, double value)
{
    return json_key(out, first, name) &&
           (isnan(value) ? buf_put_str(out, "null") : buf_printf(out, "%.10g", value));
}

static bool json_errors(const struct tally *t, struct buf *out)
{
    bool first = true, good = buf_put_str(out, "{");

    for (size_t i = 0; i < KIND_N && good; i++)
        if (t->errors[i])
            good = json_number(out, &first, kind_names[i], (double)t->errors[i]);
    good = good && buf_put_str(out, "}, \"first_errors\": {");
    first = true;
    for (size_t i = 0; i < KIND_N && good; i++)
        if (t->errors[i])
            good = json_key(out, &first, kind_names[i]) && json_put(out, span_str(t->first[i]));
    return good && buf_put_str(out, "}");
}

static bool json_phases(const struct tally *t, struct buf *out)
{
    bool first = true, good = buf_put_str(out, "{");

    for (size_t i = 0; i < PHASE_N && good; i++) {
        const struct samples *s = &t->phase[i];
        bool inner = true;

        if (!s->n)
            continue;
        good = json_key(out, &first, phase_names[i]) && buf_put_str(out, "{") &&
               json_number(out, &inner, "n", (double)s->n) &&
               json_number(out, &inner, "p50_ms", ms(samples_at(s, 0.5))) &&
               json_number(out, &inner, "p90_ms", ms(samples_at(s, 0.9))) &&
               json_number(out, &inner, "p99_ms", ms(samples_at(s, 0.99))) &&
               json_number(out, &inner, "max_ms", ms(samples_at(s, 1))) && buf_put_str(out, "}");
    }
    return good && buf_put_str(out, "}");
}

static bool json_server(const struct plan *plan, const struct result *r, const struct cost *c, struct buf *out)
{
    bool first = true, idle = plan->mode == MODE_IDLE;

    if (!plan->server_pid)
        return buf_put_str(out, "null");
    return buf_put_str(out, "{") && json_number(out, &first, "cpu_ms", ms(r->after.cpu_ns - r->before.cpu_ns)) &&
           json_number(out, &first, "cpu_ms_per_1000_sessions", c->cpu_ms_per_1000) &&
           json_number(out, &first, "cpu_us_per_message", c->cpu_us_per_message) &&
           json_number(out, &first, "cpu_s_per_gb", c->cpu_s_per_gb) &&
           json_number(out, &first, "switches_voluntary", (double)(r->after.voluntary - r->before.voluntary)) &&
           json_number(out, &first, "switches_forced", (double)(r->after.involuntary - r->before.involuntary)) &&
           json_number(out, &first, "processes", (double)r->after.processes) &&
           json_number(out, &first, "pss_kib_before", idle ? (double)r->before.pss_kib : NAN) &&
           json_number(out, &first, "pss_kib_held", idle ? (double)r->held.pss_kib : NAN) &&
           json_number(out, &first, "pss_kib_per_connection", c->pss_kib_each) &&
           json_number(out, &first, "held_cpu_ms", idle ? ms(r->held_cpu_ns) : NAN) && buf_put_str(out, "}");
}

static bool json_run(const struct plan *plan, const struct result *r, struct buf *out)
{
    struct cost c = cost_of(plan, r);
    const struct tally *t = &r->tally;
    bool first = true;

    return buf_put_str(out, "{") && json_number(out, &first, "concurrency", r->concurrency) &&
           json_number(out, &first, "seconds", (double)r->ns / 1e9) &&
           json_number(out, &first, "sessions", (double)t->sessions) &&
           json_number(out, &first, "sessions_per_second", c.sessions_per_s) &&
           json_number(out, &first, "messages", (double)t->messages) &&
           json_number(out, &first, "proved", (double)t->proved) &&
           json_number(out, &first, "octets", (double)t->octets) &&
           json_number(out, &first, "messages_per_second", c.messages_per_s) &&
           json_number(out, &first, "octets_per_second", c.octets_per_s) &&
           json_number(out, &first, "handshakes", (double)t->handshakes) &&
           json_number(out, &first, "resumed", (double)t->resumed) && json_number(out, &first, "open", r->open) &&
           json_number(out, &first, "generator_cpu_ms", ms(r->own_cpu_ns)) && json_key(out, &first, "server") &&
           json_server(plan, r, &c, out) && json_key(out, &first, "latency") && json_phases(t, out) &&
           json_number(out, &first, "error_count", (double)tally_errors(t)) && json_key(out, &first, "errors") &&
           json_errors(t, out) && buf_put_str(out, "}");
}

bool report_json(const struct plan *plan, const struct result *results, size_t n, struct buf *out)
{
    bool first = true;
    bool good = buf_put_str(out, "{") && json_key(out, &first, "mode") &&
                json_put(out, span_str(mode_names[plan->mode])) && json_key(out, &first, "name") &&
                json_put(out, span_str(plan->name)) && json_key(out, &first, "runs") && buf_put_str(out, "[");

    for (size_t i = 0; i < n && good; i++)
        good = (i == 0 || buf_put_str(out, ",\n")) && json_run(plan, &results[i], out);
    return good && buf_put_str(out, "]}\n");
}
