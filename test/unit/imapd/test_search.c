/* test_search.c - does a message match: with the row alone, with its structure record, with its header. */
#include "imapd_fixture.h"

#include "../../../src/imapd/imapd_search.h"

static const char message[] = "Subject: =?utf-8?q?caf=C3=A9?= at\r\n noon\r\n"
                              "From: Ann <ann@example.org>\r\n"
                              "To: bob@example.org\r\n"
                              "Date: Tue, 3 Feb 2026 01:00:00 +1000\r\n"
                              "X-Tag: red fish\r\n"
                              "Keywords: a\r\n"
                              "\r\n"
                              "text\r\n";

enum { ROW, RECORD, HEADER, LEVELS };

/* Results by level: y yes, n no, ? unknown. */
static const struct {
    const char *keys;
    const char *results;
} rows[] = {
    {"ALL", "yyy"},
    {"SEEN", "yyy"},
    {"UNSEEN", "nnn"},
    {"FLAGGED", "nnn"},
    {"RECENT", "yyy"},
    {"NEW", "nnn"},
    {"OLD", "nnn"},
    {"NOT SEEN", "nnn"},
    {"NOT NOT SEEN", "yyy"},
    {"OR FLAGGED SEEN", "yyy"},
    {"OR FLAGGED DRAFT", "nnn"},
    {"SEEN FLAGGED", "nnn"},
    {"(SEEN (RECENT))", "yyy"},
    {"7", "yyy"},
    {"1:6,8:10", "nnn"},
    {"UID 70:80", "yyy"},
    {"UID 7", "nnn"},
    {"LARGER 999", "yyy"},
    {"LARGER 1000", "nnn"},
    {"SMALLER 1000", "nnn"},
    {"SMALLER 1001", "yyy"},
    /* 2026-02-01T23:30 -0500 is the second of February in Greenwich */
    {"ON 1-Feb-2026", "yyy"},
    {"ON 2-Feb-2026", "nnn"},
    {"BEFORE 2-Feb-2026", "yyy"},
    {"BEFORE 1-Feb-2026", "nnn"},
    {"SINCE 1-Feb-2026", "yyy"},
    {"SINCE 2-Feb-2026", "nnn"},
    /* 01:00 +1000 is the day before in Greenwich */
    {"SENTON 3-Feb-2026", "?yy"},
    {"SENTON 2-Feb-2026", "?nn"},
    {"SENTBEFORE 4-Feb-2026", "?yy"},
    {"SENTSINCE 3-Feb-2026", "?yy"},
    {"SENTSINCE 4-Feb-2026", "?nn"},
    {"KEYWORD known", "yyy"},
    {"KEYWORD KNOWN", "yyy"},
    {"UNKEYWORD known", "nnn"},
    {"KEYWORD other", "nnn"},
    {"UNKEYWORD nowhere", "yyy"},
    {"SUBJECT \"AT NOON\"", "?yy"},
    {"SUBJECT midnight", "?nn"},
    {"SUBJECT \"\"", "?yy"},
    {"FROM ann@", "?yy"},
    {"TO BOB", "?yy"},
    {"CC bob", "?nn"},
    {"BCC \"\"", "?nn"},
    {"HEADER X-Tag \"red f\"", "??y"},
    {"HEADER X-Tag blue", "??n"},
    {"HEADER X-Tag \"\"", "??y"},
    {"HEADER X-None \"\"", "?nn"},
    {"HEADER Return-Path who@", "yyy"},
    {"HEADER Keywords a", "?yy"},
    {"NOT HEADER X-Tag red", "??n"},
    /* what is known decides where it can */
    {"UNSEEN SUBJECT noon", "nnn"},
    {"SEEN SUBJECT noon", "?yy"},
    {"OR SEEN HEADER X-Tag red", "yyy"},
    {"OR UNSEEN HEADER X-Tag red", "??y"},
    {"SUBJECT midnight HEADER X-Tag red", "?nn"},
    {"NOT (UNSEEN SUBJECT noon)", "yyy"},
};

