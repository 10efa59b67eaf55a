/* test_search.c - does a message match: with the row alone, with its record, with all of it; what is read for it. */
#include "imapd_fixture.h"

#include "../../../src/imapd/imapd_search.h"

static const char message[] =
    "Subject: =?utf-8?q?caf=C3=A9?= at\r\n noon\r\n"
    "From: Ann <ann@example.org>\r\n"
    "To: bob@example.org\r\n"
    "Date: Tue, 3 Feb 2026 01:00:00 +1000\r\n"
    "X-Tag: red fish\r\n"
    "Keywords: a\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n"
    "\r\n"
    "--b\r\n\r\nfirst words\r\n"
    "--b\r\nContent-Description: second\r\nContent-Type: text/html\r\n\r\n<p>last <i>w</i>ords\r\n"
    "--b--\r\n";
static const char prefix[] = "Return-Path: <who@example.net>\r\n";

/* What a message is known by: its row; the fields of its record; its header; its first part; everything. */
enum { ROW, RECORD, HEADER, FIRST, ALL, LEVELS };

static const struct {
    const char *keys;
    char row;  /* y yes, n no, ? unknown */
    char all;  /* in the end */
    int level; /* what it took */
} rows[] = {
    {"ALL", 'y', 'y', ROW},
    {"SEEN", 'y', 'y', ROW},
    {"UNSEEN", 'n', 'n', ROW},
    {"ANSWERED", 'y', 'y', ROW},
    {"FLAGGED", 'n', 'n', ROW},
    {"DRAFT", 'n', 'n', ROW},
    {"UNDRAFT UNDELETED UNFLAGGED", 'y', 'y', ROW},
    {"RECENT", 'y', 'y', ROW},
    {"NEW", 'n', 'n', ROW},
    {"OLD", 'n', 'n', ROW},
    {"NOT SEEN", 'n', 'n', ROW},
    {"NOT NOT SEEN", 'y', 'y', ROW},
    {"OR FLAGGED SEEN", 'y', 'y', ROW},
    {"OR FLAGGED DRAFT", 'n', 'n', ROW},
    {"SEEN FLAGGED", 'n', 'n', ROW},
    {"(SEEN (RECENT))", 'y', 'y', ROW},
    {"7", 'y', 'y', ROW},
    {"1:6,8:10", 'n', 'n', ROW},
    {"UID 70:80", 'y', 'y', ROW},
    {"UID 7", 'n', 'n', ROW},
    {"LARGER 999", 'y', 'y', ROW},
    {"LARGER 1000", 'n', 'n', ROW},
    {"SMALLER 1000", 'n', 'n', ROW},
    {"SMALLER 1001", 'y', 'y', ROW},
    {"LARGER 9223372036854775807", 'n', 'n', ROW},
    {"MODSEQ 55", 'y', 'y', ROW},
    {"MODSEQ 56", 'n', 'n', ROW},
    {"MODSEQ 0", 'y', 'y', ROW},
    {"EMAILID M00000000000000ab", 'y', 'y', ROW},
    {"EMAILID M00000000000000AB", 'n', 'n', ROW},
    {"EMAILID Mab", 'n', 'n', ROW},
    {"THREADID T00000000000000cd", 'y', 'y', ROW},
    {"THREADID M00000000000000ab", 'n', 'n', ROW},
    /* 2026-02-01T23:30 -0500 is the second of February in Greenwich */
    {"ON 1-Feb-2026", 'y', 'y', ROW},
    {"ON 2-Feb-2026", 'n', 'n', ROW},
    {"BEFORE 2-Feb-2026", 'y', 'y', ROW},
    {"BEFORE 1-Feb-2026", 'n', 'n', ROW},
    {"SINCE 1-Feb-2026", 'y', 'y', ROW},
    {"SINCE 2-Feb-2026", 'n', 'n', ROW},
    /* saved 2026-02-03T00:00Z */
    {"SAVEDON 3-Feb-2026", 'y', 'y', ROW},
    {"SAVEDON 2-Feb-2026", 'n', 'n', ROW},
    {"SAVEDBEFORE 4-Feb-2026", 'y', 'y', ROW},
    {"SAVEDBEFORE 3-Feb-2026", 'n', 'n', ROW},
    {"SAVEDSINCE 3-Feb-2026", 'y', 'y', ROW},
    {"SAVEDSINCE 4-Feb-2026", 'n', 'n', ROW},
    {"SAVEDATESUPPORTED", 'y', 'y', ROW},
    /* it is now 2026-02-02T04:30:10Z, ten seconds behind the internal date */
    {"YOUNGER 10", 'y', 'y', ROW},
    {"YOUNGER 9", 'n', 'n', ROW},
    {"OLDER 10", 'y', 'y', ROW},
    {"OLDER 11", 'n', 'n', ROW},
    {"OLDER 9223372036854775807", 'n', 'n', ROW},
    {"YOUNGER 9223372036854775807", 'y', 'y', ROW},
    {"KEYWORD known", 'y', 'y', ROW},
    {"KEYWORD KNOWN", 'y', 'y', ROW},
    {"UNKEYWORD known", 'n', 'n', ROW},
    {"KEYWORD other", 'n', 'n', ROW},
    {"UNKEYWORD nowhere", 'y', 'y', ROW},
    /* 01:00 +1000 is the day before in Greenwich */
    {"SENTON 3-Feb-2026", '?', 'y', RECORD},
    {"SENTON 2-Feb-2026", '?', 'n', RECORD},
    {"SENTBEFORE 4-Feb-2026", '?', 'y', RECORD},
    {"SENTSINCE 3-Feb-2026", '?', 'y', RECORD},
    {"SENTSINCE 4-Feb-2026", '?', 'n', RECORD},
    {"SUBJECT \"AT NOON\"", '?', 'y', RECORD},
    {"SUBJECT caf", '?', 'y', RECORD},
    {"SUBJECT midnight", '?', 'n', RECORD},
    {"SUBJECT \"\"", '?', 'y', RECORD},
    {"FROM ann@", '?', 'y', RECORD},
    {"TO BOB", '?', 'y', RECORD},
    {"CC bob", '?', 'n', RECORD},
    {"BCC \"\"", '?', 'n', RECORD},
    {"HEADER X-Tag \"red f\"", '?', 'y', HEADER},
    {"HEADER X-Tag blue", '?', 'n', HEADER},
    {"HEADER X-Tag \"\"", '?', 'y', HEADER},
    {"HEADER X-None \"\"", '?', 'n', RECORD},
    {"HEADER Return-Path who@", '?', 'y', RECORD},
    {"HEADER Keywords a", '?', 'y', RECORD},
    {"NOT HEADER X-Tag red", '?', 'n', HEADER},
    {"TEXT \"red fish\"", '?', 'y', HEADER},
    {"TEXT who@example", '?', 'y', HEADER},
    {"TEXT \"from: ann\"", '?', 'y', HEADER},
    {"TEXT \"first words\"", '?', 'y', FIRST},
    {"TEXT second", '?', 'y', ALL},
    {"TEXT nothing", '?', 'n', ALL},
    {"TEXT \"\"", '?', 'y', RECORD},
    {"BODY \"first words\"", '?', 'y', FIRST},
    {"BODY FIRST", '?', 'y', FIRST},
    {"BODY \"last words\"", '?', 'y', ALL},
    {"BODY \"<i>w\"", '?', 'y', ALL},
    {"BODY second", '?', 'n', ALL},
    {"BODY fish", '?', 'n', ALL},
    {"BODY \"\"", '?', 'y', RECORD},
    {"NOT BODY first", '?', 'n', FIRST},
    {"BODY \"first\" BODY last", '?', 'y', ALL},
    /* what is known decides where it can */
    {"UNSEEN SUBJECT noon", 'n', 'n', ROW},
    {"BODY first UNSEEN", 'n', 'n', ROW},
    {"SEEN SUBJECT noon", '?', 'y', RECORD},
    {"OR BODY x SEEN", 'y', 'y', ROW},
    {"OR BODY x SUBJECT noon", '?', 'y', RECORD},
    {"OR UNSEEN HEADER X-Tag red", '?', 'y', HEADER},
    {"SUBJECT midnight HEADER X-Tag red", '?', 'n', RECORD},
    {"TEXT last SUBJECT midnight", '?', 'n', RECORD},
    {"NOT (UNSEEN SUBJECT noon)", 'y', 'y', ROW},
};

