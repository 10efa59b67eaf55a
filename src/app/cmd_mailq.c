/*
 * cmd_mailq.c - the queue in the form that scripts have read for decades.
 */
#include "cmd_queue.h"

#include <time.h>

struct mailq {
    uint64_t count, bytes;
};

static void print_time(uint64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    char text[32] = "";
    if (localtime_r(&seconds, &tm))
        strftime(text, sizeof text, "%a %b %e %H:%M:%S", &tm);
    printf(" %s ", text);
}

static void print_reason(struct slice reason)
{
    if (reason.len == 0)
        return;
    fputs("         (", stdout);
    app_print_text(stdout, reason);
    puts(")");
}

static bool print_entry(void *owner, const struct app_queue_row *row)
{
    struct mailq *m = owner;
    const struct queue_entry *e = &row->e;
    char qid[QUEUE_ID_TEXT_MAX + 1];
    struct slice last = {0};
    size_t n = queue_id_emit(&e->id, qid);
    qid[n] = row->active ? '*' : e->held ? '!' : ' ';
    qid[n + 1] = '\0';
    if (m->count++ == 0)
        puts("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------");
    m->bytes += e->blob_bytes;
    printf("%-12s%8llu", qid, (unsigned long long)e->blob_bytes);
    print_time(e->arrival_us);
    app_print_text(stdout, e->sender.len ? e->sender : SLICE_LIT("MAILER-DAEMON"));
    putchar('\n');
    if (e->held)
        print_reason(e->hold_reason);
    for (uint32_t i = 0; i < row->rcpt_count; i++) {
        const struct queue_recipient *r = &row->rcpts[i];
        if (r->state != QUEUE_RCPT_PENDING)
            continue;
        if (!slice_eq(r->reason, last))
            print_reason(r->reason);
        last = r->reason;
        printf("%41s", "");
        app_print_text(stdout, r->address);
        putchar('\n');
    }
    putchar('\n');
    return true;
}

int cmd_mailq(struct app_args *args)
{
    struct cmd_queue q;
    struct mailq m = {0};
    int rc = cmd_queue_open(&q, args, 0);
    if (rc)
        return rc;
    rc = cmd_queue_walk(&q, print_entry, &m);
    cmd_queue_close(&q);
    if (rc)
        return rc;
    if (m.count)
        printf("-- %llu Kbytes in %llu Request%s.\n", (unsigned long long)(m.bytes + 1023) / 1024,
               (unsigned long long)m.count, m.count == 1 ? "" : "s");
    else
        puts("Mail queue is empty");
    return EX_OK;
}
