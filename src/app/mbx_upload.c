/*
 * mbx_upload.c - messages into one mailbox.
 *
 * A small message is read into memory, looked for among what the mailbox had, and put into a batch. A full
 * batch is sent as one APPEND when the answer to the one before it is there: so messages keep their order.
 * When the server refuses a batch, its messages are sent one by one, which shows the bad one.
 *
 * A large message is read twice: for its size and identity, then on its way. The server is asked first
 * whether it takes that one (a synchronizing literal), since it could not get rid of it otherwise.
 */
#include "mbx_import.h"

#include <stdarg.h>

#define DATE_MAX INT64_C(253402300799) /* the end of the year 9999: four digits */

/* Names of files come from strangers: nothing in them steers a terminal. */
void mbx_note(const char *path, const char *fmt, ...)
{
    char text[8192];
    va_list ap;
    int n = snprintf(text, sizeof text, "%s: ", path);
    size_t len = MS_MIN((size_t)n, sizeof text - 1);
    va_start(ap, fmt);
    vsnprintf(text + len, sizeof text - len, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    fprintf(stderr, "mailserverd: %s\n", text);
}

void mbx_upload_init(struct mbx_upload *u, struct mbx_conn *c, struct slice mailbox)
{
    memset(u, 0, sizeof *u);
    u->c = c;
    u->mailbox = mailbox;
    map_init(&u->seen);
    str_init(&u->body, 0);
    for (unsigned i = 0; i < MS_ARRAY_LEN(u->batch); i++) {
        str_init(&u->batch[i].wire, 0);
        arena_init(&u->batch[i].arena, 0);
    }
}

void mbx_upload_fini(struct mbx_upload *u)
{
    for (unsigned i = 0; i < MS_ARRAY_LEN(u->batch); i++) {
        str_fini(&u->batch[i].wire);
        arena_fini(&u->batch[i].arena);
    }
    map_fini(&u->seen);
    str_fini(&u->body);
}

/* -- what is there */
static uint64_t identity(struct slice begin, uint64_t size, int64_t date)
{
    return slice_hash(slice_sub(begin, 0, MBX_IDENTITY_BYTES),
                      size * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)date);
}

static uintptr_t seen_count(const struct mbx_upload *u, uint64_t key)
{
    return (uintptr_t)map_find_u64(&u->seen, key);
}

static void on_there(void *owner, struct slice line)
{
    struct mbx_upload *u = owner;
    struct mbx_fetch f;
    if (!mbx_fetch_parse(line, &u->c->arena, &f) || !f.has_body || !f.has_size || !f.has_date)
        return;
    uint64_t key = identity(f.body, f.size, f.meta.date);
    map_put_u64(&u->seen, key, (void *)(seen_count(u, key) + 1));
}

int mbx_upload_look(struct mbx_upload *u)
{
    uint32_t tag = mbx_begin(u->c, "EXAMINE");
    mbx_add_name(u->c, u->mailbox);
    mbx_end(u->c);
    int rc = mbx_expect(u->c, tag, NULL, NULL, "EXAMINE");
    if (rc)
        return rc;
    struct mbx_response r;
    tag = mbx_command(u->c, "UID FETCH 1:* (RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.%d>)", MBX_IDENTITY_BYTES);
    enum ms_err err = mbx_wait(u->c, tag, on_there, u, &r);
    if (err)
        return mbx_fail_lost(u->c, err);
    if (r.status == MBX_NO) /* a damaged message is not among them; what is like it comes again */
        mbx_note((const char *)u->mailbox.ptr, SLICE_FMT, SLICE_ARG(r.text));
    tag = mbx_command(u->c, "UNSELECT");
    return mbx_expect(u->c, tag, NULL, NULL, "UNSELECT");
}

void mbx_upload_forget(struct mbx_upload *u)
{
    map_fini(&u->seen);
    map_init(&u->seen);
    u->existing = u->failed = 0;
    u->of_first_pass = u->messages;
}

/* -- answers */
static void failed(struct mbx_upload *u, const struct mbx_item *it, struct slice why)
{
    u->failed++;
    if (it->number)
        mbx_note(it->path, "message %llu: " SLICE_FMT, (unsigned long long)it->number, SLICE_ARG(why));
    else
        mbx_note(it->path, SLICE_FMT, SLICE_ARG(why));
}

static void done(struct mbx_upload *u, const struct mbx_item *it)
{
    u->messages++;
    u->bytes += it->bytes;
}

