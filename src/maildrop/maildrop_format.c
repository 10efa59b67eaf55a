/*
 * maildrop_format.c - head and tail of a maildrop file, written and read (format: maildrop.h).
 *
 * Who reads must not believe who wrote: any user can put a file into the folder. Every length is bounded
 * before it is used, and no text holds a byte that could end a line or hide in a log.
 */
#include <stdio.h>

#include "ms/base/sum.h"
#include "ms/maildrop.h"

#define HEAD_MAGIC     "MSDROP"
#define TAIL_MAGIC     "DEND"
#define HEAD_FIXED     32
#define HEAD_CRC_AT    12
#define FLAG_SMTPUTF8  1
#define TEXT_BYTES_MAX 512 /* ENVID and ORCPT; addresses and names have bounds of their own */

static uint32_t head_crc(struct slice head)
{
    uint32_t crc = crc32c_add(0, head.ptr, HEAD_CRC_AT);
    return crc32c_add(crc, head.ptr + HEAD_CRC_AT + 4, head.len - HEAD_CRC_AT - 4);
}

static bool text_is_clean(struct slice text, size_t bytes_max)
{
    if (text.len > bytes_max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool rcpt_is_valid(const struct maildrop_rcpt *r)
{
    return r->address.len > 0 && text_is_clean(r->address, MAILDROP_ADDRESS_MAX) &&
           text_is_clean(r->orcpt, TEXT_BYTES_MAX) &&
           r->notify <= (SMTP_NOTIFY_NEVER | SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY);
}

static bool mail_is_valid(const struct maildrop_mail *mail)
{
    return text_is_clean(mail->sender, MAILDROP_ADDRESS_MAX) &&
           text_is_clean(mail->login, MAILDROP_NAME_MAX) &&
           text_is_clean(mail->full_name, MAILDROP_NAME_MAX) && text_is_clean(mail->envid, SMTP_ENVID_MAX) &&
           mail->ret <= SMTP_RET_HDRS && mail->body_type <= SMTP_BODY_BINARYMIME;
}

enum ms_err maildrop_head_emit(const struct maildrop_mail *mail, struct str *out)
{
    struct str head;
    uint8_t fixed[HEAD_FIXED] = HEAD_MAGIC;
    enum ms_err err = MS_OK;
    if (mail->rcpt_count == 0)
        return MS_EINVAL;
    if (!mail_is_valid(mail) || mail->rcpt_count > MAILDROP_RCPTS_MAX)
        return MS_ELIMIT;
    str_init(&head, MAILDROP_HEAD_MAX);
    ms_put_le16(fixed + 6, MAILDROP_VERSION);
    ms_put_le64(fixed + 16, mail->time_us);
    ms_put_le32(fixed + 24, mail->uid);
    fixed[28] = mail->body_type;
    fixed[29] = mail->ret;
    fixed[30] = mail->smtputf8 ? FLAG_SMTPUTF8 : 0;
    str_add(&head, fixed, sizeof fixed);
    str_add_bytes16(&head, mail->sender);
    str_add_bytes16(&head, mail->login);
    str_add_bytes16(&head, mail->full_name);
    str_add_bytes16(&head, mail->envid);
    str_add_le32(&head, (uint32_t)mail->rcpt_count);
    for (size_t i = 0; i < mail->rcpt_count && !err; i++) {
        err = rcpt_is_valid(&mail->rcpts[i]) ? MS_OK : MS_ELIMIT;
        if (err)
            break;
        str_add_bytes16(&head, mail->rcpts[i].address);
        str_add_bytes16(&head, mail->rcpts[i].orcpt);
        str_add_byte(&head, mail->rcpts[i].notify);
    }
    if (!err && str_is_over(&head))
        err = MS_ELIMIT;
    if (!err) {
        ms_put_le32(head.ptr + 8, (uint32_t)head.len);
        ms_put_le32(head.ptr + HEAD_CRC_AT, head_crc(str_slice(&head)));
        str_add_slice(out, str_slice(&head));
    }
    str_fini(&head);
    return err;
}

static enum ms_err parse_rcpts(struct rd *r, struct arena *a, struct maildrop_mail *out)
{
    uint32_t count = rd_u32(r);
    if (r->bad || count == 0 || count > MAILDROP_RCPTS_MAX)
        return MS_EDAMAGED;
    out->rcpts = arena_new_array(a, struct maildrop_rcpt, count);
    for (uint32_t i = 0; i < count; i++) {
        struct maildrop_rcpt *rcpt = &out->rcpts[i];
        rcpt->address = arena_dup(a, rd_bytes16(r));
        rcpt->orcpt = arena_dup(a, rd_bytes16(r));
        rcpt->notify = rd_u8(r);
        if (r->bad || !rcpt_is_valid(rcpt))
            return MS_EDAMAGED;
    }
    out->rcpt_count = count;
    return MS_OK;
}

static enum ms_err parse_head(struct slice head, struct arena *a, struct maildrop_mail *out)
{
    struct rd r = rd_make(slice_sub(head, 16, head.len));
    if (ms_get_le32(head.ptr + HEAD_CRC_AT) != head_crc(head))
        return MS_EDAMAGED;
    out->time_us = rd_u64(&r);
    out->uid = rd_u32(&r);
    out->body_type = rd_u8(&r);
    out->ret = rd_u8(&r);
    uint8_t flags = rd_u8(&r), zero = rd_u8(&r);
    out->smtputf8 = flags & FLAG_SMTPUTF8;
    out->sender = arena_dup(a, rd_bytes16(&r));
    out->login = arena_dup(a, rd_bytes16(&r));
    out->full_name = arena_dup(a, rd_bytes16(&r));
    out->envid = arena_dup(a, rd_bytes16(&r));
    if (r.bad || zero || flags > FLAG_SMTPUTF8 || !mail_is_valid(out))
        return MS_EDAMAGED;
    MS_TRY(parse_rcpts(&r, a, out));
    return rd_left(&r) == 0 ? MS_OK : MS_EDAMAGED;
}

enum ms_err maildrop_head_parse(struct slice bytes, struct arena *a, struct maildrop_mail *out,
                                size_t *need_out)
{
    struct slice magic = slice_sub(SLICE_LIT(HEAD_MAGIC), 0, bytes.len);
    memset(out, 0, sizeof *out);
    *need_out = MAILDROP_HEAD_MIN;
    if (!slice_has_prefix(bytes, magic))
        return MS_EDAMAGED;
    if (bytes.len < MAILDROP_HEAD_MIN)
        return MS_EMORE;
    if (ms_get_le16(bytes.ptr + 6) != MAILDROP_VERSION)
        return MS_EVERSION;
    size_t head_bytes = ms_get_le32(bytes.ptr + 8);
    if (head_bytes < MAILDROP_HEAD_MIN || head_bytes > MAILDROP_HEAD_MAX)
        return MS_EDAMAGED;
    *need_out = head_bytes;
    if (bytes.len < head_bytes)
        return MS_EMORE;
    return parse_head(slice_sub(bytes, 0, head_bytes), a, out);
}

void maildrop_tail_emit(uint64_t file_bytes, uint32_t crc_before, uint8_t out[MAILDROP_TAIL_BYTES])
{
    ms_put_le64(out, file_bytes);
    memcpy(out + 8, TAIL_MAGIC, 4);
    ms_put_le32(out + 12, crc_before);
}

enum ms_err maildrop_tail_parse(struct slice tail, uint64_t file_bytes, bool crc_known, uint32_t crc_before)
{
    if (tail.len != MAILDROP_TAIL_BYTES || ms_get_le64(tail.ptr) != file_bytes ||
        memcmp(tail.ptr + 8, TAIL_MAGIC, 4) != 0)
        return MS_EDAMAGED;
    if (crc_known && ms_get_le32(tail.ptr + 12) != crc_before)
        return MS_EDAMAGED;
    return MS_OK;
}

static bool is_hex(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ms_ascii_is_digit(s.ptr[i]) && (s.ptr[i] < 'a' || s.ptr[i] > 'f'))
            return false;
    return s.len > 0;
}

/* EPOCH-mN */
static bool is_trace(struct slice s)
{
    struct slice epoch;
    uint64_t number;
    if (s.len > QUEUE_TRACE_MAX || !slice_cut(&s, '-', &epoch) || !is_hex(epoch))
        return false;
    return slice_has_prefix(s, SLICE_LIT("m")) &&
           slice_to_u64(slice_sub(s, 1, s.len), UINT64_MAX, &number) == MS_OK;
}

bool maildrop_name_is_message(struct slice name)
{
    struct slice behind = slice_sub(name, MAILDROP_FILE_NAME_BYTES, name.len);
    if (name.len < MAILDROP_FILE_NAME_BYTES || !slice_has_prefix(name, SLICE_LIT("m.")) ||
        !is_hex(slice_sub(name, 2, MAILDROP_FILE_NAME_BYTES - 2)))
        return false;
    return behind.len == 0 || (behind.ptr[0] == '.' && is_trace(slice_sub(behind, 1, behind.len)));
}

struct slice maildrop_name_trace(struct slice name)
{
    return slice_sub(name, MAILDROP_FILE_NAME_BYTES + 1, name.len);
}

/* The time first: a list in order of names is one in order of time. */
void maildrop_name_emit(uint64_t time_us, const uint8_t random[8], char out[MAILDROP_FILE_NAME_BYTES + 1])
{
    snprintf(out, MAILDROP_FILE_NAME_BYTES + 1, "m.%016llx%016llx", (unsigned long long)time_us,
             (unsigned long long)ms_get_be64(random));
}
