/* run.c - all accounts of a run on one loop: how many at a time, signals, progress, intervals of the daemon.
 * Does not know: sessions' insides.
 */
#include "client/run.h"

#include "client/notify.h"
#include "client/session.h"

#include <signal.h>
#include <stdlib.h>

enum { TICK_MS = 100, HOUR_S = 3600, SIGNALS = 3 };

struct slot {
    const struct account *account;
    struct session *session;
    uv_timer_t timer;       /* daemon: the next time */
    struct run *run;
    uint32_t index, failures;
    bool waiting;           /* for its turn */
    bool timed;             /* timer is open */
};

struct run {
    uv_loop_t loop;
    const struct settings *settings;
    const struct run_options *options;
    struct ui *ui;
    struct slot *slots;
    uint32_t n, running, failed;
    int code;
    bool stopping;
    uv_signal_t signals[SIGNALS];
    uv_timer_t tick, watchdog;
};

static void pump(struct run *r);

static void wind_up(struct run *r)
{
    for (int i = 0; i < SIGNALS; i++)
        if (!uv_is_closing((uv_handle_t *)&r->signals[i]))
            uv_close((uv_handle_t *)&r->signals[i], NULL);
    if (!uv_is_closing((uv_handle_t *)&r->tick))
        uv_close((uv_handle_t *)&r->tick, NULL);
    if (!uv_is_closing((uv_handle_t *)&r->watchdog))
        uv_close((uv_handle_t *)&r->watchdog, NULL);
    for (uint32_t i = 0; i < r->n; i++)
        if (r->slots[i].timed && !uv_is_closing((uv_handle_t *)&r->slots[i].timer))
            uv_close((uv_handle_t *)&r->slots[i].timer, NULL);
}

static void on_due(uv_timer_t *timer)
{
    struct slot *slot = timer->data;

    slot->waiting = true;
    pump(slot->run);
}

/* The next time of an account: its interval, never below what the server announced (R2449-LD-03), and growing while
 * the server refuses the login (R1939-USER-11). */
static void schedule(struct slot *slot, const struct session *s)
{
    uint64_t pause = slot->account->interval_s ? slot->account->interval_s : slot->run->settings->interval_s;

    if (s->has_login_delay && pause < s->login_delay_s)
        pause = s->login_delay_s;
    if (slot->failures > 1)
        pause <<= slot->failures < 6 ? slot->failures - 1 : 5;
    if (slot->failures > 1 && pause > HOUR_S && slot->account->interval_s < HOUR_S)
        pause = HOUR_S;
    uv_timer_start(&slot->timer, on_due, pause * 1000, 0);
}

static void on_done(void *ctx, struct session *s)
{
    struct slot *slot = ctx;
    struct run *r = slot->run;

    r->running--;
    if (s->exit_code) {
        slot->failures++;
        r->code = r->failed++ && r->code != s->exit_code ? 75 : s->exit_code;
    } else {
        slot->failures = 0;
    }
    if (r->options->daemon && !r->stopping)
        schedule(slot, s);
    slot->session = NULL;
    free(s);
    pump(r);
}

static void start(struct slot *slot)
{
    struct run *r = slot->run;
    struct session *s = mem_zero(1, sizeof *s);

    s->account = slot->account;
    s->settings = r->settings;
    s->options = r->options;
    s->ui = r->ui;
    s->probe = r->options->probe;
    s->loop = &r->loop;
    s->index = slot->index;
    s->done = on_done;
    s->ctx = slot;
    slot->waiting = false;
    slot->session = s;
    r->running++;
    session_start(s);
}

static void pump(struct run *r)
{
    uint32_t parallel = r->settings->parallel ? r->settings->parallel : 1;

    for (uint32_t i = 0; i < r->n && r->running < parallel && !r->stopping; i++)
        if (r->slots[i].waiting)
            start(&r->slots[i]);
    if (r->running == 0 && (!r->options->daemon || r->stopping))
        wind_up(r);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *r = handle->data;

    if (number == SIGHUP && !r->options->daemon)
        number = SIGTERM;
    if (r->options->daemon)
        notify_say("STOPPING=1");
    r->stopping = true;
    for (uint32_t i = 0; i < r->n; i++)
        if (r->slots[i].session)
            session_interrupt(r->slots[i].session);
    pump(r);
}

static void on_tick(uv_timer_t *timer)
{
    struct run *r = timer->data;

    ui_tick(r->ui);
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_say("WATCHDOG=1");
}

static void prepare(struct run *r)
{
    static const int numbers[SIGNALS] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    uint64_t watch = notify_watchdog_ms();

    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a full quota is an error to answer, not an end */
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(&r->loop, &r->signals[i]);
        r->signals[i].data = r;
        uv_signal_start(&r->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&r->loop, &r->tick);
    r->tick.data = r;
    if (ui_wants_tick(r->ui))
        uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
    uv_timer_init(&r->loop, &r->watchdog);
    if (r->options->daemon && watch)
        uv_timer_start(&r->watchdog, on_watchdog, watch / 2, watch / 2);
}

int run_accounts(const struct settings *settings, const struct account *const *accounts, uint32_t n,
                 const struct run_options *options, struct ui *ui)
{
    struct run r = { .settings = settings, .options = options, .ui = ui, .n = n };

    if (uv_loop_init(&r.loop) != 0)
        return 71;
    r.slots = mem_zero(n ? n : 1, sizeof *r.slots);
    prepare(&r);
    for (uint32_t i = 0; i < n; i++) {
        struct slot *slot = &r.slots[i];

        *slot = (struct slot){ .account = accounts[i], .run = &r, .index = i, .waiting = true, .timed = options->daemon };
        if (slot->timed) {
            uv_timer_init(&r.loop, &slot->timer);
            slot->timer.data = slot;
        }
    }
    if (options->daemon)
        notify_say("READY=1");
    pump(&r);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    uv_loop_close(&r.loop);
    free(r.slots);
    return options->daemon && r.stopping ? 0 : r.code;
}
