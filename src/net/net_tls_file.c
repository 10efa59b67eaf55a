/*
 * net_tls_file.c - certificates and keys from PEM files; every error names its file.
 */
#include "net_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum ms_err net__tls_fail(struct ms_errinfo *why, enum ms_err err, int rc, const char *what, const char *name)
{
    char text[160];

    mbedtls_strerror(rc, text, sizeof(text));
    return ms_fail(why, err, "%s %s: %s (-0x%04x)", what, name, text, (unsigned)-rc);
}

static enum ms_err fd_read_all(int fd, struct str *out, const char *what, const char *path,
                               struct ms_errinfo *why_out)
{
    ssize_t n = 1;

    while (n != 0) {
        uint8_t *at = str_reserve(out, 16384);
        if (!at)
            return ms_fail(why_out, MS_ELIMIT, "%s %s: longer than %zu bytes", what, path, NET_TLS_FILE_MAX);
        n = read(fd, at, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ms_fail_errno(why_out, errno, "%s %s", what, path);
        str_advance(out, (size_t)n);
    }
    return MS_OK;
}

/* Non-blocking: a fifo in the place of a file must not stop us. */
static enum ms_err file_read(const char *what, const char *path, struct str *out, struct ms_errinfo *why_out)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    enum ms_err err;

    if (fd < 0)
        return ms_fail_errno(why_out, errno, "%s %s", what, path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        err = ms_fail(why_out, MS_EINVAL, "%s %s: not a file", what, path);
    else
        err = fd_read_all(fd, out, what, path, why_out);
    close(fd);
    return err;
}

/* The contents go for good: this may have been a key. */
static void text_fini(struct str *text)
{
    if (text->ptr)
        explicit_bzero(text->ptr, text->cap);
    str_fini(text);
}

enum ms_err net__tls_read_chain(mbedtls_x509_crt *chain, const char *what, const char *path,
                                struct ms_errinfo *why_out)
{
    struct str text;

    str_init(&text, NET_TLS_FILE_MAX);
    enum ms_err err = file_read(what, path, &text, why_out);
    if (!err) {
        int rc = mbedtls_x509_crt_parse(chain, (const unsigned char *)str_cstr(&text),
                                        text.len + 1); /* with NUL */
        if (rc > 0)
            err = ms_fail(why_out, MS_EINVAL, "%s %s: %d of the certificates in it cannot be read", what,
                          path, rc);
        else if (rc < 0)
            err = net__tls_fail(why_out, MS_EINVAL, rc, what, path);
    }
    str_fini(&text);
    return err;
}

enum ms_err net__tls_read_key(mbedtls_pk_context *keys, unsigned count, const char *path,
                              struct ms_errinfo *why_out)
{
    struct str text;

    str_init(&text, NET_TLS_FILE_MAX);
    str_reserve(&text, 65536); /* not moved while it is read: no copy is left behind */
    enum ms_err err = file_read("key", path, &text, why_out);
    for (unsigned i = 0; !err && i < count; i++) {
        int rc = net_tls_parse_key(&keys[i], (const unsigned char *)str_cstr(&text), text.len + 1,
                                   net__tls_random);
        if (rc)
            err = net__tls_fail(why_out, MS_EINVAL, rc, "key", path);
    }
    text_fini(&text);
    return err;
}

enum ms_err net_tls_check_ca(const char *path, struct ms_errinfo *why_out)
{
    mbedtls_x509_crt ca;

    mbedtls_x509_crt_init(&ca);
    enum ms_err err = net__tls_read_chain(&ca, "client_ca", path, why_out);
    mbedtls_x509_crt_free(&ca);
    return err;
}
