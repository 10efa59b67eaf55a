/*
 * imapd_feed.c - from a change of a mailbox to the sessions of this loop that idle in it.
 *
 * A loop has one table per partition it has clients of: mailbox -> list of sessions. Only sessions in IDLE
 * are in it and only their mailboxes are watched, so a change that nobody waits for wakes nobody.
 */
#include "ms/base/map.h"

#include "imapd_search.h"

struct idlers { /* of one mailbox */
    struct list sessions;
};

struct feed { /* of one partition */
    struct feed *next;
    struct part_client *client;
    struct map mailboxes; /* id -> struct idlers */
};

struct imapd_loop_shared {
    struct feed *feeds;
    struct imapd_maps *maps;
    struct list searches; /* struct search_job */
};

struct imapd_loop_shared *imapd__shared_get(struct imapd_loop_env *env)
{
    if (!env->shared) {
        env->shared = ms_new(struct imapd_loop_shared);
        env->shared->maps = imapd__maps_create();
        list_init(&env->shared->searches);
    }
    return env->shared;
}

struct imapd_maps *imapd__shared_maps(struct imapd_loop_shared *shared)
{
    return shared->maps;
}

struct list *imapd__shared_searches(struct imapd_loop_shared *shared)
{
    return &shared->searches;
}

void imapd__shared_destroy(struct imapd_loop_shared **shared)
{
    struct feed *f, *next;

    if (!*shared)
        return;
    imapd__search_jobs_free(&(*shared)->searches);
    for (f = (*shared)->feeds; f; f = next) {
        next = f->next;
        MS_ASSERT(f->mailboxes.count == 0);
        map_fini(&f->mailboxes);
        ms_free(f);
    }
    imapd__maps_destroy(&(*shared)->maps);
    ms_free(*shared);
    *shared = NULL;
}

static void note_all(struct idlers *idlers)
{
    LIST_FOREACH(&idlers->sessions, node)
    imapd__note(LIST_ENTRY(node, struct imapd_session, idle_node));
}

static void on_change(void *owner, uint64_t mailbox, uint64_t modseq)
{
    struct feed *f = owner;
    size_t cursor = 0;
    struct slice key;
    void *value;

    if (mailbox) {
        value = map_find_u64(&f->mailboxes, mailbox);
        if (value)
            note_all(value);
        return;
    }
    while (map_next(&f->mailboxes, &cursor, &key, &value)) /* notes were lost: everybody looks */
        note_all(value);
}

static struct feed *feed_get(struct imapd_loop_shared *shared, struct part_client *client)
{
    struct feed *f;

    for (f = shared->feeds; f; f = f->next)
        if (f->client == client)
            return f;
    f = ms_new(struct feed);
    f->client = client;
    f->next = shared->feeds;
    shared->feeds = f;
    map_init(&f->mailboxes);
    part_feed_set(client, on_change, f);
    return f;
}

void imapd__feed_watch(struct imapd_session *s)
{
    struct feed *f = feed_get(s->w->shared, s->user->client);
    struct idlers *idlers = map_find_u64(&f->mailboxes, s->box->id);

    if (!idlers) {
        idlers = ms_new(struct idlers);
        list_init(&idlers->sessions);
        (void)map_put_u64(&f->mailboxes, s->box->id, idlers);
        part_watch(s->user->client, s->box->id);
    }
    list_push_back(&idlers->sessions, &s->idle_node);
}

void imapd__feed_unwatch(struct imapd_session *s)
{
    struct feed *f;
    struct idlers *idlers;

    if (!list_is_linked(&s->idle_node))
        return;
    list_remove(&s->idle_node);
    s->noted = false;
    f = feed_get(s->w->shared, s->user->client);
    idlers = map_find_u64(&f->mailboxes, s->box->id);
    if (!list_is_empty(&idlers->sessions))
        return;
    part_unwatch(s->user->client, s->box->id);
    (void)map_remove_u64(&f->mailboxes, s->box->id);
    ms_free(idlers);
}
