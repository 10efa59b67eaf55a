/*
 * mbx_maildir_name.c - what names of files in a Maildir say, and mailbox names as names of files.
 */
#include "mbx_files.h"

#include "ms/base/codec.h"

#define DOT_CODE   "&AC4-" /* "." */
#define SLASH_CODE "&AC8-" /* "/": no mailbox has it in a level */

static ssize_t info_at(struct slice file)
{
    ssize_t at = slice_find(file, SLICE_LIT(":2,"));
    return at >= 0 ? at : slice_rfind_byte(file, ':');
}

struct slice mbx_maildir_base(struct slice file)
{
    ssize_t at = info_at(file);
    return at < 0 ? file : slice_sub(file, 0, (size_t)at);
}

void mbx_maildir_flags(struct slice file, const struct slice letters[26], struct mbx_meta *out)
{
    static const struct {
        char letter;
        unsigned flag;
    } known[] = {{'D', IMAP_FLAG_DRAFT},
                 {'F', IMAP_FLAG_FLAGGED},
                 {'R', IMAP_FLAG_ANSWERED},
                 {'S', IMAP_FLAG_SEEN},
                 {'T', IMAP_FLAG_DELETED}};
    ssize_t at = slice_find(file, SLICE_LIT(":2,"));
    struct slice info = at < 0 ? (struct slice){0} : slice_sub(file, (size_t)at + 3, SIZE_MAX);
    for (size_t i = 0; i < info.len && info.ptr[i] != ','; i++) { /* ",": what other programs put behind */
        for (size_t k = 0; k < MS_ARRAY_LEN(known); k++)
            out->flags |= info.ptr[i] == (uint8_t)known[k].letter ? known[k].flag : 0;
        if (info.ptr[i] == 'P') /* passed: resent, forwarded, bounced */
            mbx_meta_add(out, SLICE_LIT("$Forwarded"));
        if (info.ptr[i] >= 'a' && info.ptr[i] <= 'z' && letters[info.ptr[i] - 'a'].len)
            mbx_meta_add(out, letters[info.ptr[i] - 'a']);
    }
}

bool mbx_maildir_size(struct slice file, char which, uint64_t *size_out)
{
    struct slice rest = mbx_maildir_base(file), field;
    while (rest.len) {
        if (!slice_cut(&rest, ',', &field)) {
            field = rest;
            rest.len = 0;
        }
        if (field.len > 2 && field.ptr[0] == (uint8_t)which && field.ptr[1] == '=' &&
            slice_to_u64(slice_sub(field, 2, SIZE_MAX), INT64_MAX, size_out) == MS_OK)
            return true;
    }
    return false;
}

bool mbx_keyword_line(struct slice line, unsigned *index_out, struct slice *name_out)
{
    struct slice number;
    uint64_t index;
    line = slice_trim(line);
    if (!slice_cut(&line, ' ', &number) || slice_to_u64(number, MBX_KEYWORDS_MAX - 1, &index))
        return false;
    *index_out = (unsigned)index;
    *name_out = slice_trim(line);
    return name_out->len > 0;
}

/* -- mailbox names */
enum ms_err mbx_level_emit(struct slice level, struct str *out)
{
    struct slice piece;
    while (slice_cut(&level, '.', &piece)) {
        MS_TRY(utf7imap_emit(piece, out));
        str_add_cstr(out, DOT_CODE);
    }
    return utf7imap_emit(level, out);
}

/* Modified UTF-7, or UTF-8 as some stores have it. */
static enum ms_err piece_parse(struct slice text, struct str *out)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return MS_EINVAL;
    if (slice_find_byte(text, '/') >= 0)
        return MS_EINVAL;
    if (utf7imap_parse(text, out) == MS_OK)
        return MS_OK;
    if (!utf8_is_valid(text))
        return MS_EINVAL;
    str_add_slice(out, text);
    return MS_OK;
}

enum ms_err mbx_level_parse(struct slice text, struct str *out)
{
    size_t begun = out->len;
    ssize_t dot;
    if (text.len == 0 || slice_find(text, SLICE_LIT(SLASH_CODE)) >= 0)
        return MS_EINVAL;
    while ((dot = slice_find(text, SLICE_LIT(DOT_CODE))) >= 0) {
        MS_TRY(piece_parse(slice_sub(text, 0, (size_t)dot), out));
        str_add_byte(out, '.');
        text = slice_sub(text, (size_t)dot + strlen(DOT_CODE), SIZE_MAX);
    }
    MS_TRY(piece_parse(text, out));
    struct slice level = slice_sub(str_slice(out), begun, SIZE_MAX);
    for (size_t i = 0; i < level.len; i++)
        if (level.ptr[i] == '/' || level.ptr[i] < ' ')
            return MS_EINVAL;
    return str_is_over(out) ? MS_ELIMIT : MS_OK;
}

enum ms_err mbx_name_emit(struct slice name, char sep, struct str *out)
{
    struct slice level;
    while (slice_cut(&name, '/', &level)) {
        MS_TRY(mbx_level_emit(level, out));
        str_add_byte(out, (uint8_t)sep);
    }
    return mbx_level_emit(name, out);
}

enum ms_err mbx_name_parse(struct slice text, char sep, struct str *out)
{
    struct slice level;
    while (slice_cut(&text, (uint8_t)sep, &level)) {
        MS_TRY(mbx_level_parse(level, out));
        str_add_byte(out, '/');
    }
    MS_TRY(mbx_level_parse(text, out));
    return out->len > MBX_NAME_MAX ? MS_ELIMIT : MS_OK;
}
