/*
 * smtpd.c - the three protocols as the dispatcher sees them: workers, and how sessions come to them.
 */
#include "smtpd_priv.h"

static void *worker_open(void *env_ptr, struct dispatch_worker *handle, struct loop *loop, int tls_mode,
                         const char *service, enum smtpd_kind kind)
{
    const struct smtpd_env *env = env_ptr;
    struct smtpd_worker *w = ms_new(struct smtpd_worker);
    w->env = env;
    w->mine = &env->loops[loop_index(loop)];
    MS_ASSERT(w->mine->loop == loop);
    w->handle = handle;
    w->loop = loop;
    w->kind = kind;
    w->service = service;
    w->tls_mode = tls_mode;
    dispatch_members_init(&w->sessions);
    if (kind == SMTPD_LMTP)
        w->inboxes = ms_alloc_array(SMTPD_INBOXES, sizeof *w->inboxes);
    str_init(&w->out, 0);
    str_init(&w->cache, 0);
    arena_init(&w->cmd_arena, 0);
    mime_message_init(&w->message);
    part_rec_init(&w->rec);
    return w;
}

static void worker_close(void *worker)
{
    struct smtpd_worker *w = worker;
    MS_ASSERT(list_is_empty(&w->sessions.list));
    part_rec_fini(&w->rec);
    mime_message_fini(&w->message);
    arena_fini(&w->cmd_arena);
    str_fini(&w->cache);
    str_fini(&w->out);
    ms_free(w->inboxes);
    ms_free(w);
}

static void worker_drain(void *worker)
{
    struct smtpd_worker *w = worker;
    w->draining = true;
    LIST_FOREACH_SAFE(&w->sessions.list, node)
    smtpd__settle(LIST_ENTRY(node, struct smtpd_session, member.node));
}

static void session_open(void *worker, int fd, const struct net_addr *peer, uint64_t session)
{
    struct smtpd_worker *w = worker;
    struct smtpd_session *s = smtpd__session_create(w, session);
    struct net_stream *stream;
    if (net_stream_open(w->loop, fd, NET_IN_MAX, &smtpd__callbacks, s, &stream) == MS_OK) {
        net_set_peer(stream, peer);
        smtpd__session_begin(s, stream);
        return;
    }
    smtpd__session_free(s);
    if (w->handle)
        dispatch_session_closed(w->handle, session);
}

/* RFC 5321 3.1, 3.8: a server that will not serve greets with 554, one that cannot now with 421 and its name. */
static void refusal(void *env_ptr, enum dispatch_refusal kind, const char *text, struct str *out)
{
    const struct smtpd_env *env = env_ptr;
    if (strspn(text, "0123456789") == 3)
        str_addf(out, "%s\r\n", text);
    else if (kind == DISPATCH_PERMANENT)
        str_addf(out, "554 5.7.1 %s\r\n", text);
    else
        str_addf(out, "421 4.7.0 %s %s\r\n", env->loops[0].hostname, text);
}

struct net_stream *smtpd_session_open_mem(void *worker, const char *peer_text, uint64_t session)
{
    struct smtpd_worker *w = worker;
    struct smtpd_session *s = smtpd__session_create(w, session);
    struct net_stream *stream = net_mem_open(w->loop, peer_text, NET_IN_MAX, &smtpd__callbacks, s);
    smtpd__session_begin(s, stream);
    return stream;
}

#define SMTPD_PROTO(ident, name_, kind)                                                                      \
    static void *ident##_worker_open(void *env, struct dispatch_worker *handle, struct loop *loop,           \
                                     const struct dispatch_service_conf *conf, const char *service_name)     \
    {                                                                                                        \
        return worker_open(env, handle, loop, conf->tls, service_name, kind);                                \
    }                                                                                                        \
    const struct service_proto ident = {.name = name_,                                                       \
                                        .worker_open = ident##_worker_open,                                  \
                                        .session_open = session_open,                                        \
                                        .refusal = refusal,                                                  \
                                        .session_each = smtpd__session_each,                                 \
                                        .session_kick = smtpd__session_kick,                                 \
                                        .worker_drain = worker_drain,                                        \
                                        .worker_close = worker_close}

SMTPD_PROTO(smtpd_smtp_proto, "smtp", SMTPD_SMTP);
SMTPD_PROTO(smtpd_submission_proto, "submission", SMTPD_SUBMISSION);
SMTPD_PROTO(smtpd_lmtp_proto, "lmtp", SMTPD_LMTP);
