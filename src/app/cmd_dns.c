/*
 * cmd_dns.c - dns lookup NAME [TYPE]: what the configured servers say, asked as the server asks.
 */
#include "app.h"

#include <arpa/inet.h>

#include "ms/base/arena.h"
#include "ms/dns.h"
#include "ms/loop.h"

static const struct {
    const char *name;
    enum dns_type type;
} types[] = {{"A", DNS_A},     {"AAAA", DNS_AAAA}, {"CNAME", DNS_CNAME}, {"MX", DNS_MX},
             {"PTR", DNS_PTR}, {"SRV", DNS_SRV},   {"TLSA", DNS_TLSA},   {"TXT", DNS_TXT}};

struct lookup {
    const struct app_args *args;
    struct loop *loop;
    const char *name, *type;
    int rc;
};

static const char *data_text(struct arena *a, const struct dns_record *r)
{
    char address[INET6_ADDRSTRLEN];
    struct str hex;

    switch (r->type) {
    case DNS_A:
    case DNS_AAAA:
        return arena_dup_cstr(a, slice_cstr(inet_ntop(r->type == DNS_A ? AF_INET : AF_INET6, r->data.ptr,
                                                      address, sizeof(address))));
    case DNS_MX:
        return arena_printf(a, "%u " SLICE_FMT ".", r->preference, SLICE_ARG(r->data));
    case DNS_SRV:
        return arena_printf(a, "%u %u %u " SLICE_FMT ".", r->preference, r->weight, r->port,
                            SLICE_ARG(r->data));
    case DNS_CNAME:
    case DNS_PTR:
        return arena_printf(a, SLICE_FMT ".", SLICE_ARG(r->data));
    case DNS_TLSA:
        str_init(&hex, 0);
        str_addf(&hex, "%u %u %u ", r->usage, r->selector, r->matching);
        for (size_t i = 0; i < r->data.len; i++)
            str_addf(&hex, "%02x", r->data.ptr[i]);
        const char *text = arena_dup_cstr(a, str_slice(&hex));
        str_fini(&hex);
        return text;
    case DNS_TXT:
        break;
    }
    char *text = arena_dup_cstr(a, r->data);
    for (char *p = text; *p; p++) /* whatever somebody put there: not for a terminal */
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return text;
}

static void print_record(const struct lookup *l, const struct dns_answer *answer, const struct dns_record *r)
{
    static const char *const names[] = {"name", "type", "ttl", "secure", "data"};
    struct arena a;

    arena_init(&a, 0);
    app_emit_row(l->args, names,
                 (const char *[]){answer->canonical, l->type, arena_printf(&a, "%u", r->ttl),
                                  answer->secure ? "yes" : "no", data_text(&a, r)},
                 MS_ARRAY_LEN(names));
    arena_fini(&a);
}

static void on_done(void *owner, uint64_t request, enum ms_err err, const struct dns_answer *answer)
{
    struct lookup *l = owner;

    if (err)
        l->rc = app_fail(EX_TEMPFAIL, "%s: %s", l->name,
                         err == MS_ETIMEOUT ? "no server answered in time" : "no server gave an answer");
    else if (answer->status != DNS_FOUND)
        l->rc = app_fail(
            EX_NOHOST,
            answer->status == DNS_NXDOMAIN ? "%s does not exist%s%s" : "%s has no record of type %s%s",
            l->name, answer->status == DNS_NXDOMAIN ? "" : l->type, answer->secure ? " (secure)" : "");
    for (size_t i = 0; answer && i < answer->count; i++)
        print_record(l, answer, &answer->records[i]);
    loop_stop(l->loop);
}

static int look_up(struct lookup *l, const struct dns_conf *conf, enum dns_type type)
{
    struct dns_client *client;
    struct ms_errinfo why;
    uint64_t request;

    l->loop = loop_create(0, "dns");
    if (dns_client_create(l->loop, conf, &client, &why)) {
        l->rc = app_fail(EX_CONFIG, "%s", why.text);
    } else if (dns_query(client, l->name, type, on_done, l, &request)) {
        l->rc = app_fail(EX_DATAERR, "\"%s\" is no name", l->name);
    } else {
        loop_run(l->loop);
    }
    dns_client_destroy(&client);
    loop_destroy(&l->loop);
    return l->rc;
}

int cmd_dns_lookup(struct app_args *args)
{
    struct lookup l = {.args = args, .rc = EX_OK};
    const char *word = args->argc > 2 ? args->argv[2] : "A";
    size_t t = 0;

    if (args->argc < 2 || args->argc > 3 || args->argv[1][0] == '-')
        return app_usage(args, "dns lookup takes a name and a type");
    while (t < MS_ARRAY_LEN(types) && !slice_ieq_cstr(slice_cstr(word), types[t].name))
        t++;
    if (t == MS_ARRAY_LEN(types))
        return app_usage(args, "the type is A, AAAA, CNAME, MX, PTR, SRV, TLSA or TXT");
    struct conf *conf = app_conf_load(args->config);
    if (!conf)
        return EX_CONFIG;
    l.name = args->argv[1];
    l.type = types[t].name;
    int rc = look_up(&l, conf_section(conf, "dns"), types[t].type);
    conf_unref(&conf);
    return rc;
}
