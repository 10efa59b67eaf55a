/*
 * imapd_worker.c - the service as dispatch sees it: workers, and how a connection becomes a session.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "imapd_priv.h"

void imapd_env_init(struct imapd_env *env)
{
    const struct imapd_conf *c = conf_section(env->conf, "imap");

    env->recent = imapd__recent_create();
    env->searches = loop_pool_create("search", (unsigned)c->search_threads, IMAPD_SEARCHES_MAX);
}

void imapd_env_fini(struct imapd_env *env)
{
    loop_pool_destroy(&env->searches); /* from here on no thread has a job of a loop */
    for (size_t i = 0; i < MS_ARRAY_LEN(env->loops); i++) {
        imapd__shared_destroy(&env->loops[i].shared);
        imapd__rules_drop(&env->loops[i].rules);
    }
    imapd__recent_destroy(&env->recent);
}

static void *worker_open(void *env_arg, struct dispatch_worker *handle, struct loop *loop,
                         const struct dispatch_service_conf *conf, const char *service_name)
{
    struct imapd_env *env = env_arg;
    struct imapd_loop_env *le = &env->loops[loop_index(loop)];
    struct imapd_worker *w = ms_new(struct imapd_worker);

    MS_ASSERT(le->loop == loop && env->recent);
    w->env = env;
    w->shared = imapd__shared_get(le);
    w->loop = loop;
    w->auth = le->auth;
    w->service = service_name;
    w->handle = handle;
    w->mine = le;
    w->implicit_tls = conf && conf->tls == DISPATCH_TLS_IMPLICIT;
    w->starttls = conf && conf->tls == DISPATCH_TLS_STARTTLS;
    dispatch_members_init(&w->sessions);
    str_init(&w->out, 0);
    str_init(&w->text, 0);
    return w;
}

static void *local_worker_open(void *env, struct dispatch_worker *handle, struct loop *loop,
                               const struct dispatch_service_conf *conf, const char *service_name)
{
    struct imapd_worker *w = worker_open(env, handle, loop, conf, service_name);

    w->is_local = true;
    return w;
}

static void session_refuse(struct imapd_worker *w, uint64_t session)
{
    if (w->handle)
        dispatch_session_closed(w->handle, session);
}

static void session_open(void *worker, int fd, const struct net_addr *peer, uint64_t session)
{
    struct imapd_worker *w = worker;
    struct imapd_session *s;
    struct net_stream *stream;

    if (w->implicit_tls && !w->mine->tls) {
        close(fd);
        session_refuse(w, session);
        return;
    }
    s = imapd__session_create(w, session);
    if (net_stream_open(w->loop, fd, NET_IN_MAX, &imapd_callbacks, s, &stream)) {
        imapd__session_discard(s);
        session_refuse(w, session);
        return;
    }
    s->stream = stream;
    net_set_peer(stream, peer);
    if (w->implicit_tls && net_tls_start(stream, w->mine->tls)) {
        imapd__session_abort(s, NET_CLOSED_TLS);
        return;
    }
    s->tls_starting = w->implicit_tls;
    imapd__session_start(s, stream);
}

/* The socket's mode says it already; whoever was let through by another way is turned away here. */
static void local_session_open(void *worker, int fd, const struct net_addr *peer, uint64_t session)
{
    struct imapd_worker *w = worker;
    struct ucred cred = {.uid = (uid_t)-1};
    socklen_t len = sizeof(cred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 ||
        (cred.uid != geteuid() && cred.uid != 0)) {
        OBS_EVENT(OBS_IMAPD_LOCAL_REFUSED, session, OBS_U("uid", cred.uid));
        close(fd);
        session_refuse(w, session);
        return;
    }
    w->peer_uid = cred.uid;
    session_open(worker, fd, peer, session);
}

struct net_stream *imapd_mem_open(void *worker, const char *peer_text, uint64_t session)
{
    struct imapd_worker *w = worker;
    struct imapd_session *s = imapd__session_create(w, session);
    struct net_stream *stream = net_mem_open(w->loop, peer_text, NET_IN_MAX, &imapd_callbacks, s);

    imapd__session_start(s, stream);
    return stream;
}

/* Digits, dots and the blank behind them: a reply code of SMTP, which an access rule may give. */
static const char *text_behind_code(const char *text)
{
    size_t code = strspn(text, "0123456789.");

    return code > 0 && text[code] == ' ' ? text + code + 1 : text;
}

/* RFC 9051 7.1.5: BYE instead of a greeting. */
static void refusal(void *env, enum dispatch_refusal kind, const char *text, struct str *out)
{
    text = text_behind_code(text_behind_code(text));
    str_addf(out, "* BYE %s\r\n", text[0] ? text : "not now");
}

static void worker_drain(void *worker)
{
    struct imapd_worker *w = worker;

    w->draining = true;
    LIST_FOREACH_SAFE(&w->sessions.list, node)
    imapd__session_drain(LIST_ENTRY(node, struct imapd_session, member.node));
}

static void worker_close(void *worker)
{
    struct imapd_worker *w = worker;

    MS_ASSERT(list_is_empty(&w->sessions.list));
    str_fini(&w->out);
    str_fini(&w->text);
    ms_free(w);
}

const struct service_proto imapd_proto = {
    .name = "imap",
    .worker_open = worker_open,
    .session_open = session_open,
    .refusal = refusal,
    .session_each = imapd__session_each,
    .session_kick = imapd__session_kick,
    .worker_drain = worker_drain,
    .worker_close = worker_close,
};
const struct service_proto imapd_local_proto = {
    .name = "imap-local",
    .worker_open = local_worker_open,
    .session_open = local_session_open,
    .refusal = refusal,
    .session_each = imapd__session_each,
    .session_kick = imapd__session_kick,
    .worker_drain = worker_drain,
    .worker_close = worker_close,
};
