/*
 * ctl_client.c - a command asks the running server over the admin socket.
 */
#include "app.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ms/base/arena.h"

#define SOCKET_NAME "/admin.sock"

/* MS_ENOTFOUND: nobody listens there. */
static enum ms_err ctl_connect(const struct conf *conf, int *fd_out)
{
    const struct server_conf *sc = conf_section(conf, "server");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s" SOCKET_NAME, sc->run_dir);
    if (n < 0 || (size_t)n >= sizeof addr.sun_path)
        return MS_ENOTFOUND;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ms_err_from_errno(errno);
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0) {
        *fd_out = fd;
        return MS_OK;
    }
    int err = errno;
    close(fd);
    return err == EACCES || err == EPERM ? MS_EDENIED : MS_ENOTFOUND;
}

int app_no_server(const struct conf *conf, enum ms_err err)
{
    const struct server_conf *sc = conf_section(conf, "server");
    if (err == MS_ENOTFOUND)
        return app_fail(EX_UNAVAILABLE, "the server does not run (nobody listens on %s" SOCKET_NAME ")",
                        sc->run_dir);
    if (err == MS_EDENIED)
        return app_fail(EX_NOPERM, "%s" SOCKET_NAME ": only root and the server's own user may connect",
                        sc->run_dir);
    return app_fail(EX_UNAVAILABLE, "the server did not answer: %s", ms_err_text(err));
}

/* Answer: data lines begin with a blank, the last line is "EXIT TEXT". Longer lines come in pieces, which is
 * as good. */
static enum ms_err read_answer(FILE *in, FILE *lines, struct ctl_answer *out)
{
    char line[4096];
    bool inside = false; /* of a data line longer than the buffer */
    while (fgets(line, sizeof line, in)) {
        size_t len = strlen(line);
        bool whole = len > 0 && line[len - 1] == '\n';
        if (inside || line[0] == ' ') {
            if (lines)
                fputs(inside ? line : line + 1, lines);
            inside = !whole;
            continue;
        }
        if (whole)
            line[len - 1] = '\0';
        char *text;
        out->exit_code = (int)strtol(line, &text, 10);
        snprintf(out->text, sizeof out->text, "%.500s", *text == ' ' ? text + 1 : text);
        return MS_OK;
    }
    return MS_ECLOSED;
}

static enum ms_err send_all(int fd, struct slice bytes)
{
    while (bytes.len) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n > 0)
            bytes = slice_sub(bytes, (size_t)n, bytes.len);
        else if (errno != EINTR)
            return MS_EIO;
    }
    return MS_OK;
}

enum ms_err ctl_ask(const struct conf *conf, const char *const *words, size_t count, FILE *lines,
                    struct ctl_answer *out)
{
    int fd;
    struct str line;
    MS_TRY(ctl_connect(conf, &fd));
    str_init(&line, CTL_LINE_MAX);
    ctl_emit_words(&line, words, count);
    enum ms_err err = str_is_over(&line) ? MS_ELIMIT : MS_OK;
    if (!err)
        err = send_all(fd, str_slice(&line));
    str_fini(&line);
    FILE *in = err ? NULL : fdopen(fd, "r");
    if (!in) {
        close(fd);
        return err ? err : MS_EIO;
    }
    err = read_answer(in, lines, out);
    fclose(in);
    return err;
}

/* -- connections */
struct ctl_conn {
    int fd;
    FILE *in;
    struct str line;
    struct arena arena;
    struct slice words[CTL_WORDS_MAX];
};

enum ms_err ctl_conn_open(const struct conf *conf, struct ctl_conn **out)
{
    int fd;
    MS_TRY(ctl_connect(conf, &fd));
    FILE *in = fdopen(fd, "r");
    if (!in) {
        close(fd);
        return MS_EIO;
    }
    struct ctl_conn *c = ms_new(struct ctl_conn);
    c->fd = fd;
    c->in = in;
    str_init(&c->line, CTL_DATA_MAX);
    arena_init(&c->arena, 0);
    *out = c;
    return MS_OK;
}

void ctl_conn_close(struct ctl_conn **c_io)
{
    struct ctl_conn *c = *c_io;
    *c_io = NULL;
    if (!c)
        return;
    fclose(c->in);
    str_fini(&c->line);
    arena_fini(&c->arena);
    ms_free(c);
}

enum ms_err ctl_conn_send(struct ctl_conn *c, const struct slice *words, size_t count)
{
    struct str line;
    str_init(&line, CTL_LINE_MAX);
    ctl_emit_slices(&line, words, count);
    enum ms_err err = str_is_over(&line) ? MS_ELIMIT : send_all(c->fd, str_slice(&line));
    str_fini(&line);
    return err;
}

/* The next line without its end. */
static bool read_line(struct ctl_conn *c)
{
    char piece[4096];
    str_reset(&c->line);
    while (fgets(piece, sizeof piece, c->in)) {
        str_add_cstr(&c->line, piece);
        if (str_is_over(&c->line))
            return false;
        if (c->line.len && c->line.ptr[c->line.len - 1] == '\n') {
            str_cut(&c->line, c->line.len - 1);
            return true;
        }
    }
    return false;
}

static enum ctl_event read_bytes(struct ctl_conn *c, struct slice length)
{
    uint64_t n;
    if (slice_to_u64(length, CTL_DATA_MAX, &n))
        return CTL_BROKEN;
    str_reset(&c->line);
    uint8_t *room = str_reserve(&c->line, (size_t)n);
    if (!room || fread(room, 1, (size_t)n, c->in) != n)
        return CTL_BROKEN;
    str_advance(&c->line, (size_t)n);
    c->words[0] = str_slice(&c->line);
    return CTL_BYTES;
}

enum ctl_event ctl_conn_next(struct ctl_conn *c, const struct slice **words_out, size_t *count_out,
                             struct ctl_answer *end_out)
{
    if (!read_line(c))
        return CTL_BROKEN;
    struct slice line = str_slice(&c->line);
    *words_out = c->words;
    *count_out = 1;
    if (line.len && line.ptr[0] == '+')
        return read_bytes(c, slice_sub(line, 1, line.len));
    if (line.len && line.ptr[0] == ' ') {
        arena_reset(&c->arena);
        line = slice_sub(line, 1, line.len);
        return ctl_parse_words(&c->arena, line, c->words, count_out) ? CTL_BROKEN : CTL_WORDS;
    }
    char *text;
    const char *begin = str_cstr(&c->line);
    end_out->exit_code = (int)strtol(begin, &text, 10);
    snprintf(end_out->text, sizeof end_out->text, "%.500s", *text == ' ' ? text + 1 : text);
    return text == begin ? CTL_BROKEN : CTL_END;
}
