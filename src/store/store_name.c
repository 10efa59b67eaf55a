/*
 * store_name.c - mailbox names: UTF-8, '/' between levels, "INBOX" in capitals as the first level.
 */
#include "store_priv.h"

#include "ms/base/codec.h"
#include "ms/base/unicode.h"

/* RFC 9051 5.1: no control characters; '%' and '*' would be wildcards in every LIST that names the mailbox.
 */
static bool byte_is_allowed(uint8_t c)
{
    return c >= 0x20 && c != 0x7f && c != '%' && c != '*';
}

static bool is_inbox(struct slice level)
{
    return slice_ieq(level, SLICE_LIT("INBOX"));
}

static struct slice first_level(struct slice name)
{
    ssize_t at = slice_find_byte(name, '/');

    return at < 0 ? name : slice_sub(name, 0, (size_t)at);
}

enum ms_err store_name_check(struct slice name)
{
    unsigned levels = 1;

    if (name.len == 0 || !utf8_is_valid(name))
        return MS_EINVAL;
    for (size_t i = 0; i < name.len; i++) {
        if (!byte_is_allowed(name.ptr[i]))
            return MS_EINVAL;
        if (name.ptr[i] != '/')
            continue;
        if (i == 0 || i + 1 == name.len || name.ptr[i + 1] == '/')
            return MS_EINVAL; /* a level without a name */
        levels++;
    }
    /* RFC 9051 5.1: INBOX in any case is one mailbox; only the capital form is a key. */
    if (is_inbox(first_level(name)) && !slice_has_prefix(name, SLICE_LIT("INBOX")))
        return MS_EINVAL;
    return name.len > STORE_NAME_MAX || levels > STORE_LEVELS_MAX ? MS_ELIMIT : MS_OK;
}

/* RFC 5198 2: neither C1 controls nor the separators of lines and paragraphs; and nothing that is no
 * character: the mark of byte order and the noncharacters of Unicode. */
static bool is_net_unicode(struct slice name)
{
    while (name.len) {
        uint32_t c;
        size_t n = utf8_parse(name, &c);

        if (n == 0 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
            (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe)
            return false;
        name = slice_sub(name, n, SIZE_MAX);
    }
    return true;
}

enum ms_err store_name_canonical(struct slice name, struct str *out)
{
    size_t from = out->len;
    struct slice made;
    enum ms_err err = unicode_nfc(name, out); /* RFC 9051 5.1: two spellings of one name are one name */

    if (!err) {
        made = slice_make(out->ptr + from, out->len - from);
        if (is_inbox(first_level(made)))
            memcpy(out->ptr + from, "INBOX", 5);
        err = is_net_unicode(made) ? store_name_check(made) : MS_EINVAL;
    }
    if (err)
        str_cut(out, from);
    return err;
}
