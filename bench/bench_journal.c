/*
 * bench_journal.c - what the log gives: bare fdatasync on pre-written blocks, and records of 4 KB through the
 * lane with 1, 20 and 64 outstanding.   bench_journal [folder] [seconds a cell]
 *
 * Read the file system that is named first: in memory, or without its journal, the numbers say little about a
 * server.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/base/sum.h"
#include "ms/journal.h"

#define RECORD_BYTES    4096
#define OUTSTANDING_MAX 64
#define LATENCIES_MAX   ((size_t)1 << 20)

static const struct {
    long magic;
    const char *name;
} fs_names[] = {
    {0xEF53, "ext2/3/4"},      {0x58465342, "xfs"},
    {0x9123683E, "btrfs"},     {0x01021994, "tmpfs (memory: no durability)"},
    {0x794C7630, "overlayfs"}, {0x6969, "nfs"},
    {0x2FC12FC1, "zfs"},
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void print_fs(const char *dir)
{
    struct statfs st;
    const char *name = "other";
    if (statfs(dir, &st) != 0)
        die(dir);
    for (size_t i = 0; i < MS_ARRAY_LEN(fs_names); i++) {
        if ((long)st.f_type == fs_names[i].magic)
            name = fs_names[i].name;
    }
    printf("folder %s, file system %s (type 0x%lx)\n", dir, name, (unsigned long)st.f_type);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void print_latency(uint64_t *ns, size_t count)
{
    qsort(ns, count, sizeof(*ns), by_value);
    printf("  p50 %.3f ms  p99 %.3f ms\n", (double)ns[count / 2] / 1e6, (double)ns[count * 99 / 100] / 1e6);
}

/* One 4 KB write and one flush at a time, on blocks that were written before. */
static void bare_flush(const char *dir, unsigned seconds, uint64_t *latency)
{
    static const uint8_t zeros[1 << 20];
    static uint8_t data[RECORD_BYTES];
    char path[600];
    snprintf(path, sizeof(path), "%s/bare", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die(path);
    for (unsigned i = 0; i < 64; i++) {
        if (pwrite(fd, zeros, sizeof(zeros), (off_t)i << 20) != (ssize_t)sizeof(zeros))
            die("pwrite");
    }
    fsync(fd);
    memset(data, 'x', sizeof(data));
    size_t count = 0;
    uint64_t began = clock_mono_ns(), end = began + (uint64_t)seconds * 1000000000, now = began;
    for (; now < end && count < LATENCIES_MAX; count++) {
        if (pwrite(fd, data, sizeof(data), (off_t)(count % 16384 * RECORD_BYTES)) < 0 || fdatasync(fd) != 0)
            die("fdatasync");
        uint64_t after = clock_mono_ns();
        latency[count] = after - now;
        now = after;
    }
    printf("bare pwrite 4 KB + fdatasync: %.0f/s", (double)count * 1e9 / (double)(now - began));
    print_latency(latency, count);
    close(fd);
    unlink(path);
}

struct run {
    struct journal *j;
    struct bus_ep *lane;
    struct bus_ep *self;
    struct mbuf *body;
    uint32_t crc;
    uint64_t sent_ns[OUTSTANDING_MAX];
    uint64_t *latency;
    size_t done;
    uint64_t end_ns;
    unsigned outstanding;
};

static void on_batch(void *owner, struct journal_batch *batch)
{
    struct run *r = owner;
    journal_batch_done(r->j, batch);
}

static void post(struct run *r, uint64_t slot)
{
    struct bus_msg msg = {.kind = JOURNAL_MSG_APPEND, .id = slot, .flags = JOURNAL_F_ACK_DURABLE};
    msg.a[0] = JOURNAL_REC_USER | 1u << 16;
    msg.a[1] = r->crc;
    msg.a[2] = RECORD_BYTES;
    msg.body = mbuf_ref(r->body);
    r->sent_ns[slot] = clock_mono_ns();
    r->outstanding++;
    if (bus_call(r->self, r->lane, &msg) != MS_OK)
        die("bus_call");
}

static void on_answer(void *owner, const struct bus_msg *msg)
{
    struct run *r = owner;
    uint64_t now = clock_mono_ns();
    if (msg->a[0] != MS_OK) {
        fprintf(stderr, "refused: %s\n", ms_err_name((enum ms_err)msg->a[0]));
        exit(1);
    }
    if (r->done < LATENCIES_MAX)
        r->latency[r->done] = now - r->sent_ns[msg->id];
    r->done++;
    r->outstanding--;
    if (now < r->end_ns)
        post(r, msg->id);
}

static void lane(struct run *r, unsigned outstanding, unsigned seconds)
{
    struct journal_stats before, after;
    r->done = 0;
    journal_stats(r->j, &before);
    uint64_t began = clock_mono_ns();
    r->end_ns = began + (uint64_t)seconds * 1000000000;
    for (unsigned i = 0; i < outstanding; i++)
        post(r, i);
    while (r->outstanding > 0) {
        if (bus_poll(r->self) == 0)
            bus_wait(r->self, 1000);
    }
    double spent = (double)(clock_mono_ns() - began) / 1e9;
    journal_stats(r->j, &after);
    uint64_t batches = after.batches - before.batches;
    printf("lane, %2u outstanding: %.0f records/s, %.0f flushes/s, %.1f records a batch, flush %.3f ms, "
           "write %.3f ms, "
           "extended %llu,",
           outstanding, (double)r->done / spent, (double)batches / spent, (double)r->done / (double)batches,
           (double)(after.flush_ns - before.flush_ns) / 1e6 / (double)batches,
           (double)(after.write_ns - before.write_ns) / 1e6 / (double)batches,
           (unsigned long long)(after.extended - before.extended));
    print_latency(r->latency, MS_MIN(r->done, LATENCIES_MAX));
}

static void must(enum ms_err err, const struct ms_errinfo *why)
{
    if (err != MS_OK) {
        fprintf(stderr, "%s: %s\n", ms_err_name(err), why->text);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static const unsigned outstanding[] = {1, 20, 64};
    const char *base = argc > 1 ? argv[1] : ".";
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 3;
    char dir[512], command[600];
    static uint8_t data[RECORD_BYTES];
    static struct run run;
    struct ms_errinfo why;
    struct bus *bus = bus_create();
    struct journal_stats stats;
    uint8_t id[16] = {0};

    snprintf(dir, sizeof(dir), "%s/bench-journal-XXXXXX", base);
    if (mkdtemp(dir) == NULL)
        die(dir);
    print_fs(dir);
    run.latency = ms_alloc_array(LATENCIES_MAX, sizeof(uint64_t));
    bare_flush(dir, seconds, run.latency);

    struct journal_conf conf = {.dir = dir, .segment_bytes = JOURNAL_SEGMENT_BYTES, .flush = true};
    must(journal_open(&conf, id, &run.j, &why), &why);
    must(journal_recover(run.j, 0, NULL, NULL, &why), &why);
    run.lane = bus_ep_create(bus, "lane", NULL);
    run.self = bus_ep_create(bus, "bench", NULL);
    bus_link(bus, run.self, run.lane, OUTSTANDING_MAX);
    bus_on(run.self, JOURNAL_MSG_APPENDED, on_answer, &run);
    memset(data, 'm', sizeof(data));
    run.body = mbuf_from(slice_make(data, sizeof(data)));
    run.crc = crc32c_add(0, data, sizeof(data));
    must(journal_start(run.j, bus, run.lane, on_batch, &run, &why), &why);
    do { /* as on a server that has been up for a moment */
        usleep(10000);
        journal_stats(run.j, &stats);
    } while (stats.prepared_ready <= JOURNAL_PREPARED);
    for (size_t i = 0; i < MS_ARRAY_LEN(outstanding); i++)
        lane(&run, outstanding[i], seconds);
    journal_stop(run.j);
    journal_close(&run.j);
    bus_destroy(&bus);
    mbuf_unref(&run.body);
    ms_free(run.latency);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command) != 0;
}
