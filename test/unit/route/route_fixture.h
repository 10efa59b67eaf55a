/*
 * route_fixture.h - a router of its own for each test: configuration, queue partition, and a directory that
 * is a text the test gives.
 *
 * A line of the text is an entry:
 *   NAME user ID [STATUS] [keep] [> TARGET...]
 *   NAME alias [STATUS] > TARGET...
 *   NAME trouble                               the directory cannot read it (MS_EIO)
 * NAME "@domain" is a catch-all. Domains are those that end in ".org".
 */
#ifndef ROUTE_FIXTURE_H
#define ROUTE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ms/obs.h"
#include "ms/route.h"

#include "../pool_table.h"
#include "../queue_partition.h"

static const struct conf_table *const tables[] = {&route_table, &channel_defaults_table, &channel_table,
                                                  &channel_queue_table, &pool_table};

#define CHANNELS                                                                                             \
    "job_controller: {pools: {DEFAULT: {}}}\nchannels: {store: {driver: store}, other: {driver: store}}\n"

/* -- the site */
struct site {
    char dir[64];
    struct conf *conf;
    struct bus *bus;
    struct loop *loop;
    struct account *directory;
    struct account_client *accounts;
    struct partition *partition;
    struct part_client *client;
    struct route *route;
};

static struct conf *parse(const char *text, size_t *errors_out)
{
    struct conf_report report;
    struct conf *conf = NULL;
    conf_report_init(&report);
    enum ms_err err =
        conf_parse_bytes(tables, MS_ARRAY_LEN(tables), slice_cstr(text), "/x.yaml", &report, &conf);
    *errors_out = report.total;
    assert_int_equal(err == MS_OK, report.total == 0);
    conf_report_fini(&report);
    return conf;
}

/* The embedded directory has two users and perhaps a postmaster; backend (NULL: none) answers in its place.
 */
static void site_open(struct site *s, const char *yaml, bool with_postmaster,
                      const struct account_backend *backend, void *backend_self)
{
    char path[96];
    struct ms_errinfo why;
    size_t errors;
    obs_set_level(OBS_ERROR, OBS_LOGFMT);
    *s = (struct site){0};
    snprintf(s->dir, sizeof s->dir, "/tmp/test-route-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->conf = parse(yaml, &errors);
    assert_int_equal(errors, 0);
    s->bus = bus_create();
    s->loop = loop_create_virtual(1, "loop1", 1000000);
    bus_ep_create(s->bus, "loop1", s->loop);
    snprintf(path, sizeof path, "%s/directory.mdb", s->dir);
    const struct account_conf ac = {.path = path, .threads = 1};
    assert_int_equal(account_open(&ac, "example.org", true, &s->directory, &why), MS_OK);
    static const char *const logins[] = {"anna@example.org", "bert@example.net", "postmaster@example.net"};
    for (size_t i = 0; i < 2 + (size_t)with_postmaster; i++) {
        struct account_user_spec user = {.login = slice_cstr(logins[i])};
        assert_int_equal(account_dir_user_add(s->directory, &user, true, NULL, &why), MS_OK);
    }
    if (backend)
        account_set_backend(s->directory, backend, backend_self);
    s->accounts = account_client_create(s->directory, s->loop);
    s->client = queue_partition_start(s->dir, s->loop, s->bus, NULL, &s->partition);
    s->route = route_create(s->loop, s->accounts, s->client, s->conf);
}

static void site_close(struct site *s)
{
    char command[128];
    partition_stop(s->partition);
    route_destroy(&s->route);
    account_client_destroy(&s->accounts);
    account_close(&s->directory);
    partition_close(&s->partition);
    loop_destroy(&s->loop);
    bus_destroy(&s->bus);
    conf_unref(&s->conf);
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    assert_int_equal(system(command), 0);
}

#endif
