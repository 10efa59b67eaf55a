/*
 * cmd_queue.h - what the files of the queue's commands share.
 */
#ifndef APP_CMD_QUEUE_H
#define APP_CMD_QUEUE_H

#include <regex.h>

#include "app.h"
#include "app_queue.h"

#define CMD_QUEUE_REASON_PATTERN_MAX 256
#define CMD_QUEUE_MANY               100 /* changing more than these wants --yes, or an answer on the terminal */

#define CMD_QUEUE_BUCKETS_MAX        40      /* columns of the shape */
#define CMD_QUEUE_MINUTES_MAX        1000000 /* of its first: 40 doublings fit */

struct cmd_queue {
    struct app_args *args;
    struct conf *conf;
    struct arena arena; /* words of the command line */
    struct app_queue_select select;
    struct queue_id *ids; /* sorted, each once */
    size_t id_count;
    struct slice *traces;
    size_t trace_count;
    regex_t reason;
    bool has_reason;
    bool narrowed; /* something was said about which entries */
    bool filtered; /* by something else than ids */
    bool all, dry_run, yes, fail_if_empty, body;
    uint64_t limit; /* UINT64_MAX: none */
    struct slice why;
    bool deferred; /* those alone that were tried and wait for another attempt */
    /* of the shape */
    bool by_sender, linear;
    uint64_t buckets, minutes /* of the first */, rows;
    size_t missing; /* of ids: not in the queue, or not chosen */
};

/* Options beside those that choose. */
#define CMD_QUEUE_CHANGES 1 /* --dry-run --yes --all */
#define CMD_QUEUE_WHY     2
#define CMD_QUEUE_BODY    4
#define CMD_QUEUE_SHAPE   8 /* --by-sender --buckets --minutes --linear --rows */
/* Fills q and loads the configuration; an exit code, and it has said why. */
int cmd_queue_open(struct cmd_queue *q, struct app_args *args, unsigned options);
void cmd_queue_close(struct cmd_queue *q);

/* Every chosen entry, from the running server or, when none runs, from the partition itself. row: false = enough.
 * Exit code; on anything but EX_OK it has said why. */
typedef bool cmd_queue_row_fn(void *owner, const struct app_queue_row *row);
int cmd_queue_walk(struct cmd_queue *q, cmd_queue_row_fn *row, void *owner);
/* The entry, then its bytes as they come, then no bytes (ptr NULL): the row is good until that call returns. row: false = no
 * bytes are wanted, and no end is told. */
enum cmd_queue_part { CMD_QUEUE_NONE, CMD_QUEUE_HEADER, CMD_QUEUE_MESSAGE };
typedef void cmd_queue_bytes_fn(void *owner, struct slice bytes);
int cmd_queue_read(struct cmd_queue *q, const struct queue_id *id, enum cmd_queue_part part,
                   cmd_queue_row_fn *row, cmd_queue_bytes_fn *bytes, void *owner);
/* Without a server; the same. */
int cmd_queue_walk_files(struct cmd_queue *q, cmd_queue_row_fn *row, void *owner);
int cmd_queue_read_files(struct cmd_queue *q, const struct queue_id *id, enum cmd_queue_part part,
                         cmd_queue_row_fn *row, cmd_queue_bytes_fn *bytes, void *owner);
/* What is not asked of the server: several ids and traces, the pattern of the reason. */
bool cmd_queue_wants(const struct cmd_queue *q, const struct app_queue_row *row);

/* -- output */
void cmd_queue_print_head(const struct app_args *args);
void cmd_queue_print_row(const struct app_args *args, const struct app_queue_row *row);
/* All of one entry: lines for people, else as a row. header: of the message, in JSON only. */
void cmd_queue_print_whole(const struct app_args *args, const struct app_queue_row *row, struct slice header);
/* The reason that matters now: why it is held, or what the first pending recipient met. */
struct slice cmd_queue_reason(const struct app_queue_row *row);

#endif
