/*
 * load_imap.c - IMAP (RFC 3501, RFC 9051) from the client's side: LOGIN, CAPABILITY, SELECT, then one command
 * after the other. Literals in replies are dropped unread; a response goes on behind them.
 *
 *   GREET -> LOGIN -> CAPABILITY -> SELECT -> ready;  COMMAND -> ready
 *   APPEND without LITERAL+: CONTINUE -> COMMAND;  IDLE: CONTINUE -> HOLD -> COMMAND
 *   mode login: connected -> GREET -> LOGIN -> LOGOUT -> the server closes -> connected anew
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { ST_GREET, ST_LOGIN, ST_CAPABILITY, ST_SELECT, ST_READY, ST_COMMAND, ST_CONTINUE, ST_HOLD, ST_LOGOUT };

#define LITERAL_MINUS_MAX 4096 /* RFC 7888 5 */

static const char *const state_names[] = {"greeting",      "LOGIN",        "CAPABILITY",
                                          "SELECT",        "(no command)", "the command",
                                          "waiting for +", "IDLE",         "LOGOUT"};

static void imap_reset(struct load_conn *c)
{
    c->imap =
        (struct load_imap_session){.state = ST_GREET, .turn = c->imap.turn, .began_ns = c->imap.began_ns};
}

/* The command so far: tag and a blank. */
static void command(struct load_conn *c, int state)
{
    c->imap.state = state;
    c->text.len = 0;
    load_text_addf(&c->text, "a%llu ", (unsigned long long)++c->imap.tag);
}

static void send_simple(struct load_conn *c, int state, const char *line)
{
    command(c, state);
    load_text_addf(&c->text, "%s\r\n", line);
    load_conn_send(c, false);
}

static void add_quoted(struct load_conn *c, const char *value, size_t len)
{
    load_text_addf(&c->text, "\"");
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '"' || value[i] == '\\')
            load_text_addf(&c->text, "\\");
        load_text_add(&c->text, value + i, 1);
    }
    load_text_addf(&c->text, "\"");
}

static void send_login(struct load_conn *c)
{
    const struct load_opts *o = &c->load->opts;
    struct load_text user = {0};

    load_text_format(&user, o->user, c->number % o->users + 1);
    command(c, ST_LOGIN);
    load_text_addf(&c->text, "LOGIN ");
    add_quoted(c, user.p, user.len);
    load_text_addf(&c->text, " ");
    add_quoted(c, o->password, strlen(o->password));
    load_text_addf(&c->text, "\r\n");
    load_text_free(&user);
    load_conn_send(c, false);
}

static void send_select(struct load_conn *c)
{
    command(c, ST_SELECT);
    load_text_addf(&c->text, "SELECT ");
    add_quoted(c, c->load->opts.mailbox, strlen(c->load->opts.mailbox));
    load_text_addf(&c->text, "\r\n");
    load_conn_send(c, false);
}

static void send_message(struct load_conn *c)
{
    c->imap.state = ST_COMMAND;
    load_message_header(c);
    load_conn_send(c, true);
}

static void begin_append(struct load_conn *c)
{
    const struct load_opts *o = &c->load->opts;
    bool at_once = c->imap.literal_plus || (c->imap.literal_minus && o->size <= LITERAL_MINUS_MAX);

    command(c, at_once ? ST_COMMAND : ST_CONTINUE);
    load_text_addf(&c->text, "APPEND ");
    add_quoted(c, o->mailbox, strlen(o->mailbox));
    load_text_addf(&c->text, " (\\Seen) {%llu%s}\r\n", (unsigned long long)o->size, at_once ? "+" : "");
    if (at_once)
        send_message(c);
    else
        load_conn_send(c, false);
}

/* The next --window messages, round and round. Connections of one mailbox begin at different places. */
static void add_window(struct load_conn *c)
{
    struct load_imap_session *s = &c->imap;
    uint64_t window = c->load->opts.window < s->exists ? c->load->opts.window : s->exists;
    uint64_t first = (s->turn++ * window + c->number * 7919u) % s->exists;
    uint64_t last = first + window < s->exists ? first + window : s->exists;

    if (window == s->exists)
        load_text_addf(&c->text, "1:*");
    else
        load_text_addf(&c->text, "%llu:%llu", (unsigned long long)first + 1, (unsigned long long)last);
}

