/*
 * cmd_stats.c - `stats`: the counters once, for scripts; on a terminal a view that is drawn anew every second.
 *
 * The terminal's other screen is used, and given back however the command ends: by Ctrl-C, because the server went
 * away, or because enough frames were shown. Signals are let in only while we wait (pselect), so none is missed
 * between two frames.
 */
#include "app.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/obs.h"
#include "stats.h"

#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END   "\033[?25h\033[?1049l"
#define SCREEN_HOME  "\033[H\033[2J"

struct stats_opts {
    double interval;
    uint64_t count; /* 0 = for ever */
    bool view;      /* asked for, terminal or not */
};

static int parse(struct app_args *args, struct stats_opts *o)
{
    static const struct option options[] = {
        {"interval", required_argument, NULL, 'i'}, {"count", required_argument, NULL, 'n'}, {0}};
    char *end;
    int c;
    while ((c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        o->view = true;
        if (c == 'i') {
            o->interval = strtod(optarg, &end);
            if (end == optarg || *end || !(o->interval >= 0.1 && o->interval <= 3600))
                return app_fail(EX_USAGE, "--interval takes seconds, 0.1 to 3600");
        } else if (c == 'n') {
            if (slice_to_u64(slice_cstr(optarg), 1000000000, &o->count) || o->count == 0)
                return app_fail(EX_USAGE, "--count takes a number of frames");
        } else {
            return EX_USAGE;
        }
    }
    return optind < args->argc ? app_usage(args, "stats takes no argument") : EX_OK;
}

/* -- asking */
static int ask(const struct conf *conf, const char *word, FILE *lines)
{
    struct ctl_answer answer;
    enum ms_err err = ctl_ask(conf, &word, 1, lines, &answer);
    if (err)
        return app_no_server(conf, err);
    return answer.exit_code ? app_fail(answer.exit_code, "%s", answer.text) : EX_OK;
}

/* What the server prints, as one text. */
static int ask_text(const struct conf *conf, const char *word, struct str *out)
{
    char *bytes = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&bytes, &len);
    MS_ASSERT(f);
    int rc = ask(conf, word, f);
    fclose(f);
    str_reset(out);
    str_add(out, bytes, len);
    ms_free(bytes);
    return rc;
}

/* -- once */
static void print_once(const struct app_args *args, struct slice text)
{
    struct slice line, name;
    const char *open = "{";
    while (slice_cut(&text, '\n', &line)) {
        bool pair = slice_cut(&line, '=', &name);
        if (!pair)
            continue;
        if (args->output == APP_JSON)
            printf("%s\"" SLICE_FMT "\":" SLICE_FMT, open, SLICE_ARG(name), SLICE_ARG(line));
        else
            printf(SLICE_FMT "%s" SLICE_FMT "\n", SLICE_ARG(name), args->output == APP_TSV ? "\t" : "=",
                   SLICE_ARG(line));
        open = ",";
    }
    if (args->output == APP_JSON)
        puts(*open == ',' ? "}" : "{}");
}

static int run_once(const struct app_args *args, const struct conf *conf)
{
    struct str text;
    str_init(&text, 0);
    int rc = ask_text(conf, "counters", &text);
    if (!rc)
        print_once(args, str_slice(&text));
    str_fini(&text);
    return rc;
}

/* -- the view */
static volatile sig_atomic_t ended, resized;

static void on_signal(int signo)
{
    if (signo == SIGWINCH)
        resized = 1;
    else
        ended = signo;
}

/* All of them are blocked but while we wait; *waiting is the mask for that. */
static void signals_begin(sigset_t *waiting)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
    struct sigaction sa = {.sa_handler = on_signal};
    sigset_t block;
    sigemptyset(&sa.sa_mask);
    sigemptyset(&block);
    for (size_t i = 0; i < MS_ARRAY_LEN(caught); i++)
        sigaddset(&block, caught[i]);
    sigprocmask(SIG_BLOCK, &block, waiting);
    for (size_t i = 0; i < MS_ARRAY_LEN(caught); i++) {
        sigaction(caught[i], &sa, NULL);
        sigdelset(waiting, caught[i]);
    }
}

