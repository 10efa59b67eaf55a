/*
 * mime_text.c - what of a part or a header field is text, and its way to the matcher:
 *
 *   bytes --transfer encoding--> decoded --charset--> utf8 --case--> mapped --> window
 *                                             HTML: utf8 --tags--> plain --case--> mapped --> html_window
 *
 * HTML is looked at twice: a key may be a word of the text or an address inside a tag.
 */
#include "mime_priv.h"

#include "ms/base/unicode.h"
#include "ms/mime/text.h"

/* -- kinds */
static struct slice field_value(const struct mime_message *m, const struct mime_part *part,
                                enum mime_field_id id)
{
    const struct mime_field *field = mime_part_field(m, part, id, NULL);

    return field ? mime_field_value(field) : slice_make(NULL, 0);
}

bool mime_text_kind_find(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                         struct mime_text_kind *out)
{
    struct mime_content content;
    struct slice type = field_value(m, part, MIME_FIELD_CONTENT_TYPE), charset;
    bool is_text;

    *out = (struct mime_text_kind){.encoding = MIME_ENCODING_IDENTITY};
    if (part->kind != MIME_PART_LEAF && !(part->flags & MIME_PART_OPAQUE))
        return false;
    if (mime_encoding_find(field_value(m, part, MIME_FIELD_CONTENT_TRANSFER_ENCODING), &out->encoding) !=
        MS_OK)
        out->encoding = MIME_ENCODING_IDENTITY;
    if (mime_content_type_parse(type, a, &content) != MS_OK)
        return true; /* RFC 2045 5.2: text/plain */
    is_text = slice_ieq_cstr(content.type, "text");
    if (mime_param_find(&content, "charset", a, &out->charset, &charset) && !is_text)
        out->charset = slice_make(NULL, 0);
    out->is_html =
        is_text && (slice_ieq_cstr(content.subtype, "html") || slice_ieq_cstr(content.subtype, "xhtml"));
    return is_text || slice_ieq_cstr(content.type, "message") || slice_ieq_cstr(content.type, "multipart");
}

/* -- life */
void mime_text_init(struct mime_text *t, struct mime_matcher *matcher)
{
    *t = (struct mime_text){.matcher = matcher};
    mime_window_init(&t->window);
    mime_window_init(&t->html_window);
    str_init(&t->decoded, 0);
    str_init(&t->utf8, 0);
    str_init(&t->plain, 0);
    str_init(&t->mapped, 0);
}

void mime_text_fini(struct mime_text *t)
{
    if (t->is_open)
        mime_charset_fini(&t->charset);
    mime_window_fini(&t->window);
    mime_window_fini(&t->html_window);
    str_fini(&t->decoded);
    str_fini(&t->utf8);
    str_fini(&t->plain);
    str_fini(&t->mapped);
    t->is_open = false;
}

void mime_text_begin(struct mime_text *t, const struct mime_text_kind *kind)
{
    if (t->is_open)
        mime_charset_fini(&t->charset);
    t->is_open = true;
    t->is_html = kind->is_html;
    mime_decoder_init(&t->decoder, kind->encoding);
    mime_charset_init(&t->charset, kind->charset.len ? kind->charset : SLICE_LIT("us-ascii"));
    mime_html_init(&t->html);
    mime_window_begin(&t->window);
    mime_window_begin(&t->html_window);
}

/* -- the way */
static void look_at(struct mime_text *t, struct mime_window *w, struct slice utf8)
{
    str_reset(&t->mapped);
    unicode_casemap(utf8, &t->mapped);
    mime_window_add(w, t->matcher, str_slice(&t->mapped));
}

static void add_piece(struct mime_text *t, struct slice bytes, bool is_last)
{
    str_reset(&t->decoded);
    str_reset(&t->utf8);
    mime_decoder_add(&t->decoder, bytes, &t->decoded);
    if (is_last)
        mime_decoder_finish(&t->decoder, &t->decoded);
    mime_charset_add(&t->charset, str_slice(&t->decoded), &t->utf8);
    if (is_last)
        mime_charset_finish(&t->charset, &t->utf8);
    look_at(t, &t->window, str_slice(&t->utf8));
    if (!t->is_html)
        return;
    str_reset(&t->plain);
    mime_html_add(&t->html, str_slice(&t->utf8), &t->plain);
    if (is_last)
        mime_html_finish(&t->html, &t->plain);
    look_at(t, &t->html_window, str_slice(&t->plain));
}

void mime_text_add(struct mime_text *t, struct slice bytes)
{
    while (bytes.len > 0) {
        add_piece(t, slice_sub(bytes, 0, MIME_TEXT_PIECE_MAX), false);
        bytes = slice_sub(bytes, MIME_TEXT_PIECE_MAX, SIZE_MAX);
    }
}

void mime_text_end(struct mime_text *t)
{
    add_piece(t, slice_make(NULL, 0), true);
    mime_charset_fini(&t->charset);
    t->is_open = false;
}

/* -- header fields */
static void map_words(struct slice text, struct arena *a, struct str *out)
{
    struct str utf8;

    str_init(&utf8, 0);
    mime_words_decode(mime_unfold(text, a), &utf8);
    unicode_casemap(str_slice(&utf8), out);
    str_fini(&utf8);
}

/* "name=value" of a parameter that is written as RFC 2231 says, when param is its first piece. */
static void map_param(const struct mime_content *content, const struct mime_param *param, struct arena *a,
                      struct str *out)
{
    struct slice piece = param->name, name, value, charset;
    struct str utf8;

    if (!slice_cut(&piece, '*', &name))
        return;
    if (piece.len > 0 && !slice_eq_cstr(piece, "0") && !slice_eq_cstr(piece, "0*"))
        return;
    if (!mime_param_find(content, arena_dup_cstr(a, name), a, &value, &charset))
        return;
    str_init(&utf8, 0);
    if (mime_charset_to_utf8(charset.len ? charset : SLICE_LIT("utf-8"), value, &utf8) == MS_EUNSUPPORTED)
        str_add_slice(&utf8, value);
    str_add_byte(out, 0);
    unicode_casemap(name, out);
    str_add_byte(out, '=');
    unicode_casemap(str_slice(&utf8), out);
    str_fini(&utf8);
}

static void map_params(struct slice name, struct slice value, struct arena *a, struct str *out)
{
    struct mime_content content;
    enum ms_err err;

    if (!slice_has_iprefix(name, SLICE_LIT("Content-")) || slice_find_byte(value, '*') < 0)
        return;
    err = slice_ieq_cstr(name, "Content-Type") ? mime_content_type_parse(value, a, &content)
                                               : mime_disposition_parse(value, a, &content);
    for (size_t i = 0; !err && i < content.param_count; i++)
        map_param(&content, &content.params[i], a, out);
}

void mime_text_value(struct slice name, struct slice value, struct arena *a, struct str *out)
{
    map_words(value, a, out);
    map_params(name, value, a, out);
}

void mime_text_field(struct mime_text *t, const struct mime_header_field *field, struct arena *a)
{
    str_reset(&t->mapped);
    map_words(field->raw, a, &t->mapped);
    map_params(field->name, field->value, a, &t->mapped);
    mime_window_begin(&t->window);
    mime_window_add(&t->window, t->matcher, str_slice(&t->mapped));
}
