/*
 * smtpd_content.c - the message itself on its way into the sinks, from DATA or from BDAT.
 *
 *   runs ──(normalise)──▶ header or not? ──▶ header watch, what is missing ──▶ parser ──▶ every sink
 *
 * Nothing is collected here: runs of the input go to the bodies as they are. A message that must be refused
 * (too big, bare line ends, NUL, too many hops) is read to its end and thrown away, and only then answered:
 * an answer in the middle could be taken for one to something else.
 *
 * The parsed cache is made at the end from the body's bytes when they are all in memory still; before they
 * leave it, a push parser is begun that sees everything.
 */
#include "smtpd_priv.h"

#include "ms/base/clock.h"
#include "smtpd_trace.h"

/* -- into the sinks */

/* The bytes are about to leave memory: from here on they are parsed as they pass. */
static void parser_begin(struct smtpd_tx *tx, const struct part_body *body)
{
    struct slice piece;
    tx->message = ms_new(struct mime_message);
    mime_message_init(tx->message);
    tx->parser = mime_parser_create(tx->message);
    for (unsigned i = 0; part_body_piece(body, i, &piece); i++)
        mime_parser_add(tx->parser, piece);
}

/* A body in memory that every sink's copy is equal to; NULL: all ended with an error. */
static const struct part_body *open_body(const struct smtpd_tx *tx)
{
    for (unsigned i = 0; i < tx->sink_count; i++)
        if (tx->sinks[i].state == SMTPD_SINK_OPEN)
            return tx->sinks[i].body;
    return NULL;
}

static void write_bytes(struct smtpd_tx *tx, struct slice bytes)
{
    const struct part_body *body = open_body(tx);
    if (!body || bytes.len == 0)
        return;
    if (!tx->parser && part_body_bytes(body) + bytes.len > PART_INLINE_MAX)
        parser_begin(tx, body);
    if (tx->parser)
        mime_parser_add(tx->parser, bytes);
    for (unsigned i = 0; i < tx->sink_count; i++)
        smtpd__sink_add(&tx->sinks[i], bytes);
}

/* RFC 6409 8: a user's message without these fields gets them. */
static void write_missing(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    struct str *out = &s->worker->out;
    char text[CLOCK_RFC5322_MAX];
    str_reset(out);
    if (!tx->header.has_from)
        str_addf(out, "From: <%s>\r\n", s->account->login);
    if (!tx->header.has_date)
        mime_header_emit(out, "Date", slice_make(text, clock_emit_rfc5322(clock_wall_us(), text)));
    if (!tx->header.has_message_id) /* the id alone begins anew with a new store */
        str_addf(out, "Message-ID: <%llx.%s@%s>\r\n", (unsigned long long)clock_wall_us(), tx->id,
                 s->hostname);
    write_bytes(tx, str_slice(out));
}

/* Bytes of a submitted message; what is missing goes in front of the empty line. */
static void write_submitted(struct smtpd_session *s, struct slice run)
{
    struct smtpd_tx *tx = s->tx;
    bool had_cr = tx->header.at == SMTPD_HEADER_CR;
    if (tx->header.ended) {
        write_bytes(tx, run);
        return;
    }
    size_t n = smtpd_header_scan(&tx->header, run);
    bool cr_is_behind = had_cr && tx->header.ended && n == 0;
    if (had_cr && !cr_is_behind)
        write_bytes(tx, SLICE_LIT("\r"));
    write_bytes(tx, slice_sub(run, 0, n));
    if (!tx->header.ended)
        return; /* n < run.len: the CR is held back */
    write_missing(s);
    if (cr_is_behind)
        write_bytes(tx, SLICE_LIT("\r"));
    write_bytes(tx, slice_sub(run, n, run.len));
}

static void write_begun(struct smtpd_session *s, struct slice run)
{
    struct smtpd_tx *tx = s->tx;
    if (s->worker->kind == SMTPD_SUBMISSION) {
        write_submitted(s, run);
        return;
    }
    if (!tx->header.ended)
        (void)smtpd_header_scan(&tx->header, run);
    write_bytes(tx, run);
}

/* A message without a header gets the empty line that keeps its text out of ours. */
static void begin(struct smtpd_session *s, enum smtpd_header_first first)
{
    struct smtpd_tx *tx = s->tx;
    tx->has_begun = true;
    if (first == SMTPD_FIRST_BODY) {
        tx->header.ended = true;
        if (s->worker->kind == SMTPD_SUBMISSION)
            write_missing(s);
        write_bytes(tx, SLICE_LIT("\r\n"));
    }
    write_begun(s, slice_make(tx->first, tx->first_len));
}

static void write_run(struct smtpd_session *s, struct slice run)
{
    struct smtpd_tx *tx = s->tx;
    if (!tx->has_begun && tx->first_len == 0) {
        enum smtpd_header_first first = smtpd_header_first(run);
        if (first != SMTPD_FIRST_MORE)
            begin(s, first); /* as a rule the first run tells */
    }
    while (!tx->has_begun && run.len > 0) {
        tx->first[tx->first_len++] = run.ptr[0];
        run = slice_sub(run, 1, run.len);
        enum smtpd_header_first first = smtpd_header_first(slice_make(tx->first, tx->first_len));
        if (first != SMTPD_FIRST_MORE)
            begin(s, first);
    }
    if (run.len > 0)
        write_begun(s, run);
}

