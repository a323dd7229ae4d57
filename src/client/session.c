/* session.c - attempts of one account, one after the other, and what each end means for the next.
 *
 * A lost line, a busy maildrop or a server in trouble is tried again with growing pauses, as often as "retries" says; an
 * attempt that brought something durable resets the count. A rejected password is not tried twice (R1939-USER-11).
 * Does not know: packets, batches.
 */
#include "client/session.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/secret.h"
#include "net/idn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAUSE_MS = 1000, PAUSE_MOST_MS = 60000, IN_USE_PAUSE_MS = 5000 };

void session_fail(struct session *s, int code, const char *why)
{
    if (s->pending_code == 0)
        s->pending_code = code;
    if (!s->why[0])
        snprintf(s->why, sizeof s->why, "%s", why);
}

void session_note(struct session *s, bool is_error, const char *text)
{
    ui_notice(s->ui, s->index, is_error, span_str(text));
}

void probe_line(struct session *s, const char *stage, struct span text)
{
    if (s->probe && text.n && !(buf_put_str(s->probe, stage) && buf_put(s->probe, "\n", 1) && buf_put_span(s->probe, text) &&
                                buf_put(s->probe, "\n\n", 2)))
        session_fail(s, 70, "the report is too long");
}

static void free_listing(struct session *s)
{
    listing_free(&s->listing);
    free(s->taken.v);
    s->taken = (struct bits){ NULL, 0 };
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct session *s = handle->data;

    if (--s->timers == 0)
        s->done(s->ctx, s);
}

static void after_close(struct session *s)
{
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    uv_close((uv_handle_t *)&s->total, on_timer_closed);
}

static void finish(struct session *s)
{
    bool dry = s->options->mode == RUN_DRY || s->options->mode == RUN_CHECK;

    s->phase = SESSION_OVER;
    s->totals.pending_deletes = s->unconfirmed;
    s->totals.skipped = s->sums.skip;
    s->totals.quarantined += s->sums.quarantined;
    if (s->options->mode != RUN_MARK_SEEN)
        s->totals.kept = s->sums.keep;
    if (dry)
        s->totals.deleted = s->sums.remove;
    if (s->exit_code == 0 && s->totals.failed) {
        s->exit_code = 75;
        snprintf(s->why, sizeof s->why, "%llu messages could not be fetched; they are still on the server",
                 (unsigned long long)s->totals.failed);
    }
    if (s->exit_code == 0)
        s->why[0] = '\0';
    ui_done(s->ui, s->index, &s->totals, s->exit_code, s->why, dry);
    free_listing(s);
    free(s->targets);
    free(s->failed_ids.v);
    free(s->failed_numbers.v);
    buf_wipe(&s->password);
    buf_wipe(&s->token);
    buf_free(&s->top);
    session_work(s, session_do_close, after_close);
}

static void session_attempt(struct session *s);

static void on_pause_over(uv_timer_t *timer)
{
    struct session *s = timer->data;

    session_attempt(s);
}

/* Whether the end of this attempt is worth another, and after which pause. */
static bool again(struct session *s, uint64_t *pause_ms)
{
    *pause_ms = 0;
    if (s->interrupted || s->hopeless || s->sessions >= SESSION_SESSIONS || s->options->mode == RUN_PROBE)
        return false;
    if (s->retry_now)
        return true;
    if (s->quit_ok)
        return s->options->mode == RUN_FETCH && s->account->drain != CHOICE_NO && s->fetched_here > 0 && !s->stop_fetching &&
               (s->account->drain == CHOICE_YES || s->fetched_here >= SESSION_DRAIN);
    if (s->tainted && s->failure == FAILURE_NONE) /* what is durable is deleted in a session of its own */
        return s->unconfirmed > 0;
    if (s->stop_fetching && s->unconfirmed == 0)
        return false;
    if (s->attempts >= s->account->retries || s->failure == FAILURE_AUTH || s->failure == FAILURE_NO_AUTH ||
        s->failure == FAILURE_SERVER_AUTH || s->failure == FAILURE_TLS_POLICY || s->failure == FAILURE_SYS_PERM ||
        s->failure == FAILURE_PROTOCOL || s->failure == FAILURE_CLIENT)
        return false;
    *pause_ms = PAUSE_MS << (s->attempts < 7 ? s->attempts : 6);
    if (s->failure == FAILURE_IN_USE && *pause_ms < IN_USE_PAUSE_MS)
        *pause_ms = IN_USE_PAUSE_MS;
    if (s->failure == FAILURE_LOGIN_DELAY)
        *pause_ms = s->has_login_delay ? (uint64_t)s->login_delay_s * 1000 : PAUSE_MOST_MS;
    return *pause_ms <= PAUSE_MOST_MS;
}

