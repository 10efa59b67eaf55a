/* The header watch: what it sees, where the header ends, at any cut of the input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/smtpd/smtpd_header.h"
#include "ms/base/str.h"

struct row {
    const char *text;
    bool ended, date, message_id;
    unsigned received;
    size_t end; /* bytes in front of the empty line, or all */
};

static const struct row rows[] = {
    {"", false, false, false, 0, 0},
    {"\r\n", true, false, false, 0, 0},
    {"\r\nDate: x\r\n", true, false, false, 0, 0},
    {"Date: x\r\n\r\nbody", true, true, false, 0, 9},
    {"date : x\r\n\r\n", true, true, false, 0, 10},
    {"DATE\t:x\r\n\r\n", true, true, false, 0, 9},
    {"Dates: x\r\n\r\n", true, false, false, 0, 10},
    {"Dat: x\r\n\r\n", true, false, false, 0, 8},
    {"Date x\r\n\r\n", true, false, false, 0, 8},
    {" Date: fold\r\n\r\n", true, false, false, 0, 13},
    {"\tDate: fold\r\n\r\n", true, false, false, 0, 13},
    {"X: a\r\n Date: fold\r\nMessage-ID:<1@a>\r\n\r\n", true, false, true, 0, 37},
    {"message-id: <1@a>\r\nDate: y\r\n\r\nReceived: z\r\n\r\n", true, true, true, 0, 28},
    {"Received: a\r\nRECEIVED: b\r\n c\r\nreceived : d\r\nReceived-SPF: no\r\n\r\n", true, false, false, 3,
     62},
    {"Message-IDs: x\r\nMessage-ID-x: y\r\n\r\n", true, false, false, 0, 33},
    {"A-very-long-field-name-that-is-none-of-ours: Date: x\r\n\r\n", true, false, false, 0, 54},
    {"no end\r\nDate: x\r\n", false, true, false, 0, 17},
    {"no end", false, false, false, 0, 6},
    {"Date", false, false, false, 0, 4},
    {"a\r\n\r", false, false, false, 0, 3},
    {"a\r\n\rb\r\n\r\n", true, false, false, 0, 7},
    {"a\n\r\nb", true, false, false, 0, 2},
};

/* What was in front of the empty line, put together as a session does. */
static size_t scan_cut(const struct row *row, size_t cut, struct smtpd_header *h)
{
    struct slice text = slice_cstr(row->text);
    size_t before = 0;
    *h = (struct smtpd_header){0};
    for (size_t at = 0; at < text.len && !h->ended; at += cut) {
        bool had_cr = h->at == SMTPD_HEADER_CR;
        size_t n = smtpd_header_scan(h, slice_sub(text, at, cut));
        if (had_cr && !(h->ended && n == 0))
            before++; /* the CR that was held back */
        before += n;
    }
    return before;
}

static void any_cut(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t cut = 1; cut <= slice_cstr(rows[i].text).len + 1; cut++) {
            struct smtpd_header h;
            size_t end = scan_cut(&rows[i], cut, &h);
            if (end != rows[i].end || h.ended != rows[i].ended || h.has_date != rows[i].date ||
                h.has_message_id != rows[i].message_id || h.received != rows[i].received)
                fail_msg("row %zu cut %zu: end %zu ended %d date %d id %d received %u", i, cut, end, h.ended,
                         h.has_date, h.has_message_id, h.received);
        }
    }
}

