/* restante_bench_plot.c - results as SVG: see restante_bench_report.h. Pure. */
#include "restante_bench_report.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>

enum { WIDE = 720, HIGH = 360, LEFT = 70, RIGHT = 150, TOP = 40, BOTTOM = 50 };

static const char *const colours[] = { "#1b6ca8", "#c0392b", "#27864a", "#8e44ad",
                                       "#b9770e", "#16807a", "#555555", "#d35490" };

enum { COLOURS = sizeof colours / sizeof *colours };

struct axis {
    double low, high; /* logarithms to base 10, or plain values */
    double from, to;  /* pixels */
    bool log;
};

static double place(const struct axis *a, double v)
{
    double at = a->log ? log10(v > 0 ? v : 1e-9) : v, share = (at - a->low) / (a->high - a->low);

    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return a->from + share * (a->to - a->from);
}

static bool put_text(struct buf *out, double x, double y, const char *anchor, const char *text)
{
    bool good = buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);

    for (; *text && good; text++)
        good = *text == '&' ? buf_put_str(out, "&amp;")
             : *text == '<' ? buf_put_str(out, "&lt;")
             : *text == '>' ? buf_put_str(out, "&gt;")
                            : buf_put(out, text, 1);
    return good && buf_put_str(out, "</text>\n");
}

/* A line across the chart at v of axis a, with its value. */
static bool tick(struct buf *out, const struct axis *a, double v, double top, const char *text)
{
    double at = place(a, v);
    bool good;

    if (a->from < a->to && a->from == LEFT) {
        good = buf_printf(out, "<path class=\"g\" d=\"M%.1f %.1fV%.1f\"/>\n", at, top + TOP, top + HIGH - BOTTOM);
        return good && put_text(out, at, top + HIGH - BOTTOM + 16, "middle", text);
    }
    good = buf_printf(out, "<path class=\"g\" d=\"M%d %.1fH%d\"/>\n", LEFT, at, WIDE - RIGHT);
    return good && put_text(out, LEFT - 6, at + 4, "end", text);
}

static bool decades(struct buf *out, const struct axis *a, double top)
{
    bool good = true;

    for (int i = (int)ceil(a->low); i <= (int)floor(a->high) && good; i++) {
        char text[32];

        snprintf(text, sizeof text, "%.10g", pow(10, i));
        good = tick(out, a, pow(10, i), top, text);
    }
    return good;
}

static bool quarters(struct buf *out, const struct axis *a, double top)
{
    bool good = true;

    for (int i = 0; i <= 4 && good; i++) {
        double v = a->low + (a->high - a->low) * i / 4;
        char text[32];

        snprintf(text, sizeof text, "%.4g", v);
        good = tick(out, a, v, top, text);
    }
    return good;
}

static bool legend(struct buf *out, size_t row, double top, const char *text)
{
    double y = top + TOP + 10 + 18 * (double)row;

    return buf_printf(out, "<path stroke=\"%s\" d=\"M%d %.1fh20\"/>\n", colours[row % COLOURS], WIDE - RIGHT + 12,
                      y) &&
           put_text(out, WIDE - RIGHT + 38, y + 4, "start", text);
}

/* Share of the sessions that took no longer: 200 points of the distribution. */
static bool curve(struct buf *out, const struct samples *s, const struct axis *x, const struct axis *y,
                  size_t colour)
{
    bool good = buf_printf(out, "<path stroke=\"%s\" d=\"", colours[colour % COLOURS]);

    for (int i = 0; i <= 200 && good; i++) {
        double share = i / 200.0, v = (double)(i ? samples_at(s, share) : s->ns[0]) / 1e6;

        good = buf_printf(out, "%s%.1f %.1f", i ? "L" : "M", place(x, v), place(y, share * 100));
    }
    return good && buf_put_str(out, "\"/>\n");
}

static bool distribution(const struct plan *plan, const struct result *results, size_t n, struct buf *out)
{
    struct axis x = { 1e9, -1e9, LEFT, WIDE - RIGHT, true }, y = { 0, 100, HIGH - BOTTOM, TOP, false };
    size_t row = 0;
    bool good;
    char text[64];

    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < PHASE_N; p++) {
            const struct samples *s = &results[i].tally.phase[p];

            if (s->n) {
                x.low = fmin(x.low, log10(fmax((double)s->ns[0] / 1e6, 1e-6)));
                x.high = fmax(x.high, log10(fmax((double)s->ns[s->n - 1] / 1e6, 1e-6)));
            }
        }
    if (x.low > x.high)
        x.low = 0, x.high = 1;
    x.low = floor(x.low);
    x.high = ceil(x.high + 1e-9);
    good = put_text(out, LEFT, 22, "start", *plan->name ? plan->name : mode_names[plan->mode]) &&
           decades(out, &x, 0) && quarters(out, &y, 0) &&
           put_text(out, (LEFT + WIDE - RIGHT) / 2.0, HIGH - 12, "middle", "milliseconds; % that took no longer");
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < PHASE_N && good; p++) {
            if (!results[i].tally.phase[p].n || (n > 1 && p != PHASE_LOGIN && p != PHASE_SESSION))
                continue;
            snprintf(text, sizeof text, n > 1 ? "%s, %u" : "%s", phase_names[p], (unsigned)results[i].concurrency);
            good = curve(out, &results[i].tally.phase[p], &x, &y, row) && legend(out, row, 0, text);
            row++;
        }
    return good;
}

/* Sessions per second against sessions side by side. */
static bool scaling(const struct plan *plan, const struct result *results, size_t n, struct buf *out)
{
    struct axis x = { 1e9, -1e9, LEFT, WIDE - RIGHT, true }, y = { 0, 1, 2 * HIGH - BOTTOM, HIGH + TOP, false };
    bool good;

    for (size_t i = 0; i < n; i++) {
        double rate = cost_of(plan, &results[i]).sessions_per_s;

        x.low = fmin(x.low, floor(log10(results[i].concurrency)));
        x.high = fmax(x.high, ceil(log10(results[i].concurrency) + 1e-9));
        if (rate > y.high)
            y.high = rate;
    }
    good = decades(out, &x, HIGH) && quarters(out, &y, HIGH) && legend(out, 0, HIGH, "sessions/s") &&
           put_text(out, (LEFT + WIDE - RIGHT) / 2.0, 2 * HIGH - 12, "middle", "sessions side by side") &&
           buf_printf(out, "<path stroke=\"%s\" d=\"", colours[0]);
    for (size_t i = 0; i < n && good; i++) {
        double rate = cost_of(plan, &results[i]).sessions_per_s;

        good = buf_printf(out, "%s%.1f %.1f", i ? "L" : "M", place(&x, results[i].concurrency),
                          place(&y, isnan(rate) ? 0 : rate));
    }
    return good && buf_put_str(out, "\"/>\n");
}

bool report_plot(const struct plan *plan, const struct result *results, size_t n, struct buf *out)
{
    int high = n > 1 ? 2 * HIGH : HIGH;

    return buf_printf(
               out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
               "font-size=\"12\">\n<style>path{fill:none;stroke-width:1.8}.g{stroke:#ddd;stroke-width:1}</style>\n"
               "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
               WIDE, high, WIDE, high) &&
           distribution(plan, results, n, out) && (n < 2 || scaling(plan, results, n, out)) &&
           buf_put_str(out, "</svg>\n");
}