#define NOW_US UINT64_C(1770006610000000)

struct memory { /* a source, and how far it was read */
    struct slice bytes;
    uint64_t high;
    size_t step;
};

static enum ms_err memory_read(void *owner, uint64_t off, size_t max, struct slice *out)
{
    struct memory *mem = owner;

    *out = slice_sub(mem->bytes, (size_t)off, MS_MIN(max, mem->step));
    mem->high = MS_MAX(mem->high, off + out->len);
    return MS_OK;
}

static void bind(struct search_node *node)
{
    if (node->op == IMAP_SEARCH_KEYWORD)
        node->number = slice_ieq_cstr(node->name, "known")   ? 3
                       : slice_ieq_cstr(node->name, "other") ? 4
                                                             : STORE_KEYWORDS_MAX;
    if (node->op == IMAP_SEARCH_SEQ || node->op == IMAP_SEARCH_UID)
        imap_seqset_resolve(&node->set, 100);
    for (struct search_node *c = node->child; c; c = c->next)
        bind(c);
}

static enum ms_err plan_make(const char *text, struct search_plan *plan)
{
    struct arena arena; /* the plan outlives the command */
    union imap_args args;
    struct imap_rd rd;

    arena_init(&arena, 0);
    imap_rd_init(&rd, slice_cstr(text), &arena, false);
    if (imap_parse_search(&rd, &args))
        fail_msg("%s: %s", text, rd.reason);
    imapd__search_plan_init(plan, &args.search, NOW_US);
    arena_fini(&arena);
    bind(plan->root);
    return imapd__search_plan_prepare(plan);
}

