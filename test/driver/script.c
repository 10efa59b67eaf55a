/*
 * script.c - the script of the scripted driver: text to rows; its log.
 */
#include "script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "ms/base/clock.h"

#define LINE_MAX_BYTES 4096

static const struct {
    const char *name;
    enum chan_verdict verdict;
    const char *code, *text;
} verdicts[] = {
    {"sent", CHAN_SENT, "2.0.0", "scripted: taken"},
    {"deferred", CHAN_DEFERRED, "4.4.1", "scripted: not now"},
    {"failed", CHAN_FAILED, "5.1.1", "scripted: never"},
    {"held", CHAN_HELD, "4.2.1", "scripted: held"},
};

/* -- text to rows */
static bool code_fits(struct slice code, enum chan_verdict verdict)
{
    char class = verdict == CHAN_SENT ? '2' : verdict == CHAN_FAILED ? '5' : '4';
    return code.len >= 5 && code.len < 12 && code.ptr[0] == class && code.ptr[1] == '.';
}

static const char *parse_result(struct slice text, struct script_result *out)
{
    struct slice name = text, code = {0};
    if (slice_find_byte(text, '=') >= 0) {
        code = text;
        (void)slice_cut(&code, '=', &name);
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(verdicts); i++) {
        if (!slice_eq_cstr(name, verdicts[i].name))
            continue;
        if (code.len == 0)
            code = slice_cstr(verdicts[i].code);
        if (!code_fits(code, verdicts[i].verdict))
            return "a code goes with its result: 2.x.x, 4.x.x or 5.x.x";
        out->verdict = verdicts[i].verdict;
        snprintf(out->reason, sizeof out->reason, SLICE_FMT " %s", SLICE_ARG(code), verdicts[i].text);
        return NULL;
    }
    return "a result is sent, deferred, failed or held, with =CODE behind it when wanted";
}

static struct slice word(struct slice *rest)
{
    size_t end = 0;
    *rest = slice_trim(*rest);
    while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != '\t')
        end++;
    struct slice found = slice_sub(*rest, 0, end);
    *rest = slice_trim(slice_sub(*rest, end, SIZE_MAX));
    return found;
}

static const char *parse_results(struct slice rest, struct script_line *out)
{
    struct slice one;
    bool more = true;
    while (more) {
        more = slice_find_byte(rest, ',') >= 0;
        one = rest;
        if (more)
            (void)slice_cut(&rest, ',', &one);
        if (out->result_count == SCRIPT_RESULTS_MAX)
            return "more than 32 results";
        const char *wrong = parse_result(one, &out->results[out->result_count++]);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* NULL: good. A line without words leaves the pattern empty. */
static const char *parse_line(struct slice text, struct script_line *out)
{
    ssize_t comment = slice_find_byte(text, '#');
    if (comment >= 0)
        text = slice_sub(text, 0, (size_t)comment);
    struct slice pattern = word(&text), delay = word(&text), results = word(&text);
    memset(out, 0, sizeof *out);
    if (pattern.len == 0)
        return NULL;
    if (pattern.len >= sizeof out->pattern)
        return "the pattern is too long";
    memcpy(out->pattern, pattern.ptr, pattern.len);
    if (slice_to_u64(delay, 3600000, &out->delay_ms))
        return "the second word is a delay in milliseconds, at most an hour";
    if (results.len == 0 || text.len)
        return "three words are needed: pattern, delay, results";
    return parse_results(results, out);
}

enum ms_err script_load(const char *path, struct script *out)
{
    char text[LINE_MAX_BYTES];
    FILE *f = fopen(path, "r");
    bool is_good = true;
    *out = (struct script){.lines = ms_alloc_array(SCRIPT_LINES_MAX, sizeof(struct script_line))};
    if (!f) {
        fprintf(stderr, "%s: error: %s\n", path, strerror(errno));
        return MS_EINVAL;
    }
    for (unsigned number = 1; fgets(text, sizeof text, f); number++) {
        struct script_line line;
        const char *wrong = strchr(text, '\n') || feof(f) ? parse_line(slice_trim(slice_cstr(text)), &line)
                                                          : "the line is too long";
        if (!wrong && line.pattern[0] && out->count == SCRIPT_LINES_MAX)
            wrong = "more than 1000 lines";
        if (wrong)
            fprintf(stderr, "%s:%u: error: %s\n", path, number, wrong);
        else if (line.pattern[0])
            out->lines[out->count++] = line;
        is_good = is_good && !wrong;
    }
    fclose(f);
    return is_good ? MS_OK : MS_EINVAL;
}

void script_free(struct script *s)
{
    ms_free(s->lines);
    *s = (struct script){0};
}

/* -- questions */
const struct script_line *script_find(const struct script *s, struct slice host, struct slice address)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct slice pattern = slice_cstr(s->lines[i].pattern);
        if ((host.len && slice_imatch(pattern, host)) || slice_imatch(pattern, address))
            return &s->lines[i];
    }
    return NULL;
}

const struct script_result *script_result(const struct script_line *line, uint32_t attempts)
{
    return &line->results[MS_MIN(attempts, line->result_count - 1)];
}

/* -- log */
static int log_fd = -1;

enum ms_err script_log_open(const char *path)
{
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd >= 0)
        return MS_OK;
    fprintf(stderr, "%s: error: %s\n", path, strerror(errno));
    return MS_EIO;
}

void script_log(unsigned job, const struct loop *loop, const char *fmt, ...)
{
    char line[2048];
    if (log_fd < 0)
        return;
    int len = snprintf(line, sizeof line, "%llu %d %u %s ", (unsigned long long)clock_wall_us(),
                       (int)getpid(), job, loop_name(loop));
    va_list args;
    va_start(args, fmt);
    len += vsnprintf(line + len, sizeof line - (size_t)len, fmt, args);
    va_end(args);
    MS_ASSERT((size_t)len + 1 < sizeof line);
    line[len++] = '\n';
    ssize_t n = write(log_fd, line, (size_t)len); /* whole: a local file, opened for appending */
    MS_ASSERT(n == len);
}
