#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/app/mbx_files.h"

/* -- From_ lines */
static const struct {
    const char *line;
    bool good;
    int64_t date;
} from_rows[] = {
    {"From MAILER-DAEMON Thu Jan  1 00:00:00 1970", true, 0},
    {"From anna@example.org Fri Jul  8 12:08:34 2011\n", true, 1310126914},
    {"From anna@example.org Fri Jul  8 12:08:34 2011\r\n", true, 1310126914},
    {"From - Sat Jan  3 01:05:34 1996", true, 820631134},
    {"From anna Fri Jul  8 12:08 2011", true, 1310126880},
    {"From anna Fri Jul 8 12:08:34 2011", true, 1310126914},
    {"From anna Fri Jul  8 12:08:34 +0200 2011", true, 1310119714},
    {"From anna Fri Jul  8 12:08:34 2011 -0530", true, 1310146714},
    {"From anna Fri Jul  8 12:08:34 MET 2011", true, 1310126914},
    {"From anna Fri Jul  8 12:08:34 2011 remote from uucp", true, 1310126914},
    {"From \"a b\"@example.org Fri Jul  8 12:08:34 2011", true, 1310126914},
    {"From Mon@example.org  Mon Feb 29 00:00:00 2016", true, 1456704000},
    {"From Fri Jul  8 12:08:34 2011", true, 1310126914},
    {"From anna Fri Jul  8 23:59:60 2011", true, 1310169600},
    {"From anna Fri Dec 31 23:59:59 9999", true, 253402300799},
    {"From here on, all is different", false, 0},
    {"From ", false, 0},
    {"From", false, 0},
    {"", false, 0},
    {"from anna Fri Jul  8 12:08:34 2011", false, 0},
    {" From anna Fri Jul  8 12:08:34 2011", false, 0},
    {">From anna Fri Jul  8 12:08:34 2011", false, 0},
    {"From: anna Fri Jul  8 12:08:34 2011", false, 0},
    {"From anna Fri Jul  8 12:08:34", false, 0},
    {"From anna Fry Jul  8 12:08:34 2011", false, 0},
    {"From anna Fri Jux  8 12:08:34 2011", false, 0},
    {"From anna Fri Jul  0 12:08:34 2011", false, 0},
    {"From anna Fri Jul 32 12:08:34 2011", false, 0},
    {"From anna Fri Jul  8 24:08:34 2011", false, 0},
    {"From anna Fri Jul  8 12:60:34 2011", false, 0},
    {"From anna Fri Jul  8 12:08:61 2011", false, 0},
    {"From anna Fri Jul  8 12:08:34:1 2011", false, 0},
    {"From anna Fri Jul  8 1:08:34 2011", false, 0},
    {"From anna Fri Jul  8 12 2011", false, 0},
    {"From anna Fri Jul  8 12:08:34 11", false, 0},
    {"From anna Fri Jul  8 12:08:34 1899", false, 0},
    {"From anna Fri Jul  8 12:08:34 20111", false, 0},
    {"From anna Fri Jul  8 12:08:34 +9999 2011", false, 0},
    {"From anna Fri Jul  8 12:08:34 ABCDEF 2011", false, 0},
};

static void test_from(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(from_rows); i++) {
        int64_t date = 0;
        if (mbx_from_line(slice_cstr(from_rows[i].line), &date) != from_rows[i].good)
            fail_msg("%s", from_rows[i].line);
        if (from_rows[i].good && date != from_rows[i].date)
            fail_msg("%s: %lld", from_rows[i].line, (long long)date);
    }
}

static void test_from_long(void **state)
{
    struct str line;
    int64_t date;
    str_init(&line, 0);
    str_add_cstr(&line, "From ");
    for (unsigned i = 0; i < 1000; i++)
        str_add_byte(&line, 'a');
    str_add_cstr(&line, " Fri Jul  8 12:08:34 2011");
    assert_false(mbx_from_line(str_slice(&line), &date));
    str_fini(&line);
}

/* -- whole files: every message as it goes to the server, each between brackets, with its flags in front:
 * uid/flags/keywords, "P" for the pseudo message, "L" when Content-Length was believed */
