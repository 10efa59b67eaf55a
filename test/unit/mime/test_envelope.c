/* ENVELOPE and BODYSTRUCTURE contents. */
#include "mime_check.h"

#define MANY_FIELDS (MIME_HEADER_FIELDS_MAX + 5)

static void envelope_text(const struct mime_envelope *e, struct str *out)
{
    const struct mime_addresses *lists[] = {&e->from, &e->sender, &e->reply_to, &e->to, &e->cc, &e->bcc};

    add_nstring(out, e->date);
    add_nstring(out, e->subject);
    for (size_t i = 0; i < MS_ARRAY_LEN(lists); i++) {
        str_add_byte(out, '/');
        for (const struct mime_address *a = lists[i]->first; a; a = a->next)
            str_addf(out, SLICE_FMT ",", SLICE_ARG(a->mailbox));
    }
    str_add_byte(out, '/');
    add_nstring(out, e->in_reply_to);
    add_nstring(out, e->message_id);
    if (e->is_incomplete)
        str_add_cstr(out, "!");
}

static void test_envelopes(void **state)
{
    static const struct {
        const char *in, *want; /* date subject/from/sender/reply-to/to/cc/bcc/in-reply-to message-id */
    } rows[] = {
        {"", "NILNIL///////NILNIL"},
        {"Subject: x\r\n\r\n", "NIL'x'///////NILNIL"},
        {"Subject:\r\nDate: \r\n\r\n", "''''///////NILNIL"},
        {"From: a@x\r\n\r\n", "NILNIL/a,/a,/a,////NILNIL"},
        {"From: a@x\r\nSender: b@x\r\nReply-To: c@x\r\n\r\n", "NILNIL/a,/b,/c,////NILNIL"},
        {"From: a@x\r\nSender:\r\nReply-To: ,\r\n\r\n", "NILNIL/a,/a,/a,////NILNIL"},
        {"TO: a@x\r\ncc: b@x, c@x\r\nBCC:d@x\r\n\r\n", "NILNIL////a,/b,c,/d,/NILNIL"},
        {"To: a@x\r\nTo: b@x\r\nSubject: 1\r\nSubject: 2\r\n\r\n", "NIL'1'////a,b,///NILNIL"},
        {"Date: Mon,\r\n 1 Jan 2001\r\nIn-Reply-To: <a>\r\n <b>\r\nMessage-ID: <c>\r\n\r\n",
         "'Mon, 1 Jan 2001'NIL///////'<a> <b>''<c>'"},
        {"Subject : blank before colon\r\n\r\n", "NIL'blank before colon'///////NILNIL"},
        {"no header\r\nSubject: x\r\n\r\n", "NILNIL///////NILNIL"},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_envelope e;
        struct mime_message m;
        struct arena a;

        arena_init(&a, 0);
        parse_whole(slice_cstr(rows[i].in), &m);
        str_reset(&got);
        mime_envelope_get(&m, mime_message_root(&m), &a, &e);
        envelope_text(&e, &got);
        check_text(&got, rows[i].want, i);
        str_reset(&got);
        mime_envelope_parse(slice_cstr(rows[i].in), &a, &e);
        envelope_text(&e, &got);
        check_text(&got, rows[i].want, i);
        mime_message_fini(&m);
        arena_fini(&a);
    }
    str_fini(&got);
}

static void test_inner_envelope(void **state)
{
    struct mime_envelope e;
    struct mime_message m;
    struct arena a;

    arena_init(&a, 0);
    parse_whole(S("Subject: out\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nX-Label: y\r\n\r\n"),
                &m);
    mime_envelope_get(&m, &m.parts[1], &a, &e);
    assert_true(slice_eq_cstr(e.subject, "in"));
    assert_int_equal(m.parts[1].field_count, 1); /* X-Label is kept of the root only */
    mime_message_fini(&m);
    /* The subject of a body part that is no message says nothing. */
    parse_whole(
        S("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: x\r\nContent-ID: y\r\n\r\n"), &m);
    assert_int_equal(m.parts[1].field_count, 1);
    mime_message_fini(&m);
    arena_fini(&a);
}