/* Of a message that went alone. */
static void take_answer(struct mbx_upload *u, const struct mbx_item *it, const struct mbx_response *r)
{
    if (r->status == MBX_OK) {
        done(u, it);
        return;
    }
    if (it->has_uid && mbx_code_is(r, "CANNOT")) { /* perhaps only the UID: another pass will tell */
        u->uid_refused++;
        return;
    }
    failed(u, it, r->text);
    if (mbx_code_is(r, "OVERQUOTA"))
        u->stop = EX_CANTCREAT;
    else if (mbx_code_is(r, "UNAVAILABLE") || mbx_code_is(r, "TRYCREATE"))
        u->stop = EX_TEMPFAIL;
}

static bool wait_answer(struct mbx_upload *u, uint32_t tag, struct mbx_response *r)
{
    enum ms_err err = mbx_wait(u->c, tag, NULL, NULL, r);
    if (err)
        u->stop = mbx_fail_lost(u->c, err);
    return !err;
}

/* -- batches */
static uint32_t send_wire(struct mbx_upload *u, struct slice wire)
{
    uint32_t tag = mbx_begin(u->c, "APPEND");
    mbx_add_name(u->c, u->mailbox);
    mbx_add(u->c, wire);
    mbx_end(u->c);
    (void)!mbx_flush(u->c); /* the next read shows what is wrong */
    return tag;
}

static void send_singly(struct mbx_upload *u, const struct mbx_batch *b)
{
    struct mbx_response r;
    for (unsigned i = 0; i < b->count && !u->stop; i++) {
        const struct mbx_item *it = &b->items[i];
        if (wait_answer(u, send_wire(u, slice_sub(str_slice(&b->wire), it->at, it->len)), &r))
            take_answer(u, it, &r);
    }
}

/* The answer to a batch that was sent. */
static void batch_settle(struct mbx_upload *u, struct mbx_batch *b)
{
    struct mbx_response r;
    if (!b->tag)
        return;
    if (wait_answer(u, b->tag, &r)) {
        if (r.status == MBX_OK)
            for (unsigned i = 0; i < b->count; i++)
                done(u, &b->items[i]);
        else if (b->count == 1)
            take_answer(u, &b->items[0], &r);
        else
            send_singly(u, b);
    }
    b->count = b->tag = 0;
    str_reset(&b->wire);
    arena_reset(&b->arena);
}

static void batch_send(struct mbx_upload *u)
{
    struct mbx_batch *b = &u->batch[u->filled];
    batch_settle(u, &u->batch[u->filled ^ 1]);
    if (u->stop || !b->count)
        return;
    b->tag = send_wire(u, str_slice(&b->wire));
    u->filled ^= 1;
}

void mbx_upload_finish(struct mbx_upload *u)
{
    batch_send(u);
    batch_settle(u, &u->batch[u->filled ^ 1]);
}

/* -- sending */
static bool add_head(struct mbx_upload *u, struct str *out, const struct mbx_mail *mail, uint64_t bytes,
                     bool sync)
{
    bool has_uid = u->keep_uids && mail->meta.uid >= u->uidnext && mail->meta.uid != 0;
    str_add_byte(out, ' ');
    imap_emit_flags(out, mail->meta.flags, mail->meta.keywords, mail->meta.keyword_count);
    str_add_byte(out, ' ');
    imap_emit_date_time(out, mail->meta.date, 0);
    if (has_uid) {
        str_addf(out, " X-UID %u", mail->meta.uid);
        u->uidnext = mail->meta.uid + 1;
    }
    str_addf(out, " {%llu%s}\r\n", (unsigned long long)bytes, sync ? "" : "+");
    return has_uid;
}

static void add_small(struct mbx_upload *u, const struct mbx_mail *mail)
{
    struct mbx_batch *b = &u->batch[u->filled];
    struct mbx_item *it = &b->items[b->count++];
    *it = (struct mbx_item){.path = arena_dup_cstr(&b->arena, slice_cstr(mail->path)),
                            .number = mail->number,
                            .bytes = u->body.len,
                            .at = b->wire.len};
    it->has_uid = add_head(u, &b->wire, mail, u->body.len, false);
    str_add_slice(&b->wire, str_slice(&u->body));
    it->len = b->wire.len - it->at;
    unsigned max = (u->c->caps & MBX_CAP_MULTIAPPEND) ? MBX_BATCH_MAX : 1;
    if (b->count == max || b->wire.len >= MBX_BATCH_BYTES)
        batch_send(u);
}

