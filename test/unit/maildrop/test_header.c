/* Recipients of a header (sendmail -t), addresses of the command line, what the server adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ms/maildrop.h"

static const struct {
    const char *in;
    bool at_end;
    enum ms_err err;
    size_t bytes;
} ends[] = {
    {"", false, MS_EMORE, 0},
    {"", true, MS_OK, 0},
    {"a: b", false, MS_EMORE, 0},
    {"a: b\r\n", false, MS_EMORE, 0},
    {"a: b\r\n", true, MS_OK, 6},
    {"a: b\r\n\r\nbody\r\n", false, MS_OK, 8},
    {"a: b\r\n c\r\n\r\n", false, MS_OK, 12},
    {"a: b\r\n \r\n\r\n", false, MS_OK, 11},
    {"\r\nbody", false, MS_OK, 2},
    {"no header here\r\n\r\n", false, MS_OK, 0},
    {"no header here", false, MS_EMORE, 0},
    {"no header here", true, MS_OK, 0},
    {"From a@b Sun Nov 22\r\n", false, MS_EMORE, 0},
    {"From a@b Sun Nov 22\r\nx: y\r\n\r\n", false, MS_OK, 29},
    {"From a@b Sun Nov 22\r\n\r\nbody", false, MS_OK, 23},
};

static void test_end(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(ends); i++) {
        size_t bytes;
        assert_int_equal(maildrop_header_end(slice_cstr(ends[i].in), ends[i].at_end, &bytes), ends[i].err);
        if (!ends[i].err)
            assert_int_equal(bytes, ends[i].bytes);
    }
}

static const struct {
    const char *header;
    const char *rcpts; /* blank-separated; NULL: refused */
    const char *kept;
} headers[] = {
    {"To: a@b.c\r\n\r\n", "a@b.c", "To: a@b.c\r\n\r\n"},
    {"To: A <a@b.c>, root\r\ncc: d@e.f (D)\r\n\r\n", "a@b.c root d@e.f",
     "To: A <a@b.c>, root\r\ncc: d@e.f (D)\r\n\r\n"},
    {"To: a@b.c\r\nBcc: x@y.z,\r\n w@y.z\r\nSubject: s\r\n\r\n", "a@b.c x@y.z w@y.z",
     "To: a@b.c\r\nSubject: s\r\n\r\n"},
    {"BCC: x@y.z\r\n\r\n", "x@y.z", "\r\n"},
    {"Bcc:x@y.z", "x@y.z", ""},
    {"To: a@b.c\r\nCc: a@b.c\r\n\r\n", "a@b.c", "To: a@b.c\r\nCc: a@b.c\r\n\r\n"},
    {"To: list: a@b.c, d@e.f;\r\n\r\n", "a@b.c d@e.f", "To: list: a@b.c, d@e.f;\r\n\r\n"},
    {"To: undisclosed-recipients:;\r\n\r\n", "", "To: undisclosed-recipients:;\r\n\r\n"},
    {"Subject: to: a@b.c\r\n\r\n", "", "Subject: to: a@b.c\r\n\r\n"},
    {"From x@y Sun\r\nTo: a@b.c\r\n\r\n", "a@b.c", "To: a@b.c\r\n\r\n"},
    {"To: old@b.c\r\nResent-To: new@b.c\r\nResent-Bcc: hid@b.c\r\nBcc: q@b.c\r\n\r\n", "new@b.c hid@b.c",
     "To: old@b.c\r\nResent-To: new@b.c\r\n\r\n"},
    {"To: \"odd name\"@b.c\r\n\r\n", "\"odd name\"@b.c", "To: \"odd name\"@b.c\r\n\r\n"},
    {"To: gr\xc3\xbc@b.c\r\n\r\n", "gr\xc3\xbc@b.c", "To: gr\xc3\xbc@b.c\r\n\r\n"},
    {"To: a@-bad-.c\r\n\r\n", NULL, NULL},
    {"To: a@b..c\r\n\r\n", NULL, NULL},
    {"To: gr\xfc@b.c\r\n\r\n", NULL, NULL},
};

static void join(const struct maildrop_rcpts *list, struct str *out)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            str_add_byte(out, ' ');
        str_add_slice(out, list->items[i].address);
    }
}

static void test_recipients(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(headers); i++) {
        struct maildrop_rcpts list = {0};
        struct slice bad;
        struct arena a;
        struct str kept, names;
        arena_init(&a, 0);
        str_init(&kept, 0);
        str_init(&names, 0);
        enum ms_err err = maildrop_header_recipients(slice_cstr(headers[i].header), &a, &list, &kept, &bad);
        assert_int_equal(err, headers[i].rcpts ? MS_OK : MS_ESYNTAX);
        join(&list, &names);
        if (!err) {
            assert_string_equal(str_cstr(&names), headers[i].rcpts);
            assert_string_equal(str_cstr(&kept), headers[i].kept);
        }
        maildrop_rcpts_fini(&list);
        str_fini(&names);
        str_fini(&kept);
        arena_fini(&a);
    }
}

static void test_too_many(void **state)
{
    struct maildrop_rcpts list = {0};
    struct slice bad;
    struct arena a;
    enum ms_err err = MS_OK;
    arena_init(&a, 0);
    for (size_t i = 0; i <= MAILDROP_RCPTS_MAX && !err; i++)
        err = maildrop_recipients_parse(slice_cstr(arena_printf(&a, "u%zu@b.c", i)), &a, &list, &bad);
    assert_int_equal(err, MS_ELIMIT);
    assert_int_equal(list.count, MAILDROP_RCPTS_MAX);
    maildrop_rcpts_fini(&list);
    arena_fini(&a);
}

