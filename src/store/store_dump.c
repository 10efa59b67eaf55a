/*
 * store_dump.c - ops and rows of the store as text, one line each, for people and for comparing two
 * indexes. The same bytes give the same line everywhere; what cannot be read gives "damaged: " and its
 * bytes in hex.
 */
#include "store_priv.h"

#include "ms/base/codec.h"

static void damaged(struct str *out, struct slice bytes)
{
    str_add_cstr(out, "damaged: ");
    hex_emit(out, bytes);
}

/* " key=" and the text in quotes; what is not plain is \xNN. */
static void text(struct str *out, const char *key, struct slice s)
{
    str_addf(out, " %s=\"", key);
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];

        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            str_addf(out, "\\x%02x", c);
        else
            str_add_byte(out, c);
    }
    str_add_byte(out, '"');
}

static void num(struct str *out, const char *key, uint64_t v)
{
    str_addf(out, " %s=%llu", key, (unsigned long long)v);
}

static void id(struct str *out, const char *key, uint64_t v)
{
    str_addf(out, " %s=%016llx", key, (unsigned long long)v);
}

static void hex(struct str *out, const char *key, const uint8_t *p, size_t len)
{
    str_addf(out, " %s=", key);
    hex_emit(out, slice_make(p, len));
}

/* As in IMAP: 1:3,5 */
static void runs(struct str *out, const char *key, struct slice r)
{
    str_addf(out, " %s=", key);
    for (size_t i = 0; i < r.len / 8; i++) {
        struct store_run run = store_run_at(r, i);

        str_addf(out, run.first == run.last ? "%s%u" : "%s%u:%u", i ? "," : "", run.first, run.last);
    }
}

static void flags(struct str *out, uint16_t f)
{
    static const char letters[] = "SAFDT"; /* seen answered flagged deleted draft */

    str_add_cstr(out, " flags=");
    for (unsigned i = 0; i < 5; i++)
        if (f & (1u << i))
            str_add_byte(out, (uint8_t)letters[i]);
}

static void keywords(struct str *out, struct slice texts, unsigned count)
{
    struct rd r = rd_make(texts);

    for (unsigned i = 0; i < count; i++)
        text(out, "keyword", rd_bytes16(&r));
}

static void source(struct str *out, const struct part_blob_source *src)
{
    str_add_byte(out, ' ');
    part_blob_source_dump(src, out);
}

/* -- ops */
void store__dump_account_create(struct slice op, struct str *out)
{
    struct store__op_account o;
    struct rd r;

    if (store__op_account_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "account_create");
    id(out, "account", o.account);
    text(out, "owner", o.owner);
    r = rd_make(o.folders);
    for (unsigned i = 0; i < o.folder_count; i++) {
        uint16_t attrs = rd_u16(&r);
        uint8_t subscribed = rd_u8(&r);

        text(out, "name", rd_bytes16(&r));
        num(out, "attrs", attrs);
        num(out, "subscribed", subscribed);
    }
}

static void dump_named(uint16_t kind, const char *what, struct slice op, struct str *out)
{
    struct store__op_name o;

    if (store__op_name_parse(kind, op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, what);
    id(out, "account", o.account);
    text(out, "name", o.name);
    if (kind == STORE_OP_MAILBOX_RENAME)
        text(out, "to", o.to);
    if (kind == STORE_OP_MAILBOX_CREATE || (o.mask & 1))
        num(out, "attrs", o.attrs);
    if (o.mask & 2)
        num(out, "subscribed", o.subscribed);
}

void store__dump_mailbox_create(struct slice op, struct str *out)
{
    dump_named(STORE_OP_MAILBOX_CREATE, "mailbox_create", op, out);
}

void store__dump_mailbox_create_2(struct slice op, struct str *out)
{
    struct store__op_name o;

    if (store__op_create_2_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "mailbox_create");
    id(out, "account", o.account);
    text(out, "name", o.name);
    num(out, "attrs", o.attrs);
    num(out, "uidvalidity", o.uidvalidity);
}

void store__dump_mailbox_delete(struct slice op, struct str *out)
{
    dump_named(STORE_OP_MAILBOX_DELETE, "mailbox_delete", op, out);
}

void store__dump_mailbox_rename(struct slice op, struct str *out)
{
    dump_named(STORE_OP_MAILBOX_RENAME, "mailbox_rename", op, out);
}

void store__dump_mailbox_rename_2(struct slice op, struct str *out)
{
    store__dump_mailbox_rename(op, out); /* the payload is that of version 1 */
}

void store__dump_mailbox_attr(struct slice op, struct str *out)
{
    dump_named(STORE_OP_MAILBOX_ATTR, "mailbox_attr", op, out);
}

void store__dump_mailbox_purge(struct slice op, struct str *out)
{
    if (op.len != 8) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "mailbox_purge");
    id(out, "mailbox", ms_get_le64(op.ptr));
}