static void bind(struct imap_search_key *key)
{
    if (key->op == IMAP_SEARCH_KEYWORD)
        key->number = slice_ieq_cstr(key->text, "known")   ? 3
                      : slice_ieq_cstr(key->text, "other") ? 4
                                                           : STORE_KEYWORDS_MAX;
    if (key->op == IMAP_SEARCH_SEQ || key->op == IMAP_SEARCH_UID)
        imap_seqset_resolve(&key->set, 100);
    for (struct imap_search_key *c = key->child; c; c = c->next)
        bind(c);
}

static const struct imap_search_key *parse(const char *text, struct arena *arena, union imap_args *args)
{
    struct imap_rd rd;

    imap_rd_init(&rd, slice_cstr(text), arena, false);
    assert_int_equal(imap_parse_search(&rd, args), MS_OK);
    bind(args->search.root);
    return args->search.root;
}

static void each_level(void **state)
{
    static const char letters[] = {[SEARCH_NO] = 'n', [SEARCH_YES] = 'y', [SEARCH_UNKNOWN] = '?'};
    struct store_message row = {.uid = 77,
                                .flags = STORE_SEEN | STORE_ANSWERED,
                                .size = 1000,
                                .internaldate_us = 1770006600000000, /* 2026-02-02T04:30:00Z */
                                .internaldate_zone = -300,
                                .keywords = {{1 << 3, 0}},
                                .prefix = SLICE_LIT("Return-Path: <who@example.net>\r\n")};
    struct slice bytes = SLICE_LIT(message);
    struct mime_message m;
    struct arena arena, scratch;
    struct str header;
    union imap_args args;

    arena_init(&arena, 0);
    arena_init(&scratch, 1 << 20);
    str_init(&header, 0);
    str_add(&header, message, mime_header_bytes(bytes));
    mime_message_init(&m);
    mime_message_parse(&bytes, 1, &m);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        const struct imap_search_key *root = parse(rows[i].keys, &arena, &args);

        for (unsigned level = 0; level < LEVELS; level++) {
            struct search_subject sub = {.row = &row,
                                         .seq = 7,
                                         .recent = true,
                                         .mime = level >= RECORD ? &m : NULL,
                                         .header = level >= HEADER ? &header : NULL,
                                         .scratch = &scratch};
            char got = letters[imapd__search_eval(root, &sub)];

            if (got != rows[i].results[level])
                fail_msg("%s, level %u: %c", rows[i].keys, level, got);
        }
        arena_reset(&scratch);
        arena_reset(&arena);
    }
    mime_message_fini(&m);
    str_fini(&header);
    arena_fini(&scratch);
    arena_fini(&arena);
}

/* A field that the record knows by its place only has to be read. */
static void out_of_record(void **state)
{
    struct store_message row = {.uid = 1};
    struct mime_message m, again;
    struct arena arena, scratch;
    struct str text, record;
    union imap_args args;
    struct slice bytes;

    arena_init(&arena, 0);
    arena_init(&scratch, 1 << 20);
    str_init(&text, 0);
    str_init(&record, 0);
    str_add_cstr(&text, "Subject: x\r\nKeywords: ");
    for (unsigned i = 0; i < 600; i++)
        str_add_cstr(&text, "word, ");
    str_add_cstr(&text, "end\r\n\r\n");
    bytes = str_slice(&text);
    mime_message_init(&m);
    mime_message_init(&again);
    mime_message_parse(&bytes, 1, &m);
    assert_int_equal(mime_cache_emit(&m, &record), MS_OK);
    assert_int_equal(mime_cache_parse(str_slice(&record), &again), MS_OK);
    struct search_subject sub = {.row = &row, .seq = 1, .mime = &again, .scratch = &scratch};
    assert_int_equal(imapd__search_eval(parse("HEADER Keywords end", &arena, &args), &sub), SEARCH_UNKNOWN);
    sub.header = &text;
    assert_int_equal(imapd__search_eval(parse("HEADER Keywords end", &arena, &args), &sub), SEARCH_YES);
    mime_message_fini(&again);
    mime_message_fini(&m);
    str_fini(&record);
    str_fini(&text);
    arena_fini(&scratch);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level),
        cmocka_unit_test(out_of_record),
    };

    return cmocka_run_group_tests_name("imapd search", tests, NULL, NULL);
}