static void test_incomplete(void **state)
{
    struct mime_envelope e;
    struct mime_message m;
    struct arena a;
    struct str in;

    arena_init(&a, 0);
    str_init(&in, 0);
    str_add_cstr(&in, "Subject: ");
    for (size_t i = 0; i < MIME_FIELD_BYTES_MAX; i++)
        str_add_byte(&in, 'x');
    str_add_cstr(&in, "\r\nFrom: a@b\r\n\r\n");
    parse_whole(str_slice(&in), &m);
    mime_envelope_get(&m, mime_message_root(&m), &a, &e);
    assert_true(e.is_incomplete && !e.subject.ptr && e.from.count == 1);
    assert_int_equal(m.fields[0].form, MIME_FORM_OUT);
    assert_int_equal(m.fields[0].off, 0);
    assert_int_equal(m.fields[0].full_bytes, MIME_FIELD_BYTES_MAX + 11);
    mime_envelope_parse(str_slice(&in), &a, &e);
    assert_true(!e.is_incomplete && e.subject.len == MIME_FIELD_BYTES_MAX);
    mime_message_fini(&m);

    str_reset(&in);
    for (unsigned i = 0; i < MANY_FIELDS; i++)
        str_addf(&in, "To: a%u@b\r\n", i);
    str_add_cstr(&in, "From: late@b\r\n\r\n");
    parse_whole(str_slice(&in), &m);
    mime_envelope_get(&m, mime_message_root(&m), &a, &e);
    assert_true((m.flags & MIME_MSG_FIELDS_CUT) && e.is_incomplete);
    assert_int_equal(m.field_count, MIME_HEADER_FIELDS_MAX);
    assert_int_equal(e.from.count, 0);
    mime_envelope_parse(str_slice(&in), &a, &e);
    assert_true(!e.is_incomplete && e.from.count == 1 && e.to.count == MANY_FIELDS);
    mime_message_fini(&m);
    str_fini(&in);
    arena_fini(&a);
}

static void body_text(const struct mime_body *b, struct str *out)
{
    add_content(out, &b->content);
    str_addf(out, " " SLICE_FMT, SLICE_ARG(b->encoding));
    if (b->disposition.type.ptr) {
        str_add_cstr(out, " <");
        add_content(out, &b->disposition);
        str_add_byte(out, '>');
    }
    if (b->id.ptr || b->description.ptr || b->md5.ptr || b->location.ptr) {
        add_nstring(out, b->id);
        add_nstring(out, b->description);
        add_nstring(out, b->md5);
        add_nstring(out, b->location);
    }
    for (size_t i = 0; i < b->language_count; i++)
        str_addf(out, "|" SLICE_FMT, SLICE_ARG(b->languages[i]));
}

