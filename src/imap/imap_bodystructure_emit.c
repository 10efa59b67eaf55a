/*
 * imap_bodystructure_emit.c - BODY and BODYSTRUCTURE of FETCH. RFC 3501 7.4.2 and 9 body.
 *
 * Recursion follows the containers of a message, at most MIME_DEPTH_MAX. What mime says of a part is asked
 * for again behind its children, so that the scratch arena holds one part at a time, whatever the message.
 */
#include "ms/mime.h"
#include "imap_priv.h"

struct body_ctx {
    struct str *out;
    const struct mime_message *m;
    struct arena *scratch;
    bool extended;
};

static void emit_body(struct body_ctx *ctx, const struct mime_part *part);

static void get_body(struct body_ctx *ctx, const struct mime_part *part, struct mime_body *body)
{
    arena_reset(ctx->scratch);
    mime_body_get(ctx->m, part, ctx->scratch, body);
}

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil */
static void emit_params(struct str *out, const struct mime_content *content)
{
    if (!content->param_count) {
        str_add_cstr(out, " NIL");
        return;
    }
    str_add_byte(out, ' ');
    for (size_t i = 0; i < content->param_count; i++) {
        imap__emit_after(out, i ? ' ' : '(', content->params[i].name);
        imap__emit_after(out, ' ', content->params[i].value);
    }
    str_add_byte(out, ')');
}

/* body-fld-dsp SP body-fld-lang SP body-fld-loc */
static void emit_dsp_lang_loc(struct str *out, const struct mime_body *body)
{
    if (body->disposition.type.ptr) {
        str_add_byte(out, ' ');
        imap__emit_after(out, '(', body->disposition.type);
        emit_params(out, &body->disposition);
        str_add_byte(out, ')');
    } else {
        str_add_cstr(out, " NIL");
    }
    if (body->language_count == 0) {
        str_add_cstr(out, " NIL");
    } else {
        for (size_t i = 0; i < body->language_count; i++) {
            str_add_cstr(out, i ? " " : " (");
            imap_emit_string(out, body->languages[i]);
        }
        str_add_byte(out, ')');
    }
    imap__emit_nil_after(out, ' ', body->location);
}

/* body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart] */
static void emit_multipart(struct body_ctx *ctx, const struct mime_part *part)
{
    struct mime_body body;

    str_add_byte(ctx->out, '(');
    for (const struct mime_part *c = mime_part_first_child(ctx->m, part); c; c = mime_part_next(ctx->m, c))
        emit_body(ctx, c);
    get_body(ctx, part, &body);
    imap__emit_after(ctx->out, ' ', body.content.subtype);
    if (ctx->extended) {
        emit_params(ctx->out, &body.content);
        emit_dsp_lang_loc(ctx->out, &body);
    }
}

/* SP envelope SP body, of the message inside */
static void emit_inner_message(struct body_ctx *ctx, const struct mime_part *part)
{
    const struct mime_part *inner = mime_part_first_child(ctx->m, part);
    struct mime_envelope env;

    arena_reset(ctx->scratch);
    mime_envelope_get(ctx->m, inner, ctx->scratch, &env);
    str_add_byte(ctx->out, ' ');
    imap_envelope_emit(ctx->out, &env);
    str_add_byte(ctx->out, ' ');
    emit_body(ctx, inner);
}

/* body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part] */
static void emit_single(struct body_ctx *ctx, const struct mime_part *part)
{
    struct mime_body body;
    bool is_message = part->kind == MIME_PART_MESSAGE;

    get_body(ctx, part, &body);
    imap__emit_after(ctx->out, '(', body.content.type);
    imap__emit_after(ctx->out, ' ', body.content.subtype);
    emit_params(ctx->out, &body.content);
    imap__emit_nil_after(ctx->out, ' ', body.id);
    imap__emit_nil_after(ctx->out, ' ', body.description);
    imap__emit_after(ctx->out, ' ', body.encoding);
    str_add_byte(ctx->out, ' ');
    str_add_u64(ctx->out, part->body_bytes);
    if (is_message) {
        emit_inner_message(ctx, part);
        get_body(ctx, part, &body);
    }
    if (is_message || slice_ieq_cstr(body.content.type, "text")) {
        str_add_byte(ctx->out, ' ');
        str_add_u64(ctx->out, part->body_lines);
    }
    if (ctx->extended) {
        imap__emit_nil_after(ctx->out, ' ', body.md5);
        emit_dsp_lang_loc(ctx->out, &body);
    }
}

static void emit_body(struct body_ctx *ctx, const struct mime_part *part)
{
    if (part->kind == MIME_PART_MULTIPART)
        emit_multipart(ctx, part);
    else
        emit_single(ctx, part);
    str_add_byte(ctx->out, ')');
}

void imap_bodystructure_emit(struct str *out, const struct mime_message *m, bool extended,
                             struct arena *scratch)
{
    struct body_ctx ctx = {.out = out, .m = m, .extended = extended, .scratch = scratch};

    emit_body(&ctx, mime_message_root(m));
}
