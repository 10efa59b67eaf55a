/* ENVELOPE (RFC 3501 7.4.2) of parsed messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/imap.h"
#include "ms/mime.h"

static void test_envelope(void **state)
{
    static const struct {
        const char *header;
        const char *want;
    } rows[] = {
        {"\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
        {"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
         "Subject: a \"b\"\r\nTo: imap@cac.washington.edu\r\n"
         "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
         "Message-Id: <B27397-0100000@cac.washington.edu>\r\n\r\n",
         "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"a \\\"b\\\"\" "
         "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
         "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
         "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
         "((NIL NIL \"imap\" \"cac.washington.edu\")) "
         "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) "
         "NIL NIL \"<B27397-0100000@cac.washington.edu>\")"},
        /* a group: name with a NIL host, members, four NILs */
        {"To: friends: a@b, c@d;, e@f\r\n\r\n", "(NIL NIL NIL NIL NIL ((NIL NIL \"friends\" NIL)(NIL NIL "
                                                "\"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)"
                                                "(NIL NIL \"e\" \"f\")) NIL NIL NIL NIL)"},
        {"Subject: \xc3\xa4\r\nIn-Reply-To: <x@y>\r\n\r\n",
         "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL \"<x@y>\" NIL)"},
        {"Subject: a\r\n  b\r\nFrom: x@y\r\nSender: s@y\r\nReply-To: r@y\r\n\r\n",
         "(NIL \"a  b\" ((NIL NIL \"x\" \"y\")) ((NIL NIL \"s\" \"y\")) ((NIL NIL \"r\" \"y\")) NIL NIL NIL "
         "NIL NIL)"},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct mime_envelope env;
        struct str out;

        arena_init(&arena, 0);
        str_init(&out, 0);
        mime_envelope_parse(slice_cstr(rows[i].header), &arena, &env);
        imap_envelope_emit(&out, &env);
        if (!slice_eq_cstr(str_slice(&out), rows[i].want))
            fail_msg("%s\n  gives %s\n  not   %s", rows[i].header, str_cstr(&out), rows[i].want);
        str_fini(&out);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_envelope)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