#define FROM "From x Thu Jan  1 00:00:00 1970\n"
static const struct {
    const char *name, *text, *want;
    enum ms_err end;
} files[] = {
    {"empty", "", "", MS_ENOTFOUND},
    {"blank lines in front", "\n\n" FROM "A: 1\n\nb\n", "0//[A: 1\r\n\r\nb\r\n]", MS_ENOTFOUND},
    {"one", FROM "A: 1\n\nbody\n", "0//[A: 1\r\n\r\nbody\r\n]", MS_ENOTFOUND},
    {"two", FROM "A: 1\n\nb\n\n" FROM "A: 2\n\nc\n\n", "0//[A: 1\r\n\r\nb\r\n]0//[A: 2\r\n\r\nc\r\n]",
     MS_ENOTFOUND},
    {"no blank line between", FROM "A: 1\n\nb\n" FROM "A: 2\n\nc\n",
     "0//[A: 1\r\n\r\nb\r\n]0//[A: 2\r\n\r\nc\r\n]", MS_ENOTFOUND},
    {"only one blank line goes", FROM "A: 1\n\nb\n\n\n" FROM "A: 2\n\n\n\n",
     "0//[A: 1\r\n\r\nb\r\n\r\n]0//[A: 2\r\n\r\n\r\n]", MS_ENOTFOUND},
    {"no last line end", FROM "A: 1\n\nbody", "0//[A: 1\r\n\r\nbody]", MS_ENOTFOUND},
    {"CRLF",
     "From x Thu Jan  1 00:00:00 1970\r\nA: 1\r\n\r\nb\r\n\r\nFrom x Thu Jan  1 00:00:00 1970\r\nA: 2\r\n",
     "0//[A: 1\r\n\r\nb\r\n]0//[A: 2\r\n]", MS_ENOTFOUND},
    {"header alone", FROM "A: 1\n", "0//[A: 1\r\n]", MS_ENOTFOUND},
    {"header alone, then another", FROM "A: 1\n" FROM "A: 2\n\n", "0//[A: 1\r\n]0//[A: 2\r\n\r\n]",
     MS_ENOTFOUND},
    {"no message bytes", FROM FROM "A: 2\n", "0//[]0//[A: 2\r\n]", MS_ENOTFOUND},
    {"From_ alone", FROM, "0//[]", MS_ENOTFOUND},
    {"text that begins with From", FROM "A: 1\n\nFrom here on\n\nFrom there\n",
     "0//[A: 1\r\n\r\nFrom here on\r\n\r\nFrom there\r\n]", MS_ENOTFOUND},
    {"quoted", FROM "A: 1\n\n>From a\n>>From b\n >From c\n>Fro\n> From d\n",
     "0//[A: 1\r\n\r\nFrom a\r\n>From b\r\n >From c\r\n>Fro\r\n> From d\r\n]", MS_ENOTFOUND},
    {"quoted in the header stays", FROM "A: 1\n>From a\n\nb\n", "0//[A: 1\r\n>From a\r\n\r\nb\r\n]",
     MS_ENOTFOUND},
    {"flags", FROM "Status: RO\nX-Status: AFTD\nA: 1\n\nb\n", "0/ADFST/[A: 1\r\n\r\nb\r\n]", MS_ENOTFOUND},
    {"flags, folded and odd", FROM "A: 1\n 2\nSTATUS:O\n x\nX-Status : zF\nStatus\n\nb\n",
     "0/F/[A: 1\r\n 2\r\nStatus\r\n\r\nb\r\n]", MS_ENOTFOUND},
    {"flags in the body are text", FROM "A: 1\n\nStatus: RO\n", "0//[A: 1\r\n\r\nStatus: RO\r\n]",
     MS_ENOTFOUND},
    {"keywords", FROM "X-Keywords: $Forwarded  junk JUNK bad(x \\Seen\nA: 1\n\n",
     "0//$Forwarded,junk,[A: 1\r\n\r\n]", MS_ENOTFOUND},
    {"UIDs", FROM "X-IMAPbase: 77 0000000012 a b\nX-UID: 5\nA: 1\n\n\n" FROM "X-UID: 12\nA: 2\n\n",
     "v77,12 5//[A: 1\r\n\r\n]12//[A: 2\r\n\r\n]", MS_ENOTFOUND},
    {"bad UIDs",
     FROM "X-IMAPbase: 0 12\nX-UID: -5\nA: 1\n\n\n" FROM "X-UID: 99999999999\nX-IMAPbase: 7 9\nA: 2\n\n",
     "0//[A: 1\r\n\r\n]0//[A: 2\r\n\r\n]", MS_ENOTFOUND},
    {"pseudo message",
     FROM "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 77 0000000003\nStatus: "
          "RO\n\ntext\n\n" FROM "X-UID: 3\nA: 1\n\n",
     "v77,3 P0/S/[Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\n\r\ntext\r\n]3//[A: "
     "1\r\n\r\n]",
     MS_ENOTFOUND},
    {"such a subject alone is a message", FROM "Subject: DON'T DELETE THIS MESSAGE\n\n",
     "0//[Subject: DON'T DELETE THIS MESSAGE\r\n\r\n]", MS_ENOTFOUND},
    {"length", FROM "Content-Length: 40\nA: 1\n\n" FROM ">From a\n\n" FROM "A: 2\n\n",
     "L0//[A: 1\r\n\r\nFrom x Thu Jan  1 00:00:00 1970\r\n>From a\r\n]0//[A: 2\r\n\r\n]", MS_ENOTFOUND},
    {"length up to the end", FROM "Content-Length: 2\n\nb\n", "L0//[\r\nb\r\n]", MS_ENOTFOUND},
    {"length of nothing", FROM "Content-Length: 0\n\n\n" FROM "A: 2\n\n", "L0//[\r\n]0//[A: 2\r\n\r\n]",
     MS_ENOTFOUND},
    {"length too small", FROM "Content-Length: 1\n\nbody\n\n" FROM "A: 2\n\n",
     "0//[Content-Length: 1\r\n\r\nbody\r\n]0//[A: 2\r\n\r\n]", MS_ENOTFOUND},
    {"length too great", FROM "Content-Length: 9999999\n\nbody\n\n" FROM "A: 2\n\n",
     "0//[Content-Length: 9999999\r\n\r\nbody\r\n]0//[A: 2\r\n\r\n]", MS_ENOTFOUND},
    {"length beyond all bounds", FROM "Content-Length: 18446744073709551615\n\nb\n",
     "0//[Content-Length: 18446744073709551615\r\n\r\nb\r\n]", MS_ENOTFOUND},
    {"8-bit bytes and lone CR", FROM "A: \xff\n\na\rb\x80\n", "0//[A: \xff\r\n\r\na\rb\x80\r\n]",
     MS_ENOTFOUND},
    {"no mbox", "A: 1\n\nFrom x Thu Jan  1 00:00:00 1970\n", "", MS_ESYNTAX},
    {"From_ without a date", "From x\nA: 1\n", "", MS_ESYNTAX},
};