void store__dump_account_delete(struct slice op, struct str *out)
{
    if (op.len != 8) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "account_delete");
    id(out, "account", ms_get_le64(op.ptr));
}

static void dump_target(struct str *out, const struct store_target *t)
{
    str_add_cstr(out, " to");
    id(out, "account", t->account);
    id(out, "mailbox", t->mailbox);
    num(out, "recipient", t->recipient);
    flags(out, t->flags);
    num(out, "bytes_max", t->bytes_max);
    num(out, "messages_max", t->messages_max);
    text(out, "owner", t->owner);
    text(out, "name", t->name);
    text(out, "prefix", t->prefix);
}

void store__dump_deliver(struct slice op, struct str *out)
{
    struct store__op_deliver o;
    struct store_target t;
    struct rd r;

    if (store__op_deliver_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "deliver");
    source(out, &o.source);
    num(out, "date_us", o.d.internaldate_us);
    str_addf(out, " zone=%d", o.d.zone);
    if (o.d.queue_partition) {
        hex(out, "partition", o.d.queue_partition, 16);
        hex(out, "entry", o.d.queue_entry, 16);
    }
    r = rd_make(o.targets);
    for (unsigned i = 0; i < o.target_count && !store__target_parse(&r, &t); i++)
        dump_target(out, &t);
}

void store__dump_append(struct slice op, struct str *out)
{
    struct store__op_append o;
    const struct store__append_item *it = &o.item[0];

    if (store__op_append_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "append");
    source(out, &it->source);
    id(out, "account", o.to.account);
    id(out, "mailbox", o.to.mailbox);
    num(out, "date_us", it->m.internaldate_us);
    str_addf(out, " zone=%d", it->m.zone);
    num(out, "bytes_max", o.to.bytes_max);
    num(out, "messages_max", o.to.messages_max);
    flags(out, it->m.flags);
    keywords(out, it->keywords, (unsigned)it->m.keyword_count);
    text(out, "owner", o.to.owner);
    text(out, "name", o.to.name);
}

static void dump_incoming(struct str *out, const struct store__append_item *it)
{
    str_add_cstr(out, " message");
    source(out, &it->source);
    num(out, "date_us", it->m.internaldate_us);
    str_addf(out, " zone=%d", it->m.zone);
    num(out, "saved_us", it->m.savedate_us);
    num(out, "uid", it->m.uid);
    flags(out, it->m.flags);
    keywords(out, it->keywords, (unsigned)it->m.keyword_count);
}

void store__dump_append_2(struct slice op, struct str *out)
{
    struct store__op_append o;

    if (store__op_append_2_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "append");
    id(out, "account", o.to.account);
    id(out, "mailbox", o.to.mailbox);
    num(out, "bytes_max", o.to.bytes_max);
    num(out, "messages_max", o.to.messages_max);
    text(out, "owner", o.to.owner);
    text(out, "name", o.to.name);
    for (unsigned i = 0; i < o.count; i++)
        dump_incoming(out, &o.item[i]);
}

