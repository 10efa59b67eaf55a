/*
 * mime_match.c - which of several keys are in a text that comes in pieces.
 *
 * The window is what could still be the beginning of a key, and the piece behind it. A key is looked for from
 * where it could begin without having been seen before.
 */
#include "mime_priv.h"

#include "ms/base/unicode.h"
#include "ms/mime/text.h"

void mime_needles_init(struct mime_needles *n, const struct slice *keys, size_t count)
{
    size_t at = 0;

    *n = (struct mime_needles){.count = count};
    str_init(&n->bytes, 0);
    n->items = ms_alloc_array(count ? count : 1, sizeof *n->items);
    for (size_t i = 0; i < count; i++) {
        size_t from = n->bytes.len;

        unicode_casemap(keys[i], &n->bytes);
        n->items[i].len = n->bytes.len - from;
        n->longest = MS_MAX(n->longest, n->items[i].len);
    }
    for (size_t i = 0; i < count; i++) { /* now that the bytes stay where they are */
        n->items[i] = slice_sub(str_slice(&n->bytes), at, n->items[i].len);
        at += n->items[i].len;
    }
}

void mime_needles_fini(struct mime_needles *n)
{
    ms_free(n->items);
    str_fini(&n->bytes);
    *n = (struct mime_needles){.count = 0};
}

void mime_matcher_init(struct mime_matcher *m, const struct mime_needles *needles)
{
    *m = (struct mime_matcher){.needles = needles};
    m->found = ms_alloc_array(needles->count ? needles->count : 1, sizeof *m->found);
    mime_matcher_reset(m);
}

void mime_matcher_fini(struct mime_matcher *m)
{
    ms_free(m->found);
    *m = (struct mime_matcher){.needles = NULL};
}

void mime_matcher_reset(struct mime_matcher *m)
{
    memset(m->found, 0, m->needles->count * sizeof *m->found);
    m->wanted = NULL;
}

void mime_window_init(struct mime_window *w)
{
    w->kept = 0;
    str_init(&w->bytes, 0);
}

void mime_window_fini(struct mime_window *w)
{
    str_fini(&w->bytes);
    w->kept = 0;
}

void mime_window_begin(struct mime_window *w)
{
    str_reset(&w->bytes);
    w->kept = 0;
}

static bool window_has(const struct mime_window *w, struct slice needle)
{
    size_t from = w->kept - MS_MIN(w->kept, needle.len - 1);

    return w->bytes.len - from >= needle.len &&
           memmem(w->bytes.ptr + from, w->bytes.len - from, needle.ptr, needle.len) != NULL;
}

/* Keeps what a key may begin with. */
static void window_shift(struct mime_window *w, size_t longest)
{
    size_t keep = MS_MIN(w->bytes.len, longest > 0 ? longest - 1 : 0);

    if (keep > 0)
        memmove(w->bytes.ptr, w->bytes.ptr + w->bytes.len - keep, keep);
    str_cut(&w->bytes, keep);
    w->kept = keep;
}

void mime_window_add(struct mime_window *w, struct mime_matcher *m, struct slice mapped)
{
    const struct mime_needles *n = m->needles;

    str_add_slice(&w->bytes, mapped);
    for (size_t i = 0; i < n->count; i++)
        if (!m->found[i] && (!m->wanted || m->wanted[i]))
            m->found[i] = n->items[i].len == 0 || window_has(w, n->items[i]);
    window_shift(w, n->longest);
}
