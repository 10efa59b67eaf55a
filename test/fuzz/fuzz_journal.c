/*
 * fuzz_journal.c - any bytes as a segment: header, scan with and without a known end, seek.
 *
 * Input: one byte of options, JOURNAL_HEADER_BYTES of header, then what lies at JOURNAL_DATA_OFFSET.
 * Checksums would stop nearly every mutation at the door, so by option they are made good first: bit 0 the
 * header's, bit 1 the seal and bit 2 the payload of every record that can be walked to, bit 3 the chain. Bit
 * 4: all batches are known durable.
 */
#include "../../src/journal/journal_priv.h"
#include "ms/base/sum.h"

#define DATA_MAX ((size_t)256 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair_records(uint8_t *image, size_t bytes, const struct journal_head *head, uint8_t options)
{
    uint32_t prev = head->prev_crc;
    size_t at = JOURNAL_DATA_OFFSET;
    while (at + JOURNAL_RECORD_BYTES <= bytes) {
        struct journal_record_header h;
        memcpy(&h, image + at, sizeof(h));
        if (h.magic != JOURNAL_RECORD_MAGIC || h.bytes < JOURNAL_RECORD_BYTES || h.bytes > bytes - at) {
            at += JOURNAL_ALIGN;
            continue;
        }
        if (options & 4)
            h.payload_crc = crc32c_add(0, image + at + JOURNAL_RECORD_BYTES, h.bytes - JOURNAL_RECORD_BYTES);
        if (options & 8)
            h.prev_crc = prev;
        if (options & 2) {
            h.position = head->start + (at - JOURNAL_DATA_OFFSET);
            journal__record_seal(&h, journal__head_seed(head));
        }
        memcpy(image + at, &h, sizeof(h));
        prev = h.hdr_crc;
        at += (size_t)journal__space(h.bytes);
    }
}

/* Everything between start and end is told exactly once, in order. */
static void run(const struct journal_head *head, struct journal_src src, uint64_t end, uint64_t durable,
                uint64_t seek)
{
    struct journal_scan s;
    struct journal_record rec;
    enum journal_found found;
    journal__scan_init(&s, head, src, end, durable);
    (void)journal__scan_seek(&s, seek);
    uint64_t at = s.at;
    while ((found = journal__scan_next(&s, &rec)) != JOURNAL_FOUND_END) {
        uint64_t from = found == JOURNAL_FOUND_RECORD ? rec.position : s.damage_from;
        uint64_t to = found == JOURNAL_FOUND_RECORD ? rec.end : s.damage_to;
        MS_ASSERT(from == at && to > from && to <= s.limit);
        MS_ASSERT(found != JOURNAL_FOUND_RECORD || rec.payload.len == rec.payload_bytes);
        at = to;
    }
    MS_ASSERT(s.at == at);
    journal__scan_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct journal_head head;
    if (size < 1 + JOURNAL_HEADER_BYTES || size > 1 + JOURNAL_HEADER_BYTES + DATA_MAX)
        return 0;
    uint8_t options = data[0];
    size_t bytes = JOURNAL_DATA_OFFSET + (size - 1 - JOURNAL_HEADER_BYTES);
    uint8_t *image = ms_alloc(bytes);
    memcpy(image, data + 1, JOURNAL_HEADER_BYTES);
    memcpy(image + JOURNAL_DATA_OFFSET, data + 1 + JOURNAL_HEADER_BYTES, bytes - JOURNAL_DATA_OFFSET);
    if (options & 1)
        ms_put_le32(image + JOURNAL_HEADER_BYTES - 4, crc32c_add(0, image, JOURNAL_HEADER_BYTES - 4));
    if (journal__head_find(image, &head) == MS_OK) {
        struct journal_src src = {.fd = -1, .mem = image, .bytes = bytes};
        uint64_t limit = head.start + (bytes - JOURNAL_DATA_OFFSET);
        repair_records(image, bytes, &head, options);
        run(&head, src, UINT64_MAX, options & 16 ? limit : 0, head.start);
        run(&head, src, head.start + (options >> 5) * 1000, 0, head.start);
        run(&head, src, limit, 0, head.start + (options >> 5) * 8);
        (void)journal__scan_is_complete(&head, src);
    }
    ms_free(image);
    return 0;
}
