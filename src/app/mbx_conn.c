/*
 * mbx_conn.c - IMAP over the local socket: bytes to responses and back.
 */
#include "mbx.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ms/base/codec.h"
#include "ms/store.h"

#define MBX_IN_BYTES    ((size_t)128 << 10)
#define MBX_FLUSH_BYTES ((size_t)64 << 10)

/* -- writing */
enum ms_err mbx_flush(struct mbx_conn *c)
{
    struct slice bytes = str_slice(&c->out);
    while (bytes.len) {
        ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* what it said before it went is still to be read */
            str_reset(&c->out);
            return errno == EAGAIN ? MS_ETIMEOUT : MS_ECLOSED;
        }
        bytes = slice_sub(bytes, (size_t)n, SIZE_MAX);
    }
    str_reset(&c->out);
    return MS_OK;
}

void mbx_shut(struct mbx_conn *c)
{
    str_reset(&c->out);
    shutdown(c->fd, SHUT_WR);
}

void mbx_add(struct mbx_conn *c, struct slice bytes)
{
    str_add_slice(&c->out, bytes);
    if (c->out.len >= MBX_FLUSH_BYTES)
        (void)!mbx_flush(c);
}

uint32_t mbx_begin(struct mbx_conn *c, const char *words)
{
    str_addf(&c->out, "%u %s", ++c->last_tag, words);
    return c->last_tag;
}

void mbx_add_name(struct mbx_conn *c, struct slice utf8_name)
{
    str_add_byte(&c->out, ' ');
    imap_emit_mailbox(&c->out, utf8_name, false);
}

void mbx_end(struct mbx_conn *c)
{
    mbx_add(c, SLICE_LIT("\r\n"));
}

uint32_t mbx_command(struct mbx_conn *c, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    MS_ASSERT(n > 0 && (size_t)n < sizeof text);
    mbx_begin(c, text);
    mbx_end(c);
    return c->last_tag;
}

/* -- reading */
static enum ms_err fill(struct mbx_conn *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->in, MBX_IN_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0                ? MS_ECLOSED
                   : errno == EAGAIN     ? MS_ETIMEOUT
                   : errno == ECONNRESET ? MS_ECLOSED
                                         : MS_EIO;
        c->at = 0;
        c->end = (size_t)n;
        return MS_OK;
    }
}

static struct slice unread(const struct mbx_conn *c)
{
    return slice_make(c->in + c->at, c->end - c->at);
}

/* Adds the rest of a line, its end included. */
static enum ms_err read_line(struct mbx_conn *c)
{
    for (;;) {
        struct slice in = unread(c);
        ssize_t lf = slice_find_byte(in, '\n');
        struct slice piece = slice_sub(in, 0, lf < 0 ? in.len : (size_t)lf + 1);
        str_add_slice(&c->line, piece);
        c->at += piece.len;
        if (str_is_over(&c->line))
            return MS_ELIMIT;
        if (lf >= 0)
            return MS_OK;
        MS_TRY(fill(c));
    }
}

/* "...{123}CRLF": true, and the line without it. */
static bool ends_in_literal(struct str *line, uint64_t *bytes_out)
{
    struct slice text = slice_trim(str_slice(line));
    if (text.len == 0 || text.ptr[text.len - 1] != '}')
        return false;
    ssize_t open = slice_rfind_byte(text, '{');
    if (open < 0 ||
        slice_to_u64(slice_sub(text, (size_t)open + 1, text.len - (size_t)open - 2), UINT32_MAX, bytes_out))
        return false;
    return true;
}

static void cut_literal_head(struct str *line)
{
    str_cut(line, (size_t)slice_rfind_byte(str_slice(line), '{'));
}

static enum ms_err read_literal(struct mbx_conn *c, uint64_t left, bool to_sink)
{
    while (left) {
        if (c->at == c->end)
            MS_TRY(fill(c));
        struct slice piece = slice_sub(unread(c), 0, (size_t)MS_MIN(left, (uint64_t)SIZE_MAX));
        if (to_sink)
            c->sink.data(c->sink.owner, piece);
        else
            str_add_slice(&c->line, piece);
        c->at += piece.len;
        left -= piece.len;
    }
    return str_is_over(&c->line) ? MS_ELIMIT : MS_OK;
}

static enum ms_err read_response(struct mbx_conn *c)
{
    uint64_t bytes;
    str_reset(&c->line);
    MS_TRY(read_line(c));
    while (ends_in_literal(&c->line, &bytes)) {
        struct slice before = slice_trim(str_slice(&c->line));
        before.len = (size_t)slice_rfind_byte(before, '{');
        bool to_sink = c->sink.begin && c->sink.begin(c->sink.owner, before, bytes);
        if (to_sink) {
            cut_literal_head(&c->line);
            str_add_cstr(&c->line, "\"\"");
        }
        MS_TRY(read_literal(c, bytes, to_sink));
        MS_TRY(read_line(c));
    }
    return MS_OK;
}

