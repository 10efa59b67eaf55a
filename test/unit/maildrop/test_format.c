/* Head and tail of a maildrop file: round trip, every truncation, every bit flip, versions, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/base/sum.h"
#include "ms/maildrop.h"

static struct maildrop_rcpt rcpts[] = {
    {.address = SLICE_LIT("anna@example.org"), .notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY},
    {.address = SLICE_LIT("root")},
    {.address = SLICE_LIT("b\xc3\xbc@example.org"), .orcpt = SLICE_LIT("rfc822;b@example.org")},
};

static struct maildrop_mail sample(void)
{
    return (struct maildrop_mail){.time_us = 1700000000123456,
                                  .uid = 1000,
                                  .sender = SLICE_LIT("carl@example.org"),
                                  .login = SLICE_LIT("carl"),
                                  .full_name = SLICE_LIT("Carl \"C\" C."),
                                  .envid = SLICE_LIT("id+1"),
                                  .ret = SMTP_RET_HDRS,
                                  .body_type = SMTP_BODY_8BITMIME,
                                  .smtputf8 = true,
                                  .rcpts = rcpts,
                                  .rcpt_count = MS_ARRAY_LEN(rcpts)};
}

static void emit(const struct maildrop_mail *mail, struct str *out)
{
    str_init(out, 0);
    assert_int_equal(maildrop_head_emit(mail, out), MS_OK);
}

static void check_equal(const struct maildrop_mail *a, const struct maildrop_mail *b)
{
    assert_int_equal(a->time_us, b->time_us);
    assert_int_equal(a->uid, b->uid);
    assert_true(slice_eq(a->sender, b->sender));
    assert_true(slice_eq(a->login, b->login));
    assert_true(slice_eq(a->full_name, b->full_name));
    assert_true(slice_eq(a->envid, b->envid));
    assert_int_equal(a->ret, b->ret);
    assert_int_equal(a->body_type, b->body_type);
    assert_int_equal(a->smtputf8, b->smtputf8);
    assert_int_equal(a->rcpt_count, b->rcpt_count);
    for (size_t i = 0; i < a->rcpt_count; i++) {
        assert_true(slice_eq(a->rcpts[i].address, b->rcpts[i].address));
        assert_true(slice_eq(a->rcpts[i].orcpt, b->rcpts[i].orcpt));
        assert_int_equal(a->rcpts[i].notify, b->rcpts[i].notify);
    }
}

static void test_round_trip(void **state)
{
    struct maildrop_mail mail = sample(), got;
    struct arena a;
    struct str out;
    size_t need;
    arena_init(&a, 0);
    emit(&mail, &out);
    size_t head = out.len;
    str_add_cstr(&out, "Subject: what follows is not looked at\r\n");
    assert_int_equal(maildrop_head_parse(str_slice(&out), &a, &got, &need), MS_OK);
    assert_int_equal(need, head);
    check_equal(&mail, &got);
    mail.sender = mail.full_name = mail.login = mail.envid = slice_make(NULL, 0);
    mail.smtputf8 = false;
    mail.rcpt_count = 1;
    str_fini(&out);
    emit(&mail, &out);
    assert_int_equal(maildrop_head_parse(str_slice(&out), &a, &got, &need), MS_OK);
    check_equal(&mail, &got);
    str_fini(&out);
    arena_fini(&a);
}

/* A prefix asks for more, and never for less than it has. */
static void test_truncated(void **state)
{
    struct maildrop_mail mail = sample(), got;
    struct str out;
    emit(&mail, &out);
    for (size_t n = 0; n < out.len; n++) {
        struct arena a;
        size_t need;
        arena_init(&a, 0);
        assert_int_equal(maildrop_head_parse(slice_make(out.ptr, n), &a, &got, &need), MS_EMORE);
        assert_true(need > n && need <= out.len);
        arena_fini(&a);
    }
    str_fini(&out);
}

static void test_bit_flips(void **state)
{
    struct maildrop_mail mail = sample(), got;
    struct str out;
    emit(&mail, &out);
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        struct arena a;
        size_t need;
        arena_init(&a, 0);
        out.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum ms_err err = maildrop_head_parse(str_slice(&out), &a, &got, &need);
        assert_int_not_equal(err, MS_OK);
        if (err == MS_EMORE) /* the length itself grew: the caller finds the file too short */
            assert_true(need > out.len && need <= MAILDROP_HEAD_MAX);
        out.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
        arena_fini(&a);
    }
    str_fini(&out);
}

/* With a right sum: what a hostile writer can do. */
static void seal(struct str *head)
{
    uint32_t crc = crc32c_add(0, head->ptr, 12);
    ms_put_le32(head->ptr + 12, crc32c_add(crc, head->ptr + 16, head->len - 16));
}

static void test_hostile(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        enum ms_err want;
    } rows[] = {
        {6, 2, MS_EVERSION},     {7, 1, MS_EVERSION},  {28, 3, MS_EDAMAGED},    {29, 3, MS_EDAMAGED},
        {30, 3, MS_EDAMAGED},    {31, 1, MS_EDAMAGED}, {32, 99, MS_EDAMAGED},   {33, 0xff, MS_EDAMAGED},
        {34, '\n', MS_EDAMAGED}, {34, 0, MS_EDAMAGED}, {34, 0x7f, MS_EDAMAGED}, {0, 'm', MS_EDAMAGED},
    };
    struct maildrop_mail mail = sample(), got;
    struct arena a;
    struct str out;
    size_t need;
    arena_init(&a, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        emit(&mail, &out);
        out.ptr[rows[i].at] = rows[i].value;
        seal(&out);
        assert_int_equal(maildrop_head_parse(str_slice(&out), &a, &got, &need), rows[i].want);
        str_fini(&out);
    }
    emit(&mail, &out); /* bytes behind the last recipient */
    str_add_byte(&out, 'x');
    ms_put_le32(out.ptr + 8, (uint32_t)out.len);
    seal(&out);
    assert_int_equal(maildrop_head_parse(str_slice(&out), &a, &got, &need), MS_EDAMAGED);
    ms_put_le32(out.ptr + 8, MAILDROP_HEAD_MAX + 1);
    assert_int_equal(maildrop_head_parse(str_slice(&out), &a, &got, &need), MS_EDAMAGED);
    str_fini(&out);
    arena_fini(&a);
}