/* sysexits of what ended an attempt (R3206-07). */
static int code_of(const struct session *s)
{
    switch ((enum dialog_failure)s->failure) {
    case FAILURE_AUTH:
    case FAILURE_NO_AUTH:
    case FAILURE_SERVER_AUTH:
    case FAILURE_TLS_POLICY:
        return 77;
    case FAILURE_PROTOCOL:
        return 76;
    case FAILURE_SYS_PERM:
    case FAILURE_CLIENT:
        return 70;
    case FAILURE_REFUSED:
        return 69;
    case FAILURE_NONE:
        return s->pending_code;
    default:
        return 75;
    }
}

void session_closed(struct session *s)
{
    uint64_t pause;
    bool more;

    if (s->quit_ok) {
        s->totals.deleted += s->deleted_here;
        s->unconfirmed = s->unconfirmed > s->deleted_here ? s->unconfirmed - s->deleted_here : 0;
        if (s->deleted_here) { /* numbers mean something else from here on */
            free(s->failed_numbers.v);
            s->failed_numbers = (struct bits){ NULL, 0 };
        }
    }
    if (s->fetched_here)
        s->attempts = 0;
    more = again(s, &pause);
    if (s->pending_code || !s->quit_ok) {
        int code = code_of(s);

        if (code == 0 && !more && !s->quit_ok && !s->tainted && s->options->mode == RUN_FETCH) {
            code = 75; /* whatever it was: without QUIT's "+OK" nothing is done */
            session_fail(s, code, "the session ended early");
        }
        if (!more || s->tainted)
            s->exit_code = s->exit_code ? s->exit_code : code;
    } else if (s->exit_code == 0) {
        s->why[0] = '\0';
    }
    if (!more) {
        finish(s);
        return;
    }
    if (pause) {
        s->attempts++;
        ui_stage(s->ui, s->index, "waiting to try again");
        if (s->why[0])
            session_note(s, false, s->why);
    }
    s->phase = SESSION_IDLE;
    uv_timer_start(&s->timer, on_pause_over, pause, 0);
}

void session_hang_up(struct session *s)
{
    if (s->dial) {
        dial_cancel(&s->dial);
        s->phase = SESSION_CLOSING;
    }
    session_close_peer(s);
}

static void unreachable(struct session *s, const struct err *why)
{
    if (session_is_discovered(s)) {
        s->retry_now = session_other_server(s);
    } else if (s->account->tls == TLS_MODE_AUTO && !s->fell_back && s->tls == DIALOG_TLS_UP) {
        s->fell_back = true; /* the other door, as safe as the first (R8314-C-07) */
        s->retry_now = true;
    }
    session_fail(s, why->fault == FAULT_GONE ? 68 : 69, why->text);
    s->hopeless = why->fault == FAULT_GONE && !s->retry_now;
    s->phase = SESSION_CLOSING;
    session_pump(s);
}

static void on_dialled(void *ctx, int fd, const struct net_addr *peer, const struct err *why)
{
    struct session *s = ctx;
    struct err e = { 0 };

    (void)peer;
    s->dial = NULL;
    if (fd < 0) {
        unreachable(s, why);
        return;
    }
    ui_stage(s->ui, s->index, "connected");
    if (!session_spawn(s, fd, &e)) {
        session_fail(s, 71, e.text);
        s->hopeless = true;
        s->phase = SESSION_CLOSING;
    }
    close(fd);
    session_pump(s);
}

