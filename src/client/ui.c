/* ui.c - where the lines of a run go, and when: see ui.h.
 *
 * Lines that are repainted stand at the end of standard error; before anything else is written they are taken away.
 * Does not know: how lines look (ui_text.c).
 */
#include "client/ui.h"

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "client/ui_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    TEXT_MAX = 65536,
    STAGE = 80,
    TEXT_COLUMNS = 1000,
    PAINT_MS = 100,
    EVENT_MS = 1000,
    ROWS = 24,
    COLUMNS = 80
};

struct slot {
    char *account;
    char stage[STAGE];
    struct ui_totals totals;
    uint64_t started_ms, told_ms; /* first octet; last progress event */
    bool running;
};

struct ui {
    struct ui_options options;
    struct slot *slots;
    uint32_t n, painted; /* lines that stand at the end of the terminal */
    size_t name_columns;
    uint64_t painted_ms, news;
    struct buf out; /* one line at a time */
};

struct ui *ui_new(const struct ui_options *options, uint32_t accounts)
{
    struct ui *ui = mem_zero(1, sizeof *ui);

    ui->options = *options;
    ui->slots = mem_zero(accounts ? accounts : 1, sizeof *ui->slots);
    ui->n = accounts;
    ui->out = BUF(TEXT_MAX);
    return ui;
}

static void say(struct buf *text)
{
    if (text->n)
        (void)sys_write_all(STDERR_FILENO, buf_span(text)); /* whom should we tell? */
    text->n = 0;
}

/* Takes the lines away that are repainted, so that something lasting can be written. */
static void clear(struct ui *ui)
{
    if (ui->painted && buf_printf(&ui->out, "\033[%uA\r\033[J", ui->painted))
        say(&ui->out);
    ui->painted = 0;
    ui->out.n = 0;
}

void ui_free(struct ui **ui)
{
    if (!*ui)
        return;
    clear(*ui);
    for (uint32_t i = 0; i < (*ui)->n; i++)
        free((*ui)->slots[i].account);
    free((*ui)->slots);
    buf_free(&(*ui)->out);
    free(*ui);
    *ui = NULL;
}

static const char *name_of(const struct ui *ui, uint32_t index)
{
    return index < ui->n && ui->slots[index].account ? ui->slots[index].account : NULL;
}

static void window(unsigned *rows, unsigned *columns)
{
    struct winsize size;
    const char *env = getenv("COLUMNS");

    *rows = ROWS;
    *columns = COLUMNS;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
        *rows = size.ws_row;
        *columns = size.ws_col;
    } else if (env && strlen(env) <= 3) {
        *columns = 0;
        for (; ascii_digit((uint8_t)*env); env++)
            *columns = *columns * 10 + (unsigned)(*env - '0');
        *columns = *columns ? *columns : COLUMNS;
    }
}

static struct ui_row row_of(const struct ui *ui, const struct slot *s)
{
    uint64_t now = clock_mono_ms();

    return (struct ui_row){ s->account,       s->stage,         s->totals, s->started_ms ? now - s->started_ms : 0,
                            ui->name_columns, ui->options.color };
}

static void paint(struct ui *ui)
{
    unsigned rows, columns, lines = 0;
    bool ok = true;

    window(&rows, &columns);
    ui->out.n = 0;
    if (ui->painted)
        ok = buf_printf(&ui->out, "\033[%uA\r", ui->painted);
    for (uint32_t i = 0; i < ui->n && ok && lines + 1 < rows; i++) {
        struct ui_row row = row_of(ui, &ui->slots[i]);

        if (!ui->slots[i].running)
            continue;
        ok = ui_put_progress(&ui->out, &row, columns) && buf_put_str(&ui->out, "\033[K\n");
        lines++;
    }
    if (ok && buf_put_str(&ui->out, "\033[J"))
        say(&ui->out);
    ui->out.n = 0;
    ui->painted = lines;
    ui->painted_ms = clock_mono_ms();
}

bool ui_wants_tick(const struct ui *ui)
{
    return ui->options.progress && !ui->options.json && !ui->options.quiet;
}

/* Is there a line to repaint? */
static bool is_live(const struct ui *ui)
{
    for (uint32_t i = 0; i < ui->n && ui_wants_tick(ui); i++)
        if (ui->slots[i].running)
            return true;
    return false;
}

