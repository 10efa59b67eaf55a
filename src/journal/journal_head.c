/*
 * journal_head.c - the header of a segment, and the seals of headers and records.
 *
 * Layout of a header, little-endian:
 *    0 magic "MSEG"       4 u16 version      6 u16 flags         8 partition id (16)
 *   24 timeline          32 epoch           40 number           48 salt (8)
 *   56 start             64 prev_number     72 prev_end         80 prev_epoch
 *   88 u32 prev_crc      92 u32 zero        96 prev_time_us    104 created_us
 *  112 branch           120 zeros          508 CRC-32C of bytes 0..507
 */
#include "journal_priv.h"

#include "ms/base/sum.h"

#define HEAD_MAGIC  0x4745534Du /* "MSEG" */
#define HEAD_CRC_AT (JOURNAL_HEADER_BYTES - 4)

void journal__head_emit(const struct journal_head *head, uint8_t out[JOURNAL_HEADER_BYTES])
{
    memset(out, 0, JOURNAL_HEADER_BYTES);
    ms_put_le32(out, HEAD_MAGIC);
    ms_put_le16(out + 4, head->version);
    ms_put_le16(out + 6, head->flags);
    memcpy(out + 8, head->partition_id, 16);
    ms_put_le64(out + 24, head->timeline);
    ms_put_le64(out + 32, head->epoch);
    ms_put_le64(out + 40, head->number);
    memcpy(out + 48, head->salt, 8);
    ms_put_le64(out + 56, head->start);
    ms_put_le64(out + 64, head->prev_number);
    ms_put_le64(out + 72, head->prev_end);
    ms_put_le64(out + 80, head->prev_epoch);
    ms_put_le32(out + 88, head->prev_crc);
    ms_put_le64(out + 96, head->prev_time_us);
    ms_put_le64(out + 104, head->created_us);
    ms_put_le64(out + 112, head->branch);
    ms_put_le32(out + HEAD_CRC_AT, crc32c_add(0, out, HEAD_CRC_AT));
}

static bool is_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

enum ms_err journal__head_parse(const uint8_t in[JOURNAL_HEADER_BYTES], struct journal_head *out)
{
    if (ms_get_le32(in) != HEAD_MAGIC)
        return is_zero(in, JOURNAL_HEADER_BYTES) ? MS_ENOTFOUND : MS_EDAMAGED;
    if (ms_get_le32(in + HEAD_CRC_AT) != crc32c_add(0, in, HEAD_CRC_AT))
        return MS_EDAMAGED;
    *out = (struct journal_head){
        .version = ms_get_le16(in + 4),
        .flags = ms_get_le16(in + 6),
        .timeline = ms_get_le64(in + 24),
        .epoch = ms_get_le64(in + 32),
        .number = ms_get_le64(in + 40),
        .start = ms_get_le64(in + 56),
        .prev_number = ms_get_le64(in + 64),
        .prev_end = ms_get_le64(in + 72),
        .prev_epoch = ms_get_le64(in + 80),
        .prev_crc = ms_get_le32(in + 88),
        .prev_time_us = ms_get_le64(in + 96),
        .created_us = ms_get_le64(in + 104),
        .branch = ms_get_le64(in + 112),
    };
    memcpy(out->partition_id, in + 8, 16);
    memcpy(out->salt, in + 48, 8);
    if (out->version != JOURNAL_HEAD_VERSION)
        return MS_EVERSION;
    bool sane = out->number > 0 && out->number < JOURNAL_NUMBER_MAX && out->epoch <= out->number &&
                out->prev_number < out->number && out->prev_end <= out->start &&
                out->start % JOURNAL_ALIGN == 0 && out->start < (uint64_t)1 << 62;
    return sane ? MS_OK : MS_EDAMAGED;
}

enum ms_err journal__head_find(const uint8_t *area, struct journal_head *out)
{
    enum ms_err first = journal__head_parse(area, out);
    if (first == MS_OK || first == MS_EVERSION)
        return first;
    enum ms_err second = journal__head_parse(area + JOURNAL_HEAD_COPY_OFFSET, out);
    if (second == MS_OK || second == MS_EVERSION)
        return second;
    return is_zero(area, JOURNAL_DATA_OFFSET) ? MS_ENOTFOUND : MS_EDAMAGED;
}

uint32_t journal__head_seed(const struct journal_head *head)
{
    uint8_t seed[16];
    ms_put_le64(seed, head->epoch);
    memcpy(seed + 8, head->salt, 8);
    return crc32c_add(0, seed, sizeof(seed));
}

void journal__record_seal(struct journal_record_header *h, uint32_t seed)
{
    h->magic = JOURNAL_RECORD_MAGIC;
    h->hdr_crc = 0;
    h->hdr_crc = crc32c_add(seed, h, sizeof(*h));
}

void journal__recovered_emit(const struct journal_recovered *r, uint8_t out[JOURNAL_RECOVERED_BYTES])
{
    ms_put_le64(out, r->from_number);
    ms_put_le64(out + 8, r->tail_start);
    ms_put_le64(out + 16, r->torn_bytes);
    ms_put_le64(out + 24, r->damaged);
}