static const struct store_message row_of_message = {
    .uid = 77,
    .flags = STORE_SEEN | STORE_ANSWERED,
    .size = 1000,
    .modseq = 55,
    .internaldate_us = 1770006600000000, /* 2026-02-02T04:30:00Z */
    .internaldate_zone = -300,
    .savedate_us = 1770076800000000,
    .email_id = 0xab,
    .thread_id = 0xcd,
    .keywords = {{1 << 3, 0}},
    .prefix = {(const uint8_t *)prefix, sizeof prefix - 1},
};

static int level_of(uint64_t high, const struct mime_message *m)
{
    uint64_t body = sizeof prefix - 1 + m->parts[0].header_bytes;

    if (high == 0)
        return RECORD;
    if (high <= body)
        return HEADER;
    return high <= sizeof prefix - 1 + m->parts[2].header_off ? FIRST : ALL;
}

static char look(const struct search_plan *plan, const struct mime_message *m, struct memory *mem,
                 size_t budget)
{
    const struct search_subject sub = {.row = &row_of_message, .seq = 7, .recent = true, .mime = m};
    enum search_is is = SEARCH_UNKNOWN;
    struct search_scan scan;
    enum ms_err err;

    imapd__search_scan_init(&scan, plan);
    scan.source = (struct search_source){.read = memory_read, .owner = mem};
    imapd__search_scan_begin(&scan, &sub);
    do {
        size_t left = budget;

        err = imapd__search_scan_step(&scan, &left, &is);
    } while (err == MS_EMORE);
    assert_int_equal(err, MS_OK);
    imapd__search_scan_fini(&scan);
    return is == SEARCH_YES ? 'y' : 'n';
}

/* Whatever the pieces that are read, and whatever a round may cost. */
static void each_level(void **state)
{
    static const char letters[] = {[SEARCH_NO] = 'n', [SEARCH_YES] = 'y', [SEARCH_UNKNOWN] = '?'};
    static const size_t steps[] = {SIZE_MAX, 1, 7, 100};
    struct slice bytes = SLICE_LIT(message);
    struct search_plan plan;
    struct mime_message m;
    struct str whole;

    str_init(&whole, 0);
    str_add_cstr(&whole, prefix);
    str_add_cstr(&whole, message);
    mime_message_init(&m);
    mime_message_parse(&bytes, 1, &m);
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct search_subject sub = {.row = &row_of_message, .seq = 7, .recent = true};
        char got;

        assert_int_equal(plan_make(rows[i].keys, &plan), MS_OK);
        got = letters[imapd__search_eval(plan.root, &sub)];
        if (got != rows[i].row)
            fail_msg("%s, row: %c", rows[i].keys, got);
        for (size_t k = 0; k < MS_ARRAY_LEN(steps); k++) {
            struct memory mem = {.bytes = str_slice(&whole), .step = steps[k]};

            got = look(&plan, &m, &mem, k % 2 ? 1 : SIZE_MAX);
            if (got != rows[i].all || level_of(mem.high, &m) > MS_MAX(rows[i].level, RECORD))
                fail_msg("%s, steps of %zu: %c, level %d", rows[i].keys, steps[k], got,
                         level_of(mem.high, &m));
        }
        imapd__search_plan_fini(&plan);
    }
    mime_message_fini(&m);
    str_fini(&whole);
}

/* A field that the record knows by its place only has to be read. */
static void out_of_record(void **state)
{
    struct mime_message m, again;
    struct search_plan plan;
    struct str text, record, whole;
    struct memory mem;
    struct slice bytes;

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
    str_init(&whole, 0);
    str_add_cstr(&whole, prefix);
    str_add_slice(&whole, bytes);
    mem = (struct memory){.bytes = str_slice(&whole), .step = SIZE_MAX};
    assert_int_equal(plan_make("HEADER Keywords end", &plan), MS_OK);
    assert_int_equal(look(&plan, &again, &mem, SIZE_MAX), 'y');
    assert_true(mem.high > 0);
    str_fini(&whole);
    imapd__search_plan_fini(&plan);
    mime_message_fini(&again);
    mime_message_fini(&m);
    str_fini(&record);
    str_fini(&text);
}

