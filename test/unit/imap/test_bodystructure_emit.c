/* BODY and BODYSTRUCTURE (RFC 3501 7.4.2) of parsed messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ms/imap.h"
#include "ms/mime.h"

static void emit(struct str *out, const char *text, bool extended)
{
    struct slice chunk = slice_cstr(text);
    struct mime_message m;
    struct arena scratch;

    arena_init(&scratch, 1 << 20);
    mime_message_init(&m);
    mime_message_parse(&chunk, 1, &m);
    imap_bodystructure_emit(out, &m, extended, &scratch);
    mime_message_fini(&m);
    arena_fini(&scratch);
}

static void test_structure(void **state)
{
    static const struct {
        const char *text;
        const char *body;
        const char *structure;
    } rows[] = {
        {"Subject: x\r\n\r\nhi\r\nho\r\n",
         "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 8 2)",
         "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 8 2 NIL NIL NIL NIL)"},
        {"Content-Type: image/png; name=\"a b\"\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <i@d>\r\n"
         "Content-Description: pic\r\nContent-MD5: Q2hlY2s=\r\n"
         "Content-Disposition: attachment; filename=x.png\r\nContent-Language: en, de\r\nContent-Location: "
         "u\r\n\r\nAAAA",
         "(\"image\" \"png\" (\"name\" \"a b\") \"<i@d>\" \"pic\" \"base64\" 4)",
         "(\"image\" \"png\" (\"name\" \"a b\") \"<i@d>\" \"pic\" \"base64\" 4 \"Q2hlY2s=\" "
         "(\"attachment\" (\"filename\" \"x.png\")) (\"en\" \"de\") \"u\")"},
        {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: "
         "text/html\r\n"
         "Content-Disposition: inline\r\n\r\n<p>\r\n--b--\r\n",
         "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)"
         "(\"text\" \"html\" NIL NIL NIL \"7bit\" 3 1) \"mixed\")",
         "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL)"
         "(\"text\" \"html\" NIL NIL NIL \"7bit\" 3 1 NIL (\"inline\" NIL) NIL NIL) "
         "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"},
        {"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n",
         "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 21 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
         "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1) 3)",
         "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 21 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
         "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1 NIL NIL NIL NIL) 3 NIL NIL NIL "
         "NIL)"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        for (int extended = 0; extended <= 1; extended++) {
            const char *want = extended ? rows[i].structure : rows[i].body;
            struct str out;

            str_init(&out, 0);
            emit(&out, rows[i].text, extended);
            if (want && !slice_eq_cstr(str_slice(&out), want))
                fail_msg("%s\n  gives %s\n  not   %s", rows[i].text, str_cstr(&out), want);
            str_fini(&out);
        }
}

/* Deep nesting and damaged structure still give balanced parentheses, outside of strings. */
static void assert_balanced(struct str *s)
{
    int depth = 0;

    for (size_t i = 0; i < s->len; i++) {
        if (s->ptr[i] == '"') {
            for (i++; i < s->len && s->ptr[i] != '"'; i++)
                i += s->ptr[i] == '\\';
        } else if (s->ptr[i] == '{') {
            size_t n = strtoul((const char *)s->ptr + i + 1, NULL, 10);
            i = (size_t)((uint8_t *)memchr(s->ptr + i, '\n', s->len - i) - s->ptr) + n;
        } else {
            depth += (s->ptr[i] == '(') - (s->ptr[i] == ')');
        }
        assert_true(depth > 0 || i == s->len - 1);
    }
    assert_int_equal(depth, 0);
}

static void test_odd(void **state)
{
    static const char *const rows[] = {
        "",
        "\r\n",
        "no header at all",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts",
        "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
        "Content-Type: multipart/; boundary=b\r\n\r\n--b\r\n\r\n",
        "Content-Type: (\r\nContent-Disposition: ;;\r\nContent-Language: ,\r\n\r\n",
        "Content-Type: text/\"\\\"{3}\"; x=\"\xff\"\r\n\r\n",
        "Content-Type: message/rfc822\r\n\r\n",
        "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=a\r\n\r\n--a\r\n--a--",
        "Content-Type: text/plain; a=\"b)\"; c=\"(\"\r\n\r\n",
    };
    struct str text;
    struct str out;

    str_init(&text, 0);
    str_init(&out, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        str_reset(&out);
        emit(&out, rows[i], true);
        assert_balanced(&out);
    }
    for (int i = 0; i < 100; i++)
        str_addf(&text, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    str_reset(&out);
    emit(&out, str_cstr(&text), true);
    assert_balanced(&out);
    str_reset(&text);
    for (int i = 0; i < 100; i++)
        str_add_cstr(&text, "Content-Type: message/rfc822\r\n\r\n");
    str_reset(&out);
    emit(&out, str_cstr(&text), true);
    assert_balanced(&out);
    str_fini(&text);
    str_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_structure), cmocka_unit_test(test_odd)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