void store__dump_flags(struct slice op, struct str *out)
{
    static const char *const how[] = {"set", "add", "remove"};
    struct store__op_flags o;

    if (store__op_flags_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "flags");
    id(out, "mailbox", o.mailbox);
    str_addf(out, " how=%s", how[o.how]);
    flags(out, o.flags);
    keywords(out, o.keywords, o.keyword_count);
    num(out, "unchangedsince", o.unchangedsince);
    runs(out, "uids", o.runs);
}

void store__dump_expunge(struct slice op, struct str *out)
{
    struct store__op_expunge o;

    if (store__op_expunge_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "expunge");
    id(out, "mailbox", o.mailbox);
    num(out, "any", o.any);
    runs(out, "uids", o.runs);
}

void store__dump_copy(struct slice op, struct str *out)
{
    struct store__op_copy o;

    if (store__op_copy_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, o.c.move ? "copy move=1" : "copy move=0");
    id(out, "from", o.c.from_mailbox);
    id(out, "to", o.c.to_mailbox);
    id(out, "account", o.c.to_account);
    num(out, "bytes_max", o.c.bytes_max);
    num(out, "messages_max", o.c.messages_max);
    num(out, "whole_bytes", o.c.whole_bytes);
    num(out, "whole_messages", o.c.whole_messages);
    id(out, "first", o.c.first);
    runs(out, "uids", o.runs);
    runs(out, "left", o.left);
}

void store__dump_copy_begin(struct slice op, struct str *out)
{
    struct store__op_begin o;

    if (store__op_begin_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_addf(out, "copy_begin move=%d first=%d last=%d", o.c.move, o.is_first, o.is_last);
    id(out, "plan", o.plan);
    id(out, "from", o.c.from_mailbox);
    id(out, "to", o.c.to_mailbox);
    id(out, "account", o.c.to_account);
    num(out, "bytes_max", o.c.bytes_max);
    num(out, "messages_max", o.c.messages_max);
    num(out, "whole_bytes", o.c.whole_bytes);
    num(out, "whole_messages", o.c.whole_messages);
    runs(out, "uids", o.runs);
}

void store__dump_copy_step(struct slice op, struct str *out)
{
    struct store__op_step o;

    if (store__op_step_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "copy_step");
    id(out, "plan", o.plan);
    num(out, "messages", o.messages);
}

void store__dump_purge(struct slice op, struct str *out)
{
    struct store__op_purge o;

    if (store__op_purge_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "purge");
    id(out, "mailbox", o.mailbox);
    num(out, "modseq", o.modseq);
}

void store__dump_quota_set(struct slice op, struct str *out)
{
    struct store__op_quota o;

    if (store__op_quota_parse(op, &o)) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "quota_set");
    id(out, "account", o.account);
    num(out, "bytes_max", o.bytes_max);
    num(out, "messages_max", o.messages_max);
}

void store__dump_forget(struct slice op, struct str *out)
{
    if (op.len != STORE__DELIVERED_KEY) {
        damaged(out, op);
        return;
    }
    str_add_cstr(out, "forget_delivered");
    hex(out, "partition", op.ptr, 16);
    hex(out, "entry", op.ptr + 16, 16);
    num(out, "recipient", ms_get_le32(op.ptr + 32));
}

/* -- rows */
static void damaged_row(struct str *out, struct slice key, struct slice value)
{
    damaged(out, key);
    str_add_cstr(out, " = ");
    hex_emit(out, value);
}

void store__dump_row_account(struct slice key, struct slice value, struct str *out)
{
    struct store_account a;

    if (key.len != 8 || store__account_parse(ms_get_be64(key.ptr), value, &a)) {
        damaged_row(out, key, value);
        return;
    }
    str_add_cstr(out, "account");
    id(out, "id", a.id);
    text(out, "owner", a.owner);
    num(out, "names", a.names);
    num(out, "bytes", a.bytes);
    num(out, "messages", a.messages);
    num(out, "bytes_max", a.bytes_max);
    num(out, "messages_max", a.messages_max);
}

