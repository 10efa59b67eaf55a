/*
 * bench_tls.c - what TLS costs: full and resumed handshakes a second with ECDSA P-256 and RSA-2048 keys, on one thread
 * and on all cores, and the memory of a connection that is on, and of one that dozes.   bench_tls [seconds a cell]
 *
 * The library is measured as the server uses it (net, memory transport, virtual loops): the client's half runs on the
 * same thread, its CPU time is measured apart and taken off.
 */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ms/base/clock.h"
#include "ms/net.h"
#include "ms/obs.h"

#define THREADS_MAX  8
#define MEMORY_CONNS 400

static char dir[] = "/tmp/bench-tls-XXXXXX";
static double cell_seconds = 2;

struct client {
    struct net_stream *server;
    struct loop *loop;
    struct net_mem_sink sink;
    size_t sink_off;
    bool closed;
    uint64_t server_ns; /* CPU time of the server's half */
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context rng;
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_tls: %s\n", what);
    exit(1);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* -- the server's side of one connection */

static size_t on_data(void *owner, struct slice in)
{
    struct client *c = owner;
    net_write(c->server, in);
    return in.len;
}

static void on_tls(void *owner, enum ms_err result)
{
}

static void on_closed(void *owner, enum net_close_why why)
{
    ((struct client *)owner)->closed = true;
}

static const struct net_callbacks callbacks = {.on_data = on_data, .on_tls = on_tls, .on_closed = on_closed};

static void turn(struct client *c)
{
    uint64_t begin = cpu_ns();
    loop_turn(c->loop);
    c->server_ns += cpu_ns() - begin;
}

/* -- the client */

static int on_send(void *arg, const unsigned char *buf, size_t len)
{
    struct client *c = arg;
    net_mem_feed(c->server, slice_make(buf, len));
    return (int)len;
}

static int on_recv(void *arg, unsigned char *buf, size_t len)
{
    struct client *c = arg;

    for (int i = 0; i < 8 && c->sink.output.len == c->sink_off && !c->sink.closed; i++)
        turn(c);
    size_t n = MS_MIN(len, c->sink.output.len - c->sink_off);
    if (n == 0)
        return c->sink.closed ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(buf, c->sink.output.ptr + c->sink_off, n);
    c->sink_off += n;
    return (int)n;
}

static void client_init(struct client *c, struct loop *loop, bool tls_1_2)
{
    memset(c, 0, sizeof *c);
    c->loop = loop;
    str_init(&c->sink.output, 0);
    mbedtls_entropy_init(&c->entropy);
    mbedtls_ctr_drbg_init(&c->rng);
    mbedtls_ssl_config_init(&c->conf);
    if (mbedtls_ctr_drbg_seed(&c->rng, mbedtls_entropy_func, &c->entropy, NULL, 0) ||
        mbedtls_ssl_config_defaults(&c->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT))
        die("client");
    mbedtls_ssl_conf_rng(&c->conf, mbedtls_ctr_drbg_random, &c->rng);
    mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_NONE);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    if (tls_1_2)
        mbedtls_ssl_conf_max_tls_version(&c->conf, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
}

static void client_fini(struct client *c)
{
    mbedtls_ssl_config_free(&c->conf);
    mbedtls_ctr_drbg_free(&c->rng);
    mbedtls_entropy_free(&c->entropy);
    str_fini(&c->sink.output);
}

static void client_connect(struct client *c, struct net_tls *tls, const mbedtls_ssl_session *session)
{
    uint8_t byte = 'x';
    int rc;

    c->closed = false;
    c->sink_off = 0;
    c->sink.closed = false;
    str_reset(&c->sink.output);
    mbedtls_ssl_init(&c->ssl);
    c->server = net_mem_open(c->loop, "192.0.2.1:1", 65536, &callbacks, c);
    net_mem_attach(c->server, &c->sink);
    if (net_tls_start(c->server, tls) != MS_OK || mbedtls_ssl_setup(&c->ssl, &c->conf) ||
        mbedtls_ssl_set_hostname(&c->ssl, "bench.example") ||
        (session && mbedtls_ssl_set_session(&c->ssl, session)))
        die("connect");
    mbedtls_ssl_set_bio(&c->ssl, c, on_send, on_recv, NULL);
    while ((rc = mbedtls_ssl_handshake(&c->ssl)) == MBEDTLS_ERR_SSL_WANT_READ)
        continue;
    if (rc || mbedtls_ssl_write(&c->ssl, &byte, 1) != 1)
        die("handshake");
    for (rc = 0; rc != 1;) /* with TLS 1.3 a ticket comes first */
        rc = mbedtls_ssl_read(&c->ssl, &byte, 1);
}

static void client_close(struct client *c)
{
    net_abort(c->server, NET_CLOSED_BY_US);
    while (!c->closed)
        loop_turn(c->loop);
    mbedtls_ssl_free(&c->ssl);
}

/* -- handshakes a second */

struct cell {
    struct net_tls *tls;
    bool resume, tls_1_2;
    atomic_uint_fast64_t count, server_ns;
};

static void *cell_main(void *arg)
{
    static atomic_uint next;
    struct cell *cell = arg;
    struct loop *loop = loop_create_virtual(1 + atomic_fetch_add(&next, 1) % 60, "virtual", 1000);
    mbedtls_ssl_session session;
    struct client c;
    uint64_t end, n = 0;

    client_init(&c, loop, cell->tls_1_2);
    mbedtls_ssl_session_init(&session);
    client_connect(&c, cell->tls, NULL);
    if (cell->resume && mbedtls_ssl_get_session(&c.ssl, &session))
        die("session");
    client_close(&c);
    c.server_ns = 0;
    end = clock_mono_ns() + (uint64_t)(cell_seconds * 1e9);
    for (; clock_mono_ns() < end; n++) {
        client_connect(&c, cell->tls, cell->resume ? &session : NULL);
        if (net_tls_is_resumed(c.server) != cell->resume)
            die("resumption");
        client_close(&c);
    }
    atomic_fetch_add(&cell->count, n);
    atomic_fetch_add(&cell->server_ns, c.server_ns);
    mbedtls_ssl_session_free(&session);
    client_fini(&c);
    loop_destroy(&loop);
    return NULL;
}

static void cell_run(const char *name, struct net_tls *tls, bool resume, unsigned threads)
{
    struct cell cell = {.tls = tls, .resume = resume, .tls_1_2 = true};
    pthread_t ids[THREADS_MAX];

    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, cell_main, &cell))
            die("thread");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    double us = (double)cell.server_ns / 1000 / (double)cell.count;
    printf("%-28s %u thread%s  %8.0f us of the server's CPU each = %6.0f/s a core; both halves %6.0f/s\n",
           name, threads, threads > 1 ? "s" : " ", us, 1e6 / us, (double)cell.count / cell_seconds);
    fflush(stdout);
}

