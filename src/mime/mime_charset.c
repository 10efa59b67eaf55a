/*
 * mime_charset.c - bytes of any charset to UTF-8, in pieces.
 *
 * Three kinds: UTF-8 (with US-ASCII and what nobody knows), ISO-8859-1, and what iconv knows. A character that
 * the end of a piece cuts is held back and taken again in front of the next piece, so the result does not depend
 * on where the pieces were cut.
 *
 * Opening a descriptor of iconv loads tables. Those not in use are kept, CACHE_MAX at most: the one that was put
 * back first goes first.
 */
#include <errno.h>
#include <iconv.h>
#include <pthread.h>

#include "mime_priv.h"

#include "ms/base/codec.h"
#include "ms/mime/text.h"

#define CACHE_MAX  16
#define OUT_BLOCK  1024
#define GLUE_BYTES 64 /* what is held and the bytes behind it, until it is complete */

enum charset_kind { CHARSET_UTF8, CHARSET_LATIN1, CHARSET_ICONV };

/* -- names */
static const struct {
    const char *name;
    const char *iconv; /* "": UTF-8; "1": ISO-8859-1 */
} aliases[] = {
    {"utf-8", ""},
    {"utf8", ""},
    {"unicode-1-1-utf-8", ""},
    {"us-ascii", ""},
    {"ascii", ""},
    {"ansi_x3.4-1968", ""},
    {"iso-8859-1", "1"},
    {"iso8859-1", "1"},
    {"iso_8859-1", "1"},
    {"latin1", "1"},
    {"l1", "1"},
    /* what mail programs write, and what they mean */
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"x-gbk", "GB18030"},
    {"hz-gb-2312", "HZ"},
    {"ks_c_5601-1987", "CP949"},
    {"euc-kr", "CP949"},
    {"shift_jis", "CP932"},
    {"x-sjis", "CP932"},
    {"x-euc-jp", "EUC-JP"},
    {"iso-8859-8-i", "ISO-8859-8"},
    {"iso-8859-8-e", "ISO-8859-8"},
    {"unicode-1-1-utf-7", "UTF-7"},
    {"x-mac-roman", "MACINTOSH"},
    {"windows-874", "CP874"},
    {"tis-620", "CP874"},
    /* iconv's own insides */
    {"internal", NULL},
    {"wchar_t", NULL},
    {"char", NULL},
};

/* Only letters that names are made of: iconv takes what follows a slash as instructions. */
static bool name_copy(struct slice name, char to[MIME_CHARSET_NAME_MAX + 1])
{
    if (name.len == 0 || name.len > MIME_CHARSET_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];

        if (!ms_ascii_is_alpha(c) && !ms_ascii_is_digit(c) && !strchr("-_.:+()", c))
            return false;
        to[i] = (char)ms_ascii_upper(c);
    }
    to[name.len] = '\0';
    return true;
}

/* What to ask iconv for: "" and "1" as in the table; NULL: that is no name. */
static const char *name_find(struct slice name, char copy[MIME_CHARSET_NAME_MAX + 1])
{
    name = slice_trim(name);
    for (size_t i = 0; i < MS_ARRAY_LEN(aliases); i++)
        if (slice_ieq_cstr(name, aliases[i].name))
            return aliases[i].iconv;
    return name_copy(name, copy) ? copy : NULL;
}

bool mime_charset_is_builtin(struct slice name)
{
    char copy[MIME_CHARSET_NAME_MAX + 1];
    const char *found = name_find(name, copy);

    return found && (found[0] == '\0' || strcmp(found, "1") == 0);
}

