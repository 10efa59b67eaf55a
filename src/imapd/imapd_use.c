/*
 * imapd_use.c - special uses of mailboxes. RFC 6154, RFC 9051 7.3.1, RFC 8457 (\Important)
 *
 * A mailbox gets its uses when it is made, keeps them over RENAME and loses them with DELETE. At most one mailbox
 * has a use: CREATE ... (USE (...)) takes it from the one that had it (RFC 6154 3).
 */
#include "imapd_priv.h"

static const struct {
    const char *name;
    uint16_t bit;
    bool can_create; /* RFC 6154 2: \All and \Flagged show messages of other mailboxes, which ours do not */
} uses[] = {
    {"\\All", STORE_ATTR_ALL, false},      {"\\Archive", STORE_ATTR_ARCHIVE, true},
    {"\\Drafts", STORE_ATTR_DRAFTS, true}, {"\\Flagged", STORE_ATTR_FLAGGED, false},
    {"\\Junk", STORE_ATTR_JUNK, true},     {"\\Sent", STORE_ATTR_SENT, true},
    {"\\Trash", STORE_ATTR_TRASH, true},   {"\\Important", STORE_ATTR_IMPORTANT, true},
};

void imapd__emit_uses(struct str *out, uint16_t attrs)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(uses); i++)
        if (attrs & uses[i].bit) {
            if (out->ptr[out->len - 1] != '(')
                str_add_byte(out, ' ');
            str_add_cstr(out, uses[i].name);
        }
}

bool imapd__uses_parse(struct slice text, uint16_t *attrs_out)
{
    struct slice word;

    *attrs_out = 0;
    while (text.len) {
        uint16_t bit = 0;

        if (!slice_cut(&text, ' ', &word)) {
            word = text;
            text.len = 0;
        }
        for (size_t i = 0; i < MS_ARRAY_LEN(uses); i++)
            if (uses[i].can_create && slice_ieq_cstr(word, uses[i].name))
                bit = uses[i].bit;
        if (!bit)
            return false;
        *attrs_out |= bit;
    }
    return true;
}

/* The ops that take these uses away from every mailbox but one. *count_out: how many. */
enum ms_err imapd__uses_take(struct imapd_session *s, uint16_t attrs, uint64_t keeper, unsigned *count_out)
{
    uint64_t account = s->user->account;
    struct store_names *names = NULL;
    struct store_list_entry e;
    struct part_snap snap;
    enum ms_err err;

    *count_out = 0;
    MS_TRY(part_snap_begin(imapd__partition(s), &snap));
    err = store_names_open(&snap, account, &names);
    if (!err)
        err = store_names_seek(names, slice_make("", 0), &e);
    for (; !err && *count_out < IMAPD_USES_TAKEN_MAX; err = store_names_next(names, &e)) {
        if (!(e.attrs & attrs) || e.mailbox == keeper)
            continue;
        store_op_mailbox_attr(&s->post.rec, account, e.name, true, e.attrs & (uint16_t)~attrs, false, false);
        ++*count_out;
    }
    store_names_close(&names);
    part_snap_end(&snap);
    return err == MS_ENOTFOUND ? MS_OK : err;
}
