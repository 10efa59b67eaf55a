/*
 * app_tls.c - from section tls to a snapshot for the loops: all files, all errors.
 */
#include "app.h"

#include <sys/stat.h>

#include "ms/net.h"

struct tls_file_set {
    struct net_tls_cert certs[NET_TLS_CERTS_MAX];
    const char *names[NET_TLS_CERTS_MAX]; /* "" = tls.certificate */
    size_t count;
};

static void set_add(struct tls_file_set *set, const char *name, const char *cert, const char *key)
{
    if (!cert || !key || set->count == NET_TLS_CERTS_MAX)
        return;
    set->names[set->count] = name;
    set->certs[set->count++] = (struct net_tls_cert){.cert_path = cert, .key_path = key};
}

static void set_fill(struct tls_file_set *set, const struct conf *conf)
{
    const struct tls_conf *tc = conf_section(conf, "tls");

    set->count = 0;
    set_add(set, "", tc->certificate, tc->key);
    for (size_t i = 0; i < conf_map_count(conf, "tls.certificates.*"); i++) {
        const char *name;
        const struct tls_cert_conf *cc = conf_map_entry(conf, "tls.certificates.*", i, &name);
        set_add(set, name, cc->certificate, cc->key);
    }
}

static struct net_tls_spec spec_of(const struct tls_conf *tc)
{
    return (struct net_tls_spec){.client_ca = tc->client_ca,
                                 .ticket_ms = tc->ticket_ms,
                                 .min_version = tc->min_version == 1 ? 13 : 12,
                                 .handshake_ms = tc->handshake_ms};
}

/* Each certificate alone, then the authorities: so every wrong file is named, not the first one only. */
static void errors_collect(const struct tls_file_set *set, const struct net_tls_spec *whole,
                           struct str *errors)
{
    struct ms_errinfo why;
    struct net_tls *one = NULL;

    for (size_t i = 0; i < set->count; i++) {
        const struct net_tls_spec spec = {.certs = &set->certs[i], .cert_count = 1};
        if (net_tls_build(&spec, &one, &why) == MS_OK)
            net_tls_unref(&one);
        else if (set->names[i][0])
            str_addf(errors, "tls.certificates.%s: %s\n", set->names[i], why.text);
        else
            str_addf(errors, "tls: %s\n", why.text);
    }
    if (whole->client_ca && net_tls_check_ca(whole->client_ca, &why) != MS_OK)
        str_addf(errors, "tls.client_ca: %s\n", why.text);
}

enum ms_err app_tls_build(const struct conf *conf, struct net_tls *inherit, struct net_tls **out,
                          struct str *errors)
{
    struct net_tls_spec spec = spec_of(conf_section(conf, "tls"));
    struct tls_file_set set;
    struct ms_errinfo why;

    *out = NULL;
    set_fill(&set, conf);
    if (set.count == 0)
        return MS_OK;
    spec.certs = set.certs;
    spec.cert_count = set.count;
    spec.inherit = inherit;
    spec.tag = app_tls_fingerprint(conf); /* before it is read: what is written meanwhile is another */
    enum ms_err err = net_tls_build(&spec, out, &why);
    if (!err)
        return MS_OK;
    size_t begin = errors->len;
    errors_collect(&set, &spec, errors);
    if (errors->len == begin) /* the settings together, or files that were mended meanwhile */
        str_addf(errors, "tls: %s\n", why.text);
    return err;
}

/* -- have the files changed? */

void app_tls_each_file(const struct conf *conf, app_tls_file_fn *fn, void *arg)
{
    const struct tls_conf *tc = conf_section(conf, "tls");
    struct tls_file_set set;

    set_fill(&set, conf);
    for (size_t i = 0; i < set.count; i++) {
        fn(arg, set.certs[i].cert_path);
        fn(arg, set.certs[i].key_path);
    }
    if (tc->client_ca)
        fn(arg, tc->client_ca);
}

static void print_add(void *arg, const char *path)
{
    struct {
        uint64_t dev, ino, size, mtime_s, mtime_ns, ctime_s, ctime_ns;
    } now = {0};
    uint64_t *sum = arg;
    struct stat st;

    if (stat(path, &st) == 0) {
        now.dev = st.st_dev;
        now.ino = st.st_ino;
        now.size = (uint64_t)st.st_size;
        now.mtime_s = (uint64_t)st.st_mtim.tv_sec;
        now.mtime_ns = (uint64_t)st.st_mtim.tv_nsec;
        now.ctime_s = (uint64_t)st.st_ctim.tv_sec;
        now.ctime_ns = (uint64_t)st.st_ctim.tv_nsec;
    }
    *sum = slice_hash(slice_make(&now, sizeof(now)), *sum);
}

uint64_t app_tls_fingerprint(const struct conf *conf)
{
    uint64_t sum = 1;

    app_tls_each_file(conf, print_add, &sum);
    return sum;
}

unsigned app_tls_threads(const struct conf *conf)
{
    const struct tls_conf *tc = conf_section(conf, "tls");
    unsigned cores = loop_count_auto();

    if (tc->threads)
        return (unsigned)tc->threads;
    return cores > 1 ? cores - 1 : 1;
}