uint64_t ui_news(const struct ui *ui)
{
    return ui->news;
}

void ui_tick(struct ui *ui)
{
    if (is_live(ui) && clock_mono_ms() - ui->painted_ms >= PAINT_MS)
        paint(ui);
}

/* {"event": "NAME", "account": "…" and room for more. */
static bool event_begin(struct ui *ui, bool *first, const char *event, uint32_t index)
{
    const char *account = name_of(ui, index);

    ui->out.n = 0;
    *first = true;
    return buf_put_str(&ui->out, "{") && json_key(&ui->out, first, "event") &&
           json_put(&ui->out, span_str(event)) &&
           (!account || (json_key(&ui->out, first, "account") && json_put(&ui->out, span_str(account))));
}

static bool event_text(struct ui *ui, bool *first, const char *name, struct span text)
{
    return json_key(&ui->out, first, name) && json_put(&ui->out, text);
}

static bool event_number(struct ui *ui, bool *first, const char *name, uint64_t n)
{
    return json_key(&ui->out, first, name) && buf_printf(&ui->out, "%llu", (unsigned long long)n);
}

/* Programs read events as they come: no line waits in a buffer. */
static void event_end(struct ui *ui, bool ok)
{
    if (ok && buf_put_str(&ui->out, "}\n")) {
        (void)fwrite(ui->out.p, 1, ui->out.n, stdout); /* main looks at ferror */
        (void)fflush(stdout);
    }
    ui->out.n = 0;
}

void ui_begin(struct ui *ui, uint32_t index, const char *account, const char *user, const char *host)
{
    struct slot *s;
    bool first;

    if (index >= ui->n)
        return;
    s = &ui->slots[index];
    free(s->account);
    *s = (struct slot){ .account = mem_str(account), .running = true };
    if (strlen(account) > ui->name_columns)
        ui->name_columns = strlen(account);
    if (!ui->options.json)
        return;
    bool ok = event_begin(ui, &first, "begin", index) && event_text(ui, &first, "user", span_str(user)) &&
              event_text(ui, &first, "host", span_str(host));
    event_end(ui, ok);
}

/* "work: " and the text, cleaned, on standard error. */
static void put_note(struct ui *ui, uint32_t index, const char *lead, struct span text)
{
    const char *account = name_of(ui, index);
    bool ok;

    clear(ui);
    ok = buf_put_str(&ui->out, lead);
    if (ok && account)
        text_put_clean(&ui->out, span_str(account), TEXT_COLUMNS);
    ok = ok && (!account || buf_put_str(&ui->out, ": "));
    text_put_clean(&ui->out, text, TEXT_COLUMNS);
    if (ok && buf_put_str(&ui->out, "\n"))
        say(&ui->out);
    ui->out.n = 0;
}

void ui_stage(struct ui *ui, uint32_t index, const char *stage)
{
    struct slot *s;
    bool first;

    if (index >= ui->n)
        return;
    s = &ui->slots[index];
    snprintf(s->stage, sizeof s->stage, "%s", stage);
    if (*stage == '\0')
        return;
    if (ui->options.json)
        event_end(ui, event_begin(ui, &first, "stage", index) && event_text(ui, &first, "stage", span_str(stage)));
    else if (ui->options.verbose && !ui->options.quiet)
        put_note(ui, index, "", span_str(stage));
}

void ui_progress(struct ui *ui, uint32_t index, const struct ui_totals *totals)
{
    uint64_t now = clock_mono_ms();
    struct slot *s;
    bool first;

    if (index >= ui->n)
        return;
    s = &ui->slots[index];
    if (totals->octets_now > s->totals.octets_now || totals->new_messages > s->totals.new_messages)
        s->stage[0] = '\0'; /* mail comes: numbers tell more */
    s->totals = *totals;
    if (totals->octets_now && !s->started_ms)
        s->started_ms = now;
    if (!ui->options.json || now - s->told_ms < EVENT_MS)
        return;
    s->told_ms = now;
    event_end(ui, event_begin(ui, &first, "progress", index) && ui_put_totals(&ui->out, &first, totals));
}

