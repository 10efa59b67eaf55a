/*
 * fuzz_import.c - any bytes as a file of users: every record is read or refused, lines never go back, and
 * what a record gives lies within the named bounds. The first byte chooses the format. Needs: the readers of
 * src/app, libms_base. Corpus: corpus/import.
 */
#include "../../src/app/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const struct import_row *row)
{
    size_t sum = 0;
    for (unsigned i = 0; i < IMPORT_FIELD_COUNT; i++) {
        const struct import_value *v = &row->value[i];
        if (!(row->given & IMPORT_BIT(i)))
            continue;
        MS_ASSERT(import_field_is_list((enum import_field)i) ? v->count <= IMPORT_ITEMS_MAX : v->count == 1);
        for (size_t n = 0; n < v->count; n++) {
            MS_ASSERT(!memchr(v->items[n].len ? v->items[n].ptr : (const uint8_t *)"x", 0, v->items[n].len));
            sum += v->items[n].len;
        }
    }
    MS_ASSERT(sum <= IMPORT_RECORD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import_reader r;
    struct import_row row;
    struct ms_errinfo why;
    struct arena arena;
    unsigned long line = 0;
    enum ms_err err;

    if (size < 2)
        return 0;
    FILE *stream = fmemopen((void *)(uintptr_t)(data + 1), size - 1, "r");
    MS_ASSERT(stream);
    arena_init(&arena, 0);
    import_reader_init(&r, stream, (enum import_format)(data[0] % 3));
    while ((err = import_next(&r, &arena, &row, &why)) != MS_ENOTFOUND && err != MS_EUNSUPPORTED) {
        MS_ASSERT(r.line > line);
        line = r.line;
        if (!err)
            check_row(&row);
        arena_reset(&arena);
    }
    import_reader_fini(&r);
    arena_fini(&arena);
    fclose(stream);
    return 0;
}