static const struct {
    const char *in, *out; /* NULL: refused */
} addresses[] = {
    {"", ""},
    {"<>", ""},
    {" <> ", ""},
    {"a@b.c", "a@b.c"},
    {"<a@b.c>", "a@b.c"},
    {"Ann <a@b.c>", "a@b.c"},
    {"root", "root"},
    {"a+b@c.d", "a+b@c.d"},
    {"a@[127.0.0.1]", "a@[127.0.0.1]"},
    {"a@b.c, d@e.f", NULL},
    {"a@", "a"},
    {"@b.c", NULL},
    {"a@b c", "a@b"},
    {"list:;", NULL},
    {"a\xff@b.c", NULL},
};

static void test_address(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(addresses); i++) {
        struct arena a;
        struct slice got;
        arena_init(&a, 0);
        enum ms_err err = maildrop_address_parse(slice_cstr(addresses[i].in), &a, &got);
        assert_int_equal(err, addresses[i].out ? MS_OK : MS_ESYNTAX);
        if (!err)
            assert_true(slice_eq_cstr(got, addresses[i].out));
        arena_fini(&a);
    }
}

static struct maildrop_fix fix_of(void)
{
    return (struct maildrop_fix){.hostname = SLICE_LIT("mail.example.org"),
                                 .default_domain = SLICE_LIT("example.org"),
                                 .trace = SLICE_LIT("1f-m7"),
                                 .sender = SLICE_LIT("carl@example.org"),
                                 .login = SLICE_LIT("carl"),
                                 .full_name = SLICE_LIT("Carl C."),
                                 .uid = 1000,
                                 .wall_us = 1700000000000000,
                                 .time_us = 1700000000000000};
}

#define RECEIVED                                                                                             \
    "Received: by mail.example.org (mailserverd, from userid 1000) id 1f-m7; Tue,\r\n"                       \
    " 14 Nov 2023 22:13:20 +0000\r\n"
#define FROM "From: \"Carl C.\" <carl@example.org>\r\n"
#define DATE "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
#define ID   "Message-ID: <60a24181e4000.1f-m7@mail.example.org>\r\n"

static const struct {
    const char *in, *out;
} fixes[] = {
    {"Subject: s\r\n\r\n", RECEIVED "Subject: s\r\n" FROM DATE ID "\r\n"},
    {"from: x@y\r\nDATE: z\r\nmessage-id: <a>\r\n\r\n",
     RECEIVED "from: x@y\r\nDATE: z\r\nmessage-id: <a>\r\n\r\n"},
    {"From: x@y\r\nDate: z\r\n", RECEIVED "From: x@y\r\nDate: z\r\n" ID},
    {"From x@y Sun\r\nTo: a\r\n\r\n", RECEIVED "To: a\r\n" FROM DATE ID "\r\n"},
    {"", RECEIVED FROM DATE ID "\r\n"},
    {"\r\n", RECEIVED FROM DATE ID "\r\n"},
};

static void test_fix(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(fixes); i++) {
        struct maildrop_fix fix = fix_of();
        struct str out;
        str_init(&out, 0);
        maildrop_header_fix(&fix, slice_cstr(fixes[i].in), &out);
        assert_string_equal(str_cstr(&out), fixes[i].out);
        assert_int_equal(fix.received, 0);
        str_fini(&out);
    }
}

static void test_fix_more(void **state)
{
    struct maildrop_fix fix = fix_of();
    struct str out;
    str_init(&out, 0);
    fix.sender = fix.full_name = slice_make(NULL, 0); /* the null sender has an author all the same */
    maildrop_header_fix(&fix, SLICE_LIT("Received: a\r\nReceived: b\r\nDate: d\r\nMessage-ID: <i>\r\n\r\n"),
                        &out);
    assert_string_equal(str_cstr(&out),
                        RECEIVED "Received: a\r\nReceived: b\r\nDate: d\r\nMessage-ID: <i>\r\n"
                                 "From: carl@example.org\r\n\r\n");
    assert_int_equal(fix.received, 2);
    str_fini(&out);
}

static const struct {
    const char *name;
    bool utf8;
    const char *out;
} phrases[] = {
    {"Anna", false, "Anna"},
    {"Anna B", false, "Anna B"},
    {"Anna \"B\" C\\", false, "\"Anna \\\"B\\\" C\\\\\""},
    {"A, B <x@y>", false, "\"A, B <x@y>\""},
    {"Gr\xc3\xbc\xc3\x9f", true, "\"Gr\xc3\xbc\xc3\x9f\""},
    {"Gr\xc3\xbc\xc3\x9f", false, "=?UTF-8?B?R3LDvMOf?="},
    {"\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3"
     "\xbc\xc3\xbc\xc3\xbc"
     "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc",
     false, "=?UTF-8?B?w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7w=?= =?UTF-8?B?w7w=?="},
};

static void test_phrase(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(phrases); i++) {
        struct str out;
        str_init(&out, 0);
        maildrop_phrase_emit(&out, slice_cstr(phrases[i].name), phrases[i].utf8);
        assert_string_equal(str_cstr(&out), phrases[i].out);
        str_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end),     cmocka_unit_test(test_recipients), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_address), cmocka_unit_test(test_fix),        cmocka_unit_test(test_fix_more),
        cmocka_unit_test(test_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