/* Host and port of the proxy, or the server's own. */
static void dial_target(struct session *s, char host[256], uint16_t *port)
{
    const char *proxy = s->account->proxy, *from;
    char named[256];
    uint64_t number;
    char *colon;

    snprintf(host, 256, "%s", s->host);
    *port = s->port;
    if (!proxy || !*proxy)
        return;
    from = strstr(proxy, "://") ? strstr(proxy, "://") + 3 : proxy;
    from = strrchr(from, '@') ? strrchr(from, '@') + 1 : from;
    snprintf(host, 256, "%s", *from == '[' ? from + 1 : from);
    colon = strrchr(host, ':');
    *port = 1080;
    if (colon && !strchr(colon, ']')) {
        if (num_all_u64(span_str(colon + 1), &number) && number <= UINT16_MAX)
            *port = (uint16_t)number;
        *colon = '\0';
    }
    if (strchr(host, ']'))
        *strchr(host, ']') = '\0';
    snprintf(named, sizeof named, "%s", host);
    if (!idn_host(named, host, NULL)) /* which "config check" would have said */
        snprintf(host, 256, "%s", named);
}

static void target_of_account(struct session *s)
{
    const struct account *a = s->account;

    if (session_is_discovered(s))
        return;
    snprintf(s->host, sizeof s->host, "%s", a->host);
    s->port = a->port;
    s->tls = a->tls == TLS_MODE_NONE ? DIALOG_TLS_NONE : a->tls == TLS_MODE_STLS ? DIALOG_TLS_STLS : DIALOG_TLS_UP;
    if (s->fell_back) {
        s->tls = DIALOG_TLS_STLS;
        s->port = a->port == 995 ? 110 : a->port;
    }
}

static void after_prepare(struct session *s)
{
    int family = s->account->family == 4 ? AF_INET : s->account->family == 6 ? AF_INET6 : AF_UNSPEC;
    char host[256];
    uint16_t port;

    if (s->work_err.text[0] || s->interrupted) {
        if (s->work_err.text[0])
            session_fail(s, s->work_code, s->work_err.text);
        s->hopeless = true;
        s->phase = SESSION_CLOSING;
        session_pump(s);
        return;
    }
    if (s->plan_note[0])
        session_note(s, false, s->plan_note);
    s->plan_note[0] = '\0';
    dial_target(s, host, &port);
    ui_stage(s->ui, s->index, "connecting");
    s->phase = SESSION_DIALLING;
    s->dial = dial_start(s->loop, host, port, family, s->account->connect_s * 1000, on_dialled, s);
}

static void session_attempt(struct session *s)
{
    free_listing(s);
    s->sessions++;
    s->next = s->fifo_head = s->fifo_n = s->deletes_out = s->filter_number = 0;
    s->plan_note[0] = '\0';
    s->filter_due = false;
    s->deleted_here = s->fetched_here = 0;
    s->ready = s->listed = s->quitting = s->tainted = s->quit_ok = s->retry_now = false;
    s->greeted = false;
    s->asks_utf8 = s->needs_utf8;
    s->failure = s->code = 0;
    s->pending_code = 0;
    if (s->exit_code == 0)
        s->why[0] = '\0';
    target_of_account(s);
    session_work(s, session_do_prepare, after_prepare);
}

static void on_total(uv_timer_t *timer)
{
    struct session *s = timer->data;

    session_fail(s, 75, "total-timeout is over; what was complete is stored, the rest comes next time");
    session_interrupt(s);
}

void session_start(struct session *s)
{
    s->link = -1;
    s->password = s->token = BUF(SESSION_SECRET);
    s->top = BUF(SESSION_TOP);
    parcels_init(&s->done_parcels);
    parcels_init(&s->batch);
    secret_random(&s->name_seed, sizeof s->name_seed);
    uv_timer_init(s->loop, &s->timer);
    uv_timer_init(s->loop, &s->total);
    s->timer.data = s->total.data = s;
    s->timers = 2;
    if (s->account->total_s)
        uv_timer_start(&s->total, on_total, (uint64_t)s->account->total_s * 1000, 0);
    ui_begin(s->ui, s->index, s->account->name, s->account->user, s->account->host);
    session_attempt(s);
}

void session_interrupt(struct session *s)
{
    if (s->interrupted || s->phase == SESSION_OVER)
        return;
    s->interrupted = true;
    session_fail(s, 75, "interrupted; what was complete is stored, the rest comes next time");
    if (s->phase == SESSION_IDLE && !s->working && uv_is_active((uv_handle_t *)&s->timer)) {
        uv_timer_stop(&s->timer);
        s->phase = SESSION_CLOSING;
    } else {
        session_hang_up(s);
    }
    session_pump(s);
}