static void screen(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

static int page_read(const struct conf *conf, struct stats_page *p)
{
    int rc = ask_text(conf, "metrics", &p->text);
    p->mono_ns = clock_mono_ns();
    stats_page_parse(p);
    return rc;
}

static void draw(const struct stats_page *old, const struct stats_page *now, bool terminal, const char *host)
{
    struct winsize size = {0};
    char stamp[CLOCK_RFC3339_MAX];
    struct stats_frame f = {.old = old, .now = now, .host = host, .clock = stamp};
    struct str out;
    (void)clock_emit_rfc3339(clock_wall_us() / 1000000 * 1000000, stamp);
    memcpy(stamp + 19, "Z", 2); /* whole seconds */
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1) {
        f.lines = size.ws_row - 1u;
        f.columns = size.ws_col;
    }
    str_init(&out, 0);
    if (terminal)
        str_add_cstr(&out, SCREEN_HOME);
    stats_frame_emit(&out, &f);
    fwrite(out.ptr, 1, out.len, stdout);
    fflush(stdout);
    str_fini(&out);
}

/* Until `until_ns`; true: draw again, the screen has another size. */
static bool rest_until(uint64_t until_ns, const sigset_t *waiting)
{
    uint64_t now_ns = clock_mono_ns();
    while (!ended && now_ns < until_ns) {
        struct timespec left = {.tv_sec = (time_t)((until_ns - now_ns) / 1000000000),
                                .tv_nsec = (long)((until_ns - now_ns) % 1000000000)};
        (void)pselect(0, NULL, NULL, NULL, &left, waiting);
        if (resized) {
            resized = 0;
            return true;
        }
        now_ns = clock_mono_ns();
    }
    return false;
}

static int view_loop(const struct conf *conf, const struct stats_opts *o, bool terminal,
                     const sigset_t *waiting, struct stats_page pages[2])
{
    const struct server_conf *sc = conf_section(conf, "server");
    uint64_t step_ns = (uint64_t)(o->interval * 1e9), next_ns;
    int rc = EX_OK;
    /* The first figures are those of a short moment, not of nothing. */
    for (uint64_t n = 0; !rc && !ended && (o->count == 0 || n < o->count); n++) {
        struct stats_page *old = &pages[n % 2], *now = &pages[(n + 1) % 2];
        next_ns = clock_mono_ns() + (n ? step_ns : MS_MIN(step_ns, 300000000));
        while (rest_until(next_ns, waiting))
            if (n)
                draw(now, old, terminal, sc->hostname);
        if (ended)
            break;
        rc = page_read(conf, now);
        if (!rc)
            draw(old, now, terminal, sc->hostname);
    }
    return rc;
}

static int run_view(const struct conf *conf, const struct stats_opts *o)
{
    struct stats_page pages[2];
    bool terminal = isatty(STDOUT_FILENO);
    sigset_t waiting;
    stats_page_init(&pages[0]);
    stats_page_init(&pages[1]);
    int rc = page_read(conf, &pages[0]);
    if (!rc) {
        signals_begin(&waiting);
        if (terminal)
            screen(SCREEN_BEGIN);
        rc = view_loop(conf, o, terminal, &waiting, pages);
        if (terminal)
            screen(SCREEN_END);
        if (terminal && rc) /* what was said before is gone with the screen */
            (void)app_fail(rc, "the server has gone");
    }
    stats_page_fini(&pages[0]);
    stats_page_fini(&pages[1]);
    return rc;
}

int cmd_stats(struct app_args *args)
{
    struct stats_opts o = {.interval = 1};
    int rc = parse(args, &o);
    if (rc)
        return rc;
    struct conf *conf = app_conf_of_server(args);
    if (!conf)
        return EX_CONFIG;
    bool view = args->output == APP_HUMAN && (o.view || isatty(STDOUT_FILENO));
    rc = view ? run_view(conf, &o) : run_once(args, conf);
    conf_unref(&conf);
    return rc;
}
