/*
 * route_script.h - a directory that is a text of the test's and answers now or later, as the test says.
 *
 * A line of the text is an entry:
 *   NAME user ID [STATUS] [keep] [> TARGET...]
 *   NAME alias [STATUS] > TARGET...
 *   NAME trouble                               the directory cannot read it (MS_EIO)
 * NAME "@domain" is a catch-all. Domains are those that end in ".org".
 */
#ifndef ROUTE_SCRIPT_H
#define ROUTE_SCRIPT_H

#include "route_fixture.h"

#include "ms/base/map.h"

#define SCRIPT_TARGETS_MAX 1100

struct script_entry {
    enum account_kind kind;
    bool trouble;
    uint64_t id;
    enum account_status status;
    bool keep;
    char *name;
    char **targets;
    size_t target_count;
};

struct script_question {
    struct script *script;
    uint64_t id;
    struct slice name;
    struct arena *arena;
    struct account_answer *out;
    account_answer_fn *done;
    void *owner;
};

struct script {
    struct map entries;
    uint32_t later; /* bit n: the n-th question is answered later */
    unsigned asked, cancelled;
    struct script_question *waiting; /* at most one: a router asks one thing at a time */
    uint64_t next_id;
};

static char *word_take(char **rest)
{
    char *word = *rest + strspn(*rest, " ");
    if (*word == '\0')
        return NULL;
    *rest = word + strcspn(word, " ");
    if (**rest)
        *(*rest)++ = '\0';
    return word;
}

static void script_targets(struct script_entry *e, char *rest)
{
    char *word;
    e->targets = ms_alloc_array(SCRIPT_TARGETS_MAX, sizeof *e->targets);
    while ((word = word_take(&rest))) {
        assert_true(e->target_count < SCRIPT_TARGETS_MAX);
        e->targets[e->target_count++] = slice_dup_cstr(slice_cstr(word));
    }
}

static void script_line(struct script *s, char *line)
{
    struct script_entry *e = ms_new(struct script_entry);
    char *word = word_take(&line);
    assert_non_null(word);
    e->name = slice_dup_cstr(slice_cstr(word));
    word = word_take(&line);
    assert_non_null(word);
    e->kind = strcmp(word, "user") == 0 ? ACCOUNT_USER : ACCOUNT_ALIAS;
    e->trouble = strcmp(word, "trouble") == 0;
    if (e->kind == ACCOUNT_USER)
        e->id = (uint64_t)strtoul(word_take(&line), NULL, 10);
    while ((word = word_take(&line))) {
        if (strcmp(word, ">") == 0) {
            script_targets(e, line);
            break;
        }
        if (strcmp(word, "keep") == 0) {
            e->keep = true;
        } else {
            assert_true(account_status_is_known(slice_cstr(word)));
            e->status = account_status_parse(slice_cstr(word));
        }
    }
    assert_null(map_put(&s->entries, slice_cstr(e->name), e));
}

static void script_clear(struct script *s)
{
    size_t cursor = 0;
    struct slice key;
    void *value;
    assert_null(s->waiting);
    while (map_next(&s->entries, &cursor, &key, &value)) {
        struct script_entry *e = value;
        for (size_t i = 0; i < e->target_count; i++)
            ms_free(e->targets[i]);
        ms_free(e->targets);
        ms_free(e->name);
        ms_free(e);
    }
    map_fini(&s->entries);
    map_init(&s->entries);
    s->later = 0;
}

static void script_set(struct script *s, const char *text)
{
    struct slice rest = slice_cstr(text), line;
    script_clear(s);
    while (rest.len) {
        if (!slice_cut(&rest, '\n', &line)) {
            line = rest;
            rest.len = 0;
        }
        if (line.len == 0)
            continue;
        char *copy = slice_dup_cstr(line);
        script_line(s, copy);
        ms_free(copy);
    }
}

static enum ms_err script_answer(struct script *s, struct slice name, struct arena *arena,
                                 struct account_answer *out)
{
    struct script_entry *e = map_find(&s->entries, name);
    if (!e)
        return MS_ENOTFOUND;
    if (e->trouble)
        return MS_EIO;
    *out = (struct account_answer){.kind = e->kind, .status = e->status, .keep = e->keep};
    out->name = arena_dup(arena, name);
    if (e->kind == ACCOUNT_USER) {
        out->entry = (struct account_entry){.id = e->id, .status = e->status, .quota_bytes = e->id * 1000};
        memcpy(out->entry.login, e->name, strlen(e->name) + 1);
    }
    out->target_count = e->target_count;
    out->targets = arena_new_array(arena, struct slice, MS_MAX(e->target_count, (size_t)1));
    for (size_t i = 0; i < e->target_count; i++)
        out->targets[i] = arena_dup(arena, slice_cstr(e->targets[i]));
    return MS_OK;
}

static enum ms_err script_lookup(void *self, struct loop *loop, struct slice name, struct arena *arena,
                                 struct account_answer *out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    struct script *s = self;
    unsigned number = s->asked++;
    if (number >= 32 || !(s->later >> number & 1))
        return script_answer(s, name, arena, out);
    assert_null(s->waiting);
    s->waiting = ms_new(struct script_question);
    *s->waiting = (struct script_question){.script = s,
                                           .id = ++s->next_id,
                                           .name = arena_dup(arena, name),
                                           .arena = arena,
                                           .out = out,
                                           .done = done,
                                           .owner = owner};
    *request_out = s->next_id;
    return MS_EMORE;
}

static enum ms_err script_domain(void *self, struct loop *loop, struct slice domain, struct arena *arena,
                                 struct slice *canonical_out, account_answer_fn *done, void *owner,
                                 uint64_t *request_out)
{
    *canonical_out = arena_dup(arena, domain);
    return slice_has_suffix(domain, SLICE_LIT(".org")) ? MS_OK : MS_ENOTFOUND;
}

static void script_cancel(void *self, struct loop *loop, uint64_t request)
{
    struct script *s = self;
    if (!s->waiting || s->waiting->id != request)
        return;
    s->cancelled++;
    ms_free(s->waiting);
    s->waiting = NULL;
}

/* The question that waits gets its answer; false: none waits. */
static bool script_go_on(struct script *s)
{
    struct script_question *q = s->waiting;
    if (!q)
        return false;
    s->waiting = NULL;
    enum ms_err err = script_answer(s, q->name, q->arena, q->out);
    q->done(q->owner, q->id, err, q->out);
    ms_free(q);
    return true;
}

static const struct account_backend script_backend = {.name = "script",
                                                      .answers_later = true,
                                                      .lookup = script_lookup,
                                                      .domain = script_domain,
                                                      .cancel = script_cancel};

#endif
