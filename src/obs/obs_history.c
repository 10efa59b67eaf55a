/*
 * obs_history.c - the kept lines that `trace` reads: files of a folder, written by the log thread.
 *
 * FOLDER/%08u.log, numbers growing; a file past its share is followed by the next, and the oldest goes when
 * there are more than OBS_HISTORY_FILES. A restart goes on with the newest. Lines are not flushed: a power
 * cut may take the last seconds of the history, never mail.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "obs_history.h"
#include "obs_priv.h"

#define TROUBLE_MS 60000 /* least time between two complaints */

static struct {
    int dir;
    int fd; /* -1: none is open, the next write makes one */
    uint32_t number;
    uint64_t used;
    uint64_t file_bytes;
    struct obs_limit trouble;
} hist = {.dir = -1, .fd = -1};

void obs__history_name(uint32_t number, char out[OBS__HISTORY_NAME])
{
    snprintf(out, OBS__HISTORY_NAME, "%08u.log", (unsigned)number);
}

bool obs__history_name_parse(const char *name, uint32_t *out)
{
    char again[OBS__HISTORY_NAME], *end;
    unsigned long n = strtoul(name, &end, 10);

    if (end == name || n > UINT32_MAX || strcmp(end, ".log") != 0)
        return false;
    obs__history_name((uint32_t)n, again);
    *out = (uint32_t)n;
    return strcmp(name, again) == 0;
}

size_t obs__history_list(int dir, uint32_t *numbers, size_t max)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    size_t n = 0;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while (n < max && (e = readdir(d)) != NULL) {
        uint32_t number;
        size_t at = n;

        if (!obs__history_name_parse(e->d_name, &number))
            continue;
        for (; at > 0 && numbers[at - 1] > number; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = number;
        n++;
    }
    closedir(d);
    return n;
}

static void trouble(const char *name, int error)
{
    uint64_t suppressed;

    /* The log thread itself reports: its line goes through its own ring. */
    if (obs_limit_pass(&hist.trouble, clock_mono_ms(), TROUBLE_MS, &suppressed))
        OBS_EVENT(OBS_HISTORY_TROUBLE, 0, OBS_C("file", name), OBS_C("error", strerror(error)));
}

static void remove_old(void)
{
    uint32_t numbers[4 * OBS_HISTORY_FILES];
    size_t n = obs__history_list(hist.dir, numbers, MS_ARRAY_LEN(numbers));
    char name[OBS__HISTORY_NAME];

    for (size_t i = 0; i + OBS_HISTORY_FILES < n; i++) {
        obs__history_name(numbers[i], name);
        if (unlinkat(hist.dir, name, 0) != 0 && errno != ENOENT)
            trouble(name, errno);
    }
}

/* The file of hist.number, at its end. */
static bool open_file(void)
{
    char name[OBS__HISTORY_NAME];
    struct stat st;

    obs__history_name(hist.number, name);
    hist.fd = openat(hist.dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (hist.fd < 0 || fstat(hist.fd, &st) != 0) {
        trouble(name, errno);
        if (hist.fd >= 0)
            close(hist.fd);
        hist.fd = -1;
        return false;
    }
    hist.used = (uint64_t)st.st_size;
    remove_old();
    return true;
}

enum ms_err obs_history_open(const char *dir, uint64_t bytes, struct ms_errinfo *why_out)
{
    uint32_t numbers[4 * OBS_HISTORY_FILES];

    MS_ASSERT(hist.dir < 0 && bytes >= OBS_HISTORY_FILES);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return ms_fail(why_out, ms_err_from_errno(errno), "%s: %s", dir, strerror(errno));
    hist.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (hist.dir < 0)
        return ms_fail(why_out, ms_err_from_errno(errno), "%s: %s", dir, strerror(errno));
    size_t n = obs__history_list(hist.dir, numbers, MS_ARRAY_LEN(numbers));
    hist.number = n ? numbers[n - 1] : 1;
    hist.file_bytes = bytes / OBS_HISTORY_FILES;
    hist.trouble = (struct obs_limit){0};
    return MS_OK;
}

bool obs__history_is_open(void)
{
    return hist.dir >= 0;
}

void obs__history_close(void)
{
    if (hist.fd >= 0)
        close(hist.fd);
    if (hist.dir >= 0)
        close(hist.dir);
    hist.fd = hist.dir = -1;
}

static bool write_all(const uint8_t *ptr, size_t len)
{
    while (len > 0) {
        ssize_t n = write(hist.fd, ptr, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        ptr += n;
        len -= (size_t)n;
        hist.used += (uint64_t)n;
    }
    return true;
}

void obs__history_write(const uint8_t *lines, size_t len, uint64_t count)
{
    char name[OBS__HISTORY_NAME];

    if (hist.fd >= 0 && hist.used + len > hist.file_bytes && hist.used > 0) {
        close(hist.fd);
        hist.fd = -1;
        hist.number++;
    }
    if ((hist.fd >= 0 || open_file()) && write_all(lines, len))
        return;
    obs_count(MET_HISTORY_DROPPED, count);
    if (hist.fd < 0)
        return;
    obs__history_name(hist.number, name);
    trouble(name, errno);
    close(hist.fd); /* a line may be torn: the next file begins clean */
    hist.fd = -1;
    hist.number++;
}
