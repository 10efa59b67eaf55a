/*
 * mime_body.c - what the content fields say of a part.
 *
 * The kind of a part was decided when its message was parsed. What is shown of it later is made to agree
 * (agree()), so that an answer is always in the grammar of RFC 9051 BODYSTRUCTURE: "multipart" has
 * parts, "message/rfc822" has an envelope. The kind is the authority, because offsets depend on it.
 */
#include "mime_priv.h"

/* Values of the content fields of a part, found in one pass; the first of each name counts. */
struct content_fields {
    unsigned present; /* a bit for each that is there: the others are not filled in */
    struct slice at[MIME_FIELD_CONTENT_LAST - MIME_FIELD_CONTENT_TYPE + 1];
};

/* ptr NULL: absent. */
static struct slice value_of(const struct content_fields *fields, enum mime_field_id id)
{
    unsigned i = id - MIME_FIELD_CONTENT_TYPE;

    return fields->present >> i & 1 ? fields->at[i] : slice_make(NULL, 0);
}

static void find_fields(const struct mime_message *m, const struct mime_part *part,
                        struct content_fields *out)
{
    const struct mime_field *field = part->field_count ? &m->fields[part->field_first] : NULL;

    out->present = 0;
    for (uint32_t i = 0; i < part->field_count; i++, field++) {
        unsigned at = (unsigned)field->id - MIME_FIELD_CONTENT_TYPE;
        struct slice value;

        if (at >= MS_ARRAY_LEN(out->at) || (out->present >> at & 1))
            continue;
        value = slice_trim(mime_field_value(field));
        out->at[at] = value.len ? value : SLICE_LIT("");
        out->present |= 1u << at;
    }
}

static bool is_message_type(const struct mime_content *content)
{
    return slice_ieq_cstr(content->type, "message") &&
           (slice_ieq_cstr(content->subtype, "rfc822") || slice_ieq_cstr(content->subtype, "global"));
}

static bool is_multipart_type(const struct mime_content *content)
{
    return slice_ieq_cstr(content->type, "multipart");
}

static void set_type(struct mime_content *content, const char *type, const char *subtype)
{
    *content = (struct mime_content){.type = slice_cstr(type), .subtype = slice_cstr(subtype)};
}

static void read_type(const struct content_fields *fields, const struct mime_part *part, struct arena *a,
                      struct mime_content *out)
{
    struct slice value = value_of(fields, MIME_FIELD_CONTENT_TYPE);

    if (value.len > 0 && mime_content_type_parse(value, a, out) == MS_OK)
        return;
    if (value.len == 0 && (part->flags & MIME_PART_DIGEST))
        set_type(out, "message", "rfc822"); /* RFC 2046 5.1.5 */
    else
        set_type(out, "text", "plain"); /* RFC 2045 5.2 */
}

/* The token of Content-Transfer-Encoding, without comments; len 0: none. */
static struct slice read_encoding(const struct content_fields *fields)
{
    struct slice value = value_of(fields, MIME_FIELD_CONTENT_TRANSFER_ENCODING);
    size_t n = 0;

    for (; n < value.len && value.ptr[n] > 32 && value.ptr[n] < 127; n++) {
        uint8_t c = value.ptr[n];

        if (c == '(' || c == ')' || c == ';' || c == '"')
            break;
    }
    return slice_sub(value, 0, n);
}

enum ms_err mime_part_encoding(const struct mime_message *m, const struct mime_part *part,
                               enum mime_encoding *out)
{
    const struct mime_field *field = mime_part_field(m, part, MIME_FIELD_CONTENT_TRANSFER_ENCODING, NULL);

    *out = MIME_ENCODING_IDENTITY;
    if (part->kind != MIME_PART_LEAF || !field)
        return MS_OK;
    if (field->form == MIME_FORM_OUT)
        return MS_EUNSUPPORTED; /* no known name is that long */
    return mime_encoding_find(mime_field_value(field), out);
}

enum mime_part_kind mime__kind_of(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                                  struct slice *boundary_out, bool *is_digest_out)
{
    struct mime_content content;
    struct slice charset, encoding;
    struct content_fields fields;

