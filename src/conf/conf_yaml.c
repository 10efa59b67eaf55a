/*
 * conf_yaml.c - bytes of one file -> node tree, over libyaml's event parser. The only file that knows
 * libyaml. Layer 2 (conf). libyaml itself accepts duplicate keys, expands nothing but hands out aliases, has
 * no bound on nesting (its scanner is quadratic in it) and reads ahead by 16 KB, so that a bad byte would
 * hide mistakes in front of it. Hence:
 *   1. bytes are checked before libyaml sees them, and the text is cut in front of the line with the first
 * bad one;
 *   2. anchors, aliases, merge keys, tags but !file, further documents and depth are refused at their event;
 *   3. each open mapping keeps a table of its keys; a repeated key is an error that names both lines.
 * After a mistake of kind 2 or 3 reading goes on; what was refused is marked broken or left out.
 */
#include <stdio.h>

#include <yaml.h>

#include "ms/base/codec.h"

#include "conf_priv.h"

struct yaml_frame {
    struct conf__node *node;
    struct map keys; /* mappings: key -> node of its first use */
    bool have_key;   /* the next event is the value of `key` */
    bool skip;       /* that value is read but not kept */
    bool complex;    /* a list or mapping stands where the key belongs, and is open */
    struct slice key;
    struct conf__place key_at;
};

struct yaml_build {
    struct arena *arena;
    const struct conf__file *file;
    struct conf_report *report;
    struct conf__node *root;
    struct yaml_frame stack[CONF_DEPTH_MAX];
    unsigned depth;
    unsigned documents;
    size_t nodes;
    bool cut;     /* the text ends early: the end is not a mistake of its own */
    bool stopped; /* reported, read no further */
};

static struct conf__place yaml_place(const struct yaml_build *b, yaml_mark_t mark)
{
    return (struct conf__place){
        .file = b->file, .line = (unsigned)mark.line + 1, .col = (unsigned)mark.column + 1};
}

/* Dotted path of the open mappings and the pending key. */
static const char *yaml_path(const struct yaml_build *b, char *buf, size_t size)
{
    size_t used = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < b->depth; i++) {
        const struct yaml_frame *f = &b->stack[i];
        int n;

        /* below the innermost mapping, the key whose value is open */
        if (f->node->kind != CONF__MAP || (!f->have_key && i + 1 == b->depth) || f->key.len == 0)
            continue;
        n = snprintf(buf + used, size - used, "%s" SLICE_FMT, used ? "." : "", SLICE_ARG(f->key));
        used += (size_t)n;
        if (used >= size - 1)
            break;
    }
    return buf;
}

static void yaml_err(struct yaml_build *b, yaml_mark_t mark, const char *hint, const char *fmt, ...)
    MS_PRINTF(4, 5);
static void yaml_err(struct yaml_build *b, yaml_mark_t mark, const char *hint, const char *fmt, ...)
{
    char path[CONF_PATH_MAX];
    va_list ap;

    va_start(ap, fmt);
    conf__verr(b->report, yaml_place(b, mark), yaml_path(b, path, sizeof(path)), hint, fmt, ap);
    va_end(ap);
}

static bool key_is_clean(struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < 0x20 || key.ptr[i] == 0x7f)
            return false;
    }
    return true;
}

/* A scalar in the place of a key: remembers it, or arranges that its value is left out. */
static void build_key(struct yaml_build *b, struct yaml_frame *f, const yaml_event_t *ev)
{
    struct slice key = slice_make(ev->data.scalar.value, ev->data.scalar.length);
    const struct conf__node *before;

    f->have_key = true;
    f->skip = false;
    f->key = arena_dup(b->arena, key);
    f->key_at = yaml_place(b, ev->start_mark);
    before = map_find(&f->keys, key);
    if (before) {
        yaml_err(b, ev->start_mark, NULL, "this key is set twice, first on line %u and again on line %u",
                 before->key_at.line, f->key_at.line);
        f->skip = true;
    } else if (slice_eq_cstr(key, "<<") && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        yaml_err(b, ev->start_mark, "write the values out", "merge keys are not supported");
        f->skip = true;
    } else if (!key_is_clean(key)) {
        f->key = SLICE_LIT("");
        yaml_err(b, ev->start_mark, NULL, "a key cannot hold control characters");
        f->skip = true;
    }
}

