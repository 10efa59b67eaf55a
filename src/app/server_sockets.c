/*
 * server_sockets.c - listening sockets over the life of a process and of the next one.
 *
 * What the service manager passes is offered to the dispatcher, whose services take what listens on their
 * addresses. A server that is about to give up root binds here what is left, and offers it likewise. Once all
 * are open the manager gets copies for its store, and passes them to the next process: clients that come in
 * between wait in the kernel.
 *
 * The store is brought up to date after the start and after each reload: names that are not in use are
 * forgotten, and so are those that the manager passed, before the live ones are stored. A name whose socket
 * has changed is forgotten first.
 */
#include "server_priv.h"

#include <sys/stat.h>
#include <unistd.h>

#define STORED_NAME_MAX 160

struct server_stored {
    struct list node;
    char name[STORED_NAME_MAX];
    dev_t dev;
    ino_t ino;
    bool is_live;
};

/* -- before there are threads */
void server_sockets_take(struct server *s)
{
    app_sockets_open(&s->sockets.given);
    list_init(&s->sockets.stored);
}

static bool is_given(const struct server *s, const char *where)
{
    for (size_t i = 0; i < s->sockets.given.count; i++)
        if (net_listens_at(s->sockets.given.fds[i], where))
            return true;
    return false;
}

static int bind_service(struct server *s, const struct dispatch_service_conf *sc)
{
    uint64_t backlog = sc->backlog ? sc->backlog : MS_MAX(sc->max_procs * sc->max_conns, 5);
    for (size_t i = 0; i < sc->listen.count; i++) {
        const char *where = sc->listen.items[i];
        struct ms_errinfo why;
        int fd;
        if (strncmp(where, "unix:", 5) == 0 || is_given(s, where))
            continue; /* a unix socket belongs to the user who makes it */
        if (net_listen(where, (int)MS_MIN(backlog, 65535), &fd, &why) != MS_OK)
            return app_fail(EX_OSERR, "%s", why.text);
        app_sockets_add(&s->sockets.given, fd, "");
    }
    return EX_OK;
}

int server_sockets_bind(struct server *s)
{
    int rc = EX_OK;
    for (size_t i = 0; !rc && i < conf_map_count(s->conf, "dispatcher.services.*"); i++)
        rc = bind_service(s, conf_map_entry(s->conf, "dispatcher.services.*", i, NULL));
    return rc;
}

void server_sockets_give(struct server *s)
{
    dispatch_give_sockets(s->dispatch, s->sockets.given.fds, s->sockets.given.count);
    if (app_notify_is_on(&s->notify.notify))
        dispatch_keep_sockets(s->dispatch);
}

/* -- the manager's store */
static struct server_stored *stored_find(struct server *s, const char *name)
{
    LIST_FOREACH_SAFE(&s->sockets.stored, it)
    {
        struct server_stored *at = LIST_ENTRY(it, struct server_stored, node);
        if (strcmp(at->name, name) == 0)
            return at;
    }
    return NULL;
}

static void stored_free(struct server_stored *at)
{
    list_remove(&at->node);
    ms_free(at);
}

static void store_one(void *owner, const char *name, int fd)
{
    struct server *s = owner;
    struct server_stored *at = stored_find(s, name);
    struct stat st;
    if (fstat(fd, &st) != 0 || strlen(name) >= STORED_NAME_MAX)
        return;
    if (at && at->dev == st.st_dev && at->ino == st.st_ino) {
        at->is_live = true;
        return;
    }
    if (at)
        app_notify_forget(&s->notify.notify, name);
    else
        list_push_back(&s->sockets.stored, &(at = ms_new(struct server_stored))->node);
    snprintf(at->name, sizeof at->name, "%s", name);
    at->dev = st.st_dev;
    at->ino = st.st_ino;
    at->is_live = app_notify_store(&s->notify.notify, name, fd);
}

void server_sockets_store(struct server *s)
{
    struct app_sockets *given = &s->sockets.given;
    if (!app_notify_is_on(&s->notify.notify))
        return;
    for (size_t i = 0; i < given->count; i++)
        if (given->names[i][0])
            app_notify_forget(&s->notify.notify, given->names[i]);
    app_sockets_fini(given);
    LIST_FOREACH_SAFE(&s->sockets.stored, it)
    {
        LIST_ENTRY(it, struct server_stored, node)->is_live = false;
    }
    dispatch_each_listener(s->dispatch, store_one, s);
    LIST_FOREACH_SAFE(&s->sockets.stored, it)
    {
        struct server_stored *at = LIST_ENTRY(it, struct server_stored, node);
        if (at->is_live)
            continue;
        app_notify_forget(&s->notify.notify, at->name);
        stored_free(at);
    }
}

void server_sockets_close(struct server *s)
{
    app_sockets_fini(&s->sockets.given);
    LIST_FOREACH_SAFE(&s->sockets.stored, it)
    {
        stored_free(LIST_ENTRY(it, struct server_stored, node));
    }
}