void ui_trace(struct ui *ui, uint32_t index, bool sent, struct span line)
{
    struct buf text = BUF(TEXT_MAX);

    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    if (ui->options.verbose >= 2 && buf_put_str(&text, sent ? "C: " : "S: ") &&
        buf_put(&text, line.p, line.n < TEXT_MAX - 8 ? line.n : TEXT_MAX - 8))
        put_note(ui, index, "", buf_span(&text));
    buf_free(&text);
}

/* size: the contract of the header names all that a caller decides */
void ui_message(struct ui *ui, uint32_t index, const char *verb, struct span uid, uint64_t octets,
                const char *detail)
{
    struct buf text = BUF(TEXT_MAX);
    bool first, ok;

    if (ui->options.json) {
        ok = event_begin(ui, &first, "message", index) && event_text(ui, &first, "what", span_str(verb)) &&
             event_text(ui, &first, "uid", uid) && event_number(ui, &first, "octets", octets) &&
             event_text(ui, &first, "detail", span_str(detail ? detail : ""));
        event_end(ui, ok);
    } else if (ui->options.verbose && !ui->options.quiet) {
        ok = buf_printf(&text, "%s ", verb) && buf_put(&text, uid.p, uid.n < 200 ? uid.n : 200) &&
             (!octets || (buf_put_str(&text, " (") && ui_put_octets(&text, octets) && buf_put_str(&text, ")"))) &&
             (!detail || !*detail || (buf_put_str(&text, ": ") && buf_put_str(&text, detail)));
        if (ok)
            put_note(ui, index, "", buf_span(&text));
    }
    buf_free(&text);
}

void ui_notice(struct ui *ui, uint32_t index, bool is_error, struct span text)
{
    struct buf line = BUF(TEXT_MAX);
    bool first;

    if (ui->options.json)
        event_end(ui, event_begin(ui, &first, "notice", index) &&
                          event_text(ui, &first, "level", span_str(is_error ? "error" : "warning")) &&
                          event_text(ui, &first, "text", text));
    else if ((is_error || !ui->options.quiet) && buf_put_str(&line, is_error ? "" : "warning: ") &&
             buf_put(&line, text.p, text.n < TEXT_MAX / 2 ? text.n : TEXT_MAX / 2))
        put_note(ui, index, "restante: ", buf_span(&line));
    buf_free(&line);
}

static bool worth_saying(const struct ui *ui, const struct ui_totals *t, const struct ui_end *end)
{
    if (end->exit_code)
        return true;
    if (ui->options.quiet)
        return false;
    return ui->options.progress || ui->options.verbose || end->dry || t->fetched || t->deleted || t->failed ||
           t->quarantined || t->pending_deletes;
}

static void done_event(struct ui *ui, uint32_t index, const struct ui_totals *totals, const struct ui_end *end)
{
    bool first;
    bool ok = event_begin(ui, &first, "done", index) &&
              event_number(ui, &first, "exit", (uint64_t)end->exit_code) &&
              event_text(ui, &first, "why", span_str(end->why)) && json_key(&ui->out, &first, "dry") &&
              buf_put_str(&ui->out, end->dry ? "true" : "false") && ui_put_totals(&ui->out, &first, totals);

    event_end(ui, ok);
}

/* size: the contract of ui.h */
void ui_done(struct ui *ui, uint32_t index, const struct ui_totals *totals, int exit_code, const char *why,
             bool dry)
{
    struct ui_end end = { exit_code, why ? why : "", dry };
    struct ui_row row;

    if (index >= ui->n || !ui->slots[index].account)
        return;
    ui->slots[index].running = false;
    ui->slots[index].totals = *totals;
    ui->news += dry ? totals->new_messages : totals->fetched;
    if (ui->options.json) {
        done_event(ui, index, totals, &end);
        return;
    }
    clear(ui);
    row = row_of(ui, &ui->slots[index]);
    if (worth_saying(ui, totals, &end) && ui_put_summary(&ui->out, &row, &end)) {
        (void)fwrite(ui->out.p, 1, ui->out.n, exit_code && ui->options.quiet ? stderr : stdout);
        (void)fflush(stdout);
    }
    ui->out.n = 0;
    if (is_live(ui))
        paint(ui);
}