/* Puts a node where the document has it. As a key, anything but a scalar is refused. */
static void build_attach(struct yaml_build *b, struct conf__node *node, yaml_mark_t mark)
{
    struct yaml_frame *f;

    if (b->depth == 0) {
        b->root = node;
        return;
    }
    f = &b->stack[b->depth - 1];
    if (f->node->kind == CONF__LIST) {
        conf__node_add(f->node, node);
        return;
    }
    if (!f->have_key) {
        yaml_err(b, mark, NULL, "a key must be a single word, not a list, mapping or alias");
        f->have_key = true;
        f->skip = true;
        f->key = SLICE_LIT("");
        return;
    }
    f->have_key = false;
    if (!f->skip) {
        node->key = f->key;
        node->key_at = f->key_at;
        conf__node_add(f->node, node);
        map_put(&f->keys, f->key, node);
    }
}

static bool build_wants_key(const struct yaml_build *b)
{
    const struct yaml_frame *f = b->depth > 0 ? &b->stack[b->depth - 1] : NULL;

    return f && f->node->kind == CONF__MAP && !f->have_key;
}

static void build_scalar(struct yaml_build *b, const yaml_event_t *ev)
{
    const char *tag = (const char *)ev->data.scalar.tag;
    struct conf__node *node;

    if (ev->data.scalar.anchor)
        yaml_err(b, ev->start_mark, "write the value out where it is needed", "anchors are not supported");
    if (build_wants_key(b)) {
        if (tag && strcmp(tag, "!") != 0)
            yaml_err(b, ev->start_mark, NULL, "a key cannot have a tag");
        build_key(b, &b->stack[b->depth - 1], ev);
        return;
    }
    node = conf__node_new(b->arena, CONF__SCALAR, yaml_place(b, ev->start_mark));
    node->text = arena_dup(b->arena, slice_make(ev->data.scalar.value, ev->data.scalar.length));
    node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (tag && strcmp(tag, "!file") == 0) {
        node->file_tag = true;
    } else if (tag && strcmp(tag, "!") != 0) {
        yaml_err(b, ev->start_mark, "only !file PATH", "the tag %.60s is not supported", tag);
        node->broken = true;
    }
    build_attach(b, node, ev->start_mark);
}

static void build_alias(struct yaml_build *b, const yaml_event_t *ev)
{
    struct conf__node *node = conf__node_new(b->arena, CONF__SCALAR, yaml_place(b, ev->start_mark));

    if (!build_wants_key(b))
        yaml_err(b, ev->start_mark, "write the value out", "aliases are not supported");
    node->broken = true;
    build_attach(b, node, ev->start_mark);
}

static void build_open(struct yaml_build *b, const yaml_event_t *ev, enum conf__kind kind)
{
    const yaml_char_t *tag = kind == CONF__MAP ? ev->data.mapping_start.tag : ev->data.sequence_start.tag;
    const yaml_char_t *anchor =
        kind == CONF__MAP ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor;
    struct conf__node *node = conf__node_new(b->arena, kind, yaml_place(b, ev->start_mark));
    struct yaml_frame *f;
    bool as_key;

    if (b->depth == CONF_DEPTH_MAX) {
        yaml_err(b, ev->start_mark, NULL, "nested deeper than %d levels", CONF_DEPTH_MAX);
        b->stopped = true;
        return;
    }
    if (anchor)
        yaml_err(b, ev->start_mark, "write the value out where it is needed", "anchors are not supported");
    if (tag && strcmp((const char *)tag, "!") != 0)
        yaml_err(b, ev->start_mark, "only !file PATH", "the tag %.60s is not supported", (const char *)tag);
    as_key = build_wants_key(b);
    build_attach(b, node, ev->start_mark);
    if (as_key)
        b->stack[b->depth - 1].complex = true;
    f = &b->stack[b->depth++];
    *f = (struct yaml_frame){.node = node};
    map_init(&f->keys);
}

static void build_close(struct yaml_build *b)
{
    map_fini(&b->stack[--b->depth].keys);
    /* what ended here was a key: its value comes next */
    if (b->depth > 0 && b->stack[b->depth - 1].complex) {
        b->stack[b->depth - 1].complex = false;
        b->stack[b->depth - 1].have_key = true;
    }
}

static void build_document(struct yaml_build *b, const yaml_event_t *ev)
{
    if (++b->documents == 1)
        return;
    yaml_err(b, ev->start_mark, "one document per file; put the rest into conf.d",
             "a second document begins here");
    b->stopped = true;
}

static void build_event(struct yaml_build *b, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        build_document(b, ev);
        break;
    case YAML_SCALAR_EVENT:
        build_scalar(b, ev);
        break;
    case YAML_ALIAS_EVENT:
        build_alias(b, ev);
        break;
    case YAML_SEQUENCE_START_EVENT:
        build_open(b, ev, CONF__LIST);
        break;
    case YAML_MAPPING_START_EVENT:
        build_open(b, ev, CONF__MAP);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        build_close(b);
        break;
    case YAML_STREAM_END_EVENT:
        b->stopped = true;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    if (++b->nodes > CONF_NODES_MAX) {
        yaml_err(b, ev->start_mark, NULL, "more than %d values in one file", CONF_NODES_MAX);
        b->stopped = true;
    }
}

