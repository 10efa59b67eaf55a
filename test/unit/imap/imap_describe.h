/* imap_describe.h - parsed arguments as one line of text, so that tests are tables of text to text. */
#ifndef TEST_IMAP_DESCRIBE_H
#define TEST_IMAP_DESCRIBE_H

#include "ms/imap.h"

static inline void describe_set(struct str *out, const struct imap_seqset *set)
{
    if (set->is_saved)
        str_add_cstr(out, "$");
    imap_seqset_emit(out, set->ranges, set->count);
}

static inline void describe_flags(struct str *out, const struct imap_flags *flags)
{
    imap_emit_flags(out, flags->system, flags->keywords, flags->count);
}

static inline void describe_login(struct str *out, const union imap_args *a)
{
    str_addf(out, "<" SLICE_FMT "> <" SLICE_FMT ">", SLICE_ARG(a->login.user), SLICE_ARG(a->login.password));
}

static inline void describe_authenticate(struct str *out, const union imap_args *a)
{
    str_addf(out, "%.*s", SLICE_ARG(a->authenticate.mech));
    if (a->authenticate.has_initial)
        str_addf(out, " ir=" SLICE_FMT, SLICE_ARG(a->authenticate.initial));
}

static inline void describe_select(struct str *out, const union imap_args *a)
{
    str_addf(out, "<" SLICE_FMT ">%s", SLICE_ARG(a->select.mailbox), a->select.condstore ? " condstore" : "");
    if (a->select.has_qresync) {
        str_addf(out, " qresync %u %llu ", a->select.uidvalidity, (unsigned long long)a->select.modseq);
        describe_set(out, &a->select.known_uids);
    }
}

static inline void describe_mailbox(struct str *out, const union imap_args *a)
{
    str_addf(out, "<" SLICE_FMT ">", SLICE_ARG(a->mailbox.mailbox));
    if (a->mailbox.use.len)
        str_addf(out, " use=" SLICE_FMT, SLICE_ARG(a->mailbox.use));
}

static inline void describe_rename(struct str *out, const union imap_args *a)
{
    str_addf(out, "<" SLICE_FMT "> <" SLICE_FMT ">", SLICE_ARG(a->rename.from), SLICE_ARG(a->rename.to));
}

static inline void describe_list(struct str *out, const union imap_args *a)
{
    str_addf(out, "<" SLICE_FMT ">", SLICE_ARG(a->list.reference));
    for (uint32_t i = 0; i < a->list.pattern_count; i++)
        str_addf(out, " <" SLICE_FMT ">", SLICE_ARG(a->list.patterns[i]));
    str_addf(out, " opts=%x status=%x", a->list.opts, a->list.status_items);
}

static inline void describe_status(struct str *out, const union imap_args *a)
{
    str_addf(out, "<" SLICE_FMT "> %x", SLICE_ARG(a->status.mailbox), a->status.items);
}

static inline void describe_append(struct str *out, const union imap_args *a)
{
    str_addf(out, "<" SLICE_FMT "> ", SLICE_ARG(a->append.mailbox));
    describe_flags(out, &a->append.flags);
    if (a->append.has_date) {
        str_add_byte(out, ' ');
        imap_emit_date_time(out, a->append.date.unix_s, a->append.date.zone_minutes);
    }
}

static inline void describe_fetch(struct str *out, const union imap_args *a)
{
    describe_set(out, &a->fetch.set);
    str_addf(out, " items=%x", a->fetch.items);
    for (uint32_t i = 0; i < a->fetch.section_count; i++) {
        const struct imap_section *s = &a->fetch.sections[i];
        str_add_byte(out, ' ');
        imap_emit_section(out, s);
        if (s->has_partial)
            str_addf(out, "+%llu", (unsigned long long)s->partial_len);
        str_add_cstr(out, s->peek ? "/peek" : "");
    }
    if (a->fetch.has_changedsince)
        str_addf(out, " since=%llu%s", (unsigned long long)a->fetch.changedsince,
                 a->fetch.vanished ? " vanished" : "");
}

static inline void describe_store(struct str *out, const union imap_args *a)
{
    describe_set(out, &a->store.set);
    str_addf(out, " %c%s ", a->store.op, a->store.silent ? " silent" : "");
    describe_flags(out, &a->store.flags);
    if (a->store.has_unchangedsince)
        str_addf(out, " unchanged=%llu", (unsigned long long)a->store.unchangedsince);
}

static inline void describe_key_head(struct str *out, const struct imap_search_key *k)
{
    static const char *const names[] = {
        "ALL",    "AND",   "OR",         "NOT",    "SEQ",       "UID",     "FLAG",    "KEYW",  "BEFORE",
        "ON",     "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE", "LARGER",  "SMALLER", "OLDER", "YOUNGER",
        "MODSEQ", "BCC",   "CC",         "FROM",   "TO",        "SUBJECT", "HEADER",  "BODY",  "TEXT",
        "SAVEDBEFORE", "SAVEDON", "SAVEDSINCE", "SAVEDATESUPPORTED", "EMAILID", "THREADID"};

    str_add_cstr(out, names[k->op]);
    if (k->op == IMAP_SEARCH_FLAG)
        str_addf(out, " %x", k->flag);
    if (k->op == IMAP_SEARCH_SEQ || k->op == IMAP_SEARCH_UID) {
        str_add_byte(out, ' ');
        describe_set(out, &k->set);
    }
    if (k->op >= IMAP_SEARCH_BEFORE && k->op <= IMAP_SEARCH_SENTSINCE)
        str_addf(out, " %d", k->days);
    if (k->op >= IMAP_SEARCH_SAVEDBEFORE && k->op <= IMAP_SEARCH_SAVEDSINCE)
        str_addf(out, " %d", k->days);
    if (k->op >= IMAP_SEARCH_LARGER && k->op <= IMAP_SEARCH_MODSEQ)
        str_addf(out, " %llu", (unsigned long long)k->number);
    if (k->field.ptr)
        str_addf(out, " <" SLICE_FMT ">", SLICE_ARG(k->field));
    if (k->text.ptr)
        str_addf(out, " <" SLICE_FMT ">", SLICE_ARG(k->text));
}

