/*
 * fuzz_maildrop.c - hostile files of the maildrop and hostile input of sendmail. The first byte chooses:
 * 0 a file (its sums are made right, so that what stands behind them is reached), 1 lines of a program,
 * 2 a header with recipients, else an address. What can be read as a head is written again and must be
 * the same bytes. Needs: libms_maildrop. Corpus: corpus/maildrop.
 */
#include "ms/base/sum.h"
#include "ms/maildrop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *head, size_t size)
{
    size_t bytes = size >= MAILDROP_HEAD_MIN ? ms_get_le32(head + 8) : 0;
    if (bytes >= 16 && bytes <= size)
        ms_put_le32(head + 12, crc32c_add(crc32c_add(0, head, 12), head + 16, bytes - 16));
}

static void file(struct slice in)
{
    struct maildrop_mail mail;
    struct arena a;
    struct str out;
    size_t need;
    uint8_t *copy = ms_memdup(in.ptr, in.len);
    arena_init(&a, 0);
    str_init(&out, 0);
    seal(copy, in.len);
    if (maildrop_head_parse(slice_make(copy, in.len), &a, &mail, &need) == MS_OK) {
        MS_ASSERT(maildrop_head_emit(&mail, &out) == MS_OK);
        MS_ASSERT(slice_eq(str_slice(&out), slice_make(copy, need)));
    }
    (void)!maildrop_tail_parse(slice_sub(in, in.len - MS_MIN(in.len, MAILDROP_TAIL_BYTES), in.len), in.len,
                               true, 0);
    str_fini(&out);
    arena_fini(&a);
    ms_free(copy);
}

/* However it is cut, the same lines, and no bare CR or LF among them. */
static void lines(struct slice in)
{
    struct maildrop_text whole = {.dots_are_text = in.len & 1}, cut = whole;
    struct str a, b;
    str_init(&a, 0);
    str_init(&b, 0);
    maildrop_text_feed(&whole, in, &a);
    maildrop_text_end(&whole, &a);
    for (size_t i = 0; i < in.len; i++)
        maildrop_text_feed(&cut, slice_sub(in, i, 1), &b);
    maildrop_text_end(&cut, &b);
    MS_ASSERT(slice_eq(str_slice(&a), str_slice(&b)) && whole.ended == cut.ended &&
              whole.has_nul == cut.has_nul);
    for (size_t i = 0; i < a.len; i++)
        MS_ASSERT((a.ptr[i] == '\n') == (i > 0 && a.ptr[i - 1] == '\r'));
    str_fini(&a);
    str_fini(&b);
}

static void header(struct slice in)
{
    struct maildrop_rcpts list = {0};
    struct maildrop_fix fix = {
        .hostname = SLICE_LIT("h"), .default_domain = SLICE_LIT("d"), .trace = SLICE_LIT("1-m1")};
    struct slice bad, again;
    struct arena a;
    struct str out;
    size_t bytes;
    arena_init(&a, 0);
    str_init(&out, 0);
    if (maildrop_header_end(in, true, &bytes) == MS_OK) {
        MS_ASSERT(bytes <= in.len);
        maildrop_header_fix(&fix, slice_sub(in, 0, bytes), &out);
        str_reset(&out);
        (void)!maildrop_header_recipients(slice_sub(in, 0, bytes), &a, &list, &out, &bad);
        MS_ASSERT(out.len <= bytes + 2);
    }
    for (size_t i = 0; i < list.count; i++) /* what is taken is in wire form: it is read as itself */
        MS_ASSERT(maildrop_address_parse(list.items[i].address, &a, &again) != MS_OK ||
                  slice_eq(again, list.items[i].address));
    maildrop_rcpts_fini(&list);
    str_fini(&out);
    arena_fini(&a);
}

static void address(struct slice in)
{
    struct slice out;
    struct arena a;
    struct str phrase;
    arena_init(&a, 0);
    str_init(&phrase, 0);
    if (maildrop_address_parse(in, &a, &out) == MS_OK)
        MS_ASSERT(out.len <= MAILDROP_ADDRESS_MAX);
    maildrop_phrase_emit(&phrase, in, in.len & 1);
    str_fini(&phrase);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(data + 1, size ? size - 1 : 0);
    if (size == 0)
        return 0;
    if (data[0] == 0)
        file(in);
    else if (data[0] == 1)
        lines(in);
    else if (data[0] == 2)
        header(in);
    else
        address(in);
    return 0;
}
