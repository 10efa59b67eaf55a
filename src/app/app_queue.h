/*
 * app_queue.h - what the commands of the queue and the admin socket share: choosing entries, and an entry as words.
 *
 * The same choice is made in the server (over the admin socket) and in the command itself (when no server runs, and for
 * what must not run in the server: regular expressions).
 */
#ifndef APP_QUEUE_H
#define APP_QUEUE_H

#include "ms/base/arena.h"
#include "ms/queue.h"

#define APP_QUEUE_PATTERN_MAX 512
#define APP_QUEUE_BATCH       256 /* ids a client sends before it reads what became of them */

/* -- choosing */
enum app_queue_held { APP_QUEUE_HELD_ANY, APP_QUEUE_HELD_YES, APP_QUEUE_HELD_NO };
struct app_queue_select {
    struct slice sender,
        rcpt; /* patterns: * and ?, letter case ignored; ptr NULL = any. "<>": the null sender */
    struct slice rcpt_domain, channel, trace;
    uint64_t older_us, younger_us; /* arrival not after, not before; 0 = any */
    enum app_queue_held held;
};
#define APP_QUEUE_SELECT_WORDS 8
/* "key=value", what is given only; both directions. MS_EINVAL: unknown key or bad value. */
size_t app_queue_select_emit(const struct app_queue_select *sel, struct arena *a,
                             struct slice words[APP_QUEUE_SELECT_WORDS]);
MS_MUST_USE enum ms_err app_queue_select_add(struct app_queue_select *sel, struct slice word);
/* A message's id; that of its session stands for all its messages ("1f-2a" for "1f-2a.3"). */
bool app_queue_trace_match(struct slice wanted, struct slice trace);

/* -- rows */
struct app_queue_row {
    struct queue_entry e;
    struct queue_recipient *rcpts;
    uint32_t rcpt_count;
    bool active; /* a job has it */
};
/* Recipients into the arena; texts as long as the snapshot. */
MS_MUST_USE enum ms_err app_queue_row_read(struct part_snap *snap, const struct queue_entry *e,
                                           struct arena *a, struct app_queue_row *out);
/* What is finished for all recipients (and waits for its forget) is never chosen. */
bool app_queue_select_entry(const struct app_queue_select *sel,
                            const struct queue_entry *e); /* without recipients */
bool app_queue_select_row(const struct app_queue_select *sel, const struct app_queue_row *row);
/* The recipient of this row that counts for people: the first that is pending, else the first. NULL: none. */
const struct queue_recipient *app_queue_row_rcpt(const struct app_queue_row *row);

/* Bytes of this piece of a message that belong to its header, the empty line included. *seen: APP_QUEUE_HEADER_BEGIN before
 * the first piece; APP_QUEUE_HEADER_END when it ended. */
#define APP_QUEUE_HEADER_BEGIN 1
#define APP_QUEUE_HEADER_END   2
size_t app_queue_header_bytes(struct slice piece, unsigned *seen);

/* A row on the admin socket: line "E", a line "R" for each recipient, line ".". */
#define APP_QUEUE_ROW_WORDS 20
typedef void app_queue_words_fn(void *owner, const struct slice *words, size_t count);
void app_queue_row_emit(const struct app_queue_row *row, app_queue_words_fn *fn, void *owner);
/* Line by line into one row, texts in the arena, which outlives the lines of one row. MS_OK: the row is complete; MS_EMORE:
 * next line; MS_ESYNTAX. */
MS_MUST_USE enum ms_err app_queue_row_parse(struct app_queue_row *row, struct arena *a,
                                            const struct slice *words, size_t count);

#endif
