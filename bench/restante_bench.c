/* restante_bench.c - restante-bench: loads a POP3 server, any POP3 server, and judges every answer.
 *
 * One thread, one epoll; it shares the machine with what it measures and must be cheap.
 * Does not know: how sessions run (restante_bench_run.c), how results look (restante_bench_report.c).
 */
#include "restante_bench_plan.h"
#include "restante_bench_report.h"

#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

static int complain(const struct err *e, int code)
{
    fprintf(stderr, "restante-bench: %s\n", e->text);
    return code;
}

static bool put_file(const char *path, struct span text, struct err *e)
{
    FILE *out = fopen(path, "we");

    if (!out)
        return err_errno(e, "create", path);
    fwrite(text.p, 1, text.n, out);
    return (ferror(out) | fclose(out)) == 0 || err_errno(e, "write", path);
}

static int report(const struct plan *plan, const struct result *results, size_t n)
{
    struct buf text = BUF(16u << 20), picture = BUF(16u << 20);
    struct err e = { 0 };
    int code = EX_OK;

    if (!(plan->json ? report_json : report_table)(plan, results, n, &text))
        code = EX_SOFTWARE;
    fwrite(text.p, 1, text.n, stdout);
    if (plan->plot && (!report_plot(plan, results, n, &picture) || !put_file(plan->plot, buf_span(&picture), &e)))
        code = complain(&e, EX_CANTCREAT);
    buf_free(&text);
    buf_free(&picture);
    return code;
}

static int load(const struct plan *plan)
{
    struct result results[RUNS_MAX] = { 0 };
    struct manifest manifest = { 0 };
    struct err e = { 0 };
    int code = EX_OK;
    bool wrong = false;
    size_t n = 0;

    if (plan->manifest && !manifest_read(plan->manifest, &manifest, &e))
        return complain(&e, EX_NOINPUT);
    for (; n < plan->runs && code == EX_OK; n++) {
        if (!run_plan(plan, plan->concurrency[n], plan->manifest ? &manifest : NULL, &results[n], &e))
            code = complain(&e, EX_UNAVAILABLE);
        wrong = wrong || tally_errors(&results[n].tally);
    }
    if (code == EX_OK)
        code = report(plan, results, n);
    for (size_t i = 0; i < n; i++)
        tally_free(&results[i].tally);
    manifest_free(&manifest);
    return code == EX_OK && wrong ? 1 : code;
}

int main(int argc, char **argv)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct plan plan;
    struct err e;
    bool help;

    (void)argc;
    sigaction(SIGPIPE, &ignore, NULL);
    if (!plan_parse(argv + 1, &plan, &help, &e))
        return complain(&e, EX_USAGE);
    if (help) {
        fputs(plan_help, stdout);
        return EX_OK;
    }
    if (plan.mode == MODE_MAKE)
        return mail_make(&plan, &e) ? EX_OK : complain(&e, EX_CANTCREAT);
    if (plan.mode == MODE_MANIFEST)
        return mail_manifest(&plan, &e) ? EX_OK : complain(&e, EX_NOINPUT);
    return load(&plan);
}