/* -- memory */

static double anon_kib(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    char line[200];
    long kib = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss_Anon: %ld kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return (double)kib;
}

/* The client's half of each is gone when the server's is measured. */
static void memory_run(struct net_tls *tls)
{
    struct loop *loop = loop_create_virtual(1, "virtual", 1000);
    struct client *conns = calloc(MEMORY_CONNS, sizeof *conns);
    struct client warm;

    client_init(&warm, loop, true);
    for (int i = 0; i < 50; i++) {
        client_connect(&warm, tls, NULL);
        client_close(&warm);
    }
    double before = anon_kib();
    for (int i = 0; i < MEMORY_CONNS; i++) {
        client_init(&conns[i], loop, true);
        client_connect(&conns[i], tls, NULL);
    }
    double both = anon_kib() - before;
    before = anon_kib();
    for (int i = 0; i < MEMORY_CONNS; i++)
        net_doze(conns[i].server);
    double given = before - anon_kib();
    for (int i = 0; i < MEMORY_CONNS; i++) {
        client_close(&conns[i]);
        client_fini(&conns[i]);
    }
    printf("memory: both halves on %.1f KiB a connection; dozing gives %.1f KiB of the server's half back\n",
           both / MEMORY_CONNS, given / MEMORY_CONNS);
    client_fini(&warm);
    free(conns);
    loop_destroy(&loop);
}

/* -- */

static struct net_tls *load(const char *name, const char *newkey)
{
    char command[600], cert[100], key[100];
    struct net_tls *tls = NULL;
    struct ms_errinfo why;

    snprintf(cert, sizeof cert, "%s/%s.pem", dir, name);
    snprintf(key, sizeof key, "%s/%s.key", dir, name);
    snprintf(
        command, sizeof command,
        "openssl req -x509 -newkey %s -nodes -days 30 -subj /CN=bench.example -keyout %s -out %s 2>/dev/null",
        newkey, key, cert);
    if (system(command) != 0)
        die("the command openssl makes the certificates");
    if (net_tls_load(cert, key, &tls, &why) != MS_OK)
        die(why.text);
    unlink(cert);
    unlink(key);
    return tls;
}

int main(int argc, char **argv)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = (unsigned)MS_MAX(1, MS_MIN(cores, THREADS_MAX));

    if (argc > 1)
        cell_seconds = strtod(argv[1], NULL);
    if (cell_seconds <= 0 || cell_seconds > 600)
        die("seconds: above 0, at most 600");
    if (!mkdtemp(dir))
        die("folder");
    struct net_tls *ec = load("ec", "ec -pkeyopt ec_paramgen_curve:prime256v1"),
                   *rsa = load("rsa", "rsa:2048");
    rmdir(dir);
    printf("mbedTLS " MBEDTLS_VERSION_STRING ", TLS 1.2, %u cores\n", threads);
    cell_run("full, ECDSA P-256", ec, false, 1);
    cell_run("full, ECDSA P-256", ec, false, threads);
    cell_run("full, RSA-2048", rsa, false, 1);
    cell_run("full, RSA-2048", rsa, false, threads);
    cell_run("resumed by ticket", ec, true, 1);
    cell_run("resumed by ticket", ec, true, threads);
    memory_run(ec);
    net_tls_unref(&ec);
    net_tls_unref(&rsa);
    return 0;
}