void store__dump_row_list(struct slice key, struct slice value, struct str *out)
{
    struct store__list_row list;

    if (key.len < 9 || store__list_parse(value, &list)) {
        damaged_row(out, key, value);
        return;
    }
    str_add_cstr(out, "mboxlist");
    id(out, "account", ms_get_be64(key.ptr));
    text(out, "name", slice_sub(key, 8, SIZE_MAX));
    id(out, "mailbox", list.mailbox);
    num(out, "uidvalidity", list.uidvalidity);
    num(out, "attrs", list.attrs);
    num(out, "subscribed", list.subscribed);
}

void store__dump_row_mailbox(struct slice key, struct slice value, struct str *out)
{
    struct store_mailbox m;

    if (key.len != 8 || store__mailbox_parse(ms_get_be64(key.ptr), value, &m)) {
        damaged_row(out, key, value);
        return;
    }
    str_add_cstr(out, "mailbox");
    id(out, "id", m.id);
    id(out, "account", m.account);
    text(out, "name", m.name);
    num(out, "uidvalidity", m.uidvalidity);
    num(out, "uidnext", m.uidnext);
    num(out, "modseq", m.highestmodseq);
    num(out, "floor", m.change_floor);
    num(out, "exists", m.exists);
    num(out, "unseen", m.unseen);
    num(out, "deleted", m.deleted);
    num(out, "bytes", m.bytes);
    num(out, "created", m.created_s);
    num(out, "gone", m.gone);
    num(out, "gone_us", m.gone_us);
    num(out, "traced", m.traced);
    for (unsigned i = 0; i < m.keyword_count; i++)
        text(out, "keyword", store_keyword_name(&m, i));
}

static void dump_message(const char *what, struct slice key, struct slice value, struct str *out)
{
    struct store_message m;

    if (store_message_parse(key, value, &m)) {
        damaged_row(out, key, value);
        return;
    }
    str_add_cstr(out, what);
    id(out, "mailbox", m.mailbox);
    num(out, "uid", m.uid);
    flags(out, m.flags);
    str_addf(out, " keywords=%016llx%016llx", (unsigned long long)m.keywords.bits[1],
             (unsigned long long)m.keywords.bits[0]);
    id(out, "blob", m.blob);
    num(out, "size", m.size);
    num(out, "modseq", m.modseq);
    num(out, "created", m.modseq_created);
    num(out, "date_us", m.internaldate_us);
    str_addf(out, " zone=%d", m.internaldate_zone);
    num(out, "saved_us", m.savedate_us);
    id(out, "email", m.email_id);
    id(out, "thread", m.thread_id);
    text(out, "prefix", m.prefix);
}

void store__dump_row_message(struct slice key, struct slice value, struct str *out)
{
    dump_message("message", key, value, out);
}

void store__dump_row_expunged(struct slice key, struct slice value, struct str *out)
{
    dump_message("expunged", key, value, out);
}

void store__dump_row_change(struct slice key, struct slice value, struct str *out)
{
    static const char *const what[] = {"", "flags", "vanished", "gone"};
    struct store__change_row change;

    if (key.len != 16 || store__change_parse(value, &change)) {
        damaged_row(out, key, value);
        return;
    }
    str_add_cstr(out, "change");
    id(out, "mailbox", ms_get_be64(key.ptr));
    num(out, "modseq", ms_get_be64(key.ptr + 8));
    str_addf(out, " what=%s", what[change.what]);
    num(out, "time", change.time_s);
    runs(out, "uids", change.runs);
}

void store__dump_row_delivered(struct slice key, struct slice value, struct str *out)
{
    struct store__delivered d;

    if (key.len != STORE__DELIVERED_KEY || store__delivered_parse(value, &d)) {
        damaged_row(out, key, value);
        return;
    }
    str_add_cstr(out, "delivered");
    hex(out, "partition", key.ptr, 16);
    hex(out, "entry", key.ptr + 16, 16);
    num(out, "recipient", ms_get_be32(key.ptr + 32));
    id(out, "mailbox", d.mailbox);
    num(out, "uid", d.uid);
}
