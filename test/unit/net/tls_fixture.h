/* The server's end for tests of TLS: a certificate of its own in a folder that goes with the test, a stream in memory, a client. */
#ifndef TLS_FIXTURE_H
#define TLS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tls_client.h"

static char dir[] = "/tmp/ms-tls-test-XXXXXX";
static char cert_path[128], key_path[128];
static struct net_tls *tls;
static struct loop *loop;
static struct probe p;
static struct tls_client c;

static int group_setup(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
    snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
    assert_int_equal(net_tls_make_selfsigned("mail.example.org", cert_path, key_path, NULL), MS_OK);
    assert_int_equal(net_tls_load(cert_path, key_path, &tls, NULL), MS_OK);
    return 0;
}

static int group_teardown(void **state)
{
    net_tls_unref(&tls);
    unlink(cert_path);
    unlink(key_path);
    return rmdir(dir);
}

/* On `loop`, which the test has made. */
static void server_open(size_t in_max)
{
    probe_init(&p);
    p.stream = net_mem_open(loop, "192.0.2.1:4000", in_max, &probe_callbacks, &p);
    tls_client_init(&c, loop, &p);
}

static void server_close(void)
{
    if (p.closes == 0) {
        net_abort(p.stream, NET_CLOSED_BY_US);
        loop_turn(loop);
    }
    assert_int_equal(p.closes, 1);
    tls_client_fini(&c);
    probe_fini(&p);
}

#endif
