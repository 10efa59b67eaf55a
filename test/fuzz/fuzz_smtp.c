/*
 * fuzz_smtp.c - what a client of the SMTP server can send, as a transcript: command lines, DATA, BDAT.
 * The same bytes are read whole, bytewise and in threes; the three must tell the same story. A mailbox that
 * was accepted is emitted and read back.
 */
#include <stdlib.h>

#include "ms/smtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum sim_mode { SIM_LINES, SIM_DATA, SIM_BDAT };

struct sim {
    enum sim_mode mode;
    struct smtp_line lines;
    struct smtp_data data;
    struct smtp_bdat bdat;
    struct smtp_data chunk; /* content of BDAT */
    struct smtp_eol eol;
    bool utf8;
    struct arena arena;
    struct str log;
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void log_slice(struct sim *s, struct slice text)
{
    str_add_byte(&s->log, '<');
    str_add_slice(&s->log, text);
    str_add_byte(&s->log, '>');
}

static void sim_path(struct sim *s, const struct smtp_path *path)
{
    struct smtp_path back;
    enum smtp_fault fault;
    struct str out;

    log_slice(s, path->address);
    log_slice(s, path->local);
    log_slice(s, path->domain);
    check(path->is_null == (path->address.len == 0));
    check(path->local.len <= SMTP_LOCAL_MAX && path->domain.len <= SMTP_DOMAIN_MAX);
    if (path->is_null || !path->domain.len)
        return;
    str_init(&out, 0);
    smtp_mailbox_emit(&out, path->local, path->domain);
    check(slice_eq(str_slice(&out), path->address));
    check(smtp_mailbox_parse(path->address, true, &s->arena, &back, &fault) == MS_OK);
    check(slice_eq(back.local, path->local) && slice_eq(back.domain, path->domain));
    check(back.is_literal == path->is_literal && back.is_utf8 == path->is_utf8);
    str_fini(&out);
}

static void sim_mail(struct sim *s, const struct smtp_cmd *cmd)
{
    sim_path(s, &cmd->mail.from);
    s->utf8 = cmd->mail.params & SMTP_PARAM_SMTPUTF8;
    str_addf(&s->log, "%x %llu %d %d", cmd->mail.params, (unsigned long long)cmd->mail.size, cmd->mail.body,
             cmd->mail.ret);
    log_slice(s, cmd->mail.envid);
    log_slice(s, cmd->mail.auth);
}

static void sim_ends(struct sim *s, struct slice run)
{
    struct slice runs[4];
    size_t count;
    while (run.len > 0) {
        size_t used = smtp_eol_feed(&s->eol, run, runs, MS_ARRAY_LEN(runs), &count);
        check(used > 0);
        for (size_t i = 0; i < count; i++)
            str_add_slice(&s->log, runs[i]);
        run = slice_sub(run, used, run.len);
    }
}

static void sim_ends_finish(struct sim *s, unsigned flags)
{
    bool was_cr = s->eol.ends_cr;
    struct slice rest = smtp_eol_end(&s->eol);
    str_add_slice(&s->log, rest);
    check(rest.len == was_cr);
    check(rest.len == 0 || (flags & SMTP_DATA_BARE_CR));
}

static void sim_bdat_end(struct sim *s)
{
    s->mode = SIM_LINES;
    if (!s->bdat.last)
        return;
    smtp_data_scan_end(&s->chunk);
    str_addf(&s->log, "last %x %llu", s->chunk.flags, (unsigned long long)s->chunk.bytes);
    sim_ends_finish(s, s->chunk.flags);
    smtp_data_init(&s->chunk, SMTP_DATA_LINE_MAX);
}

static void sim_accepted(struct sim *s, enum smtp_verb verb, const struct smtp_cmd *cmd)
{
    if (verb == SMTP_VERB_MAIL) {
        sim_mail(s, cmd);
    } else if (verb == SMTP_VERB_RCPT) {
        sim_path(s, &cmd->rcpt.to);
        str_addf(&s->log, "%x %x", cmd->rcpt.params, cmd->rcpt.notify);
        log_slice(s, cmd->rcpt.orcpt_type);
        log_slice(s, cmd->rcpt.orcpt);
    } else if (verb == SMTP_VERB_DATA) {
        s->mode = SIM_DATA; /* of another transaction than chunks before it: between chunks it is refused */
        s->eol = (struct smtp_eol){0};
        smtp_data_init(&s->data, SMTP_DATA_LINE_MAX);
        smtp_data_init(&s->chunk, SMTP_DATA_LINE_MAX);
    } else if (verb == SMTP_VERB_BDAT) {
        s->mode = SIM_BDAT;
        smtp_bdat_init(&s->bdat, cmd->bdat.size, cmd->bdat.last);
        if (cmd->bdat.size == 0)
            sim_bdat_end(s);
    } else if (verb == SMTP_VERB_AUTH) {
        log_slice(s, cmd->auth.mech);
        log_slice(s, cmd->auth.initial);
    } else if (smtp_parser_get(verb) == smtp_parse_helo) {
        str_addf(&s->log, "%d%d", cmd->helo.is_literal, cmd->helo.is_valid);
        log_slice(s, cmd->helo.name);
    }
}

static void sim_line(struct sim *s, struct slice line)
{
    struct smtp_parse_opts opts = {.arena = &s->arena, .params = ~0u, .binary = true, .utf8 = s->utf8};
    struct smtp_cmd cmd;
    struct slice args;
    enum smtp_verb verb = smtp_verb_parse(line, &args);

    str_add_cstr(&s->log, smtp_verb_name(verb));
    if (!smtp_parser_get(verb))
        return;
    if (smtp_parser_get(verb)(args, &opts, &cmd))
        smtp_reply_emit(&s->log, smtp_reply_for_fault(cmd.fault));
    else
        sim_accepted(s, verb, &cmd);
    arena_reset(&s->arena);
}

static size_t sim_data(struct sim *s, struct slice in)
{
    struct slice runs[4];
    size_t count;
    size_t used = smtp_data_feed(&s->data, in, runs, MS_ARRAY_LEN(runs), &count);
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        sim_ends(s, runs[i]);
        bytes += runs[i].len;
    }
    check(used > 0 && bytes <= used + 1);
    if (s->data.end) {
        str_addf(&s->log, "end %x %llu", s->data.flags, (unsigned long long)s->data.bytes);
        sim_ends_finish(s, s->data.flags);
        s->mode = SIM_LINES;
    }
    return used;
}

