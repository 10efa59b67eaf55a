/*
 * queue_fill.c - puts entries into the queue of a site that is stopped, for tests and measurements.
 *
 *   queue_fill -c FILE --entries N [options]
 *
 *   --channel NAME     store              --hosts N       0: none; else entry i is for host (i mod N): h<i>SUFFIX
 *   --suffix TEXT      .example.net       --to ADDRESS    of every entry; else r<i>@HOST
 *   --recipients N     1 (r<i>-<k>@HOST)  --class NAME    urgent normal nonurgent secondclass thirdclass, or mix
 *   --age SECONDS      arrival of the first, before now   --spread SECONDS  the last arrives so much later
 *   --due SECONDS      behind now; 0: at once             --attempts N      made already
 *   --held N           every N-th is held; 0: none        --body BYTES      of a message; 1000 entries share one
 *   --sender ADDRESS   fill@example.net   --name TEXT     X-Test-Id is TEXT-<number of the message>
 *   --first N          0: number i of the first entry
 *
 * The partition is opened as commands do that need no server; a record has at most FILL_RECORD entries.
 */
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/app/app.h"
#include "ms/base/clock.h"
#include "ms/queue.h"

/* No server here; a configuration may name any driver. */
const struct app_driver app_drivers[] = {{0}};
const size_t app_driver_count = 0;

#define FILL_RECORD   1000
#define FILL_META_MAX (PART_META_MAX * 3 / 4)

static struct {
    const char *config, *channel, *suffix, *to, *name, *class_, *sender;
    uint64_t entries, hosts, recipients, age, spread, due, attempts, held, body, first;
} opt = {.channel = "store",
         .suffix = ".example.net",
         .name = "fill",
         .class_ = "normal",
         .recipients = 1,
         .body = 600};

static const char *const classes[] = {"urgent", "normal", "nonurgent", "secondclass", "thirdclass", "mix"};

static const struct {
    const char *name;
    const char **text;
    uint64_t *number;
    uint64_t max;
} options[] = {
    {"entries", NULL, &opt.entries, 100000000},
    {"channel", &opt.channel, NULL, QUEUE_NAME_MAX},
    {"hosts", NULL, &opt.hosts, 100000000},
    {"suffix", &opt.suffix, NULL, 200},
    {"to", &opt.to, NULL, 200},
    {"sender", &opt.sender, NULL, 200},
    {"first", NULL, &opt.first, 1000000000000},
    {"recipients", NULL, &opt.recipients, QUEUE_RECIPIENTS_MAX},
    {"class", &opt.class_, NULL, 20},
    {"age", NULL, &opt.age, 1000000000},
    {"spread", NULL, &opt.spread, 1000000000},
    {"due", NULL, &opt.due, 1000000000},
    {"attempts", NULL, &opt.attempts, 1000},
    {"held", NULL, &opt.held, 100000000},
    {"body", NULL, &opt.body, 65536},
    {"name", &opt.name, NULL, 100},
};

static struct app_opened site;
static struct loop *loop;
static struct part_client *client;
static struct part_rec rec;
static struct queue_ids ids;
static uint64_t now_us, blob, blob_bytes;

static int option_take(const char *name, const char *value)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(options); i++) {
        if (strcmp(name, options[i].name) != 0)
            continue;
        if (options[i].text)
            *options[i].text = value;
        if (options[i].text ? strlen(value) > options[i].max
                            : slice_to_u64(slice_cstr(value), options[i].max, options[i].number) != MS_OK)
            return app_fail(EX_USAGE, "--%s: %s", name, value);
        return EX_OK;
    }
    return app_fail(EX_USAGE, "no option --%s", name);
}

static int options_take(int argc, char **argv)
{
    bool is_class = false;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || (strcmp(argv[i], "-c") != 0 && strncmp(argv[i], "--", 2) != 0))
            return app_fail(EX_USAGE, "queue_fill -c FILE --entries N [--OPTION VALUE]...");
        if (argv[i][1] == 'c')
            opt.config = argv[i + 1];
        else if (option_take(argv[i] + 2, argv[i + 1]) != EX_OK)
            return EX_USAGE;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(classes); i++)
        is_class = is_class || strcmp(opt.class_, classes[i]) == 0;
    if (!opt.config || !opt.entries || !opt.recipients || !is_class)
        return app_fail(EX_USAGE,
                        "-c and --entries are needed; --class is one of urgent to thirdclass, or mix");
    return EX_OK;
}

static enum queue_class class_of(uint64_t number)
{
    for (size_t i = 0; i < QUEUE_CLASS_COUNT; i++)
        if (strcmp(opt.class_, classes[i]) == 0)
            return (enum queue_class)i;
    return (enum queue_class)(number % QUEUE_CLASS_COUNT);
}

/* -- one message for the entries of a record */
static struct part_body *message_make(uint64_t number)
{
    struct part_body *body = part_body_create(client, (size_t)1 << 20, NULL, NULL);
    struct str text;
    str_init(&text, 0);
    str_addf(&text,
             "From: <fill@example.net>\r\nTo: <someone@example.org>\r\nSubject: fill\r\n"
             "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s-%llu@example.net>\r\nX-Test-Id: "
             "%s-%llu\r\n\r\n",
             opt.name, (unsigned long long)number, opt.name, (unsigned long long)number);
    for (uint64_t i = 0; i < opt.body; i++)
        str_add_cstr(&text, i % 72 == 70 ? "\r" : i % 72 == 71 ? "\n" : "x");
    str_add_cstr(&text, "\r\n");
    blob_bytes = text.len;
    enum ms_err err = part_body_add(body, str_slice(&text));
    if (!err)
        err = part_body_finish(body, slice_make(NULL, 0), false);
    MS_ASSERT(err == MS_OK);
    str_fini(&text);
    return body;
}

