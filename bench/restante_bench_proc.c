/* restante_bench_proc.c - reads /proc of a tree of processes: see restante_bench_proc.h. */
#include "restante_bench_proc.h"

#include "base/buf.h"
#include "base/num.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    uint64_t gone_ticks; /* CPU of children that were waited for */
};

struct tree {
    struct process *all;
    pid_t *in;
    size_t all_n, in_n;
};

static bool read_text(const char *path, char *text, size_t room, struct span *s)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room);

    if (fd >= 0)
        close(fd);
    *s = span_of(text, n > 0 ? (size_t)n : 0);
    return n > 0;
}

/* The fields after the name, which is in brackets and may hold anything: state, parent, ... cutime (14), cstime (15). */
static bool read_process(pid_t pid, struct process *p)
{
    char path[64], text[1024];
    uint64_t number = 0, parent = 0;
    struct span s;
    size_t at;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_text(path, text, sizeof text, &s))
        return false;
    for (at = s.n; at && s.p[at - 1] != ')'; at--)
        ;
    if (at == 0 || at >= s.n)
        return false;
    span_take(&s, at + 1);
    *p = (struct process){ .pid = pid };
    for (int field = 0; field < 15; field++) {
        struct span word = span_until(&s, ' ');

        if (!num_all_u64(word, &number))
            number = 0;
        if (field == 1)
            parent = number;
        if (field == 13 || field == 14)
            p->gone_ticks += number;
    }
    p->parent = (pid_t)parent;
    return true;
}

static void read_all(struct tree *t)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        uint64_t pid;

        if (!num_all_u64(span_str(entry->d_name), &pid) || pid > INT32_MAX)
            continue;
        t->all = mem_grow(t->all, t->all_n + 1, sizeof *t->all);
        if (read_process((pid_t)pid, &t->all[t->all_n]))
            t->all_n++;
    }
    if (dir)
        closedir(dir);
}

/* Those of t->all that descend from pid, pid first. */
static void descend(struct tree *t, pid_t pid)
{
    t->in = mem_zero(t->all_n + 1, sizeof *t->in);
    t->in[t->in_n++] = pid;
    for (size_t i = 0; i < t->in_n; i++)
        for (size_t j = 0; j < t->all_n; j++)
            if (t->all[j].parent == t->in[i] && t->in_n <= t->all_n && t->all[j].pid != pid)
                t->in[t->in_n++] = t->all[j].pid;
}

static uint64_t number_after(struct span text, const char *name)
{
    uint64_t n = 0;

    while (text.n) {
        struct span line = span_until(&text, '\n');

        if (line.n < strlen(name) || memcmp(line.p, name, strlen(name)) != 0)
            continue;
        span_take(&line, strlen(name));
        while (line.n && (*line.p == ' ' || *line.p == '\t'))
            span_take(&line, 1);
        return num_take_u64(&line, &n) ? n : 0;
    }
    return 0;
}

static void add_memory(pid_t pid, struct usage *u)
{
    char path[64], text[4096];
    struct span s;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (read_text(path, text, sizeof text, &s))
        u->pss_kib += number_after(s, "Pss:");
}

static void add_process(const struct process *p, bool memory, struct usage *u)
{
    char path[64], text[4096];
    struct timespec used;
    clockid_t clock;
    struct span s;

    if (clock_getcpuclockid(p->pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
        u->cpu_ns += (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
    u->cpu_ns += p->gone_ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    if (read_text(path, text, sizeof text, &s)) {
        u->voluntary += number_after(s, "voluntary_ctxt_switches:");
        u->involuntary += number_after(s, "nonvoluntary_ctxt_switches:");
    }
    if (memory)
        add_memory(p->pid, u);
    u->processes++;
}

bool usage_read(pid_t pid, bool memory, struct usage *u, struct err *e)
{
    struct tree t = { 0 };

    *u = (struct usage){ 0 };
    read_all(&t);
    descend(&t, pid);
    for (size_t i = 0; i < t.in_n; i++)
        for (size_t j = 0; j < t.all_n; j++)
            if (t.all[j].pid == t.in[i])
                add_process(&t.all[j], memory, u);
    free(t.all);
    free(t.in);
    return u->processes || err_set(e, FAULT_GONE, "process %d: not here", (int)pid);
}