/* The first operation finds a connection that has been greeted, every other one makes its own. */
static void begin_login(struct load_conn *c)
{
    c->imap.began_ns = load_now_ns();
    if (c->fd < 0)
        load_conn_open(c);
    else
        send_login(c);
}

static void end_login(struct load_conn *c, bool ok)
{
    load_conn_close(c);
    c->sent_ns = c->imap.began_ns;
    load_done(c, ok);
}

static void imap_begin(struct load_conn *c)
{
    static const char *const items[] = {
        [LOAD_FETCH_FLAGS] = " (FLAGS)",
        [LOAD_FETCH_ENVELOPE] = " (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
        [LOAD_FETCH_BODY] = " (UID BODY.PEEK[])",
    };
    enum load_mode mode = c->load->opts.mode;

    if (mode == LOAD_APPEND) {
        begin_append(c);
        return;
    }
    if (mode == LOAD_LOGIN) {
        begin_login(c);
        return;
    }
    if (mode == LOAD_COMMAND) {
        send_simple(c, ST_COMMAND, c->load->opts.commands[c->imap.turn++ % c->load->opts.command_count]);
        return;
    }
    if (mode == LOAD_IDLE) {
        send_simple(c, ST_CONTINUE, "IDLE");
        return;
    }
    if (c->imap.exists == 0) {
        load_conn_fail(c, "the mailbox is empty", "", 0);
        return;
    }
    command(c, ST_COMMAND);
    load_text_addf(&c->text, mode == LOAD_STORE ? "STORE " : "FETCH ");
    add_window(c);
    if (mode == LOAD_STORE) /* one sweep over the mailbox sets, the next one clears */
        load_text_addf(&c->text, " %cFLAGS.SILENT (\\Flagged)",
                       (c->imap.turn - 1) * c->load->opts.window / c->imap.exists & 1 ? '-' : '+');
    else
        load_text_addf(&c->text, "%s", items[mode]);
    load_text_addf(&c->text, "\r\n");
    load_conn_send(c, false);
}

static void end_idle(struct load_conn *c)
{
    c->wake_ns = 0;
    c->imap.state = ST_COMMAND;
    c->text.len = 0;
    load_text_addf(&c->text, "DONE\r\n");
    load_conn_send(c, false);
}

static void on_continue(struct load_conn *c, const char *line, size_t len)
{
    uint64_t hold_ns = c->load->opts.idle_ms * 1000000;

    if (c->imap.state != ST_CONTINUE) {
        load_conn_fail(c, "+ without reason", line, len);
    } else if (c->load->opts.mode == LOAD_APPEND) {
        c->text.len = 0;
        send_message(c);
    } else if (hold_ns) {
        c->imap.state = ST_HOLD;
        c->wake_ns = load_now_ns() + hold_ns;
    } else {
        end_idle(c);
    }
}

static bool has_word(const char *line, size_t len, const char *word)
{
    size_t word_len = strlen(word);

    for (size_t i = 0; i + word_len <= len; i++) {
        if (strncasecmp(line + i, word, word_len) == 0)
            return true;
    }
    return false;
}

static void on_untagged(struct load_conn *c, const char *line, size_t len)
{
    struct load_imap_session *s = &c->imap;
    char *end;
    unsigned long long number;

    if (has_word(line, len < 5 ? len : 5, "* BYE")) {
        if (s->state != ST_LOGOUT)
            load_conn_fail(c, "the server says", line, len);
        return;
    }
    if (s->state == ST_GREET) {
        if (!has_word(line, len, "* OK")) {
            load_conn_fail(c, state_names[ST_GREET], line, len);
        } else if (c->load->opts.mode == LOAD_LOGIN && c->load->phase == LOAD_SETUP) {
            s->state = ST_READY;
            load_next(c);
        } else {
            send_login(c);
        }
        return;
    }
    if (len > 2 && line[2] == 'C' && has_word(line, len < 12 ? len : 12, "* CAPABILITY")) {
        s->literal_plus = has_word(line, len, " LITERAL+");
        s->literal_minus = has_word(line, len, " LITERAL-");
    }
    number = strtoull(line + 1, &end, 10); /* the line ends in LF, so this stops */
    if (end == line + 1)
        return;
    len -= (size_t)(end - line);
    if (len > 6 && memcmp(end, " FETCH", 6) == 0)
        c->load->stat.items++;
    else if (has_word(end, len < 7 ? len : 7, " EXISTS"))
        s->exists = number;
    else if (has_word(end, len < 8 ? len : 8, " EXPUNGE") && s->exists)
        s->exists--;
}

