/*
 * fuzz_mbox.c - any bytes as an mbox: messages follow each other and lie in the file, what goes to the server has no
 * bare LF but those that a CR stands before, and keywords are atoms. Needs: src/app/mbx_*.c, libms_base. Corpus:
 * corpus/mbox.
 */
#include "../../src/app/mbx_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bytes(const struct mbx_input *in, const struct mbx_mbox_message *m, enum mbx_form form)
{
    struct mbx_bytes b;
    struct str out;
    enum ms_err err;
    uint8_t last = 0;
    str_init(&out, 0);
    mbx_bytes_init(&b, in, m->head, m->end, form);
    b.body = m->body;
    b.unquote = !m->length_is_true;
    b.drop_length = m->length_is_true;
    do {
        err = mbx_bytes_next(&b, &out);
        for (size_t i = 0; i < out.len; i++) {
            MS_ASSERT(form == MBX_AS_IS || out.ptr[i] != '\n' || last == '\r');
            last = out.ptr[i];
        }
        str_reset(&out);
    } while (!err);
    MS_ASSERT(err == MS_ENOTFOUND);
    mbx_bytes_fini(&b);
    str_fini(&out);
}

static void check_message(const struct mbx_input *in, const struct mbx_mbox_message *m, uint64_t behind)
{
    MS_ASSERT(behind <= m->at && m->at < m->head && m->head <= m->body && m->body <= m->end &&
              m->end <= in->size);
    MS_ASSERT(m->meta.keyword_count <= MBX_KEYWORDS_MAX);
    for (size_t i = 0; i < m->meta.keyword_count; i++)
        MS_ASSERT(m->meta.keywords[i].len && slice_find_byte(m->meta.keywords[i], ' ') < 0);
    check_bytes(in, m, MBX_MBOX);
    check_bytes(in, m, MBX_TEXT);
    check_bytes(in, m, MBX_AS_IS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mbx_input in = {.fd = -1, .memory = slice_make(data, size), .size = size};
    struct mbx_mbox_message message;
    struct mbx_mbox mbox;
    uint64_t behind = 0;
    enum ms_err err;

    mbx_mbox_init(&mbox, &in);
    while ((err = mbx_mbox_next(&mbox, &message)) == MS_OK) {
        check_message(&in, &message, behind);
        behind = message.end;
    }
    MS_ASSERT(err == MS_ENOTFOUND || (err == MS_ESYNTAX && behind == 0));
    mbx_mbox_fini(&mbox);
    return 0;
}
