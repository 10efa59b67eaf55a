/*
 * mbx_uidlist.c - Dovecot's list of UIDs of a Maildir.
 *
 *   version 1:  "1 UIDVALIDITY NEXTUID", then "UID FILE"
 *   version 3:  "3 V<uidvalidity> N<nextuid> G<guid>", then "UID [X<value>]... :FILE"
 *
 * FILE is the base name; flags behind it are possible and not meant. A line that makes no sense costs its
 * message the UID, nothing else.
 */
#include "mbx_files.h"

static enum ms_err head_v1(struct slice rest, struct mbx_uidlist *out)
{
    struct slice word;
    uint64_t validity, next;
    if (!slice_cut(&rest, ' ', &word) || slice_to_u64(word, UINT32_MAX, &validity) ||
        slice_to_u64(slice_trim(rest), UINT32_MAX, &next) || validity == 0)
        return MS_ESYNTAX;
    out->uidvalidity = (uint32_t)validity;
    out->uidnext = (uint32_t)next;
    return MS_OK;
}

static enum ms_err head_v3(struct slice rest, struct mbx_uidlist *out)
{
    struct slice word;
    uint64_t v;
    while (rest.len) {
        if (!slice_cut(&rest, ' ', &word)) {
            word = rest;
            rest.len = 0;
        }
        if (word.len < 2 || (word.ptr[0] != 'V' && word.ptr[0] != 'N'))
            continue;
        if (slice_to_u64(slice_sub(word, 1, SIZE_MAX), UINT32_MAX, &v))
            return MS_ESYNTAX;
        *(word.ptr[0] == 'V' ? &out->uidvalidity : &out->uidnext) = (uint32_t)v;
    }
    return out->uidvalidity ? MS_OK : MS_ESYNTAX;
}

static enum ms_err parse_head(struct slice line, unsigned *version_out, struct mbx_uidlist *out)
{
    struct slice version, rest = slice_trim(line);
    uint64_t v;
    if (!slice_cut(&rest, ' ', &version) || slice_to_u64(version, UINT32_MAX, &v))
        return MS_ESYNTAX;
    *version_out = (unsigned)v;
    return v == 1 ? head_v1(rest, out) : v == 3 ? head_v3(rest, out) : MS_EVERSION;
}

static bool parse_entry(unsigned version, struct slice line, uint32_t *uid_out, struct slice *base_out)
{
    struct slice uid, rest = line;
    uint64_t v;
    while (rest.len && (rest.ptr[rest.len - 1] == '\n' || rest.ptr[rest.len - 1] == '\r'))
        rest.len--;
    if (!slice_cut(&rest, ' ', &uid) || slice_to_u64(uid, UINT32_MAX - 1, &v) || v == 0)
        return false;
    if (version == 3) { /* the file's name is what stands behind the first " :" */
        ssize_t at = rest.len && rest.ptr[0] == ':' ? 0 : slice_find(rest, SLICE_LIT(" :"));
        if (at < 0)
            return false;
        rest = slice_sub(rest, (size_t)at + (rest.ptr[at] == ' ' ? 2 : 1), SIZE_MAX);
    }
    *uid_out = (uint32_t)v;
    *base_out = mbx_maildir_base(rest);
    return base_out->len > 0 && base_out->len <= MBX_FILE_MAX && slice_find_byte(*base_out, '/') < 0;
}

static enum ms_err parse_entries(struct mbx_lines *lines, unsigned version, mbx_uidlist_fn *fn, void *owner,
                                 struct mbx_uidlist *out)
{
    struct mbx_line line;
    enum ms_err err;
    while ((err = mbx_lines_next(lines, &line)) == MS_OK) {
        struct slice base;
        uint32_t uid;
        if (!line.is_begin || !parse_entry(version, line.text, &uid, &base)) {
            out->ignored++;
            continue;
        }
        out->uidnext = MS_MAX(out->uidnext, uid + 1);
        fn(owner, uid, base);
    }
    return err == MS_ENOTFOUND ? MS_OK : err;
}

enum ms_err mbx_uidlist_parse(const struct mbx_input *in, mbx_uidlist_fn *fn, void *owner,
                              struct mbx_uidlist *out)
{
    struct mbx_lines lines;
    struct mbx_line line;
    unsigned version;
    memset(out, 0, sizeof *out);
    mbx_lines_init(&lines, in, 0, in->size);
    enum ms_err err = mbx_lines_next(&lines, &line);
    if (err == MS_ENOTFOUND)
        err = MS_ESYNTAX;
    if (!err)
        err = parse_head(line.text, &version, out);
    if (!err)
        err = parse_entries(&lines, version, fn, owner, out);
    mbx_lines_fini(&lines);
    return err;
}
