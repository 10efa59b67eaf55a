/*
 * server_tls.c - the certificates of the running server, and the threads that compute handshakes.
 */
#include "server_priv.h"

#include "ms/base/clock.h"

#define TLS_QUEUE_MAX 1024    /* pieces of handshakes that wait; more are computed by the loops themselves */
#define TLS_EXPIRES_S 1209600 /* two weeks: when a renewal has failed, this is the time to see it */

/* -- threads */

void server_make_tls_pool(struct server *s)
{
    s->tls_pool = loop_pool_create("tls", app_tls_threads(s->conf), TLS_QUEUE_MAX);
    net_tls_set_pool(s->tls_pool);
}

/* The loops have ended. */
void server_tls_pool_destroy(struct server *s)
{
    net_tls_set_pool(NULL);
    loop_pool_destroy(&s->tls_pool);
}

/* -- certificates */

void server_tls_tell(const struct net_tls *tls)
{
    struct net_tls_cert_info info;
    int64_t now_s = (int64_t)(clock_wall_us() / 1000000);
    char until[CLOCK_RFC3339_MAX];

    for (size_t i = 0; tls && net_tls_cert_info(tls, i, &info); i++) {
        clock_emit_rfc3339((uint64_t)MS_MAX(info.not_after, 0) * 1000000, until);
        OBS_EVENT(info.not_after - now_s < TLS_EXPIRES_S ? OBS_APP_TLS_EXPIRES : OBS_APP_TLS_CERTIFICATE, 0,
                  OBS_C("names", info.names), OBS_C("key", info.key), OBS_C("until", until));
    }
}

int server_open_tls(struct server *s)
{
    struct str errors;
    struct slice rest, line;

    str_init(&errors, 0);
    enum ms_err err = app_tls_build(s->conf, NULL, &s->tls, &errors);
    rest = str_slice(&errors);
    while (err && slice_cut(&rest, '\n', &line))
        app_fail(EX_CONFIG, "%.*s", (int)line.len, (const char *)line.ptr);
    str_fini(&errors);
    return err ? EX_CONFIG : EX_OK;
}
