/*
 * load_proc.c - what the server used up, from /proc: user and system time of the process, voluntary context
 * switches (a thread that went to sleep and was woken) of its threads.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

static bool read_cpu(uint64_t pid, uint64_t *us_out)
{
    char path[64], line[1024];
    unsigned long user, system;
    const char *after_name;
    FILE *in;
    bool ok;

    snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
    in = fopen(path, "r");
    if (!in)
        return false;
    ok = fgets(line, sizeof(line), in) != NULL;
    fclose(in);
    after_name = ok ? strrchr(line, ')') : NULL;
    if (!after_name ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return false;
    *us_out = (uint64_t)(user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    return true;
}

static uint64_t read_switches(uint64_t pid, const char *thread)
{
    char path[320], line[256];
    unsigned long long count = 0;
    FILE *in;

    snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task/%s/status", pid, thread);
    in = fopen(path, "r");
    while (in && fgets(line, sizeof(line), in)) {
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &count) == 1)
            break;
    }
    if (in)
        fclose(in);
    return count;
}

bool load_proc_read(uint64_t pid, struct load_proc *out)
{
    char path[64];
    struct dirent *entry;
    DIR *threads;

    *out = (struct load_proc){0};
    snprintf(path, sizeof(path), "/proc/%" PRIu64 "/task", pid);
    threads = opendir(path);
    if (!threads)
        return false;
    while ((entry = readdir(threads))) {
        if (entry->d_name[0] == '.')
            continue;
        out->wakeups += read_switches(pid, entry->d_name);
        out->threads++;
    }
    closedir(threads);
    return read_cpu(pid, &out->cpu_us);
}
