/*
 * fuzz_imap.c - what a client of the IMAP server can send, as a transcript: the splitter and every argument
 * parser. The same bytes are fed whole, bytewise and in fives; the three must tell the same story. Strings,
 * mailbox names and sets that were accepted are emitted and read back. APPEND messages are accepted unless
 * the tag begins with "r".
 */
#include <stdlib.h>

#include "../unit/imap/imap_describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct imap_limits limits = {
    .line_bytes_max = 4096,
    .literal_bytes_max = 1024,
    .command_bytes_max = 8192,
    .append_bytes_max = 65536,
    .nonsync_bytes_max = IMAP_LITERAL_MINUS_MAX,
};

struct sim {
    struct imap_feed feed;
    struct arena arena;
    struct str log;
    bool utf8;
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void trip_string(struct sim *s, struct slice value)
{
    struct imap_rd rd;
    struct slice back;
    struct str out;

    str_init(&out, 0);
    imap_emit_astring(&out, value);
    imap_rd_init(&rd, str_slice(&out), &s->arena, false);
    check(imap_rd_astring(&rd, &back) == MS_OK && imap_rd_at_end(&rd) && slice_eq(back, value));
    str_fini(&out);
}

static void trip_mailbox(struct sim *s, struct slice name)
{
    struct str out;

    str_init(&out, 0);
    for (int utf8 = 0; utf8 <= 1; utf8++) {
        struct imap_rd rd;
        struct slice back;

        str_reset(&out);
        imap_emit_mailbox(&out, name, utf8);
        imap_rd_init(&rd, str_slice(&out), &s->arena, utf8);
        check(imap_rd_mailbox(&rd, &back) == MS_OK && imap_rd_at_end(&rd) && slice_eq(back, name));
    }
    str_fini(&out);
}

static void trip_set(struct sim *s, struct imap_seqset *set)
{
    struct imap_seqset back;
    struct str out;
    uint64_t steps = 0;

    imap_seqset_resolve(set, 1000);
    str_init(&out, 0);
    imap_seqset_emit(&out, set->ranges, set->count);
    if (set->count) {
        check(imap_seqset_parse(str_slice(&out), &s->arena, &back) == MS_OK && back.count == set->count);
        check(imap_seqset_contains(set, imap_seqset_max(set)));
    }
    for (uint32_t n = imap_seqset_next(set, 1); n && steps < 100; n = imap_seqset_next(set, n + 1), steps++)
        check(imap_seqset_contains(set, n));
    check(steps <= imap_seqset_size(set));
    str_fini(&out);
}

/* A second reading of the commands whose arguments can be written. */
static void sim_trips(struct sim *s, const struct imap_cmd *cmd)
{
    struct imap_rd rd;
    union imap_args args;

    imap_rd_init(&rd, cmd->args, &s->arena, s->utf8);
    if (slice_ieq_cstr(cmd->name, "LOGIN")) {
        if (imap_parse_login(&rd, &args) == MS_OK)
            trip_string(s, args.login.password);
    } else if (slice_ieq_cstr(cmd->name, "SELECT")) {
        if (imap_parse_select(&rd, &args) == MS_OK)
            trip_mailbox(s, args.select.mailbox);
    } else if (slice_ieq_cstr(cmd->name, "COPY")) {
        if (imap_parse_copy(&rd, &args) == MS_OK)
            trip_set(s, &args.copy.set);
    } else if (slice_ieq_cstr(cmd->name, "LIST")) {
        if (imap_parse_list(&rd, &args) == MS_OK)
            for (uint32_t i = 0; i < args.list.pattern_count; i++)
                str_addf(&s->log, "%d", imap_list_match(args.list.patterns[i], args.list.reference, '/'));
    }
}

static void sim_command(struct sim *s, struct slice text)
{
    struct imap_cmd cmd;
    const char *reason;

    describe_command(&s->log, text, s->utf8, &s->arena);
    if (imap_cmd_parse(text, &s->arena, &cmd, &reason) == MS_OK) {
        sim_trips(s, &cmd);
        s->utf8 = s->utf8 || (slice_ieq_cstr(cmd.name, "ENABLE") && slice_ieq_cstr(cmd.args, "UTF8=ACCEPT"));
        if (slice_ieq_cstr(cmd.name, "AUTHENTICATE"))
            imap_feed_expect_line(&s->feed);
    }
    arena_reset(&s->arena);
}

static void sim_event(struct sim *s, enum imap_feed_event ev)
{
    struct imap_feed *f = &s->feed;

    if (ev == IMAP_FEED_DATA) { /* runs are cut where the input is: only their bytes count */
        str_add_slice(&s->log, f->run);
        return;
    }
    if (ev == IMAP_FEED_MORE)
        return;
    str_addf(&s->log, "\n%d ", ev);
    if (ev == IMAP_FEED_COMMAND) {
        sim_command(s, f->text);
    } else if (ev == IMAP_FEED_LITERAL) {
        bool refuse = f->text.ptr[0] == 'r';
        str_addf(&s->log, "%llu ", (unsigned long long)f->literal_bytes);
        describe_command(&s->log, f->text, s->utf8, &s->arena);
        arena_reset(&s->arena);
        if (refuse)
            imap_feed_refuse(f);
        else
            imap_feed_accept(f);
    } else if (ev == IMAP_FEED_BAD) {
        str_addf(&s->log, "%d ", f->fault);
        str_add_slice(&s->log, f->text);
    } else if (ev == IMAP_FEED_END) {
        str_addf(&s->log, "%d", f->has_nul);
    }
}

static void sim_run(struct sim *s, struct slice in, size_t chunk)
{
    *s = (struct sim){.utf8 = false};
    imap_feed_init(&s->feed, &limits);
    arena_init(&s->arena, 1 << 20);
    str_init(&s->log, 0);
    while (in.len) {
        struct slice part = slice_sub(in, 0, chunk);
        size_t used;
        enum imap_feed_event ev = imap_feed(&s->feed, part, &used);

        check(used <= part.len && (ev != IMAP_FEED_MORE || used == part.len));
        in = slice_sub(in, used, SIZE_MAX);
        sim_event(s, ev);
    }
    imap_feed_fini(&s->feed);
    arena_fini(&s->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(data, size);
    struct sim whole;

    sim_run(&whole, in, size ? size : 1);
    for (size_t chunk = 1; chunk <= 5; chunk += 4) {
        struct sim parts;
        sim_run(&parts, in, chunk);
        check(slice_eq(str_slice(&parts.log), str_slice(&whole.log)));
        str_fini(&parts.log);
    }
    str_fini(&whole.log);
    return 0;
}
