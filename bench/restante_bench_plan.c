/* restante_bench_plan.c - options into a plan: see restante_bench_plan.h. */
#include "restante_bench_plan.h"

#include "base/args.h"
#include "base/num.h"

const char plan_help[] =
    "restante-bench MODE [OPTION...]   loads a POP3 server and judges every answer\n"
    "  poll     connect, USER, PASS, STAT [, UIDL, LIST], QUIT       storm  the same, all --sessions at once\n"
    "  drain    the same with RETR of everything                     idle   opens --sessions and --hold S seconds\n"
    "  delivery poll while --per-second N messages are dropped into --maildir PATTERN\n"
    "  make     writes Maildirs and their manifest                   manifest  of Maildirs that are there\n"
    "server:  --server ADDRESS:PORT  --tls none|stls|implicit  --resume (TLS tickets)  --ca-file FILE\n"
    "         --server-pid PID (CPU, context switches, memory of it and all its children)\n"
    "users:   --user PATTERN (user%05d)  --password PATTERN (secret)  --first N (0)  --users N (1)\n"
    "         --sources N: connect from N addresses of 127.0.0.0/8\n"
    "load:    -c, --concurrency N[,N...] (16; several make several runs)  -n, --sessions N (1000) | --seconds S\n"
    "         --warmup N sessions that are not measured  --timeout S (30) without an answer  --limit S (300) of a run\n"
    "poll:    --uidl  --list         drain: --window N RETRs under way (1)  --dele\n"
    "idle:    --until connect|greeting|login (login)\n"
    "proof:   --manifest FILE: counts, sizes and digests of all messages must agree\n"
    "make:    --maildir PATTERN  --messages N (10)  --octets N (2048) on the wire  --spread PERCENT (0 = all alike,\n"
    "         150 = like real mail, then --octets is the median)  --folder cur|new  --from N (first message's number)\n"
    "         --owner UID\n"
    "output:  a table; --json; --plot FILE.svg (latency, and scaling when there are several runs); --name TEXT\n"
    "Exit status: 0 all answers right, 1 some wrong (counted by kind), 64 command line, 69 could not run.\n";

/* clang-format off */
static const struct option_row rows[] = {
    { 'h', "help", NULL, "" },          { 0, "server", "ADDRESS:PORT", "" }, { 0, "tls", "FORM", "" },
    { 0, "resume", NULL, "" },          { 0, "ca-file", "FILE", "" },        { 0, "server-pid", "PID", "" },
    { 0, "user", "PATTERN", "" },       { 0, "password", "PATTERN", "" },    { 0, "first", "N", "" },
    { 0, "users", "N", "" },            { 0, "sources", "N", "" },           { 'c', "concurrency", "N[,N...]", "" },
    { 'n', "sessions", "N", "" },       { 0, "seconds", "S", "" },           { 0, "warmup", "N", "" },
    { 0, "timeout", "S", "" },          { 0, "limit", "S", "" },             { 0, "uidl", NULL, "" },
    { 0, "list", NULL, "" },            { 0, "window", "N", "" },            { 0, "dele", NULL, "" },
    { 0, "until", "STEP", "" },         { 0, "hold", "S", "" },              { 0, "manifest", "FILE", "" },
    { 0, "maildir", "PATTERN", "" },    { 0, "messages", "N", "" },          { 0, "octets", "N", "" },
    { 0, "spread", "PERCENT", "" },     { 0, "folder", "NAME", "" },         { 0, "from", "N", "" },
    { 0, "owner", "UID", "" },          { 0, "per-second", "N", "" },        { 0, "json", NULL, "" },
    { 0, "plot", "FILE", "" },          { 0, "name", "TEXT", "" },           { 0, NULL, NULL, NULL },
};
/* clang-format on */

/* The option's number, or def without it; *good goes false when it is none or out of range. */
static uint64_t number(const struct args *args, const char *name, uint64_t def, uint64_t max, struct err *e)
{
    const char *text = args_get(args, name);
    uint64_t n = def;

    if (!text || e->fault != FAULT_NONE)
        return def;
    if (!num_all_u64(span_str(text), &n) || n > max) {
        err_set(e, FAULT_BAD, "--%s %.40s: a number up to %llu is needed", name, text, (unsigned long long)max);
        return def;
    }
    return n;
}

