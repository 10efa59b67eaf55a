/*
 * mbx.h - what the commands `mailbox` share: an IMAP client over the server's local socket.
 *
 *   mbx_conn_open            logs in as the user (SASL EXTERNAL)
 *   mbx_command(c, ...)      collects a command and gives its number; several may be under way
 *   mbx_next / mbx_wait      sends what is collected and reads answers
 *
 * Threads:  the command's only one; everything blocks, MBX_TIMEOUT_S at most.
 * Memory:   one answer at a time, MBX_LINE_MAX at most; literals of any size go piece by piece to a sink.
 * Limits:   not more than MBX_WINDOW commands under way: their answers fit into the socket while we write.
 */
#ifndef APP_MBX_H
#define APP_MBX_H

#include "app.h"

#include "ms/base/arena.h"
#include "ms/base/slice.h"
#include "ms/base/str.h"
#include "ms/imap.h"

#define MBX_LINE_MAX  ((size_t)1 << 20)
#define MBX_WINDOW    64
#define MBX_TIMEOUT_S 300

enum mbx_status { MBX_UNTAGGED, MBX_CONTINUE, MBX_OK, MBX_NO, MBX_BAD };
struct mbx_response { /* good until the next is read */
    enum mbx_status status;
    uint32_t tag;      /* of OK, NO, BAD */
    struct slice code; /* "APPENDUID 7 9"; may be empty */
    struct slice text;
    struct slice line; /* UNTAGGED: behind "* ", literals in their place */
};

/* Takes the literal that ends `before`, or leaves it to be part of the line (false). Taken ones stand
 * there as "". */
struct mbx_sink {
    bool (*begin)(void *owner, struct slice before, uint64_t bytes);
    void (*data)(void *owner, struct slice bytes);
    void *owner;
};

enum mbx_cap {
    MBX_CAP_LITERAL_PLUS = 1,
    MBX_CAP_MULTIAPPEND = 2,
    MBX_CAP_STATUS_SIZE = 4,
};

struct mbx_conn {
    int fd;
    uint8_t *in; /* MBX_IN_BYTES */
    size_t at, end;
    struct str line;
    struct str out;
    struct arena arena; /* of what is parsed from one response */
    uint32_t last_tag;
    unsigned caps;
    struct mbx_sink sink;
    char bye[256];
};

/* Both print what is wrong and give a sysexits code. */
int mbx_conn_open(const struct app_args *args, const char *user, struct mbx_conn **out);
void mbx_conn_close(struct mbx_conn **c);

/* One command without its tag and line end. Mailbox names: mbx_add_name. */
uint32_t mbx_command(struct mbx_conn *c, const char *fmt, ...) MS_PRINTF(2, 3);
/* The same in pieces. */
uint32_t mbx_begin(struct mbx_conn *c, const char *words);
void mbx_add(struct mbx_conn *c, struct slice bytes); /* sends now and then; errors show at the next read */
void mbx_add_name(struct mbx_conn *c, struct slice utf8_name);
void mbx_end(struct mbx_conn *c);

/* No more is sent; what the server says to that can be read. */
void mbx_shut(struct mbx_conn *c);
MS_MUST_USE enum ms_err mbx_flush(struct mbx_conn *c);
/* MS_ECLOSED, MS_EIO, MS_ETIMEOUT, MS_ESYNTAX. */
MS_MUST_USE enum ms_err mbx_next(struct mbx_conn *c, struct mbx_response *r);
/* Until the answer with this tag; untagged lines go to fn, which may be NULL. */
typedef void mbx_line_fn(void *owner, struct slice line);
MS_MUST_USE enum ms_err mbx_wait(struct mbx_conn *c, uint32_t tag, mbx_line_fn *fn, void *owner,
                                 struct mbx_response *r);
/* mbx_wait, and what is not OK is printed behind `what`: a sysexits code. */
int mbx_expect(struct mbx_conn *c, uint32_t tag, mbx_line_fn *fn, void *owner, const char *what);

int mbx_fail_lost(const struct mbx_conn *c, enum ms_err err);
int mbx_fail_answer(const struct mbx_response *r, const char *what);
bool mbx_code_is(const struct mbx_response *r, const char *word);

/* A name as the command line has it: UTF-8, "/" between levels. Prints what is wrong with it. */
int mbx_check_name(const char *name);
/* Modified UTF-7 of the wire; a name that is none stays as it is. */
struct slice mbx_wire_name(struct arena *arena, struct slice wire);

/* -- mailboxes of a user (mbx_list.c) */
struct mbx_box {
    struct mbx_box *next;
    struct slice name;
    struct slice *attrs;
    size_t attr_count;
    bool subscribed, no_select, has_status;
    uint64_t messages, unseen, size, uidnext, uidvalidity;
};
struct mbx_boxes {
    struct arena arena;
    struct mbx_box *first, **last;
    size_t count;
};
void mbx_boxes_init(struct mbx_boxes *b);
void mbx_boxes_fini(struct mbx_boxes *b);
/* All below and with `name`, or all at all (NULL), in the server's order; a sysexits code. */
int mbx_boxes_read(struct mbx_conn *c, const char *name, bool subscriptions, struct mbx_boxes *out);
/* A line "STATUS name (...)": counters of b; MS_ESYNTAX. */
MS_MUST_USE enum ms_err mbx_status_parse(struct mbx_conn *c, struct slice line, struct mbx_box *b);
/* STATUS of each that can be selected. One that is gone meanwhile has none. */
int mbx_boxes_status(struct mbx_conn *c, struct mbx_boxes *boxes);

#endif
