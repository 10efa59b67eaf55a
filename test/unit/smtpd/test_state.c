/* The table of edges, and the command table: each written down a second time, as the contract has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../../src/smtpd/smtpd_priv.h"

static const struct {
    const char *from;
    const char *to; /* blank-separated */
} edges[] = {
    {"start", "tls greet"},
    {"tls", "greet"},
    {"greet", "ready swallow"},
    {"ready", "ready mail lookup auth verify tls ask swallow"},
    {"auth", "ready verify"},
    {"verify", "ready auth"},
    {"mail", "ready rcpt lookup swallow"},
    {"rcpt", "ready lookup data chunk"},
    {"lookup", "ready mail rcpt"},
    {"ask", "ready"},
    {"data", "drain ready"},
    {"chunk", "bdat drain ready"},
    {"bdat", "chunk ready"},
    {"swallow", "greet ready mail"},
    {"drain", "commit ready"},
    {"commit", "ready"},
    {"closed", ""},
};

static bool names(const char *list, const char *name)
{
    struct slice rest = slice_cstr(list), word;
    while (slice_cut(&rest, ' ', &word))
        if (slice_eq_cstr(word, name))
            return true;
    return slice_eq_cstr(rest, name);
}

static void all_edges(void **state)
{
    assert_int_equal(MS_ARRAY_LEN(edges), SMTPD_ST_COUNT);
    for (unsigned from = 0; from < SMTPD_ST_COUNT; from++) {
        const char *to_list = NULL;
        for (size_t i = 0; i < MS_ARRAY_LEN(edges); i++)
            if (strcmp(edges[i].from, smtpd__state_name(from)) == 0)
                to_list = edges[i].to;
        assert_non_null(to_list);
        for (unsigned to = 0; to < SMTPD_ST_COUNT; to++) {
            bool wanted =
                to == SMTPD_ST_CLOSED ? from != SMTPD_ST_CLOSED : names(to_list, smtpd__state_name(to));
            if (smtpd__edge_is_allowed(from, to) != wanted)
                fail_msg("%s -> %s", smtpd__state_name(from), smtpd__state_name(to));
        }
    }
}

/* A paused state must not read; a state between commands must. */
static void reading(void **state)
{
    static const char paused[] = "start verify lookup ask drain commit closed";
    static const char between[] = "greet ready mail rcpt bdat";
    for (unsigned st = 0; st < SMTPD_ST_COUNT; st++) {
        assert_int_equal(smtpd__state_reads(st), !names(paused, smtpd__state_name(st)));
        assert_int_equal(smtpd__state_is_between(st), names(between, smtpd__state_name(st)));
    }
}

static void commands(void **state)
{
    for (unsigned verb = 1; verb < SMTP_VERB_COUNT; verb++) {
        const struct smtpd_cmd *row = smtpd__cmd_get(verb);
        assert_non_null(row->run);
        assert_ptr_equal(row->parse, smtp_parser_get(verb));
        /* A command is obeyed only where the session waits for one. */
        for (unsigned st = 0; st < SMTPD_ST_COUNT; st++)
            assert_true(!(row->states & (1u << st)) || smtpd__state_is_between(st));
    }
    assert_int_equal(smtpd__cmd_get(SMTP_VERB_UNKNOWN)->kinds, 0);
    assert_int_equal(smtpd__cmd_get(SMTP_VERB_AUTH)->kinds, SMTPD_SUBMISSION);
    assert_int_equal(smtpd__cmd_get(SMTP_VERB_LHLO)->kinds, SMTPD_LMTP);
    assert_int_equal(smtpd__cmd_get(SMTP_VERB_EHLO)->kinds & SMTPD_LMTP, 0);
    /* Wherever a command may come, a chunk may: it must be read to its end. */
    for (unsigned st = 0; st < SMTPD_ST_COUNT; st++)
        assert_int_equal(!!(smtpd__cmd_get(SMTP_VERB_BDAT)->states & (1u << st)),
                         smtpd__state_is_between(st));
    assert_int_equal(smtpd__cmd_get(SMTP_VERB_BDAT)->flags, SMTPD_C_BLIND);
    assert_true(smtpd__cmd_get(SMTP_VERB_MAIL)->flags & SMTPD_C_NEEDS_AUTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_edges), cmocka_unit_test(reading),
                                       cmocka_unit_test(commands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