/* -- begin */

static struct slice only_recipient(const struct smtpd_session *s)
{
    const struct smtpd_tx *tx = s->tx;
    if (tx->rcpt_count != 1) /* RFC 5321 4.4, 7.2: more would tell each of the others */
        return slice_make(NULL, 0);
    return tx->rcpts[0].way.original;
}

static void write_trace(struct smtpd_session *s)
{
    const struct net_addr *peer = net_peer(s->stream);
    struct str *out = &s->worker->out;
    struct smtpd_trace trace = {.helo = slice_cstr(s->helo),
                                .by = slice_cstr(s->hostname),
                                .tls_version = net_tls_version(s->stream),
                                .tls_cipher = net_tls_cipher(s->stream),
                                .id = slice_cstr(s->tx->id),
                                .for_path = only_recipient(s),
                                .is_lmtp = smtpd__is_lmtp(s),
                                .is_utf8 = s->tx->smtputf8,
                                .is_extended = s->is_esmtp,
                                .is_authenticated = s->account != NULL,
                                .wall_us = clock_wall_us()};
    if (!peer->is_unix)
        trace.peer_addr = slice_cstr(peer->host);
    str_reset(out);
    smtpd_trace_emit(out, &trace);
    write_bytes(s->tx, str_slice(out));
}

void smtpd__content_begin(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    smtpd__rcpts_settle(s);
    for (unsigned i = 0; i < tx->sink_count; i++) {
        smtpd__sink_open(&tx->sinks[i], s->conf->message_size_max + SMTPD_TRACE_MAX);
        if (!smtpd__rcpts_use(tx, i)) /* it may have lost its only recipient before it got a mailbox */
            smtpd__sink_end(&tx->sinks[i], MS_OK);
    }
    tx->header.host = slice_cstr(s->hostname);
    smtp_data_init(&tx->data, 0);
    write_trace(s);
}

/* -- what comes in */

static bool is_binary(const struct smtpd_tx *tx)
{
    return tx->body_type == SMTP_BODY_BINARYMIME;
}

static bool is_normalised(const struct smtpd_session *s)
{
    return s->conf->bare_line_ends == SMTPD_LINE_ENDS_NORMALISE && !is_binary(s->tx);
}

static enum ms_err check(const struct smtpd_session *s)
{
    const struct smtpd_tx *tx = s->tx;
    /* RFC 5321 2.3.8, and the lesson of smuggled messages: bare CR and LF are never passed on as they are. */
    if (tx->data.flags & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF | SMTP_DATA_NUL))
        return MS_ESYNTAX;
    if (tx->data.bytes > smtpd__message_max(s))
        return MS_ELIMIT;
    if (tx->header.received > (uint64_t)s->conf->hops_max ||
        tx->header.local > (uint64_t)s->conf->local_hops_max) /* RFC 5321 6.3 */
        return MS_EDENIED;
    return MS_OK;
}

void smtpd__content_refuse(struct smtpd_tx *tx, enum ms_err err)
{
    tx->refused = err;
    for (unsigned i = 0; i < tx->sink_count; i++)
        if (tx->sinks[i].state == SMTPD_SINK_OPEN)
            smtpd__sink_end(&tx->sinks[i], err);
}

void smtpd__content_check(struct smtpd_session *s)
{
    if (is_normalised(s))
        s->tx->data.flags &= ~(unsigned)(SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF);
    enum ms_err err = s->tx->refused ? MS_OK : check(s);
    if (err)
        smtpd__content_refuse(s->tx, err);
}

void smtpd__content_add(struct smtpd_session *s, struct slice run)
{
    struct smtpd_tx *tx = s->tx;
    struct slice runs[SMTPD_RUNS];
    if (!is_normalised(s)) {
        write_run(s, run);
        return;
    }
    while (run.len > 0) {
        size_t count;
        size_t used = smtp_eol_feed(&tx->eol, run, runs, SMTPD_RUNS, &count);
        for (size_t i = 0; i < count; i++)
            write_run(s, runs[i]);
        run = slice_sub(run, used, run.len);
    }
}

/* The message ends in its header: DATA behind a line end, BDAT anywhere. */
static void end_header(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    bool has_cr = tx->header.at == SMTPD_HEADER_CR; /* it is held back still */
    if (!has_cr && tx->header.at != SMTPD_HEADER_START)
        write_bytes(tx, SLICE_LIT("\r\n"));
    write_missing(s);
    if (has_cr)
        write_bytes(tx, SLICE_LIT("\r"));
}

void smtpd__content_end(struct smtpd_session *s)
{
    struct smtpd_tx *tx = s->tx;
    s->junk = 0;
    if (!tx->refused && is_normalised(s))
        write_run(s, smtp_eol_end(&tx->eol));
    if (!tx->refused && !tx->has_begun && tx->first_len > 0)
        begin(s, SMTPD_FIRST_BODY); /* neither a colon nor a line end */
    smtpd__content_check(s);        /* hops, of the last runs */
    if (!tx->refused && s->worker->kind == SMTPD_SUBMISSION && !tx->header.ended)
        end_header(s);
    smtpd__drain_begin(s);
}
