/* The name server of these tests, and the client that asks it. */
#include "dns_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

/* -- the server */

void peer_open(struct peer *p, peer_fn *fn)
{
    for (unsigned tries = 0; tries < 50; tries++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(in);
        *p = (struct peer){.conn = -1, .fn = fn};
        p->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        p->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(p->udp, (struct sockaddr *)&in, len), 0);
        assert_int_equal(getsockname(p->udp, (struct sockaddr *)&in, &len), 0);
        p->port = ntohs(in.sin_port);
        snprintf(p->text, sizeof(p->text), "127.0.0.1:%u", p->port);
        str_init(&p->in, 0);
        if (bind(p->tcp, (struct sockaddr *)&in, len) == 0 && listen(p->tcp, 5) == 0)
            return;
        peer_close(p);
    }
    fail_msg("no port for UDP and TCP");
}

void peer_close(struct peer *p)
{
    close(p->udp);
    close(p->tcp);
    if (p->conn >= 0)
        close(p->conn);
    str_fini(&p->in);
}

static void udp_step(struct peer *p)
{
    uint8_t in[4096];
    ssize_t got;

    p->from_len = sizeof(p->from);
    while ((got = recvfrom(p->udp, in, sizeof(in), 0, (struct sockaddr *)&p->from, &p->from_len)) > 0) {
        struct str answer;
        str_init(&answer, 0);
        if (p->asked < MS_ARRAY_LEN(p->ports)) {
            p->ports[p->asked] = ntohs(((struct sockaddr_in *)&p->from)->sin_port);
            p->ids[p->asked] = ms_get_be16(in);
        }
        p->asked++;
        p->fn(p, slice_make(in, (size_t)got), false, &answer);
        if (answer.len > 0)
            assert_int_equal(
                sendto(p->udp, answer.ptr, answer.len, 0, (struct sockaddr *)&p->from, p->from_len),
                answer.len);
        str_fini(&answer);
        p->from_len = sizeof(p->from);
    }
}

