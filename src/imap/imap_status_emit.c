/*
 * imap_status_emit.c - OK, NO, BAD, BYE, and the one mapping from our results to them (codes of RFC 5530).
 */
#include "imap_priv.h"

static const struct {
    const char *code;
    const char *text;
} status_faults[IMAP_FAULT_COUNT] = {
#define X(name, code_, text_) [IMAP_FAULT_##name] = {code_, text_},
    IMAP_FAULT_MAP(X)
#undef X
};

const char *imap_fault_text(enum imap_fault fault)
{
    MS_ASSERT(fault < IMAP_FAULT_COUNT);
    return status_faults[fault].text;
}

const char *imap_fault_code(enum imap_fault fault)
{
    MS_ASSERT(fault < IMAP_FAULT_COUNT);
    return status_faults[fault].code;
}

void imap_emit_status(struct str *out, struct slice tag, struct imap_status status)
{
    struct slice text = slice_cstr(status.text);

    if (tag.len)
        str_add_slice(out, tag);
    else
        str_add_byte(out, '*');
    str_add_byte(out, ' ');
    str_add_cstr(out, status.status);
    if (status.code) {
        str_add_cstr(out, " [");
        str_add_cstr(out, status.code);
        str_add_byte(out, ']');
    }
    str_add_byte(out, ' ');
    for (size_t i = 0; i < text.len; i++)
        str_add_byte(out, text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : text.ptr[i]);
    str_add_cstr(out, "\r\n");
}

#define STATUS(status_, code_, text_)                                                                        \
    ((struct imap_status){.status = (status_), .code = (code_), .text = (text_)})

struct imap_status imap_code_for_err(enum ms_err err)
{
    switch (err) {
    case MS_OK:
        return STATUS("OK", NULL, "Completed");
    case MS_EMORE:
    case MS_EFULL:
        return STATUS("NO", "UNAVAILABLE", "System busy, try again later");
    case MS_ESYNTAX:
        return STATUS("BAD", NULL, "Syntax error");
    case MS_EUNSUPPORTED:
        return STATUS("NO", "CANNOT", "Not supported");
    case MS_EINVAL:
        return STATUS("NO", "CANNOT", "Invalid argument");
    case MS_ELIMIT:
        return STATUS("NO", "LIMIT", "Limit exceeded");
    case MS_EQUOTA:
        return STATUS("NO", "OVERQUOTA", "Over quota");
    case MS_ENOTFOUND:
        return STATUS("NO", "NONEXISTENT", "No such mailbox");
    case MS_EEXIST:
        return STATUS("NO", "ALREADYEXISTS", "Mailbox exists already");
    case MS_EDENIED:
        return STATUS("NO", "NOPERM", "Not permitted");
    case MS_EDAMAGED:
        return STATUS("NO", "CORRUPTION", "Stored data is damaged");
    case MS_EVERSION:
        return STATUS("NO", "CONTACTADMIN", "Stored data has an unknown format");
    case MS_EBUSY:
        return STATUS("NO", "INUSE", "Busy, try again later");
    case MS_ENOSPC:
    case MS_ENOMEM:
        return STATUS("NO", "UNAVAILABLE", "Insufficient resources");
    case MS_EGONE:
    case MS_EIO:
        return STATUS("NO", "UNAVAILABLE", "Storage failure, try again later");
    case MS_ETIMEOUT:
        return STATUS("NO", "UNAVAILABLE", "Timed out, try again later");
    case MS_ECLOSED:
    case MS_EOFFLINE:
        return STATUS("NO", "UNAVAILABLE", "Service not available");
    case MS_EUNKNOWN:
        return STATUS("NO", "UNAVAILABLE", "Outcome unknown, look before you repeat");
    case MS_ERR_COUNT:
        break;
    }
    MS_UNREACHABLE();
}
