/*
 * app_memory.c - reading the kernel's numbers, and the levels.
 */
#include "app_memory.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define MEMORY_SHARE     80 /* per cent, of the limit that is found */
#define MEMORY_SLACK     5  /* per cent below a level's beginning is its end */
#define CGROUP_ROOT      "/sys/fs/cgroup"
#define SMALL_FILE_BYTES 4096

static const unsigned begins[] = {
    [APP_MEMORY_FINE] = 0, [APP_MEMORY_CACHES] = 80, [APP_MEMORY_REFUSE] = 90, [APP_MEMORY_CLOSE] = 95};

const char *app_memory_level_name(enum app_memory_level level)
{
    static const char *const names[] = {"fine", "caches", "refuse", "close"};
    return names[level];
}

enum app_memory_level app_memory_next(enum app_memory_level level, uint64_t used, uint64_t limit)
{
    uint64_t percent = used / MS_MAX(limit / 100, 1);
    if (level < APP_MEMORY_CLOSE && percent >= begins[level + 1])
        return level + 1;
    if (level > APP_MEMORY_FINE && percent < begins[level] - MEMORY_SLACK)
        return level - 1;
    return level;
}

/* Up to a few kilobytes; empty when it cannot be read. */
static struct slice small_file(const char *path, char buf[SMALL_FILE_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, SMALL_FILE_BYTES);
    if (fd >= 0)
        close(fd);
    return slice_make(buf, n < 0 ? 0 : (size_t)n);
}

uint64_t app_memory_parse_statm(struct slice text)
{
    struct slice word;
    uint64_t numbers[3] = {0};
    for (size_t i = 0; i < 3; i++)
        if (!slice_cut(&text, ' ', &word) || slice_to_u64(word, UINT64_MAX / 65536, &numbers[i]) != MS_OK)
            return 0;
    return numbers[1] > numbers[2] ? numbers[1] - numbers[2] : 0;
}

uint64_t app_memory_used(void)
{
    char buf[SMALL_FILE_BYTES];
    return app_memory_parse_statm(small_file("/proc/self/statm", buf)) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t app_memory_parse_limit(struct slice text)
{
    uint64_t value;
    return slice_to_u64(slice_trim(text), UINT64_MAX, &value) == MS_OK && value > 0 ? value : UINT64_MAX;
}

/* The least limit of our control group (version 2) and those above it. */
static uint64_t cgroup_limit(void)
{
    char text[SMALL_FILE_BYTES], buf[SMALL_FILE_BYTES], group[PATH_MAX], path[PATH_MAX + 64];
    struct slice lines = small_file("/proc/self/cgroup", text), line;
    uint64_t least = UINT64_MAX;
    group[0] = '\0';
    while (slice_cut(&lines, '\n', &line))
        if (slice_has_prefix(line, SLICE_LIT("0::/")))
            snprintf(group, sizeof group, "%.*s", (int)(line.len - 3), (const char *)line.ptr + 3);
    while (group[0]) {
        snprintf(path, sizeof path, CGROUP_ROOT "%s/memory.max", group);
        least = MS_MIN(least, app_memory_parse_limit(small_file(path, buf)));
        *strrchr(group, '/') = '\0';
    }
    return least;
}

uint64_t app_memory_limit_auto(void)
{
    struct sysinfo info;
    uint64_t machine = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : UINT64_MAX;
    return MS_MIN(machine, cgroup_limit()) / 100 * MEMORY_SHARE;
}