static void take_code(struct slice rest, struct mbx_response *r)
{
    ssize_t end = rest.len && rest.ptr[0] == '[' ? slice_find_byte(rest, ']') : -1;
    r->code = end > 0 ? slice_sub(rest, 1, (size_t)end - 1) : (struct slice){0};
    r->text = slice_trim(end > 0 ? slice_sub(rest, (size_t)end + 1, SIZE_MAX) : rest);
}

static enum ms_err take_tagged(struct slice line, struct mbx_response *r)
{
    struct slice tag, word;
    uint64_t number;
    if (!slice_cut(&line, ' ', &tag) || slice_to_u64(tag, UINT32_MAX, &number))
        return MS_ESYNTAX;
    if (!slice_cut(&line, ' ', &word)) {
        word = line;
        line.len = 0;
    }
    r->tag = (uint32_t)number;
    r->status = slice_ieq_cstr(word, "OK") ? MBX_OK : slice_ieq_cstr(word, "NO") ? MBX_NO : MBX_BAD;
    take_code(line, r);
    return MS_OK;
}

static void take_capabilities(struct mbx_conn *c, struct slice words)
{
    static const struct {
        const char *name;
        enum mbx_cap cap;
    } known[] = {{"LITERAL+", MBX_CAP_LITERAL_PLUS},
                 {"MULTIAPPEND", MBX_CAP_MULTIAPPEND},
                 {"STATUS=SIZE", MBX_CAP_STATUS_SIZE},
                 {"IMAP4rev2", MBX_CAP_STATUS_SIZE}};
    struct slice word;
    c->caps = 0;
    while (words.len) {
        if (!slice_cut(&words, ' ', &word)) {
            word = words;
            words.len = 0;
        }
        for (size_t i = 0; i < MS_ARRAY_LEN(known); i++)
            if (slice_ieq_cstr(word, known[i].name))
                c->caps |= known[i].cap;
    }
}

enum ms_err mbx_next(struct mbx_conn *c, struct mbx_response *r)
{
    enum ms_err sent = mbx_flush(c), err = read_response(c);
    if (err)
        return sent && err == MS_EIO ? sent : err;
    arena_reset(&c->arena);
    *r = (struct mbx_response){.status = MBX_UNTAGGED};
    struct slice line = str_slice(&c->line);
    line.len -= line.len && line.ptr[line.len - 1] == '\n';
    line.len -= line.len && line.ptr[line.len - 1] == '\r';
    if (slice_has_prefix(line, SLICE_LIT("+")))
        r->status = MBX_CONTINUE;
    else if (!slice_has_prefix(line, SLICE_LIT("* ")))
        MS_TRY(take_tagged(line, r));
    else
        r->line = slice_sub(line, 2, SIZE_MAX);
    if (slice_has_iprefix(r->line, SLICE_LIT("BYE ")))
        snprintf(c->bye, sizeof c->bye, SLICE_FMT, SLICE_ARG(slice_sub(r->line, 4, sizeof c->bye - 1)));
    if (slice_has_iprefix(r->code, SLICE_LIT("CAPABILITY ")))
        take_capabilities(c, slice_sub(r->code, 11, SIZE_MAX));
    return MS_OK;
}

enum ms_err mbx_wait(struct mbx_conn *c, uint32_t tag, mbx_line_fn *fn, void *owner, struct mbx_response *r)
{
    for (;;) {
        MS_TRY(mbx_next(c, r));
        if (r->status == MBX_UNTAGGED) {
            if (fn)
                fn(owner, r->line);
        } else if (r->status != MBX_CONTINUE && r->tag == tag) {
            return MS_OK;
        } else {
            return MS_ESYNTAX;
        }
    }
}

/* -- what went wrong */
int mbx_fail_lost(const struct mbx_conn *c, enum ms_err err)
{
    if (c->bye[0])
        return app_fail(EX_TEMPFAIL, "the server ended the connection: %s", c->bye);
    if (err == MS_ECLOSED)
        return app_fail(EX_TEMPFAIL, "the server ended the connection");
    if (err == MS_ETIMEOUT)
        return app_fail(EX_TEMPFAIL, "the server has not answered for %d s", MBX_TIMEOUT_S);
    return app_fail(err == MS_EIO ? EX_IOERR : EX_PROTOCOL, "the server's answer: %s", ms_err_text(err));
}

bool mbx_code_is(const struct mbx_response *r, const char *word)
{
    struct slice rest = r->code, first;
    if (!slice_cut(&rest, ' ', &first))
        first = r->code;
    return slice_ieq_cstr(first, word);
}

