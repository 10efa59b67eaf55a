#include "tls_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static char dir[] = "/tmp/ms-tls-files-XXXXXX";

static int run(const char *command)
{
    return system(command);
}

bool tls_files_begin(void)
{
    return run("openssl version >/dev/null 2>&1") == 0 && mkdtemp(dir);
}

void tls_files_end(void)
{
    char command[200];

    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(run(command), 0);
}

const char *tls_files_path(const char *name)
{
    static char paths[16][200];
    static unsigned next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

void tls_files_make(const char *name, const char *kind, const char *cn, const char *san, const char *ca)
{
    char command[1200], sign[300], names[400];
    bool is_ec = kind[0] == 'e';

    snprintf(sign, sizeof(sign), "-CA %s/%s.pem -CAkey %s/%s.key", dir, ca ? ca : "", dir, ca ? ca : "");
    snprintf(names, sizeof(names), "-addext subjectAltName=%s", san ? san : "");
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey %s -nodes -days 30 -subj '/CN=%s' %s %s -keyout %s/%s.key -out "
             "%s/%s.pem 2>/dev/null",
             is_ec ? "ec -pkeyopt ec_paramgen_curve:prime256v1" : "rsa:2048", cn, san ? names : "",
             ca ? sign : "", dir, name, dir, name);
    assert_int_equal(run(command), 0);
}