/* Received fields that say "by" us, at any cut. */
static void our_mark(void **state)
{
    static const struct {
        const char *text;
        unsigned received, local;
        bool from;
    } marks[] = {
        {"Received: from a by mx.example.org with ESMTP; now\r\n\r\n", 1, 1, false},
        {"received:by MX.Example.ORG; now\r\n\r\n", 1, 1, false},
        {"Received: by mx.example.org\r\n\r\n", 1, 1, false},
        {"Received: from a (b [192.0.2.1])\r\n\tby\r\n mx.example.org (x) id 1;\r\n now\r\n\r\n", 1, 1,
         false},
        {"Received: from a by mx.example.org(x)\r\nFrom: me\r\n\r\n", 1, 1, true},
        {"Received: by mx.example.org by mx.example.org; now\r\n\r\n", 1, 1, false},
        {"Received: BY mx.example.org; a\r\nReceived: by other; b\r\nReceived: by mx.example.org; c\r\n\r\n",
         3, 2, false},
        {"Received: from a by mx.example.org.evil with ESMTP; now\r\n\r\n", 1, 0, false},
        {"Received: from a by evil.mx.example.org with ESMTP; now\r\n\r\n", 1, 0, false},
        {"Received: from a by mx.example.or; now\r\n\r\n", 1, 0, false},
        {"Received: from by.mx.example.org baby mx.example.org; now\r\n\r\n", 1, 0, false},
        {"Received: from a (by mx.example.org (by mx.example.org)) by b; now\r\n\r\n", 1, 0, false},
        {"Received: from a) by b; now\r\n\r\n", 1, 0, false},
        {"Received: bymx.example.org; now\r\n\r\n", 1, 0, false},
        {"Received: by\r\nX: mx.example.org ;\r\n\r\n", 1, 0, false},
        {"X-Received: by mx.example.org; now\r\nFrom : x\r\n\r\n", 0, 0, true},
        {"X: y\r\n by mx.example.org ; now\r\nFroms: x\r\n\r\n", 0, 0, false},
        {"\r\nReceived: by mx.example.org; now\r\nFrom: x\r\n", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        struct slice text = slice_cstr(marks[i].text);
        for (size_t cut = 1; cut <= text.len; cut++) {
            struct smtpd_header h = {.host = SLICE_LIT("mx.example.org")};
            for (size_t at = 0; at < text.len && !h.ended; at += cut)
                (void)smtpd_header_scan(&h, slice_sub(text, at, cut));
            if (h.received != marks[i].received || h.local != marks[i].local || h.has_from != marks[i].from)
                fail_msg("row %zu cut %zu: received %u local %u from %d", i, cut, h.received, h.local,
                         h.has_from);
        }
    }
}

static void empty_input(void **state)
{
    struct smtpd_header h = {0};
    assert_int_equal(smtpd_header_scan(&h, slice_cstr("\r")), 0);
    assert_int_equal(h.at, SMTPD_HEADER_CR);
    assert_int_equal(smtpd_header_scan(&h, slice_make(NULL, 0)), 0);
    assert_int_equal(smtpd_header_scan(&h, slice_cstr("\n")), 0);
    assert_true(h.ended);
}

static void first_line(void **state)
{
    static const struct {
        const char *text;
        enum smtpd_header_first first;
    } firsts[] = {
        {"Subject: x\r\n", SMTPD_FIRST_HEADER},
        {"a:", SMTPD_FIRST_HEADER},
        {"a \t:", SMTPD_FIRST_HEADER},
        {"\r\nx", SMTPD_FIRST_HEADER},
        {"From a@b", SMTPD_FIRST_HEADER},
        {"From: a", SMTPD_FIRST_HEADER},
        {"", SMTPD_FIRST_MORE},
        {"Fro", SMTPD_FIRST_MORE},
        {"From", SMTPD_FIRST_MORE},
        {"Subject", SMTPD_FIRST_MORE},
        {"Subject ", SMTPD_FIRST_MORE},
        {"hello\r\n", SMTPD_FIRST_BODY},
        {"hello world: x", SMTPD_FIRST_BODY},
        {":", SMTPD_FIRST_BODY},
        {" a: b", SMTPD_FIRST_BODY},
        {"\ta: b", SMTPD_FIRST_BODY},
        {"Fromage x", SMTPD_FIRST_BODY},
        {"\xc3\xa4: x", SMTPD_FIRST_BODY},
    };
    char name[SMTPD_HEADER_FIRST_MAX];
    for (size_t i = 0; i < MS_ARRAY_LEN(firsts); i++)
        if (smtpd_header_first(slice_cstr(firsts[i].text)) != firsts[i].first)
            fail_msg("row %zu", i);
    memset(name, 'x', sizeof name);
    assert_int_equal(smtpd_header_first(slice_make(name, sizeof name - 1)), SMTPD_FIRST_MORE);
    assert_int_equal(smtpd_header_first(slice_make(name, sizeof name)), SMTPD_FIRST_BODY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_cut), cmocka_unit_test(our_mark),
                                       cmocka_unit_test(first_line), cmocka_unit_test(empty_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
