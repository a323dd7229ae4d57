/* super_main.c - restanted: command line, configuration, signals, reload.
 *
 * Stays in the foreground and logs to standard error (systemd's way). SIGHUP: new configuration and certificates for
 * new sessions, running sessions go on. SIGTERM: stop accepting, finish what runs. Does not know: the network.
 */
#include "server/super/super.h"

#include "base/log.h"
#include "base/clock.h"
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { TICK_MS = 1000, CONF_TEXT_MAX = 16 * 1024 * 1024 };

static const char usage[] =
    "restanted - POP3 server\n"
    "\n"
    "  restanted [-c FILE]        serve; stays in the foreground, logs to standard error\n"
    "  restanted [-c FILE] -t     check the configuration and leave (0 = good, 78 = faulty)\n"
    "  restanted --help | --version\n"
    "\n"
    "  -c FILE    configuration, default " SYSCONFDIR "/restante/restante.conf\n"
    "\n"
    "Signals: HUP reads configuration and certificates again for new sessions; TERM stops accepting and\n"
    "finishes what runs. restanted(8), restante.conf(5) and restantectl(8) tell the rest.\n";

/* All faults of a configuration, one event each line. */
static void log_report(const char *event_name, const struct buf *report)
{
    struct span rest = buf_span(report);

    while (rest.n)
        event(LOG_ERROR, event_name, F_SPAN("fault", span_until(&rest, '\n')));
}

static bool find_user(const char *name, const char *fallback, uint32_t *uid, uint32_t *gid, struct err *e)
{
    struct passwd *pw = getpwnam(name);

    if (!pw && fallback) {
        pw = getpwnam(fallback);
        if (pw)
            event(LOG_WARNING, "user-missing", F_STR("user", name), F_STR("using", fallback));
    }
    if (!pw)
        return err_set(e, FAULT_PERM, "no such user \"%s\": create it or name another one", name);
    *uid = pw->pw_uid;
    *gid = pw->pw_gid;
    return true;
}

/* Whom the workers become: only root can choose. */
static bool find_users(struct super *s, struct err *e)
{
    s->front_uid = s->front_gid = s->auth_uid = s->auth_gid = UINT32_MAX;
    if (!s->root)
        return true;
    if (!s->conf->mail.user[0])
        return err_set(e, FAULT_PERM, "%s: mail.user is not set; started as root the server must know who "
                       "owns the mail: set mail { user = \"vmail\" }", s->conf->file);
    return find_user(s->conf->workers.front_user, "nobody", &s->front_uid, &s->front_gid, e) &&
           find_user(s->conf->workers.auth_user, "nobody", &s->auth_uid, &s->auth_gid, e);
}

/* An empty root directory for the fronts: made when missing, refused when somebody could write to it. */
static bool prepare_chroot(struct super *s, struct err *e)
{
    const char *path = s->conf->workers.chroot;
    struct stat st;

    if (!s->root || !path[0])
        return true;
    if (mkdir("/run/restante", 0755) != 0 && errno != EEXIST)
        return err_errno(e, "mkdir", "/run/restante");
    if (mkdir(path, 0555) != 0 && errno != EEXIST)
        return err_errno(e, "mkdir", path);
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022))
        return err_set(e, FAULT_PERM, "workers.chroot %s must be a directory that only root can write", path);
    return true;
}

static bool set_conf(struct super *s, struct conf *conf, struct err *e)
{
    conf->workers.fronts = s->nfronts;
    conf->workers.hashers = s->nhashers;
    buf_free(&s->conf_text);
    if (!conf_put_text(conf, &s->conf_text))
        return err_set(e, FAULT_BAD, "configuration is too large");
    if (s->conf != conf)
        conf_free(&s->conf);
    s->conf = conf;
    return true;
}

/* A new configuration is taken whole or not at all. */
static void reload(struct super *s)
{
    struct buf report = BUF(65536);
    struct super_listener *list;
    struct conf *conf = NULL;
    struct err e = { FAULT_NONE, "" };
    uint32_t n;

    super_notify("RELOADING=1");
    if (!conf_read(s->conf->file, &conf, &report)) {
        log_report("config-refused", &report);
        buf_free(&report);
        super_notify("READY=1");
        return;
    }
    buf_free(&report);
    if (!super_load_tls(s, conf, &e))
        event(LOG_ERROR, "certificate-refused", F_ERR(&e), F_STR("kept", s->tls_fd >= 0 ? "old" : "none"));
    if (!super_listen(s, conf, &list, &n, &e)) {
        event(LOG_ERROR, "config-refused", F_STR("fault", e.text));
        conf_free(&conf);
        if (!super_load_tls(s, s->conf, &e)) /* the old configuration's certificates again */
            event(LOG_ERROR, "certificate-refused", F_ERR(&e), F_STR("kept", "new"));
        super_notify("READY=1");
        return;
    }
    if (!set_conf(s, conf, &e)) {
        event(LOG_ERROR, "config-refused", F_ERR(&e));
        conf_free(&conf);
        free(list);
        super_notify("READY=1");
        return;
    }
    super_listen_swap(s, list, n);
    log_open("supervisor", 2, (enum log_level)conf->log.level);
    super_rebrief(s);
    event(LOG_INFO, "reloaded", F_STR("file", conf->file), F_U64("listeners", n));
    super_notify("READY=1");
}

static void on_signal(uv_signal_t *handle, int sig)
{
    struct super *s = handle->data;

    if (sig != SIGHUP)
        super_stop(s);
    else if (!s->stopping)
        reload(s);
}