/* -- descriptors */
static struct {
    pthread_mutex_t lock;
    size_t count;
    struct {
        iconv_t cd;
        char name[MIME_CHARSET_NAME_MAX + 1];
    } items[CACHE_MAX];
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static iconv_t cache_take(const char *name)
{
    iconv_t cd = (iconv_t)-1;

    pthread_mutex_lock(&cache.lock);
    for (size_t i = 0; i < cache.count; i++)
        if (strcmp(cache.items[i].name, name) == 0) {
            cd = cache.items[i].cd;
            cache.count--;
            memmove(&cache.items[i], &cache.items[i + 1], (cache.count - i) * sizeof cache.items[0]);
            break;
        }
    pthread_mutex_unlock(&cache.lock);
    return cd != (iconv_t)-1 ? cd : iconv_open("UTF-8", name);
}

static void cache_put(iconv_t cd, const char *name)
{
    iconv_t old = (iconv_t)-1;

    iconv(cd, NULL, NULL, NULL, NULL);
    pthread_mutex_lock(&cache.lock);
    if (cache.count == CACHE_MAX) {
        old = cache.items[0].cd;
        cache.count--;
        memmove(&cache.items[0], &cache.items[1], cache.count * sizeof cache.items[0]);
    }
    cache.items[cache.count].cd = cd;
    memcpy(cache.items[cache.count].name, name, sizeof cache.items[0].name);
    cache.count++;
    pthread_mutex_unlock(&cache.lock);
    if (old != (iconv_t)-1)
        iconv_close(old);
}

bool mime_charset_init(struct mime_charset *c, struct slice name)
{
    char copy[MIME_CHARSET_NAME_MAX + 1];
    const char *found = name_find(name, copy);
    iconv_t cd;

    *c = (struct mime_charset){.kind = CHARSET_UTF8};
    if (!found)
        return false;
    if (found[0] == '\0')
        return true;
    if (strcmp(found, "1") == 0) {
        c->kind = CHARSET_LATIN1;
        return true;
    }
    memcpy(c->name, found, strlen(found) + 1);
    cd = cache_take(c->name);
    if (cd == (iconv_t)-1)
        return false;
    c->kind = CHARSET_ICONV;
    c->iconv = cd;
    return true;
}

void mime_charset_fini(struct mime_charset *c)
{
    if (c->kind == CHARSET_ICONV)
        cache_put(c->iconv, c->name);
    *c = (struct mime_charset){.kind = CHARSET_UTF8};
}

/* -- UTF-8 */
/* Bytes that a character with this first byte has; 1 for those that begin none. */
static size_t utf8_want(uint8_t first)
{
    return first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? (first < 0xf0 ? 3 : 1) : first >= 0xc2 ? 2 : 1;
}

/* Could more bytes make a character of this? */
static bool utf8_is_cut(struct slice in)
{
    if (in.len >= utf8_want(in.ptr[0]))
        return false;
    for (size_t i = 1; i < in.len; i++)
        if ((in.ptr[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* Bytes taken; the rest may become a character, unless is_end. */
static size_t utf8_add_some(struct mime_charset *c, struct slice in, bool is_end, struct str *out)
{
    size_t at = 0, good = 0;

    while (at < in.len) {
        struct slice rest = slice_sub(in, at, SIZE_MAX);
        uint32_t code_point;
        size_t n = rest.ptr[0] < 0x80 ? 1 : utf8_parse(rest, &code_point);

        if (n > 0) {
            at += n;
            continue;
        }
        str_add_slice(out, slice_sub(in, good, at - good));
        good = at;
        if (!is_end && utf8_is_cut(rest))
            return at;
        utf8_add(out, in.ptr[at]);
        c->bad++;
        good = ++at;
    }
    str_add_slice(out, slice_sub(in, good, at - good));
    return at;
}

/* -- ISO-8859-1 */
static void latin1_add(struct slice in, struct str *out)
{
    uint8_t *to = str_reserve(out, in.len * 2);
    size_t n = 0;

    if (!to)
        return;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t b = in.ptr[i];

        if (b >= 0x80)
            to[n++] = (uint8_t)(0xc0 | b >> 6);
        to[n++] = b < 0x80 ? b : (uint8_t)(0x80 | (b & 0x3f));
    }
    str_advance(out, n);
}

/* -- iconv */
/* Bytes taken; the rest may become a character, unless is_end. */
static size_t iconv_add_some(struct mime_charset *c, struct slice in, bool is_end, struct str *out)
{
    char block[OUT_BLOCK], *from = (char *)(uintptr_t)in.ptr;
    size_t left = in.len;

    while (left > 0) {
        char *to = block;
        size_t room = sizeof block, before = left;
        size_t rc = iconv(c->iconv, &from, &left, &to, &room);
        int err = rc == (size_t)-1 ? errno : 0;

        str_add(out, block, sizeof block - room);
        if (err == 0 || (err == E2BIG && (left < before || room < sizeof block)))
            continue;
        if (err == EINVAL && !is_end && left <= MIME_CHARSET_HELD_MAX)
            break;
        utf8_add(out, 0xfffd);
        c->bad++;
        from++;
        left--;
    }
    return in.len - left;
}

/* -- all of them */
static size_t add_some(struct mime_charset *c, struct slice in, bool is_end, struct str *out)
{
    switch (c->kind) {
    case CHARSET_UTF8:
        return utf8_add_some(c, in, is_end, out);
    case CHARSET_LATIN1:
        latin1_add(in, out);
        return in.len;
    default:
        return iconv_add_some(c, in, is_end, out);
    }
}

static void hold(struct mime_charset *c, const uint8_t *from, size_t len)
{
    MS_ASSERT(len <= MIME_CHARSET_HELD_MAX);
    memmove(c->held, from, len);
    c->held_len = (uint8_t)len;
}

/* What is held and the first bytes of in. Gives what is left of in. */
static struct slice add_held(struct mime_charset *c, struct slice in, struct str *out)
{
    uint8_t glue[GLUE_BYTES];

    while (c->held_len > 0 && in.len > 0) {
        size_t old = c->held_len, more = MS_MIN(in.len, sizeof glue - old), used;

        memcpy(glue, c->held, old);
        memcpy(glue + old, in.ptr, more);
        used = add_some(c, slice_make(glue, old + more), false, out);
        if (used >= old) { /* the others are taken where they stand */
            c->held_len = 0;
            return slice_sub(in, used - old, SIZE_MAX);
        }
        hold(c, glue + used, old + more - used);
        in = slice_sub(in, more, SIZE_MAX);
    }
    return in;
}

void mime_charset_add(struct mime_charset *c, struct slice in, struct str *out)
{
    size_t used;

    in = add_held(c, in, out);
    if (in.len == 0)
        return;
    used = add_some(c, in, false, out);
    hold(c, in.ptr + used, in.len - used);
}

void mime_charset_finish(struct mime_charset *c, struct str *out)
{
    uint8_t held[MIME_CHARSET_HELD_MAX];
    size_t len = c->held_len;

    memcpy(held, c->held, len);
    c->held_len = 0;
    add_some(c, slice_make(held, len), true, out);
    if (c->kind == CHARSET_ICONV) {
        char block[OUT_BLOCK], *to = block;
        size_t room = sizeof block;

        iconv(c->iconv, NULL, NULL, &to, &room);
        str_add(out, block, sizeof block - room);
    }
}

enum ms_err mime_charset_to_utf8(struct slice charset, struct slice in, struct str *out)
{
    struct mime_charset c;
    bool is_known = mime_charset_init(&c, charset), is_good;

    if (is_known) {
        mime_charset_add(&c, in, out);
        mime_charset_finish(&c, out);
    }
    is_good = c.bad == 0;
    mime_charset_fini(&c);
    return !is_known ? MS_EUNSUPPORTED : is_good ? MS_OK : MS_EINVAL;
}
