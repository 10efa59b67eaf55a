/*
 * fuzz_mime_cache.c - hostile cache records. The checksum is mended first, or nothing would get past it.
 * Needs: libms_mime, libms_base. Corpus: corpus/mime_cache, dictionary: mime_cache.dict.
 */
#include "ms/base/sum.h"
#include "ms/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct mime_message *m)
{
    static const struct slice names[] = {{(const uint8_t *)"Subject", 7}, {(const uint8_t *)"X-Y", 3}};
    static const uint32_t path[] = {1, 1, 2};
    struct mime_range range;
    struct arena a;
    struct str out;

    arena_init(&a, 0);
    str_init(&out, 0);
    for (size_t i = 0; i < m->part_count && i < 50; i++) {
        struct mime_envelope env;
        struct mime_body body;

        mime_body_get(m, &m->parts[i], &a, &body);
        mime_envelope_get(m, &m->parts[i], &a, &env);
        MS_ASSERT(mime_part_body_off(&m->parts[i]) + m->parts[i].body_bytes <= m->bytes);
        arena_reset(&a);
    }
    for (size_t n = 0; n <= MS_ARRAY_LEN(path); n++) {
        for (unsigned sect = MIME_SECT_BODY; sect <= MIME_SECT_MIME; sect++) {
            if (mime_message_section(m, path, n, (enum mime_sect)sect, &range) == MS_OK)
                MS_ASSERT(range.off <= m->bytes && range.bytes <= m->bytes - range.off);
        }
    }
    mime_message_emit_fields(m, names, MS_ARRAY_LEN(names), &out);
    str_fini(&out);
    arena_fini(&a);
}

/* A record that was read can be written and read again, and then it is the same. */
static void check_again(const struct mime_message *m)
{
    struct mime_message back;
    struct str first, second;

    str_init(&first, 0);
    str_init(&second, 0);
    mime_message_init(&back);
    MS_ASSERT(mime_cache_emit(m, &first) == MS_OK);
    MS_ASSERT(mime_cache_parse(str_slice(&first), &back) == MS_OK);
    MS_ASSERT(back.part_count == m->part_count && back.field_count == m->field_count);
    MS_ASSERT(mime_cache_emit(&back, &second) == MS_OK);
    MS_ASSERT(slice_eq(str_slice(&first), str_slice(&second)));
    mime_message_fini(&back);
    str_fini(&second);
    str_fini(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mime_message m;
    uint8_t *copy;

    mime_message_init(&m);
    if (mime_cache_parse(slice_make(data, size), &m) == MS_OK)
        use(&m);
    mime_message_reset(&m);
    if (size >= 24) {
        copy = ms_memdup(data, size);
        ms_put_le32(copy + 4, crc32c_add(crc32c_add(0, copy, 4), copy + 8, size - 8));
        if (mime_cache_parse(slice_make(copy, size), &m) == MS_OK) {
            use(&m);
            check_again(&m);
        }
        mime_message_reset(&m); /* it points into the copy */
        ms_free(copy);
    }
    mime_message_fini(&m);
    return 0;
}