/* Certificates that changed on disk are taken by themselves; ticket keys grow old. */
static void on_tick(uv_timer_t *timer)
{
    struct super *s = timer->data;
    uint64_t now = uv_now(s->loop), every = (uint64_t)s->conf->tls.reload_s * 1000;
    uint64_t watchdog = super_watchdog_ms();
    struct file_stamp stamp;
    struct err e = { FAULT_NONE, "" };

    if (watchdog)
        super_notify("WATCHDOG=1");
    if (s->stopping)
        return;
    if (now - s->tickets_ms >= TICKET_LIFE_MS) {
        super_new_ticket_key(s);
        super_rebrief(s);
    }
    stamp = super_stamp(s->conf->users.file);
    if (s->auth.alive && memcmp(&stamp, &s->users_stamp, sizeof stamp) != 0)
        super_tell_users(s);
    if (every == 0 || now - s->looked_ms < every)
        return;
    s->looked_ms = now;
    if (!super_tls_changed(s))
        return;
    if (super_load_tls(s, s->conf, &e)) {
        struct super_listener *list;
        uint32_t n;

        event(LOG_INFO, "certificate-loaded", F_STR("file", s->conf->tls.certificate));
        if (super_listen(s, s->conf, &list, &n, &e)) /* implicit TLS may be possible now */
            super_listen_swap(s, list, n);
        super_rebrief(s);
    } else {
        event(LOG_ERROR, "certificate-refused", F_ERR(&e), F_STR("kept", s->tls_fd >= 0 ? "old" : "none"));
    }
}

static bool prepare_counters(struct super *s, struct err *e)
{
    s->counters_fd = memfd_create("restante-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->counters_fd < 0 || ftruncate(s->counters_fd, (off_t)counters_octets()) != 0 ||
        fcntl(s->counters_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) /* or a front could cut it */
        return err_set(e, FAULT_TEMP, "counters: %s", strerror(errno));
    return counters_map(fcntl(s->counters_fd, F_DUPFD_CLOEXEC, 0), &s->counters, e);
}

static void watch_signals(struct super *s)
{
    uv_signal_t *handles[] = { &s->sig_term, &s->sig_int, &s->sig_hup };
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    sigaction(SIGPIPE, &ignore, NULL);
    for (int i = 0; i < 3; i++) {
        uv_signal_init(s->loop, handles[i]);
        handles[i]->data = s;
        uv_signal_start(handles[i], on_signal, numbers[i]);
    }
    uv_timer_init(s->loop, &s->tick);
    s->tick.data = s;
    uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    uv_timer_init(s->loop, &s->deadline);
    s->deadline.data = s;
}

static char *own_dir(void)
{
    char path[480];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    char *slash;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    return mem_str(path);
}

static uint32_t number_of(uint32_t set, long fallback, uint32_t max)
{
    if (set == 0)
        set = fallback < 1 ? 1 : (uint32_t)fallback;
    return set < max ? set : max;
}

static bool prepare(struct super *s, struct conf *conf, struct err *e)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct super_listener *list;
    struct rlimit files;
    uint32_t n;

    s->root = geteuid() == 0;
    s->dir = own_dir();
    s->nfronts = number_of(conf->workers.fronts, cores, SUPER_FRONTS);
    s->nhashers = number_of(conf->workers.hashers, cores / 2, SUPER_HASHERS);
    s->conf_text = BUF(CONF_TEXT_MAX);
    s->tls_fd = -1;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (!set_conf(s, conf, e) || !find_users(s, e) || !prepare_chroot(s, e) || !prepare_counters(s, e))
        return false;
    super_new_ticket_key(s);
    if (!super_load_tls(s, conf, e))
        event(LOG_ERROR, "certificate-refused", F_ERR(e), F_STR("kept", "none"));
    if (!super_listen(s, conf, &list, &n, e))
        return false;
    super_listen_swap(s, list, n);
    return true;
}

static int serve(struct conf *conf)
{
    struct super *s = mem_zero(1, sizeof *s);
    struct err e = { FAULT_NONE, "" };

    log_open("supervisor", 2, (enum log_level)conf->log.level);
    s->loop = uv_default_loop();
    if (!prepare(s, conf, &e)) {
        fprintf(stderr, "restanted: %s\n", e.text);
        return e.fault == FAULT_PERM ? EX_NOPERM : e.fault == FAULT_IN_USE ? EX_UNAVAILABLE : EX_TEMPFAIL;
    }
    watch_signals(s);
    if (!super_start(s, &e)) {
        fprintf(stderr, "restanted: %s\n", e.text);
        return EX_SOFTWARE;
    }
    uv_run(s->loop, UV_RUN_DEFAULT);
    event(LOG_INFO, "stopped", F_U64("status", s->status));
    return s->status;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = { { "help", no_argument, NULL, 'h' },
                                           { "version", no_argument, NULL, 'V' },
                                           { "config", required_argument, NULL, 'c' },
                                           { "check", no_argument, NULL, 't' },
                                           { NULL, 0, NULL, 0 } };
    const char *file = SYSCONFDIR "/restante/restante.conf";
    struct buf report = BUF(65536);
    struct conf *conf = NULL;
    bool check = false;
    int opt;

    while ((opt = getopt_long(argc, argv, "c:thV", longs, NULL)) != -1) {
        switch (opt) {
        case 'c':
            file = optarg;
            break;
        case 't':
            check = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'V':
            puts("restanted " RESTANTE_VERSION);
            return 0;
        default:
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "restanted: unexpected argument \"%s\"; see restanted --help\n", argv[optind]);
        return EX_USAGE;
    }
    if (!conf_read(file, &conf, &report)) {
        fwrite(report.p, 1, report.n, stderr);
        return EX_CONFIG;
    }
    if (check) {
        printf("%s: good\n", file);
        return 0;
    }
    return serve(conf);
}
