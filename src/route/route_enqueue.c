/*
 * route_enqueue.c - the single entry for new mail: one record, one enqueue op for each channel and host.
 * Everything that could be refused was refused before: what is posted here is accepted when it is durable.
 */
#include "route_priv.h"

#include "ms/base/clock.h"

static bool same_way(const struct route_result *a, const struct route_result *b)
{
    return strcmp(a->channel, b->channel) == 0 && strcmp(a->host, b->host) == 0;
}

/* Recipients that go the way of mail->rcpts[first] and were not taken before. */
static size_t collect(const struct route_mail *mail, size_t first, bool *taken, struct queue_recipient *out)
{
    size_t n = 0;
    for (size_t i = first; i < mail->rcpt_count; i++) {
        if (taken[i] || !same_way(&mail->rcpts[first], &mail->rcpts[i]))
            continue;
        taken[i] = true;
        out[n] = (struct queue_recipient){.number = (uint32_t)n,
                                          .state = QUEUE_RCPT_PENDING,
                                          .address = slice_cstr(mail->rcpts[i].address),
                                          .original = mail->originals[i]};
        n++;
    }
    return n;
}

static enum ms_err add_entry(struct route *r, const struct route_mail *mail, size_t first,
                             const struct queue_recipient *rcpts, size_t n, struct part_rec *rec,
                             struct queue_id *id_out)
{
    struct queue_entry entry = {.id = route_next_id(r),
                                .blob_bytes = part_body_bytes(mail->body),
                                .arrival_us = clock_wall_us(),
                                .class_ = mail->class_,
                                .channel = slice_cstr(mail->rcpts[first].channel),
                                .host = slice_cstr(mail->rcpts[first].host),
                                .sender = mail->sender,
                                .body_type = mail->body_type,
                                .smtputf8 = mail->smtputf8,
                                .trace = mail->trace,
                                .recipient_count = (uint32_t)n,
                                .pending = (uint32_t)n};
    if (mail->id_of_first && first == 0)
        entry.id = *mail->id_of_first;
    *id_out = entry.id;
    return queue_op_enqueue(rec, mail->body, 0, &entry, rcpts, n);
}

enum ms_err route_enqueue(struct route *r, const struct route_mail *mail, struct queue_id *id_out,
                          part_done_fn *done, void *owner, uint64_t *request_out)
{
    MS_ASSERT(mail->rcpt_count > 0 && mail->rcpt_count <= QUEUE_RECIPIENTS_MAX);
    struct queue_recipient *rcpts = ms_alloc_array(mail->rcpt_count, sizeof *rcpts);
    bool *taken = ms_alloc_array(mail->rcpt_count, sizeof *taken);
    struct part_rec rec;
    enum ms_err err = MS_OK;
    part_rec_init(&rec);
    rec.ack_durable = true; /* storage rule 2.3 */
    for (size_t i = 0; i < mail->rcpt_count && !err; i++) {
        struct queue_id id;
        if (taken[i])
            continue;
        size_t n = collect(mail, i, taken, rcpts);
        err = add_entry(r, mail, i, rcpts, n, &rec, &id);
        if (i == 0)
            *id_out = id;
    }
    if (!err)
        err = part_post(r->queue_client, &rec, done, owner, request_out);
    if (err == MS_EFULL)
        part_body_take_back(mail->body, &rec); /* the caller gives it again */
    part_rec_fini(&rec);
    ms_free(taken);
    ms_free(rcpts);
    return err;
}

enum queue_class route_class_of(struct slice priority)
{
    /* semantics 3.2: comments stripped; unknown or missing is normal. */
    ssize_t comment = slice_find_byte(priority, '(');
    struct slice word = slice_trim(comment < 0 ? priority : slice_sub(priority, 0, (size_t)comment));
    if (slice_ieq_cstr(word, "urgent"))
        return QUEUE_URGENT;
    if (slice_ieq_cstr(word, "non-urgent"))
        return QUEUE_NONURGENT;
    return QUEUE_NORMAL;
}