/* Takes what can be taken; 0: more is needed. */
static size_t sim_step(struct sim *s, struct slice in)
{
    struct slice line;
    size_t used;
    enum ms_err err;

    if (s->mode == SIM_DATA)
        return sim_data(s, in);
    if (s->mode == SIM_BDAT) {
        struct slice run = smtp_bdat_feed(&s->bdat, in);
        smtp_data_scan(&s->chunk, run);
        sim_ends(s, run);
        if (!s->bdat.left)
            sim_bdat_end(s);
        return run.len;
    }
    err = smtp_line_find(&s->lines, in, &line, &used);
    if (err == MS_OK)
        sim_line(s, line);
    else if (err != MS_EMORE)
        str_add_cstr(&s->log, ms_err_name(err));
    return used;
}

static void sim_run(struct sim *s, struct slice in, size_t chunk)
{
    size_t start = 0;
    size_t have = 0;

    *s = (struct sim){.mode = SIM_LINES};
    smtp_line_init(&s->lines, SMTP_LINE_MAX);
    smtp_data_init(&s->chunk, SMTP_DATA_LINE_MAX);
    arena_init(&s->arena, 65536);
    str_init(&s->log, 0);
    while (have < in.len) {
        size_t used;
        have = MS_MIN(in.len, have + chunk);
        do {
            used = sim_step(s, slice_make(in.ptr + start, have - start));
            start += used;
            check(start <= have);
        } while (used && start < have);
    }
    arena_fini(&s->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(data, size);
    struct sim whole;

    sim_run(&whole, in, size ? size : 1);
    for (size_t chunk = 1; chunk <= 3; chunk += 2) {
        struct sim parts;
        sim_run(&parts, in, chunk);
        check(slice_eq(str_slice(&parts.log), str_slice(&whole.log)));
        str_fini(&parts.log);
    }
    str_fini(&whole.log);
    return 0;
}
