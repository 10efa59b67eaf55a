/*
 * fuzz_uidlist.c - any bytes as a list of UIDs, as a name of a file in a Maildir, and as a name of a folder: what is
 * read is within bounds, and a folder's name that can be read and written comes out the same. Needs: src/app/mbx_*.c,
 * libms_base. Corpus: corpus/uidlist.
 */
#include "../../src/app/mbx_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_uid(void *owner, uint32_t uid, struct slice base)
{
    uint32_t *greatest = owner;
    MS_ASSERT(uid > 0 && base.len > 0 && base.len <= MBX_FILE_MAX && slice_find_byte(base, '/') < 0);
    *greatest = MS_MAX(*greatest, uid);
}

static void check_file(struct slice line)
{
    const struct slice letters[26] = {[0] = SLICE_LIT("a"), [25] = line};
    struct mbx_meta meta = {0};
    uint64_t bytes;
    unsigned index;
    struct slice name;
    mbx_maildir_flags(line, letters, &meta);
    MS_ASSERT(meta.keyword_count <= MBX_KEYWORDS_MAX && mbx_maildir_base(line).len <= line.len);
    (void)mbx_maildir_size(line, 'S', &bytes);
    if (mbx_keyword_line(line, &index, &name))
        MS_ASSERT(index < MBX_KEYWORDS_MAX && name.len > 0);
}

static void check_folder(struct slice line, char sep)
{
    struct str name, file, again;
    str_init(&name, 4096);
    str_init(&file, 0);
    str_init(&again, 0);
    if (mbx_name_parse(line, sep, &name) == MS_OK) {
        MS_ASSERT(name.len > 0 && name.len <= MBX_NAME_MAX);
        if (mbx_name_emit(str_slice(&name), sep, &file) == MS_OK) {
            MS_ASSERT(mbx_name_parse(str_slice(&file), sep, &again) == MS_OK);
            MS_ASSERT(slice_eq(str_slice(&name), str_slice(&again)));
        }
    }
    str_fini(&name);
    str_fini(&file);
    str_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mbx_input in = {.fd = -1, .memory = slice_make(data, size), .size = size};
    struct slice rest = in.memory, line;
    struct mbx_uidlist list;
    uint32_t greatest = 0;

    if (mbx_uidlist_parse(&in, on_uid, &greatest, &list) == MS_OK)
        MS_ASSERT(list.uidvalidity && (!greatest || list.uidnext > greatest));
    for (unsigned i = 0; i < 64 && slice_cut(&rest, '\n', &line); i++) {
        check_file(line);
        check_folder(line, '.');
        check_folder(line, '/');
    }
    return 0;
}