static void test_bodies(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", "text/plain [charset=us-ascii] 7bit"},
        {"Content-Type: text/plain\r\n", "text/plain [charset=us-ascii] 7bit"},
        {"Content-Type: text/plain; format=flowed\r\n", "text/plain [charset=us-ascii] [format=flowed] 7bit"},
        {"Content-Type: text/plain; Charset=x\r\n", "text/plain [Charset=x] 7bit"},
        {"Content-Type: text/plain; charset*=''x\r\n", "text/plain [charset*=''x] 7bit"},
        {"Content-Type: text/html\r\n", "text/html 7bit"},
        {"Content-Type: garbage; charset=x\r\n", "text/plain [charset=us-ascii] 7bit"},
        {"Content-Transfer-Encoding: BASE64\r\n", "text/plain [charset=us-ascii] BASE64"},
        {"Content-Transfer-Encoding: 8bit (x)\r\n", "text/plain [charset=us-ascii] 8bit"},
        {"Content-Transfer-Encoding: quoted-printable; x\r\n",
         "text/plain [charset=us-ascii] quoted-printable"},
        {"Content-Transfer-Encoding:\r\n", "text/plain [charset=us-ascii] 7bit"},
        {"Content-Transfer-Encoding: \"8bit\"\r\n", "text/plain [charset=us-ascii] 7bit"},
        {"Content-Type: a/b\r\nContent-Disposition: inline; filename=x\r\n",
         "a/b 7bit <inline [filename=x]>"},
        {"Content-Type: a/b\r\nContent-Disposition: ;x\r\n", "a/b 7bit"},
        {"Content-Type: a/b\r\nContent-ID: <i>\r\nContent-Description: d\r\n e\r\n",
         "a/b 7bit'<i>''d e'NILNIL"},
        {"Content-Type: a/b\r\nContent-MD5: m\r\nContent-Location:\r\n l\r\n", "a/b 7bitNILNIL'm''l'"},
        {"Content-Type: a/b\r\nContent-Language: en, sv-SE (x),,de\r\n", "a/b 7bit|en|sv-SE|de"},
        {"Content-Type: a/b\r\nContent-Language: ,\r\n", "a/b 7bit"},
        {"Content-Type: a/b\r\nContent-ID:\r\nContent-Description: \r\n", "a/b 7bit''''NILNIL"},
        /* RFC 2231 6: pieces are one parameter */
        {"Content-Type: a/b; n*0=x; n*1=y\r\n", "a/b [n=xy] 7bit"},
        {"Content-Type: a/b; n*1=y; m=1; N*0=x\r\n", "a/b [N=xy] [m=1] 7bit"},
        {"Content-Type: a/b; n*0*=utf-8''%C3; n*1*=%A4; n*2=\" b%\"\r\n",
         "a/b [n*=utf-8''%C3%A4%20b%25] 7bit"},
        {"Content-Type: a/b; n*0=\"x y\"; n*1*=%41\r\n", "a/b [n*=''x%20y%41] 7bit"},
        {"Content-Type: a/b; n=p; n*0=x; n*2=z; n*0=w\r\n", "a/b [n=p] [n=x] [n=w] [n*2=z] 7bit"},
        {"Content-Type: a/b; n*1=y; n*2=z; *0=q; n*=''e\r\n", "a/b [n*1=y] [n*2=z] [*0=q] [n*=''e] 7bit"},
        {"Content-Type: a/b\r\nContent-Disposition: inline; f*0=x; f*1=y\r\n", "a/b 7bit <inline [f=xy]>"},
        /* type and kind always agree */
        {"Content-Type: multipart/mixed\r\n", "text/plain [charset=us-ascii] 7bit"},
        {"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n",
         "application/octet-stream base64"},
        {"Content-Type: message/rfc822\r\n", "message/rfc822 7bit"},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_message m;
        struct mime_body b;
        struct arena a;

        arena_init(&a, 0);
        parse_whole(slice_cstr(rows[i].in), &m);
        str_reset(&got);
        mime_body_get(&m, mime_message_root(&m), &a, &b);
        body_text(&b, &got);
        check_text(&got, rows[i].want, i);
        mime_message_fini(&m);
        arena_fini(&a);
    }
    str_fini(&got);
}

/* A record whose kind and fields disagree, as a mended parser or a bad disk may give. */
static void test_kind_wins(void **state)
{
    static const struct {
        const char *type;
        uint8_t kind, flags;
        const char *want;
    } rows[] = {
        {"text/plain", MIME_PART_MULTIPART, 0, "multipart/mixed 7bit"},
        {"multipart/related; boundary=b", MIME_PART_MULTIPART, 0, "multipart/related [boundary=b] 7bit"},
        {"text/plain", MIME_PART_MESSAGE, 0, "message/rfc822 7bit"},
        {"message/global", MIME_PART_MESSAGE, 0, "message/global 7bit"},
        {"multipart/mixed; boundary=b", MIME_PART_LEAF, MIME_PART_OPAQUE, "application/octet-stream 7bit"},
        {"message/rfc822", MIME_PART_LEAF, 0, "application/octet-stream 7bit"},
    };
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct mime_field field = {.id = MIME_FIELD_CONTENT_TYPE, .bytes = slice_cstr(rows[i].type)};
        struct mime_part part = {.field_count = 1, .kind = rows[i].kind, .flags = rows[i].flags};
        struct mime_message m = {.fields = &field, .field_count = 1, .parts = &part, .part_count = 1};
        struct mime_body b;
        struct arena a;

        arena_init(&a, 0);
        str_reset(&got);
        mime_body_get(&m, &part, &a, &b);
        body_text(&b, &got);
        check_text(&got, rows[i].want, i);
        arena_fini(&a);
    }
    str_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelopes),  cmocka_unit_test(test_inner_envelope),
        cmocka_unit_test(test_incomplete), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_kind_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