/* Reads the message again while it is sent. */
static void send_bytes(struct mbx_upload *u, struct mbx_bytes *b, const struct mbx_mail *mail,
                       const struct mbx_item *it)
{
    uint64_t sent = 0;
    enum ms_err err = MS_OK;
    mbx_bytes_rewind(b, mail->off);
    str_reset(&u->body);
    while (!err && sent <= it->bytes) {
        err = mbx_bytes_next(b, &u->body);
        sent += u->body.len;
        if (sent <= it->bytes)
            mbx_add(u->c, str_slice(&u->body));
        str_reset(&u->body);
    }
    if (sent == it->bytes && err == MS_ENOTFOUND) {
        mbx_end(u->c);
        return;
    }
    /* The server waits for bytes that are not there: nothing but the end of the connection helps. */
    failed(u, it, SLICE_LIT("changed while it was read"));
    u->stop = EX_TEMPFAIL;
    mbx_shut(u->c);
}

static void send_large(struct mbx_upload *u, struct mbx_bytes *b, const struct mbx_mail *mail, uint64_t bytes)
{
    struct mbx_item it = {.path = mail->path, .number = mail->number, .bytes = bytes};
    struct mbx_response r;
    mbx_upload_finish(u);
    if (u->stop)
        return;
    uint32_t tag = mbx_begin(u->c, "APPEND");
    mbx_add_name(u->c, u->mailbox);
    it.has_uid = add_head(u, &u->c->out, mail, bytes, true);
    enum ms_err err;
    do
        err = mbx_next(u->c, &r);
    while (!err && r.status == MBX_UNTAGGED);
    if (err) {
        u->stop = mbx_fail_lost(u->c, err);
        return;
    }
    if (r.status == MBX_CONTINUE) {
        send_bytes(u, b, mail, &it);
        if (u->stop || !wait_answer(u, tag, &r))
            return;
    }
    take_answer(u, &it, &r);
}

/* The whole message, or when it is large its beginning, in u->body; its size in any case. */
static enum ms_err measure(struct mbx_upload *u, struct mbx_bytes *b, uint64_t *bytes_out, uint64_t *key_out,
                           int64_t date)
{
    uint8_t begin[MBX_IDENTITY_BYTES];
    size_t held = 0;
    uint64_t flushed = 0;
    enum ms_err err;
    str_reset(&u->body);
    while ((err = mbx_bytes_next(b, &u->body)) == MS_OK) {
        if (u->body.len <= MBX_SMALL_MAX)
            continue;
        if (!flushed) {
            held = sizeof begin;
            memcpy(begin, u->body.ptr, held);
        }
        flushed += u->body.len;
        str_reset(&u->body);
    }
    if (err != MS_ENOTFOUND)
        return err;
    *bytes_out = flushed + u->body.len;
    *key_out = identity(flushed ? slice_make(begin, held) : str_slice(&u->body), *bytes_out, date);
    return MS_OK;
}

static void add_measured(struct mbx_upload *u, struct mbx_bytes *b, struct mbx_mail *mail)
{
    const struct mbx_item it = {.path = mail->path, .number = mail->number};
    uint64_t bytes = 0, key;
    mail->meta.date = MS_MAX(MS_MIN(mail->meta.date, DATE_MAX), 0);
    enum ms_err err = measure(u, b, &bytes, &key, mail->meta.date);
    uintptr_t there = err ? 0 : seen_count(u, key);
    if (err) {
        failed(u, &it, slice_cstr(ms_err_text(err)));
    } else if (bytes == 0) {
        failed(u, &it, SLICE_LIT("the message is empty"));
    } else if (there) {
        if (there == 1)
            map_remove_u64(&u->seen, key);
        else
            map_put_u64(&u->seen, key, (void *)(there - 1));
        u->existing++;
    } else if (bytes > u->body.len || bytes > MBX_SMALL_MAX || !(u->c->caps & MBX_CAP_LITERAL_PLUS)) {
        send_large(u, b, mail, bytes);
    } else {
        add_small(u, mail);
    }
}

void mbx_upload_add(struct mbx_upload *u, struct mbx_mail *mail)
{
    struct mbx_bytes b;
    if (u->stop)
        return;
    mbx_bytes_init(&b, &mail->in, mail->off, mail->end, mail->form);
    b.body = mail->body;
    b.unquote = mail->unquote;
    b.drop_length = mail->drop_length;
    add_measured(u, &b, mail);
    mbx_bytes_fini(&b);
}