/* -- keys */
static void charsets(void **state)
{
    static const struct {
        const char *keys;
        enum ms_err err;
        bool quick;
    } want[] = {
        {"SUBJECT x", MS_OK, true},
        {"CHARSET UTF-8 SUBJECT x", MS_OK, true},
        {"CHARSET koi8-r SUBJECT {1}\r\n\xf0", MS_OK, false},
        {"CHARSET UTF-8 SUBJECT {1}\r\n\xf0", MS_EINVAL, true},
        {"SUBJECT {1}\r\n\xf0", MS_OK, true},
        {"CHARSET x-unheard SEEN", MS_EUNSUPPORTED, false},
        {"CHARSET x-unheard SUBJECT x", MS_EUNSUPPORTED, false},
        {"CHARSET \"\" SEEN", MS_EUNSUPPORTED, false},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(want); i++) {
        struct search_plan plan;
        enum ms_err err = plan_make(want[i].keys, &plan);

        if (err != want[i].err || imapd__search_plan_is_quick(&plan) != want[i].quick)
            fail_msg("%s: %s", want[i].keys, ms_err_name(err));
        imapd__search_plan_fini(&plan);
    }
}

/* Cheap keys stand in front, whatever the order of the command; numbers alone need no row. */
static void order(void **state)
{
    struct search_plan plan;
    const struct search_node *c;

    assert_int_equal(plan_make("BODY x SUBJECT y OR TEXT z SEEN SENTON 1-Jan-2020 UNSEEN 7", &plan), MS_OK);
    c = plan.root->child;
    assert_int_equal(c->op, IMAP_SEARCH_NOT);
    assert_int_equal((c = c->next)->op, IMAP_SEARCH_SEQ);
    assert_int_equal((c = c->next)->op, IMAP_SEARCH_SENTON);
    assert_int_equal((c = c->next)->op, IMAP_SEARCH_SUBJECT);
    assert_int_equal((c = c->next)->op, IMAP_SEARCH_BODY);
    assert_int_equal((c = c->next)->op, IMAP_SEARCH_OR);
    assert_int_equal(c->child->op, IMAP_SEARCH_FLAG);
    assert_true(plan.needs_rows);
    imapd__search_plan_fini(&plan);
    assert_int_equal(plan_make("ALL NOT 3:5 OR UID 7 (1 2)", &plan), MS_OK);
    assert_false(plan.needs_rows);
    imapd__search_plan_fini(&plan);
    assert_int_equal(plan_make("1 MODSEQ 5", &plan), MS_OK);
    assert_true(plan.needs_rows);
    imapd__search_plan_fini(&plan);
}

/* -- "$" */
static void saved_is(struct imapd_session *s, const char *want)
{
    struct str got;

    str_init(&got, 0);
    for (size_t i = 0; s->saved && i < s->saved->count; i++)
        str_addf(&got, "%u:%u ", s->saved->items[i].first, s->saved->items[i].last);
    if (!slice_eq_cstr(str_slice(&got), want))
        fail_msg("%s, not %s", str_cstr(&got), want);
    str_fini(&got);
}

static void saving(void **state)
{
    struct imapd_session s = {.saved = NULL};
    struct search_found f = {.count = 0};

    assert_int_equal(imapd__search_save(&s, &f, IMAP_RETURN_SAVE), MS_OK);
    saved_is(&s, "");
    for (uint32_t uid = 3; uid < 9; uid++)
        imapd__search_found_add(&f, uid == 8 ? 20 : uid, uid);
    assert_int_equal(imapd__search_save(&s, &f, IMAP_RETURN_SAVE), MS_OK);
    saved_is(&s, "3:7 20:20 ");
    assert_int_equal(imapd__search_save(&s, &f, IMAP_RETURN_SAVE | IMAP_RETURN_MIN), MS_OK);
    saved_is(&s, "3:3 ");
    assert_int_equal(imapd__search_save(&s, &f, IMAP_RETURN_SAVE | IMAP_RETURN_MIN | IMAP_RETURN_MAX), MS_OK);
    saved_is(&s, "3:3 20:20 ");
    /* RFC 5182 2.5: more than is kept for a session */
    for (uint32_t i = 0; i < SEARCH_SAVED_RUNS; i++)
        imapd__search_found_add(&f, 100 + 2 * i, 9);
    assert_int_equal(imapd__search_save(&s, &f, IMAP_RETURN_SAVE | IMAP_RETURN_COUNT), MS_ELIMIT);
    saved_is(&s, "");
    assert_int_equal(imapd__search_save(&s, &f, IMAP_RETURN_SAVE | IMAP_RETURN_MAX), MS_OK);
    saved_is(&s, "131170:131170 ");
    imapd__saved_clear(&s);
    imapd__search_found_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level), cmocka_unit_test(out_of_record), cmocka_unit_test(charsets),
        cmocka_unit_test(order),      cmocka_unit_test(saving),
    };

    return cmocka_run_group_tests_name("imapd search", tests, NULL, NULL);
}
