/*
 * queue_partition.h - a partition with a queue in the folder of a test; running, with the client of its one loop.
 */
#ifndef QUEUE_PARTITION_H
#define QUEUE_PARTITION_H

#include <stdio.h>

#include "ms/queue.h"

/* Recovered, not started. more (may be NULL): registers what else the partition holds. */
static inline struct partition *queue_partition_open(const char *dir, void (*more)(struct partition *p))
{
    char path[96];
    struct ms_errinfo why;
    struct part_report report = {0};
    struct partition *p;
    snprintf(path, sizeof path, "%s/p", dir);
    const struct partition_conf conf = {.name = "main",
                                        .dir = path,
                                        .segment_bytes = JOURNAL_SEGMENT_MIN,
                                        .map_bytes = 1 << 28,
                                        .ballast_bytes = 1 << 20};
    assert_int_equal(partition_open(&conf, true, &p, &why), MS_OK);
    if (more)
        more(p);
    queue_register(p);
    str_init(&report.text, 0);
    assert_int_equal(partition_recover(p, PART_RECOVER_NORMAL, &report, &why), MS_OK);
    str_fini(&report.text);
    return p;
}

static inline struct part_client *queue_partition_start(const char *dir, struct loop *loop, struct bus *bus,
                                                        void (*more)(struct partition *p),
                                                        struct partition **out)
{
    struct ms_errinfo why;
    *out = queue_partition_open(dir, more);
    struct part_client *client = part_client_create(*out, loop);
    assert_int_equal(partition_start(*out, bus, NULL, &why), MS_OK);
    return client;
}

#endif
