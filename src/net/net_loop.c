/*
 * net_loop.c - what net keeps once per loop: the shared read buffer and the free output blocks.
 */
#include "net_priv.h"

#include <sys/resource.h>

static void net_loop_destroy(void *value)
{
    struct net_loop *nl = value;

    net__tls_loop_fini(nl);
    net__out_free_pool(nl);
    ms_free(nl->cipher);
    ms_free(nl);
}

struct net_loop *net__loop(struct loop *loop)
{
    struct net_loop *nl = loop_slot_get(loop, LOOP_SLOT_NET);

    MS_ASSERT(loop_is_home(loop));
    if (nl)
        return nl;
    nl = ms_new(struct net_loop);
    nl->loop = loop;
    nl->refusals.loop = loop;
    list_init(&nl->refusals.waiting);
    list_init(&nl->tls_awake);
    list_init(&nl->tls_left);
    loop_slot_set(loop, LOOP_SLOT_NET, nl, net_loop_destroy);
    return nl;
}

void net_shed(struct loop *loop)
{
    struct net_loop *nl = net__loop(loop);

    net__out_free_pool(nl);
    nl->free_count = 0;
}

uint64_t net_raise_nofile(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return 1024; /* what POSIX systems give at least in practice; the call does not fail with these
                        arguments */
    lim.rlim_cur = lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) < 0 && getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return 1024;
    return lim.rlim_cur;
}
