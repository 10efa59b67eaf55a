/*
 * fuzz_mime_decode.c - transfer decoding: cut anywhere it gives what the decoders of base give for the whole.
 * First byte: encoding and size of the pieces. Needs: libms_mime, libms_base. Corpus: corpus/mime_decode.
 */
#include "ms/base/codec.h"
#include "ms/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(enum mime_encoding encoding, struct slice in, size_t step, struct str *out)
{
    struct mime_decoder d;

    mime_decoder_init(&d, encoding);
    for (size_t at = 0; at < in.len; at += step) {
        struct slice piece = slice_sub(in, at, step);
        uint8_t *copy = ms_memdup(piece.ptr, piece.len); /* so that reading past it is seen */
        size_t before = out->len;

        mime_decoder_add(&d, slice_make(copy, piece.len), out);
        MS_ASSERT(out->len - before <= piece.len + MIME_DECODER_HELD_MAX + 3);
        ms_free(copy);
    }
    mime_decoder_finish(&d, out);
}

/* Runs of blanks that the decoder does not hold back to their end. */
static bool has_long_blanks(struct slice in)
{
    size_t run = 0;

    for (size_t i = 0; i < in.len; i++) {
        run = in.ptr[i] == ' ' || in.ptr[i] == '\t' ? run + 1 : 0;
        if (run > MIME_DECODER_HELD_MAX)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(size ? data + 1 : NULL, size ? size - 1 : 0);
    enum mime_encoding encoding = size ? data[0] % 3 : 0, named;
    struct str pieces, whole;

    str_init(&pieces, 0);
    str_init(&whole, 0);
    decode(encoding, in, size ? data[0] / 3 + 1 : 1, &pieces);
    if (encoding == MIME_ENCODING_BASE64)
        base64_parse_lax(in, &whole);
    else if (encoding == MIME_ENCODING_QP)
        qp_parse_lax(in, &whole);
    else
        str_add_slice(&whole, in);
    if (encoding != MIME_ENCODING_QP || !has_long_blanks(in))
        MS_ASSERT(slice_eq(str_slice(&pieces), str_slice(&whole)));
    if (mime_encoding_find(in, &named) != MS_OK)
        MS_ASSERT(named == MIME_ENCODING_IDENTITY);
    str_fini(&whole);
    str_fini(&pieces);
    return 0;
}
