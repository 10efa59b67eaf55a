/*
 * replay_main.c - runs a fuzz target over the files and folders named, without libFuzzer: each file whole,
 * then cut short at three places. Needs no sanitizer: a target stops the process by itself when something is
 * wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ms/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;
static bool whole;

static void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

/* From memory of exactly this size, so that reading past it is seen by valgrind or a sanitizer. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = ms_memdup(data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    ms_free(copy);
    inputs++;
}

static void replay_file(const char *path, size_t size)
{
    FILE *in = fopen(path, "rb");
    uint8_t *data = ms_alloc(size + 1);

    if (!in || fread(data, 1, size, in) != size)
        die(path);
    fclose(in);
    fprintf(stderr, "%s\n", path); /* the last line names the input that failed */
    feed(data, size);
    for (size_t quarter = 1; quarter < 4 && !whole; quarter++)
        feed(data, size * quarter / 4);
    ms_free(data);
}

static void replay_dir(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);

    if (count < 0)
        die(path);
    for (int i = 0; i < count; i++) {
        char file[4096];
        struct stat st;

        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (stat(file, &st) != 0)
            die(file);
        if (S_ISREG(st.st_mode))
            replay_file(file, (size_t)st.st_size);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    whole = argc > 1 && strcmp(argv[1], "--whole") == 0;
    for (int i = 1 + whole; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) != 0)
            die(argv[i]);
        if (S_ISDIR(st.st_mode))
            replay_dir(argv[i]);
        else
            replay_file(argv[i], (size_t)st.st_size);
    }
    fprintf(stderr, "%u inputs\n", inputs);
    return inputs == 0;
}