/* Which of the words (up to NULL) the option says; the first without it. */
static unsigned choice(const struct args *args, const char *name, const char *const *words, struct err *e)
{
    const char *text = args_get(args, name);

    for (unsigned i = 0; text && words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    if (text && e->fault == FAULT_NONE)
        err_set(e, FAULT_BAD, "--%s %.40s: not a word that it knows; see --help", name, text);
    return 0;
}

static const char *text_or(const struct args *args, const char *name, const char *def)
{
    const char *text = args_get(args, name);

    return text ? text : def;
}

static void take_concurrency(const struct args *args, struct plan *plan, struct err *e)
{
    struct span list = span_str(text_or(args, "concurrency", "16"));

    while (list.n && plan->runs < RUNS_MAX) {
        struct span word = span_until(&list, ',');
        uint64_t n;

        if (!num_all_u64(word, &n) || n == 0 || n > 1000000) {
            err_set(e, FAULT_BAD, "--concurrency: a number from 1 to 1000000 is needed");
            return;
        }
        plan->concurrency[plan->runs++] = (uint32_t)n;
    }
    if (!plan->runs || list.n)
        err_set(e, FAULT_BAD, "--concurrency: up to %d numbers", RUNS_MAX);
}

static void take_server(const struct args *args, struct plan *plan, struct err *e)
{
    static const char *const forms[] = { "none", "stls", "implicit", NULL };
    const char *server = text_or(args, "server", "127.0.0.1:110");

    plan->tls = (enum tls)choice(args, "tls", forms, e);
    plan->resume = args_get(args, "resume") != NULL;
    plan->ca_file = args_get(args, "ca-file");
    plan->server_pid = (uint32_t)number(args, "server-pid", 0, INT32_MAX, e);
    if (!net_addr_parse(server, &plan->server) && e->fault == FAULT_NONE)
        err_set(e, FAULT_BAD, "--server %.60s: not ADDRESS:PORT", server);
}

static void take_load(const struct args *args, struct plan *plan, struct err *e)
{
    plan->sessions = (uint32_t)number(args, "sessions", 1000, 100000000, e);
    plan->warmup = (uint32_t)number(args, "warmup", 0, 100000000, e);
    plan->seconds_ns = number(args, "seconds", 0, 86400, e) * NS_PER_S;
    plan->timeout_ns = number(args, "timeout", 30, 86400, e) * NS_PER_S;
    plan->limit_ns = number(args, "limit", 300, 86400, e) * NS_PER_S;
    plan->hold_ns = number(args, "hold", 1, 86400, e) * NS_PER_S;
    plan->user = text_or(args, "user", "user%05d");
    plan->password = text_or(args, "password", "secret");
    plan->first = (uint32_t)number(args, "first", 0, 1000000000, e);
    plan->users = (uint32_t)number(args, "users", 1, 10000000, e);
    plan->sources = (uint32_t)number(args, "sources", 0, 1000000, e);
    take_concurrency(args, plan, e);
    if (plan->mode == MODE_STORM) {
        plan->concurrency[0] = plan->sessions;
        plan->runs = 1;
    }
    if ((!plan->users || !plan->sessions) && e->fault == FAULT_NONE)
        err_set(e, FAULT_BAD, "--users and --sessions need at least 1");
}

static void take_mail(const struct args *args, struct plan *plan, struct err *e)
{
    static const char *const folders[] = { "cur", "new", NULL };
    static const char *const untils[] = { "login", "greeting", "connect", NULL };

    plan->uidl = args_get(args, "uidl") != NULL;
    plan->list = args_get(args, "list") != NULL;
    plan->dele = args_get(args, "dele") != NULL;
    plan->window = (uint32_t)number(args, "window", 1, 100000, e);
    plan->until = (enum until)(UNTIL_LOGIN - choice(args, "until", untils, e));
    plan->manifest = args_get(args, "manifest");
    plan->maildir = args_get(args, "maildir");
    plan->messages = (uint32_t)number(args, "messages", 10, 100000000, e);
    plan->octets = number(args, "octets", 2048, 200000000, e);
    plan->spread = number(args, "spread", 0, 300, e);
    plan->folder = folders[choice(args, "folder", folders, e)];
    plan->first_message = (uint32_t)number(args, "from", 1, 90000000, e);
    plan->owner = (uint32_t)number(args, "owner", 0, UINT32_MAX - 1, e);
    plan->per_second = (uint32_t)number(args, "per-second", 10, 100000, e);
    plan->json = args_get(args, "json") != NULL;
    plan->plot = args_get(args, "plot");
    plan->name = text_or(args, "name", "");
    if (e->fault != FAULT_NONE)
        return;
    if (!plan->window || !plan->per_second)
        err_set(e, FAULT_BAD, "--window and --per-second need at least 1");
    else if (plan->mode >= MODE_DELIVERY && !plan->maildir)
        err_set(e, FAULT_BAD, "%s needs --maildir PATTERN", mode_names[plan->mode]);
    else if (plan->mode == MODE_MANIFEST && !plan->manifest)
        err_set(e, FAULT_BAD, "manifest needs --manifest FILE");
    else if (plan->mode == MODE_DELIVERY && plan->manifest)
        err_set(e, FAULT_BAD, "a manifest cannot tell what delivery adds; leave --manifest out");
}

bool plan_parse(char **argv, struct plan *plan, bool *help, struct err *e)
{
    struct args args;

    *plan = (struct plan){ 0 };
    *e = (struct err){ 0 };
    *help = false;
    if (!args_parse(&args, rows, argv, e))
        return false;
    if (args_get(&args, "help")) {
        *help = true;
        return true;
    }
    if (args.nwords != 1)
        return err_set(e, FAULT_BAD, "one mode is needed; see --help");
    while (plan->mode < MODE_N && strcmp(mode_names[plan->mode], args.words[0]) != 0)
        plan->mode++;
    if (plan->mode == MODE_N)
        return err_set(e, FAULT_BAD, "%.40s: no mode; see --help", args.words[0]);
    take_server(&args, plan, e);
    take_load(&args, plan, e);
    take_mail(&args, plan, e);
    return e->fault == FAULT_NONE;
}