static void show_flags(struct str *out, unsigned flags)
{
    static const struct {
        unsigned flag;
        char letter;
    } names[] = {{IMAP_FLAG_ANSWERED, 'A'},
                 {IMAP_FLAG_DELETED, 'D'},
                 {IMAP_FLAG_FLAGGED, 'F'},
                 {IMAP_FLAG_SEEN, 'S'},
                 {IMAP_FLAG_DRAFT, 'T'}};
    for (size_t i = 0; i < MS_ARRAY_LEN(names); i++)
        if (flags & names[i].flag)
            str_add_byte(out, (uint8_t)names[i].letter);
}

static void show_bytes(struct str *out, const struct mbx_input *in, const struct mbx_mbox_message *m)
{
    struct mbx_bytes b;
    mbx_bytes_init(&b, in, m->head, m->end, MBX_MBOX);
    b.body = m->body;
    b.unquote = !m->length_is_true;
    b.drop_length = m->length_is_true;
    while (mbx_bytes_next(&b, out) == MS_OK)
        ;
    mbx_bytes_fini(&b);
}

static enum ms_err show_file(const struct mbx_input *in, struct str *out)
{
    struct mbx_mbox m;
    struct mbx_mbox_message msg;
    enum ms_err err;
    mbx_mbox_init(&m, in);
    for (bool first = true; (err = mbx_mbox_next(&m, &msg)) == MS_OK; first = false) {
        if (first && m.uidvalidity)
            str_addf(out, "v%u,%u ", m.uidvalidity, m.uidlast);
        str_addf(out, "%s%s%u/", msg.is_pseudo ? "P" : "", msg.length_is_true ? "L" : "", msg.meta.uid);
        show_flags(out, msg.meta.flags);
        str_add_byte(out, '/');
        for (size_t i = 0; i < msg.meta.keyword_count; i++)
            str_addf(out, SLICE_FMT ",", SLICE_ARG(msg.meta.keywords[i]));
        str_add_byte(out, '[');
        show_bytes(out, in, &msg);
        str_add_byte(out, ']');
    }
    mbx_mbox_fini(&m);
    return err;
}

