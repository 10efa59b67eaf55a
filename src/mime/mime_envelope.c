/*
 * mime_envelope.c - the IMAP envelope of a message, from kept fields or from header bytes.
 *
 * Of a field that may stand once the first one counts; address fields that stand more often are read as
 * one list.
 */
#include "mime_priv.h"

static void add_text(struct slice *slot, struct slice value, struct arena *a)
{
    if (!slot->ptr)
        *slot = mime_unfold(value, a);
}

static void add_field(struct mime_envelope *env, enum mime_field_id id, struct slice value, struct arena *a)
{
    switch (id) {
    case MIME_FIELD_DATE:
        add_text(&env->date, value, a);
        break;
    case MIME_FIELD_SUBJECT:
        add_text(&env->subject, value, a);
        break;
    case MIME_FIELD_FROM:
        mime_address_parse(value, a, &env->from);
        break;
    case MIME_FIELD_SENDER:
        mime_address_parse(value, a, &env->sender);
        break;
    case MIME_FIELD_REPLY_TO:
        mime_address_parse(value, a, &env->reply_to);
        break;
    case MIME_FIELD_TO:
        mime_address_parse(value, a, &env->to);
        break;
    case MIME_FIELD_CC:
        mime_address_parse(value, a, &env->cc);
        break;
    case MIME_FIELD_BCC:
        mime_address_parse(value, a, &env->bcc);
        break;
    case MIME_FIELD_IN_REPLY_TO:
        add_text(&env->in_reply_to, value, a);
        break;
    case MIME_FIELD_MESSAGE_ID:
        add_text(&env->message_id, value, a);
        break;
    default:
        break;
    }
}

static void finish(struct mime_envelope *env)
{
    const struct mime_addresses *lists[] = {&env->from, &env->sender, &env->reply_to,
                                            &env->to,   &env->cc,     &env->bcc};

    for (size_t i = 0; i < MS_ARRAY_LEN(lists); i++)
        env->is_incomplete |= lists[i]->is_cut;
    if (env->sender.count ==
        0) /* RFC 9051 7.5.2: the server fills in From where these are missing or empty */
        env->sender = env->from;
    if (env->reply_to.count == 0)
        env->reply_to = env->from;
}

void mime_envelope_get(const struct mime_message *m, const struct mime_part *part, struct arena *a,
                       struct mime_envelope *out)
{
    *out = (struct mime_envelope){.is_incomplete = false};
    for (uint32_t i = 0; i < part->field_count; i++) {
        const struct mime_field *field = &m->fields[part->field_first + i];

        if (field->id > MIME_FIELD_ENVELOPE_LAST)
            continue;
        if (field->form == MIME_FORM_OUT)
            out->is_incomplete = true;
        else
            add_field(out, (enum mime_field_id)field->id, mime_field_value(field), a);
    }
    /* Only a header with that many kept fields can have lost one, or any if the message has that many. */
    if ((m->flags & MIME_MSG_FIELDS_CUT) &&
        (part->field_count >= MIME_HEADER_FIELDS_MAX || m->field_count >= MIME_FIELDS_MAX))
        out->is_incomplete = true;
    finish(out);
}

void mime_envelope_parse(struct slice header, struct arena *a, struct mime_envelope *out)
{
    struct mime_header_iter it;
    struct mime_header_field field;

    *out = (struct mime_envelope){.is_incomplete = false};
    mime_header_iter_init(&it, header);
    while (mime_header_next(&it, &field)) {
        if (field.name.len > 0)
            add_field(out, mime_field_id_find(field.name), field.value, a);
    }
    finish(out);
}
