/*
 * fuzz_imap_name.c - hostile mailbox names and patterns. What is taken as modified UTF-7 has no other spelling; the
 * canonical form of a name is its own canonical form, and comes back from the wire in both encodings; a name matches
 * itself and "*", and the match agrees with the obvious one. Needs: libms_store, libms_imap. Corpus: corpus/imap_name.
 *
 * The input: a pattern, a line end, a name.
 */
#include "ms/base/codec.h"
#include "ms/imap.h"
#include "ms/store.h"

#define STEPS_MAX 20000 /* of the obvious match, which may take very long */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void spelling(struct slice text)
{
    struct str utf8, back;

    str_init(&utf8, 0);
    str_init(&back, 0);
    if (utf7imap_parse(text, &utf8) == MS_OK) {
        MS_ASSERT(utf8_is_valid(str_slice(&utf8)));
        MS_ASSERT(utf7imap_emit(str_slice(&utf8), &back) == MS_OK);
        MS_ASSERT(slice_eq(str_slice(&back), text));
    }
    str_fini(&utf8);
    str_fini(&back);
}

/* Out on the wire and in again. */
static void round_trip(struct slice name, bool utf8)
{
    struct arena arena;
    struct imap_rd rd;
    struct slice got;
    struct str out;

    arena_init(&arena, 0);
    str_init(&out, 0);
    imap_emit_mailbox(&out, name, utf8);
    imap_rd_init(&rd, str_slice(&out), &arena, utf8);
    MS_ASSERT(imap_rd_mailbox(&rd, &got) == MS_OK && imap_rd_at_end(&rd));
    MS_ASSERT(slice_eq(got, name));
    str_fini(&out);
    arena_fini(&arena);
}

/* 1: matches, 0: not, -1: too long to tell. */
static int plain_match(struct slice p, struct slice n, unsigned *steps)
{
    int here;

    if (++*steps > STEPS_MAX)
        return -1;
    if (!p.len)
        return !n.len;
    if (p.ptr[0] != '*' && p.ptr[0] != '%')
        return n.len && n.ptr[0] == p.ptr[0]
                   ? plain_match(slice_sub(p, 1, SIZE_MAX), slice_sub(n, 1, SIZE_MAX), steps)
                   : 0;
    here = plain_match(slice_sub(p, 1, SIZE_MAX), n, steps);
    if (here || !n.len || (p.ptr[0] == '%' && n.ptr[0] == '/'))
        return here;
    return plain_match(p, slice_sub(n, 1, SIZE_MAX), steps);
}

static void match(struct slice pattern, struct slice name)
{
    unsigned steps = 0;
    bool is_inbox = slice_has_iprefix(name, SLICE_LIT("INBOX")) && (name.len == 5 || name.ptr[5] == '/');
    int want = is_inbox || pattern.len > IMAP_MAILBOX_MAX ? -1 : plain_match(pattern, name, &steps);
    bool got = imap_list_match(pattern, name, '/');

    MS_ASSERT(want < 0 || got == (want == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice name = slice_make(data, size), pattern = slice_make("", 0);
    struct str made, again;

    (void)slice_cut(&name, '\n', &pattern);
    spelling(name);
    match(pattern, name);
    str_init(&made, 0);
    str_init(&again, 0);
    if (store_name_canonical(name, &made) == MS_OK) {
        MS_ASSERT(store_name_check(str_slice(&made)) == MS_OK);
        MS_ASSERT(store_name_canonical(str_slice(&made), &again) == MS_OK);
        MS_ASSERT(slice_eq(str_slice(&made), str_slice(&again)));
        round_trip(str_slice(&made), false);
        round_trip(str_slice(&made), true);
        match(pattern, str_slice(&made));
        MS_ASSERT(imap_list_match(str_slice(&made), str_slice(&made), '/'));
        MS_ASSERT(imap_list_match(SLICE_LIT("*"), str_slice(&made), '/'));
    }
    str_fini(&made);
    str_fini(&again);
    return 0;
}