static inline void describe_key(struct str *out, const struct imap_search_key *k)
{
    describe_key_head(out, k);
    if (!k->child)
        return;
    str_add_byte(out, '(');
    for (const struct imap_search_key *c = k->child; c; c = c->next) {
        if (c != k->child)
            str_add_byte(out, ',');
        describe_key(out, c);
    }
    str_add_byte(out, ')');
}

static inline void describe_search(struct str *out, const union imap_args *a)
{
    if (a->search.has_return)
        str_addf(out, "return=%x ", a->search.ret);
    if (a->search.charset.len)
        str_addf(out, "charset=" SLICE_FMT " ", SLICE_ARG(a->search.charset));
    describe_key(out, a->search.root);
    if (a->search.has_text)
        str_add_cstr(out, " text");
    if (a->search.has_modseq)
        str_add_cstr(out, " modseq");
}

static inline void describe_copy(struct str *out, const union imap_args *a)
{
    describe_set(out, &a->copy.set);
    str_addf(out, " <" SLICE_FMT ">", SLICE_ARG(a->copy.mailbox));
}

static inline void describe_uid_expunge(struct str *out, const union imap_args *a)
{
    describe_set(out, &a->uid_expunge.set);
}

static inline void describe_id(struct str *out, const union imap_args *a)
{
    if (a->id.nil)
        str_add_cstr(out, "NIL");
    for (uint32_t i = 0; i < a->id.count; i++)
        str_addf(out, "<" SLICE_FMT ">=<" SLICE_FMT ">", SLICE_ARG(a->id.pairs[i].key),
                 a->id.pairs[i].value_nil ? 3 : (int)a->id.pairs[i].value.len,
                 a->id.pairs[i].value_nil ? "NIL" : (const char *)a->id.pairs[i].value.ptr);
}

static inline void describe_enable(struct str *out, const union imap_args *a)
{
    for (uint32_t i = 0; i < a->enable.count; i++)
        str_addf(out, "<" SLICE_FMT ">", SLICE_ARG(a->enable.names[i]));
}

static inline void describe_none(struct str *out, const union imap_args *a)
{
    str_add_cstr(out, "none");
}

static const struct describe_row {
    const char *name;
    imap_parse_fn parse;
    void (*describe)(struct str *out, const union imap_args *a);
} describe_rows[] = {
    {"CAPABILITY", imap_parse_none, describe_none},
    {"NOOP", imap_parse_none, describe_none},
    {"LOGOUT", imap_parse_none, describe_none},
    {"IDLE", imap_parse_none, describe_none},
    {"CLOSE", imap_parse_none, describe_none},
    {"CHECK", imap_parse_none, describe_none},
    {"NAMESPACE", imap_parse_none, describe_none},
    {"UNSELECT", imap_parse_none, describe_none},
    {"STARTTLS", imap_parse_none, describe_none},
    {"LOGIN", imap_parse_login, describe_login},
    {"AUTHENTICATE", imap_parse_authenticate, describe_authenticate},
    {"SELECT", imap_parse_select, describe_select},
    {"EXAMINE", imap_parse_select, describe_select},
    {"CREATE", imap_parse_create, describe_mailbox},
    {"DELETE", imap_parse_mailbox, describe_mailbox},
    {"SUBSCRIBE", imap_parse_mailbox, describe_mailbox},
    {"UNSUBSCRIBE", imap_parse_mailbox, describe_mailbox},
    {"RENAME", imap_parse_rename, describe_rename},
    {"LIST", imap_parse_list, describe_list},
    {"LSUB", imap_parse_lsub, describe_list},
    {"STATUS", imap_parse_status, describe_status},
    {"APPEND", imap_parse_append, describe_append},
    {"FETCH", imap_parse_fetch, describe_fetch},
    {"STORE", imap_parse_store, describe_store},
    {"SEARCH", imap_parse_search, describe_search},
    {"COPY", imap_parse_copy, describe_copy},
    {"MOVE", imap_parse_copy, describe_copy},
    {"EXPUNGE", imap_parse_uid_expunge, describe_uid_expunge}, /* the UID form */
    {"ID", imap_parse_id, describe_id},
    {"ENABLE", imap_parse_enable, describe_enable},
};

/* The arguments of a whole command ("tag NAME ..."), or "!ERR reason". */
static inline void describe_command(struct str *out, struct slice text, bool utf8, struct arena *arena)
{
    struct imap_cmd cmd;
    struct imap_rd rd;
    union imap_args args;
    const char *reason;
    enum ms_err err = imap_cmd_parse(text, arena, &cmd, &reason);

    if (err) {
        str_addf(out, "!%s %s", ms_err_name(err), reason);
        return;
    }
    for (size_t i = 0; i < MS_ARRAY_LEN(describe_rows); i++) {
        if (!slice_ieq_cstr(cmd.name, describe_rows[i].name))
            continue;
        imap_rd_init(&rd, cmd.args, arena, utf8);
        err = describe_rows[i].parse(&rd, &args);
        MS_ASSERT(!err == !rd.reason);
        if (err)
            str_addf(out, "!%s %s", ms_err_name(err), rd.reason);
        else
            describe_rows[i].describe(out, &args);
        return;
    }
    str_add_cstr(out, "!unknown");
}

#endif