/* -- entries */
static void host_make(uint64_t number, char out[QUEUE_HOST_MAX + 1])
{
    out[0] = '\0';
    if (opt.hosts)
        snprintf(out, QUEUE_HOST_MAX, "h%llu%s", (unsigned long long)(number % opt.hosts), opt.suffix);
}

static size_t recipients_make(uint64_t number, const char *host, struct queue_recipient *rcpts,
                              char (*texts)[300])
{
    for (uint64_t k = 0; k < opt.recipients; k++) {
        if (opt.to)
            snprintf(texts[k], sizeof texts[k], "%s", opt.to);
        else
            snprintf(texts[k], sizeof texts[k], "r%llu-%llu@%s", (unsigned long long)(opt.first + number),
                     (unsigned long long)k, host[0] ? host : "example.org");
        rcpts[k] = (struct queue_recipient){
            .number = (uint32_t)k, .address = slice_cstr(texts[k]), .original = slice_cstr(texts[k])};
    }
    return opt.recipients;
}

static enum ms_err entry_add(uint64_t number, struct part_body *body)
{
    static struct queue_recipient rcpts[QUEUE_RECIPIENTS_MAX];
    static char texts[QUEUE_RECIPIENTS_MAX][300];
    char host[QUEUE_HOST_MAX + 1], trace[QUEUE_TRACE_MAX];
    host_make(number, host);
    snprintf(trace, sizeof trace, "%llx-0.%llu", (unsigned long long)ids.epoch,
             (unsigned long long)number + 1);
    bool is_held = opt.held && number % opt.held == 0;
    const struct queue_entry e = {
        .id = queue_id_next(&ids),
        .blob_bytes = blob_bytes,
        .arrival_us = now_us - opt.age * 1000000 + opt.spread * 1000000 / opt.entries * number,
        .due_us = opt.due ? now_us + opt.due * 1000000 : 0,
        .class_ = class_of(number),
        .held = is_held,
        .hold_reason = is_held ? SLICE_LIT("4.0.0 held by the test") : slice_make(NULL, 0),
        .channel = slice_cstr(opt.channel),
        .host = slice_cstr(host),
        .sender = slice_cstr(opt.sender),
        .trace = slice_cstr(trace)};
    const struct queue_attempt attempt = {.due_us = e.due_us, .tried_us = e.arrival_us, .count = true};
    size_t n = recipients_make(number, host, rcpts, texts);
    MS_TRY(queue_op_enqueue(&rec, body, blob, &e, rcpts, n));
    for (uint64_t i = 0; i < opt.attempts; i++)
        queue_op_result(&rec, &e.id, &attempt, NULL, 0);
    return MS_OK;
}

/* Entries until the record is full; what was refused ends the program. */
static enum ms_err record_fill(uint64_t *at, struct str *result, struct ms_errinfo *why)
{
    uint64_t end = MS_MIN(*at + FILL_RECORD, opt.entries);
    struct part_body *body = message_make(*at / FILL_RECORD);
    enum ms_err err = MS_OK, one;
    while (!err && *at < end && rec.meta.len < FILL_META_MAX)
        err = entry_add((*at)++, body);
    if (!err)
        err = partition_apply_sync(site.partition, &rec, result, NULL, why);
    part_body_destroy(&body);
    struct rd rd = rd_make(str_slice(result));
    while (!err && rd_left(&rd)) {
        err = queue_result_next(&rd, &one);
        err = err ? err : one;
    }
    str_reset(result);
    return err;
}

static int fill(void)
{
    struct str result;
    struct ms_errinfo why = {{0}};
    uint64_t at = 0, begun_ms = clock_mono_ms();
    enum ms_err err = MS_OK;
    str_init(&result, 0);
    while (!err && at < opt.entries)
        err = record_fill(&at, &result, &why);
    str_fini(&result);
    if (err)
        return app_fail(EX_SOFTWARE, "behind %llu entries: %s %s", (unsigned long long)at, ms_err_name(err),
                        why.text);
    printf("%llu entries in %.1f s\n", (unsigned long long)at, (double)(clock_mono_ms() - begun_ms) / 1000);
    return EX_OK;
}

int main(int argc, char **argv)
{
    int rc = options_take(argc, argv);
    if (rc == EX_OK)
        rc = app_opened_open(&(struct app_args){.config = opt.config}, &site);
    if (rc != EX_OK)
        return rc;
    rc = app_opened_recover(&site, PART_RECOVER_NORMAL);
    if (rc == EX_OK) {
        now_us = clock_wall_us();
        ids = (struct queue_ids){.epoch = partition_epoch(site.partition), .loop = 0, .next = 1};
        loop = loop_create_virtual(0, "fill", 0);
        client = part_client_create(site.partition, loop);
        part_rec_init(&rec);
        rc = fill();
        part_rec_fini(&rec);
    }
    app_opened_close(&site);
    if (loop)
        loop_destroy(&loop);
    return rc;
}