int mbx_fail_answer(const struct mbx_response *r, const char *what)
{
    static const struct {
        const char *code;
        int exit_code;
    } codes[] = {
        {"NONEXISTENT", EX_NOINPUT},   {"ALREADYEXISTS", EX_CANTCREAT}, {"OVERQUOTA", EX_CANTCREAT},
        {"UNAVAILABLE", EX_TEMPFAIL},  {"INUSE", EX_TEMPFAIL},          {"NOPERM", EX_NOPERM},
        {"TRYCREATE", EX_NOINPUT},     {"CORRUPTION", EX_DATAERR},      {"AUTHORIZATIONFAILED", EX_NOUSER},
        {"CONTACTADMIN", EX_SOFTWARE},
    };
    int exit_code = r->status == MBX_NO ? EX_DATAERR : EX_PROTOCOL;
    for (size_t i = 0; i < MS_ARRAY_LEN(codes); i++)
        if (mbx_code_is(r, codes[i].code))
            exit_code = codes[i].exit_code;
    return app_fail(exit_code, "%s: " SLICE_FMT, what, SLICE_ARG(r->text));
}

int mbx_expect(struct mbx_conn *c, uint32_t tag, mbx_line_fn *fn, void *owner, const char *what)
{
    struct mbx_response r;
    enum ms_err err = mbx_wait(c, tag, fn, owner, &r);
    if (err)
        return mbx_fail_lost(c, err);
    return r.status == MBX_OK ? EX_OK : mbx_fail_answer(&r, what);
}

/* -- names */
int mbx_check_name(const char *name)
{
    struct slice s = slice_cstr(name);
    if (s.len == 0 || s.len > STORE_NAME_MAX)
        return app_fail(EX_USAGE, "a mailbox name has 1 to %d bytes", STORE_NAME_MAX);
    if (!utf8_is_valid(s))
        return app_fail(EX_USAGE, "a mailbox name is UTF-8 text");
    return EX_OK;
}

struct slice mbx_wire_name(struct arena *arena, struct slice wire)
{
    struct str utf8;
    str_init(&utf8, MBX_LINE_MAX);
    struct slice name = utf7imap_parse(wire, &utf8) ? wire : str_slice(&utf8);
    name = arena_dup(arena, name);
    str_fini(&utf8);
    return name;
}

/* -- opening */
static int connect_to(const struct conf *conf, int *fd_out)
{
    const struct server_conf *sc = conf_section(conf, "server");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = MBX_TIMEOUT_S};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/" APP_IMAP_SOCKET, sc->run_dir);
    if (n < 0 || (size_t)n >= sizeof addr.sun_path)
        return app_fail(EX_CONFIG, "server.run_dir is too long for a socket: %s", sc->run_dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return app_fail(EX_OSERR, "socket: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
        *fd_out = fd;
        return EX_OK;
    }
    int err = errno;
    close(fd);
    if (err == EACCES || err == EPERM)
        return app_fail(EX_NOPERM, "%s: only root and the server's own user may connect", addr.sun_path);
    return app_fail(EX_UNAVAILABLE, "the server does not run");
}

static int log_in(struct mbx_conn *c, const char *user)
{
    struct mbx_response r;
    enum ms_err err = mbx_next(c, &r); /* the greeting */
    if (err)
        return mbx_fail_lost(c, err);
    uint32_t tag = mbx_begin(c, "AUTHENTICATE EXTERNAL ");
    base64_emit(&c->out, slice_cstr(user));
    mbx_end(c);
    return mbx_expect(c, tag, NULL, NULL, user);
}

int mbx_conn_open(const struct app_args *args, const char *user, struct mbx_conn **out)
{
    int fd = -1;
    *out = NULL;
    if (user[0] == '\0' || strlen(user) > ACCOUNT_LOGIN_MAX)
        return app_fail(EX_NOUSER, "%s: There is no such user", user);
    struct conf *conf = app_conf_of_server(args);
    if (!conf)
        return EX_CONFIG;
    int rc = connect_to(conf, &fd);
    conf_unref(&conf);
    if (rc)
        return rc;
    struct mbx_conn *c = ms_new(struct mbx_conn);
    c->fd = fd;
    c->in = ms_alloc(MBX_IN_BYTES);
    str_init(&c->line, MBX_LINE_MAX);
    str_init(&c->out, 0);
    arena_init(&c->arena, 0);
    rc = log_in(c, user);
    if (rc)
        mbx_conn_close(&c);
    *out = c;
    return rc;
}

void mbx_conn_close(struct mbx_conn **cp)
{
    struct mbx_conn *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    close(c->fd);
    ms_free(c->in);
    str_fini(&c->line);
    str_fini(&c->out);
    arena_fini(&c->arena);
    ms_free(c);
}