static void test_limits(void **state)
{
    static char many[MAILDROP_ADDRESS_MAX + 2];
    struct maildrop_mail mail = sample();
    struct maildrop_rcpt one = {.address = SLICE_LIT("a")};
    struct str out;
    str_init(&out, 0);
    memset(many, 'x', sizeof many - 1);
    mail.rcpt_count = 0;
    assert_int_equal(maildrop_head_emit(&mail, &out), MS_EINVAL);
    mail = sample();
    mail.rcpts = &one;
    mail.rcpt_count = 1;
    one.address = slice_cstr(many);
    assert_int_equal(maildrop_head_emit(&mail, &out), MS_ELIMIT);
    one.address = SLICE_LIT("");
    assert_int_equal(maildrop_head_emit(&mail, &out), MS_ELIMIT);
    one.address = SLICE_LIT("a\r\nb");
    assert_int_equal(maildrop_head_emit(&mail, &out), MS_ELIMIT);
    one.address = SLICE_LIT("a");
    one.notify = 16;
    assert_int_equal(maildrop_head_emit(&mail, &out), MS_ELIMIT);
    one.notify = 0;
    mail.full_name = slice_make(many, MAILDROP_NAME_MAX + 1);
    assert_int_equal(maildrop_head_emit(&mail, &out), MS_ELIMIT);
    assert_int_equal(out.len, 0);
    str_fini(&out);
}

static void test_most_recipients(void **state)
{
    static struct maildrop_rcpt list[MAILDROP_RCPTS_MAX + 1];
    struct maildrop_mail mail = sample(), got;
    struct arena a;
    struct str out;
    size_t need;
    for (size_t i = 0; i < MS_ARRAY_LEN(list); i++)
        list[i] = (struct maildrop_rcpt){.address = SLICE_LIT("someone@example.org")};
    mail.rcpts = list;
    mail.rcpt_count = MAILDROP_RCPTS_MAX;
    arena_init(&a, 0);
    emit(&mail, &out);
    assert_int_equal(maildrop_head_parse(str_slice(&out), &a, &got, &need), MS_OK);
    assert_int_equal(got.rcpt_count, MAILDROP_RCPTS_MAX);
    str_reset(&out);
    mail.rcpt_count++;
    assert_int_equal(maildrop_head_emit(&mail, &out), MS_ELIMIT);
    str_fini(&out);
    arena_fini(&a);
}

static void test_tail(void **state)
{
    uint8_t tail[MAILDROP_TAIL_BYTES];
    struct slice s = slice_make(tail, sizeof tail);
    maildrop_tail_emit(1000, 0xdeadbeef, tail);
    assert_int_equal(maildrop_tail_parse(s, 1000, false, 0), MS_OK);
    assert_int_equal(maildrop_tail_parse(s, 1000, true, 0xdeadbeef), MS_OK);
    assert_int_equal(maildrop_tail_parse(s, 1000, true, 0xdeadbeee), MS_EDAMAGED);
    assert_int_equal(maildrop_tail_parse(s, 999, false, 0), MS_EDAMAGED);
    assert_int_equal(maildrop_tail_parse(slice_sub(s, 0, 15), 1000, false, 0), MS_EDAMAGED);
    for (size_t bit = 0; bit < sizeof tail * 8; bit++) {
        tail[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(maildrop_tail_parse(s, 1000, true, 0xdeadbeef), MS_EDAMAGED);
        tail[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_names(void **state)
{
    static const char *const bad[] = {"",
                                      "m.",
                                      "m.0123",
                                      "tmp.00000000000000010000000000000002",
                                      "m.0000000000000001000000000000000G",
                                      "m.0000000000000001000000000000000A",
                                      "M.00000000000000010000000000000002",
                                      "m.000000000000000100000000000000022",
                                      "m.00000000000000010000000000000002.bad",
                                      "m.00000000000000010000000000000002.",
                                      "m.00000000000000010000000000000002.1f-m",
                                      "m.00000000000000010000000000000002.1f-7",
                                      "m.00000000000000010000000000000002.-m7",
                                      "m.00000000000000010000000000000002.1f-m7.bad",
                                      "m.00000000000000010000000000000002x1f-m7",
                                      "m.0000000000000001/000000000000002"};
    static const uint8_t random[8] = {0xfe, 1, 2, 3, 4, 5, 6, 7};
    char name[MAILDROP_FILE_NAME_BYTES + 1];
    maildrop_name_emit(0x1234, random, name);
    assert_string_equal(name, "m.0000000000001234fe01020304050607");
    assert_true(maildrop_name_is_message(slice_cstr(name)));
    assert_int_equal(maildrop_name_trace(slice_cstr(name)).len, 0);
    struct slice traced = SLICE_LIT("m.0000000000001234fe01020304050607.1f-m7");
    assert_true(maildrop_name_is_message(traced));
    assert_true(slice_eq_cstr(maildrop_name_trace(traced), "1f-m7"));
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++)
        assert_false(maildrop_name_is_message(slice_cstr(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_bit_flips),  cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_most_recipients),
        cmocka_unit_test(test_tail),       cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
