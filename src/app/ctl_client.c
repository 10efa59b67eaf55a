/*
 * ctl_client.c - a command asks the running server over the admin socket.
 */
#include "app.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int ctl_connect(const struct conf *conf)
{
    const struct server_conf *sc = conf_section(conf, "server");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/admin.sock", sc->run_dir);
    if (n < 0 || (size_t)n >= sizeof addr.sun_path)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0) {
        close(fd);
        return -1;
    }
    return fd;
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

enum ms_err ctl_ask(const struct conf *conf, const char *const *words, size_t count, FILE *lines,
                    struct ctl_answer *out)
{
    int fd = ctl_connect(conf);
    struct str line;
    if (fd < 0)
        return MS_ENOTFOUND;
    str_init(&line, CTL_LINE_MAX);
    ctl_emit_words(&line, words, count);
    enum ms_err err = str_is_over(&line) ? MS_ELIMIT : MS_OK;
    for (size_t at = 0; !err && at < line.len;) {
        ssize_t n = send(fd, line.ptr + at, line.len - at, MSG_NOSIGNAL);
        if (n > 0)
            at += (size_t)n;
        else if (errno != EINTR)
            err = MS_EIO;
    }
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