/* libyaml's own complaint. A problem found at the end of something is told with where that began. */
static void build_syntax_error(struct yaml_build *b, const yaml_parser_t *parser, struct slice text)
{
    const char *problem = parser->problem ? parser->problem : "not YAML";
    struct conf__place at = yaml_place(b, parser->problem_mark);
    const char *hint = NULL;

    if (parser->error == YAML_READER_ERROR) {
        struct slice before = slice_sub(text, 0, parser->problem_offset);
        ssize_t line_end = slice_rfind_byte(before, '\n');

        at.line = 1;
        for (size_t i = 0; i < before.len; i++)
            at.line += before.ptr[i] == '\n';
        at.col = (unsigned)(before.len - (size_t)(line_end + 1)) + 1;
    } else if (parser->problem_mark.index < text.len && strstr(problem, "cannot start any token")) {
        hint = "indent with blanks, not tabs; quote text that begins with a special character";
    }
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        conf__err(b->report, at, "", hint, "%s, %s that began at line %zu, column %zu", problem,
                  parser->context, parser->context_mark.line + 1, parser->context_mark.column + 1);
    else if (parser->context)
        conf__err(b->report, at, "", hint, "%s, %s", problem, parser->context);
    else
        conf__err(b->report, at, "", hint, "%s", problem);
}

static bool byte_is_refused(uint8_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

/* Offset in a line of the first byte that is no text; line.len when there is none. *col_out counts
 * characters. */
static size_t line_bad_offset(struct slice line, unsigned *col_out)
{
    size_t i = 0;

    for (*col_out = 1; i < line.len; (*col_out)++) {
        uint8_t lead = line.ptr[i];
        size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;

        if (byte_is_refused(lead) || !utf8_is_valid(slice_sub(line, i, len)))
            break;
        i += len;
    }
    return i;
}

/* What may be given to libyaml: the text up to the line with the first byte that is not text. */
static struct slice build_readable(struct yaml_build *b, struct slice text)
{
    bool clean = utf8_is_valid(text);
    struct slice rest = text, line;
    struct conf__place at = {.file = b->file};

    for (size_t i = 0; i < text.len && clean; i++)
        clean = !byte_is_refused(text.ptr[i]);
    if (clean)
        return text;
    for (bool last = false; !last;) {
        last = !slice_cut(&rest, '\n', &line);
        if (last)
            line = rest;
        at.line++;
        if (line_bad_offset(line, &at.col) < line.len)
            break;
    }
    conf__err(b->report, at, "", NULL, "byte 0x%02x here is not text in UTF-8",
              line.ptr[line_bad_offset(line, &at.col)]);
    b->cut = true;
    return slice_sub(text, 0, (size_t)(line.ptr - text.ptr));
}

static bool build_run(struct yaml_build *b, struct slice text)
{
    yaml_parser_t parser;
    yaml_event_t ev;
    bool whole = !b->cut;

    MS_ASSERT(yaml_parser_initialize(&parser));
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.ptr ? text.ptr : (const uint8_t *)"", text.len);
    while (!b->stopped) {
        if (!yaml_parser_parse(&parser, &ev)) {
            if (!b->cut)
                build_syntax_error(b, &parser, text);
            whole = false;
            break;
        }
        build_event(b, &ev);
        if (b->stopped && ev.type != YAML_STREAM_END_EVENT)
            whole = false;
        yaml_event_delete(&ev);
    }
    while (b->depth > 0)
        map_fini(&b->stack[--b->depth].keys);
    yaml_parser_delete(&parser);
    return whole;
}

bool conf__yaml_parse(struct arena *a, const struct conf__file *file, struct slice bytes,
                      struct conf_report *report, struct conf__node **root_out)
{
    struct yaml_build *b = ms_new(struct yaml_build);
    struct conf__place start = {.file = file, .line = 1, .col = 1};
    bool whole;

    *b = (struct yaml_build){.arena = a, .file = file, .report = report};
    if (bytes.len > CONF_FILE_BYTES_MAX) {
        conf__err(report, (struct conf__place){.file = file}, "", NULL, "larger than %zu MiB",
                  CONF_FILE_BYTES_MAX >> 20);
        whole = false;
    } else {
        if (slice_has_prefix(bytes, SLICE_LIT("\xef\xbb\xbf")))
            bytes = slice_sub(bytes, 3, bytes.len);
        whole = build_run(b, build_readable(b, bytes));
    }
    *root_out = b->root && !conf__node_is_empty(b->root) ? b->root : conf__node_new(a, CONF__MAP, start);
    ms_free(b);
    return whole;
}