    find_fields(m, part, &fields);
    *is_digest_out = false;
    *boundary_out = slice_make(NULL, 0);
    read_type(&fields, part, a, &content);
    if (is_multipart_type(&content)) {
        if (!mime_param_find(&content, "boundary", a, boundary_out, &charset))
            return MIME_PART_LEAF;
        while (boundary_out->len > 0 && mime__is_wsp(boundary_out->ptr[boundary_out->len - 1]))
            boundary_out->len--; /* RFC 2046 5.1.1: it does not end with a blank */
        *is_digest_out = slice_ieq_cstr(content.subtype, "digest");
        return boundary_out->len > 0 && boundary_out->len <= MIME_BOUNDARY_MAX ? MIME_PART_MULTIPART
                                                                               : MIME_PART_LEAF;
    }
    if (!is_message_type(&content))
        return MIME_PART_LEAF;
    encoding = read_encoding(&fields);
    if (slice_ieq_cstr(encoding, "base64") || slice_ieq_cstr(encoding, "quoted-printable"))
        return MIME_PART_LEAF; /* RFC 2046 5.2.1 forbids it; the message inside has no offsets of its own */
    return MIME_PART_MESSAGE;
}

static void agree(const struct mime_part *part, struct mime_content *content)
{
    switch (part->kind) {
    case MIME_PART_MULTIPART:
        if (!is_multipart_type(content))
            set_type(content, "multipart", "mixed");
        break;
    case MIME_PART_MESSAGE:
        if (!is_message_type(content))
            set_type(content, "message", "rfc822");
        break;
    default:
        if ((part->flags & MIME_PART_OPAQUE) || is_message_type(content))
            set_type(content, "application", "octet-stream");
        else if (is_multipart_type(content))
            set_type(content, "text", "plain");
        break;
    }
}

/* RFC 2045 5.2: text/plain that names no charset is US-ASCII. */
static void add_charset(struct mime_content *content, struct arena *a)
{
    static struct mime_param us_ascii = {.name = {(const uint8_t *)"charset", 7},
                                         .value = {(const uint8_t *)"us-ascii", 8}};
    struct slice value, charset;
    struct mime_param *params;

    if (!slice_ieq_cstr(content->type, "text") || !slice_ieq_cstr(content->subtype, "plain"))
        return;
    for (size_t i = 0; i < content->param_count; i++)
        if (slice_ieq(content->params[i].name, us_ascii.name))
            return; /* as nearly all of them */
    if (content->param_count && mime_param_find(content, "charset", a, &value, &charset))
        return;
    params = arena_try_alloc(a, sizeof(*params) * (content->param_count + 1));
    if (!params)
        return;
    params[0] = us_ascii;
    if (content->param_count > 0)
        memcpy(params + 1, content->params, sizeof(*params) * content->param_count);
    content->params = params;
    content->param_count++;
}

/* RFC 3282: tags between commas, comments after them. */
static void read_languages(struct slice value, struct mime_body *out)
{
    size_t i = 0;

    while (i < value.len && out->language_count < MIME_LANGUAGES_MAX) {
        size_t from = i;

        while (i < value.len &&
               (ms_ascii_is_alpha(value.ptr[i]) || ms_ascii_is_digit(value.ptr[i]) || value.ptr[i] == '-'))
            i++;
        if (i > from)
            out->languages[out->language_count++] = slice_sub(value, from, i - from);
        while (i < value.len && value.ptr[i] != ',')
            i++;
        while (i < value.len && (value.ptr[i] == ',' || mime__is_blank(value.ptr[i])))
            i++;
    }
}

/* Empty is not absent. */
static struct slice text_or_nil(struct slice value, struct arena *a)
{
    if (!value.ptr)
        return value;
    return value.len ? mime_unfold(value, a) : SLICE_LIT("");
}

void mime_body_get(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                   struct mime_body *out)
{
    struct content_fields fields;
    struct slice disposition;

    find_fields(m, part, &fields);
    disposition = value_of(&fields, MIME_FIELD_CONTENT_DISPOSITION);
    out->language_count = 0; /* the array is long, and stays as it was */
    read_type(&fields, part, a, &out->content);
    agree(part, &out->content);
    add_charset(&out->content, a);
    if (disposition.len == 0 || mime_disposition_parse(disposition, a, &out->disposition) != MS_OK)
        out->disposition = (struct mime_content){.type = slice_make(NULL, 0)};
    mime__params_unite(&out->content, a);
    mime__params_unite(&out->disposition, a);
    out->encoding = read_encoding(&fields);
    if (out->encoding.len == 0)
        out->encoding = SLICE_LIT("7bit"); /* RFC 2045 6.1 */
    out->id = text_or_nil(value_of(&fields, MIME_FIELD_CONTENT_ID), a);
    out->description = text_or_nil(value_of(&fields, MIME_FIELD_CONTENT_DESCRIPTION), a);
    out->md5 = text_or_nil(value_of(&fields, MIME_FIELD_CONTENT_MD5), a);
    out->location = text_or_nil(value_of(&fields, MIME_FIELD_CONTENT_LOCATION), a);
    read_languages(value_of(&fields, MIME_FIELD_CONTENT_LANGUAGE), out);
}