static void test_files(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(files); i++) {
        struct slice text = slice_cstr(files[i].text);
        struct mbx_input in = {.fd = -1, .memory = text, .size = text.len};
        struct str got;
        str_init(&got, 0);
        enum ms_err err = show_file(&in, &got);
        if (err != files[i].end || !slice_eq_cstr(str_slice(&got), files[i].want))
            fail_msg("%s: %s: %s", files[i].name, ms_err_text(err), str_cstr(&got));
        str_fini(&got);
    }
}

/* Lines longer than the buffer: in the header, in the body, and a From_ line right behind. */
static void test_long_lines(void **state)
{
    struct str text, want, got;
    size_t lengths[] = {MBX_BUFFER - 1, MBX_BUFFER, MBX_BUFFER + 1, 3 * MBX_BUFFER + 7};
    for (size_t i = 0; i < MS_ARRAY_LEN(lengths); i++) {
        str_init(&text, 0);
        str_init(&want, 0);
        str_init(&got, 0);
        str_add_cstr(&text, FROM "Status: R");
        str_add_cstr(&want, "0/S/[A: ");
        for (size_t k = 0; k < lengths[i]; k++)
            str_add_byte(&text, 'O');
        str_add_cstr(&text, "\nA: ");
        for (size_t k = 0; k < lengths[i]; k++) {
            str_add_byte(&text, 'a');
            str_add_byte(&want, 'a');
        }
        str_add_cstr(&text, "\n\n>From ");
        str_add_cstr(&want, "\r\n\r\nFrom ");
        for (size_t k = 0; k < lengths[i]; k++) {
            str_add_byte(&text, k % 2 ? '\r' : '>');
            str_add_byte(&want, k % 2 ? '\r' : '>');
        }
        str_add_cstr(&text, "b\n\n" FROM "B: 1\n\n");
        str_add_cstr(&want, "b\r\n]0//[B: 1\r\n\r\n]");
        struct mbx_input in = {.fd = -1, .memory = str_slice(&text), .size = text.len};
        assert_int_equal(show_file(&in, &got), MS_ENOTFOUND);
        assert_true(slice_eq(str_slice(&got), str_slice(&want)));
        str_fini(&text);
        str_fini(&want);
        str_fini(&got);
    }
}

static void test_text(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {{"", ""},
                {"a", "a"},
                {"a\nb\n", "a\r\nb\r\n"},
                {"a\r\nb\n", "a\r\nb\r\n"},
                {"\n\r\n\n", "\r\n\r\n\r\n"},
                {"a\r\rb\r", "a\r\rb\r"},
                {"a\r\r\n", "a\r\r\n"}};
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct slice text = slice_cstr(rows[i].in);
        struct mbx_input in = {.fd = -1, .memory = text, .size = text.len};
        struct mbx_bytes b;
        struct str out;
        str_init(&out, 0);
        mbx_bytes_init(&b, &in, 0, text.len, MBX_TEXT);
        for (unsigned pass = 0; pass < 2; pass++) {
            str_reset(&out);
            mbx_bytes_rewind(&b, 0);
            while (mbx_bytes_next(&b, &out) == MS_OK)
                ;
            assert_true(slice_eq_cstr(str_slice(&out), rows[i].want));
        }
        mbx_bytes_fini(&b);
        str_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from),       cmocka_unit_test(test_from_long), cmocka_unit_test(test_files),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
