/*
 * simulate_entries.h - queue entries of the simulator, in memory that is used again: as much as waits at
 * most at a time.
 */
#ifndef APP_SIMULATE_ENTRIES_H
#define APP_SIMULATE_ENTRIES_H

#include "ms/base/heap.h"
#include "ms/queue.h"

struct sim_entry {
    struct heap_node end; /* of its attempt; while free, or in a line: key = slot of the next one + 1 */
    uint64_t number;      /* in the order of arrival, from 1; 0: free */
    uint64_t message;     /* of its load, for the dice */
    struct queue_id id;   /* while it is in work */
    uint64_t arrived_us, due_us;
    uint32_t host, recipients, job;
    uint16_t attempts, part;
    uint8_t load, class_, notices;
    bool will_fail;
};
struct sim_line { /* slot + 1 of the first and the last; 0: empty */
    uint64_t first, last;
};
struct sim_entries {
    struct sim_entry **chunks;
    size_t chunk_count, chunk_room;
    uint64_t free, count, numbers; /* free: slot + 1 */
};
void sim_entries_fini(struct sim_entries *a);
struct sim_entry *sim_entries_new(struct sim_entries *a,
                                  struct queue_id *id_out); /* zeroed but number and end */
void sim_entries_free(struct sim_entries *a, const struct queue_id *id);
struct sim_entry *sim_entries_get(const struct sim_entries *a, const struct queue_id *id);
/* A line of entries that are in no heap, first come, first out; nothing else takes them meanwhile. */
void sim_line_add(struct sim_entries *a, struct sim_line *line, const struct queue_id *id);
void sim_line_add_first(struct sim_entries *a, struct sim_line *line, const struct queue_id *id);
struct sim_entry *sim_line_first(const struct sim_entries *a, const struct sim_line *line,
                                 struct queue_id *id_out);
void sim_line_remove_first(struct sim_entries *a, struct sim_line *line);

#endif
