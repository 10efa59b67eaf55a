/* test_section.c - sections of prefix and message, for every message of the corpus: as if both had been
 * parsed as one. */
#include "imapd_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/imapd/corpus_dir.h"

static const char prefix[] = "Return-Path: <somebody@example.net>\r\nDelivered-To: me@example.org\r\n";

static const char *const items[] = {
    "BODY[]",         "BODY[HEADER]",   "BODY[TEXT]",       "BODY[1]",        "BODY[2]",
    "BODY[3]",        "BODY[1.MIME]",   "BODY[2.MIME]",     "BODY[1.1]",      "BODY[1.2]",
    "BODY[2.1]",      "BODY[2.2]",      "BODY[2.1.1]",      "BODY[2.HEADER]", "BODY[2.TEXT]",
    "BODY[1.HEADER]", "BODY[1.TEXT]",   "BODY[1.1.HEADER]", "BODY[1.1.TEXT]", "BODY[1.1.1]",
    "BODY[2.1.MIME]", "BODY[99]",       "BODY[1.1.1.1.1]",  "RFC822",         "RFC822.HEADER",
    "RFC822.TEXT",    "BODY[3.HEADER]", "BODY[3.TEXT]",     "BODY[3.1]",      "BODY[3.2.1]",
};

static void read_file(const char *path, struct str *out)
{
    FILE *f = fopen(path, "r");
    char buf[4096];
    size_t n;

    assert_non_null(f);
    str_reset(out);
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        str_add(out, buf, n);
    fclose(f);
}

static enum ms_err range_of(const struct mime_message *m, size_t prefix_bytes, uint64_t size,
                            const char *item, struct mime_range *out)
{
    struct imapd_msg msg = {.row = {.size = size, .prefix = {(const uint8_t *)prefix, prefix_bytes}},
                            .mime = *m};
    union imap_args args;
    struct arena arena;
    struct imap_rd rd;
    char text[64];
    enum ms_err err;

    arena_init(&arena, 0);
    snprintf(text, sizeof text, "1 %s", item);
    imap_rd_init(&rd, slice_cstr(text), &arena, false);
    assert_int_equal(imap_parse_fetch(&rd, &args), MS_OK);
    err = imapd__msg_section(&msg, &args.fetch.sections[0], out);
    arena_fini(&arena);
    return err;
}

/* Number of sections that are there. */
static unsigned check_message(const char *name, struct slice bytes)
{
    struct mime_message apart, whole;
    struct slice pieces[2] = {slice_make(prefix, sizeof prefix - 1), bytes};
    unsigned found = 0;

    mime_message_init(&apart);
    mime_message_init(&whole);
    mime_message_parse(&bytes, 1, &apart);
    mime_message_parse(pieces, 2, &whole);
    for (size_t i = 0; i < MS_ARRAY_LEN(items); i++) {
        struct mime_range a = {0}, w = {0};
        uint64_t size = bytes.len + sizeof prefix - 1;
        enum ms_err ea = range_of(&apart, sizeof prefix - 1, size, items[i], &a);
        enum ms_err ew = range_of(&whole, 0, size, items[i], &w);

        if (ea != ew || a.off != w.off || a.bytes != w.bytes || a.off + a.bytes > size)
            fail_msg("%s %s: %s %llu+%llu, as one %s %llu+%llu", name, items[i], ms_err_name(ea),
                     (unsigned long long)a.off, (unsigned long long)a.bytes, ms_err_name(ew),
                     (unsigned long long)w.off, (unsigned long long)w.bytes);
        found += ea == MS_OK;
    }
    mime_message_fini(&whole);
    mime_message_fini(&apart);
    return found;
}

/* A message that begins with its body has no header that a prefix could stand in front of. */
static bool has_header(struct slice bytes)
{
    return mime_header_bytes(bytes) > 2;
}

static void corpus(void **state)
{
    struct dirent **names;
    int count = scandir(CORPUS_DIR, &names, NULL, alphasort);
    unsigned messages = 0, found = 0;
    struct str bytes;

    str_init(&bytes, 0);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[512];

        snprintf(path, sizeof path, "%s/%s", CORPUS_DIR, names[i]->d_name);
        if (strstr(path, ".eml")) {
            read_file(path, &bytes);
            if (has_header(str_slice(&bytes))) {
                found += check_message(names[i]->d_name, str_slice(&bytes));
                messages++;
            }
        }
        free(names[i]);
    }
    free(names);
    str_fini(&bytes);
    assert_true(messages >= 30 && found >= messages * 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(corpus)};

    return cmocka_run_group_tests_name("imapd section", tests, NULL, NULL);
}