static void on_tagged(struct load_conn *c, const char *line, size_t len)
{
    char tag[32];
    int tag_len = snprintf(tag, sizeof(tag), "a%llu ", (unsigned long long)c->imap.tag);
    int state = c->imap.state;
    bool ok;

    if (len < (size_t)tag_len + 2 || memcmp(line, tag, (size_t)tag_len) != 0) {
        load_conn_fail(c, "not the tag of a command under way", line, len);
        return;
    }
    ok = strncasecmp(line + tag_len, "OK", 2) == 0;
    if (!ok && state < ST_READY) {
        load_conn_fail(c, state_names[state], line, len);
        return;
    }
    if (!ok)
        load_error(c, state_names[state], line, len);
    c->imap.state = ST_READY;
    if (state == ST_LOGIN && c->load->opts.mode == LOAD_LOGIN) {
        send_simple(c, ST_LOGOUT, "LOGOUT");
    } else if (state == ST_LOGOUT && c->load->opts.mode == LOAD_LOGIN && !c->closing) {
        end_login(c, ok);
    } else if (state == ST_LOGIN) {
        send_simple(c, ST_CAPABILITY, "CAPABILITY");
    } else if (state == ST_CAPABILITY) {
        send_select(c);
    } else if (state == ST_SELECT) {
        load_next(c);
    } else if (state == ST_COMMAND || !ok) {
        load_done(c, ok);
    } else if (state != ST_LOGOUT) {
        load_conn_fail(c, "an answer too early", line, len);
    }
}

/* RFC 9051 4.3: octets of the literal announced at the end of this line. */
static bool announces_literal(const char *line, size_t len, uint64_t *bytes_out)
{
    size_t at = len;
    uint64_t scale = 1;

    if (len < 3 || line[len - 1] != '}')
        return false;
    *bytes_out = 0;
    for (at = len - 1; at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9' && scale < (uint64_t)1e12;
         at--, scale *= 10)
        *bytes_out += (uint64_t)(line[at - 1] - '0') * scale;
    return at > 0 && line[at - 1] == '{' && at < len - 1;
}

static bool is_status(const char *line, size_t len)
{
    return len > 4 && (strncasecmp(line, "* OK", 4) == 0 || strncasecmp(line, "* NO", 4) == 0);
}

static void imap_line(struct load_conn *c, const char *line, size_t len)
{
    bool goes_on = c->imap.in_response;
    uint64_t literal;
    bool untagged = goes_on || (len > 1 && line[0] == '*');

    c->imap.in_response =
        untagged && !(!goes_on && is_status(line, len)) && announces_literal(line, len, &literal);
    if (c->imap.in_response)
        c->skip = literal;
    if (goes_on)
        return; /* what follows a literal is not looked at */
    if (untagged)
        on_untagged(c, line, len);
    else if (len > 0 && line[0] == '+')
        on_continue(c, line, len);
    else
        on_tagged(c, line, len);
}

static void imap_quit(struct load_conn *c)
{
    c->closing = true;
    if (c->fd < 0) { /* mode login, between two */
        c->gone = true;
        c->load->alive--;
        return;
    }
    send_simple(c, ST_LOGOUT, "LOGOUT");
}

const struct load_proto load_imap = {
    .reset = imap_reset,
    .line = imap_line,
    .begin = imap_begin,
    .quit = imap_quit,
    .wake = end_idle,
};
