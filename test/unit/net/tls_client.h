/* A TLS client for tests: mbedTLS on the other end of a memory stream. */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "net_probe.h"

#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && defined(MBEDTLS_SSL_PROTO_TLS1_3)
#define TLS_CLIENT_VERSION_MAX 13
#else
#define TLS_CLIENT_VERSION_MAX 12
#endif

struct tls_client {
    struct loop *loop;
    struct probe *server;
    struct net_mem_sink sink; /* what the server sent */
    size_t sink_off;
    size_t feed_max; /* bytes given to the server at once, 0 = all */
    size_t cut_next; /* so many bytes of what is written next; the rest is given by tls_client_feed_rest */
    struct str rest;
    unsigned patience_ms; /* how long it waits for a server that computes elsewhere; 0: some turns */
    bool flip_next;       /* damages the next byte that is sent behind a record's header */
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context rng;
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;
    mbedtls_x509_crt ca;
};

/* The server's stream is open. Settings may be changed in conf between init and begin. */
void tls_client_init(struct tls_client *c, struct loop *loop, struct probe *server);
void tls_client_begin(struct tls_client *c, const char *host);
void tls_client_fini(struct tls_client *c);
/* The only version it speaks: 12 or 13. Before begin. */
void tls_client_set_version(struct tls_client *c, int version);
/* What a later connection can resume; the server echoes. */
void tls_client_session(struct tls_client *c, mbedtls_ssl_session *out);
void tls_client_feed_rest(struct tls_client *c);
int tls_client_key(mbedtls_pk_context *key, const char *path);
/* 0 or mbedTLS's error; turns the loop while it waits. */
int tls_client_handshake(struct tls_client *c);
void tls_client_write(struct tls_client *c, struct slice bytes);
/* Reads until `want` bytes came or the stream ended; returns the last result of mbedTLS. */
int tls_client_read(struct tls_client *c, struct str *out, size_t want);

#endif