static void tcp_step(struct peer *p)
{
    uint8_t in[4096], head[2];
    ssize_t got;

    if (p->conn < 0) {
        p->conn = accept4(p->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        str_reset(&p->in);
    }
    if (p->conn < 0)
        return;
    while ((got = recv(p->conn, in, sizeof(in), 0)) > 0)
        str_add(&p->in, in, (size_t)got);
    if (got == 0) {
        close(p->conn);
        p->conn = -1;
        return;
    }
    if (p->in.len < 2 || p->in.len < 2u + ms_get_be16(p->in.ptr))
        return;
    struct str answer;
    str_init(&answer, 0);
    p->asked_tcp++;
    p->fn(p, slice_sub(str_slice(&p->in), 2, ms_get_be16(p->in.ptr)), true, &answer);
    str_reset(&p->in);
    ms_put_be16(head, (uint16_t)answer.len);
    if (answer.len > 0) {
        assert_int_equal(send(p->conn, head, 2, MSG_NOSIGNAL), 2);
        assert_int_equal(send(p->conn, answer.ptr, answer.len, MSG_NOSIGNAL), answer.len);
    } else { /* no answer: goes away */
        close(p->conn);
        p->conn = -1;
    }
    str_fini(&answer);
}

void peer_step(struct peer *p)
{
    udp_step(p);
    tcp_step(p);
}

/* -- answers */

static size_t question_end(struct slice query)
{
    size_t at = 12;
    while (at < query.len && query.ptr[at] != 0)
        at += query.ptr[at] + 1u;
    return at + 5;
}

void say(struct str *out, struct slice query, unsigned flags)
{
    str_add_slice(out, slice_sub(query, 0, question_end(query)));
    ms_put_be16(out->ptr + 2, (uint16_t)(0x8180 | flags)); /* QR, RD, RA */
    memset(out->ptr + 6, 0, 6);
}

void add(struct str *out, enum section section, const char *name, unsigned type, uint32_t ttl,
         struct slice data)
{
    uint8_t wire[DNS_NAME_MAX], fixed[10];

    if (name[0])
        str_add(out, wire, dns__name_to_wire(name, wire));
    else
        str_add(out, "\xc0\x0c", 2);
    ms_put_be16(fixed, (uint16_t)type);
    ms_put_be16(fixed + 2, 1);
    ms_put_be32(fixed + 4, ttl);
    ms_put_be16(fixed + 8, (uint16_t)data.len);
    str_add(out, fixed, sizeof(fixed));
    str_add_slice(out, data);
    ms_put_be16(out->ptr + section, (uint16_t)(ms_get_be16(out->ptr + section) + 1));
}

void add_a(struct str *out, const char *name, uint32_t ttl, const char *address)
{
    struct in_addr in;
    assert_int_equal(inet_pton(AF_INET, address, &in), 1);
    add(out, ANSWER, name, DNS_A, ttl, slice_make(&in, 4));
}

void add_name(struct str *out, const char *name, unsigned type, uint32_t ttl, const char *target)
{
    uint8_t wire[DNS_NAME_MAX];
    add(out, type == 2 ? AUTHORITY : ANSWER, name, type, ttl,
        slice_make(wire, dns__name_to_wire(target, wire)));
}

void add_mx(struct str *out, const char *name, uint32_t ttl, unsigned preference, const char *target)
{
    uint8_t wire[DNS_NAME_MAX + 2];
    ms_put_be16(wire, (uint16_t)preference);
    add(out, ANSWER, name, DNS_MX, ttl, slice_make(wire, 2 + dns__name_to_wire(target, wire + 2)));
}

void add_soa(struct str *out, const char *name, uint32_t ttl, uint32_t minimum)
{
    uint8_t wire[2 * DNS_NAME_MAX];
    size_t len = dns__name_to_wire("ns.example", wire);
    len += dns__name_to_wire("admin.example", wire + len);
    for (unsigned i = 0; i < 5; i++, len += 4)
        ms_put_be32(wire + len, i == 4 ? minimum : 1);
    add(out, AUTHORITY, name, 6, ttl, slice_make(wire, len));
}

void add_opt(struct str *out, uint32_t extended)
{
    uint8_t opt[11] = {0, 0, 41, 4, 208};
    opt[5] = (uint8_t)extended;
    str_add(out, opt, sizeof(opt));
    ms_put_be16(out->ptr + EXTRA, (uint16_t)(ms_get_be16(out->ptr + EXTRA) + 1));
}

void asked_for(struct slice query, char name[DNS_NAME_MAX + 1], unsigned *type)
{
    size_t end = question_end(query);
    assert_true(end <= query.len && dns__name_from_wire(slice_sub(query, 12, end - 12), name));
    *type = ms_get_be16(query.ptr + end - 4);
}

/* -- the client */

void on_done(void *owner, uint64_t request, enum ms_err err, const struct dns_answer *answer)
{
    struct got *g = owner;

    g->count++;
    g->request = request;
    g->err = err;
    assert_int_equal(answer == NULL, err != MS_OK);
    if (!answer)
        return;
    g->status = answer->status;
    g->secure = answer->secure;
    g->from_cache = answer->from_cache;
    g->records = answer->count;
    snprintf(g->canonical, sizeof(g->canonical), "%s", answer->canonical);
    for (size_t i = 0; i < MS_MIN(answer->count, MS_ARRAY_LEN(g->first)); i++) {
        g->first[i] = answer->records[i];
        snprintf(g->data[i], sizeof(g->data[i]), SLICE_FMT, SLICE_ARG(answer->records[i].data));
        if (answer->records[i].type == DNS_A)
            inet_ntop(AF_INET, answer->records[i].data.ptr, g->data[i], sizeof(g->data[i]));
    }
}

void site_open(struct site *s, unsigned count, peer_fn *fn)
{
    struct ms_errinfo why;

    *s = (struct site){.loop = loop_create_virtual(1, "dns", 1000000), .count = count};
    for (unsigned i = 0; i < count; i++) {
        peer_open(&s->peers[i], fn);
        s->texts[i] = s->peers[i].text;
    }
    s->conf = (struct dns_conf){.servers = {s->texts, count}, .timeout_ms = 15000, .cache_bytes = 1 << 20};
    assert_int_equal(dns_client_create(s->loop, &s->conf, &s->client, &why), MS_OK);
}

void site_close(struct site *s)
{
    dns_client_destroy(&s->client);
    dns_client_destroy(&s->client);
    loop_destroy(&s->loop);
    for (unsigned i = 0; i < s->count; i++)
        peer_close(&s->peers[i]);
}

void site_settle(struct site *s)
{
    for (unsigned quiet = 0; quiet < 6; quiet++) /* datagrams and connections on loopback are there at once */
        for (unsigned i = 0; i < s->count; i++) {
            unsigned before = s->peers[i].asked + s->peers[i].asked_tcp;
            (void)loop_turn(s->loop);
            peer_step(&s->peers[i]);
            (void)loop_turn(s->loop);
            if (s->peers[i].asked + s->peers[i].asked_tcp != before)
                quiet = 0;
        }
}

void ask(struct site *s, const char *name, enum dns_type type, struct got *g)
{
    *g = (struct got){0};
    assert_int_equal(dns_query(s->client, name, type, on_done, g, &g->request), MS_OK);
    assert_int_equal(g->count, 0);
}

void ask_now(struct site *s, const char *name, enum dns_type type, struct got *g)
{
    ask(s, name, type, g);
    site_settle(s);
}
