/*
 * ctl_parse.c - lines of the admin socket: words separated by TAB, with \t \n \\ inside a word. Both
 * directions.
 */
#include "app.h"

#include "ms/base/arena.h"

/* A word has no NUL on the way: parsing refuses it. */
static void emit_word(struct str *out, struct slice word)
{
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.ptr[i];
        if (c == '\t' || c == '\n' || c == '\\')
            str_add_byte(out, '\\');
        str_add_byte(out, c == '\t' ? 't' : c == '\n' ? 'n' : c == 0 ? '?' : c);
    }
}

void ctl_emit_slices(struct str *out, const struct slice *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            str_add_byte(out, '\t');
        emit_word(out, words[i]);
    }
    str_add_byte(out, '\n');
}

void ctl_emit_words(struct str *out, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            str_add_byte(out, '\t');
        emit_word(out, slice_cstr(words[i]));
    }
    str_add_byte(out, '\n');
}

static enum ms_err word_unescape(struct arena *a, struct slice raw, struct slice *out)
{
    uint8_t *to = arena_alloc(a, raw.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t c = raw.ptr[i];
        if (c == 0)
            return MS_ESYNTAX;
        if (c == '\\') {
            if (++i >= raw.len)
                return MS_ESYNTAX;
            c = raw.ptr[i];
            if (c != 't' && c != 'n' && c != '\\')
                return MS_ESYNTAX;
            c = c == 't' ? '\t' : c == 'n' ? '\n' : c;
        }
        to[len++] = c;
    }
    *out = slice_make(to, len);
    return MS_OK;
}

enum ms_err ctl_parse_words(struct arena *a, struct slice line, struct slice words[CTL_WORDS_MAX],
                            size_t *count_out)
{
    struct slice word;
    size_t n = 0;
    for (bool more = true; more;) {
        more = slice_cut(&line, '\t', &word);
        if (!more)
            word = line;
        if (n == CTL_WORDS_MAX)
            return MS_ELIMIT;
        MS_TRY(word_unescape(a, word, &words[n++]));
    }
    *count_out = n;
    return MS_OK;
}
