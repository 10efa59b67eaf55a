/*
 * imapd_post.c - one record to the partition, one read of message bytes: what a session may have outstanding.
 */
#include "imapd_priv.h"

static void post_answered(struct imapd_session *s, enum ms_err err)
{
    part_rec_fini(&s->post.rec);
    part_rec_init(&s->post.rec);
    s->post.err = err;
    imapd__wake(s);
}

static void on_part(void *owner, uint64_t request, const struct part_reply *reply)
{
    struct imapd_session *s = owner;

    s->post.request = 0;
    if (reply->err == MS_EUNKNOWN) { /* storage rule 1.6: neither OK nor NO would be true */
        OBS_EVENT(OBS_IMAPD_OUTCOME_UNKNOWN, s->member.id, OBS_C("user", s->user->login),
                  OBS_S("command", s->cmd.cmd.name));
        imapd__session_abort(s, NET_CLOSED_BY_US);
        return;
    }
    s->post.results = rd_make(arena_dup(&s->arena, reply->result));
    s->post.position = reply->position;
    post_answered(s, reply->err);
}

static enum ms_err post_try(struct imapd_session *s);

static void on_room(void *owner)
{
    struct imapd_session *s = owner;
    enum ms_err err = post_try(s);

    if (err)
        post_answered(s, err);
}

/* MS_OK: sent, or waiting for room. */
static enum ms_err post_try(struct imapd_session *s)
{
    enum ms_err err = part_post(s->user->client, &s->post.rec, on_part, s, &s->post.request);

    if (err != MS_EFULL)
        return err;
    s->post.waiter.fn = on_room;
    s->post.waiter.owner = s;
    part_wait_room(s->user->client, &s->post.waiter);
    return MS_OK;
}

enum imapd_step imapd__post(struct imapd_session *s)
{
    MS_ASSERT(s->post.request == 0);
    s->post.results = rd_make(slice_make(NULL, 0));
    s->post.err = post_try(s);
    if (!s->post.err)
        return IMAPD_WAIT;
    part_rec_fini(&s->post.rec);
    part_rec_init(&s->post.rec);
    return IMAPD_GO;
}

enum ms_err imapd__post_result(struct imapd_session *s, struct store_result *out)
{
    *out = (struct store_result){.err = s->post.err};
    if (!s->post.err && store_result_next(&s->post.results, out))
        out->err = MS_EDAMAGED;
    return out->err;
}

enum ms_err imapd__post_last(struct imapd_session *s, struct store_result *out)
{
    enum ms_err err;

    do {
        err = imapd__post_result(s, out);
    } while (!s->post.err && rd_left(&s->post.results) > 0);
    return err;
}

void imapd__post_drop(struct imapd_session *s)
{
    if (s->post.waiter.node.next)
        bus_waiter_cancel(&s->post.waiter);
    if (s->post.request)
        part_forget(s->user->client, s->post.request);
    s->post.request = 0;
    part_rec_fini(&s->post.rec);
    part_rec_init(&s->post.rec);
}

/* -- reads */
static void on_read(void *owner, enum ms_err err, struct mbuf *buf)
{
    struct imapd_session *s = owner;

    s->read = (struct imapd_read){.is_done = true, .err = err, .buf = buf};
    imapd__wake(s);
}

enum ms_err imapd__read(struct imapd_session *s, struct part_reader *r, uint64_t off, size_t max,
                        struct mbuf **out)
{
    enum ms_err err;

    MS_ASSERT(!s->read.is_pending);
    if (s->read.is_done) {
        *out = s->read.buf;
        err = s->read.err;
        s->read = (struct imapd_read){.is_done = false};
        return err;
    }
    err = part_reader_read(r, off, max, out, on_read, s);
    s->read.is_pending = err == MS_EMORE;
    return err;
}

void imapd__read_drop(struct imapd_session *s)
{
    mbuf_unref(&s->read.buf);
    s->read = (struct imapd_read){.is_done = false};
}
