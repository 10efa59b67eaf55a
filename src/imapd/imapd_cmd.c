/*
 * imapd_cmd.c - the command table, which is the only dispatch, and the way of a command through its steps.
 */
#include "imapd_cmds.h"

#include "ms/base/clock.h"

#define BOTH IMAPD_UID_BOTH
#define ROW(name_, states_, flags_, parse_, run_, metric_)                                                   \
    .name = (name_), .states = (states_), .flags = (flags_), .parse = (parse_), .run = (run_),               \
    .metric = (metric_)

static const struct imapd_cmd imapd_cmds[] = {
    {ROW("CAPABILITY", IMAPD_IN_ANY, 0, imap_parse_none, imapd_capability_run, MET_IMAPD_CAPABILITY)},
    {ROW("NOOP", IMAPD_IN_ANY, 0, imap_parse_none, imapd_noop_run, MET_IMAPD_NOOP)},
    {ROW("LOGOUT", IMAPD_IN_ANY, IMAPD_C_NO_SYNC, imap_parse_none, imapd_logout_run, MET_IMAPD_LOGOUT)},
    {ROW("ID", IMAPD_IN_ANY, 0, imap_parse_id, imapd_id_run, MET_IMAPD_ID)},
    {ROW("STARTTLS", IMAPD_IN_NOAUTH, IMAPD_C_BEFORE_TLS, imap_parse_none, imapd_starttls_run,
         MET_IMAPD_STARTTLS)},
    {ROW("LOGIN", IMAPD_IN_NOAUTH, 0, imap_parse_login, imapd_login_run, MET_IMAPD_LOGIN),
     .cleanup = imapd__login_cleanup},
    {ROW("AUTHENTICATE", IMAPD_IN_NOAUTH, 0, imap_parse_authenticate, imapd_authenticate_run,
         MET_IMAPD_AUTHENTICATE),
     .cleanup = imapd__login_cleanup},
    {ROW("NAMESPACE", IMAPD_IN_AUTH, 0, imap_parse_none, imapd_namespace_run, MET_IMAPD_NAMESPACE)},
    {ROW("LIST", IMAPD_IN_AUTH, 0, imap_parse_list, imapd_list_run, MET_IMAPD_LIST)},
    {ROW("LSUB", IMAPD_IN_AUTH, 0, imap_parse_lsub, imapd_lsub_run, MET_IMAPD_LSUB)},
    {ROW("SUBSCRIBE", IMAPD_IN_AUTH, 0, imap_parse_mailbox, imapd_subscribe_run, MET_IMAPD_SUBSCRIBE)},
    {ROW("UNSUBSCRIBE", IMAPD_IN_AUTH, 0, imap_parse_mailbox, imapd_unsubscribe_run, MET_IMAPD_UNSUBSCRIBE)},
    {ROW("CREATE", IMAPD_IN_AUTH, 0, imap_parse_create, imapd_create_run, MET_IMAPD_CREATE)},
    {ROW("DELETE", IMAPD_IN_AUTH, 0, imap_parse_mailbox, imapd_delete_run, MET_IMAPD_DELETE)},
    {ROW("RENAME", IMAPD_IN_AUTH, 0, imap_parse_rename, imapd_rename_run, MET_IMAPD_RENAME),
     .cleanup = imapd__rename_cleanup},
    {ROW("STATUS", IMAPD_IN_AUTH, 0, imap_parse_status, imapd_status_run, MET_IMAPD_STATUS)},
    {ROW("SELECT", IMAPD_IN_AUTH, IMAPD_C_NO_SYNC, imap_parse_select, imapd_select_run, MET_IMAPD_SELECT),
     .cleanup = imapd__select_cleanup},
    {ROW("EXAMINE", IMAPD_IN_AUTH, IMAPD_C_NO_SYNC, imap_parse_select, imapd_examine_run, MET_IMAPD_EXAMINE),
     .cleanup = imapd__select_cleanup},
    {ROW("APPEND", IMAPD_IN_AUTH, IMAPD_C_LITERAL, imap_parse_append, imapd_append_run, MET_IMAPD_APPEND),
     .cleanup = imapd__append_cleanup},
    {ROW("ENABLE", IMAPD_IN(IMAPD_ST_AUTH), 0, imap_parse_enable, imapd_enable_run, MET_IMAPD_ENABLE)},
    {ROW("IDLE", IMAPD_IN_AUTH, 0, imap_parse_none, imapd_idle_run, MET_IMAPD_IDLE),
     .cleanup = imapd__feed_unwatch},
    {ROW("CHECK", IMAPD_IN_SELECTED, 0, imap_parse_none, imapd_noop_run, MET_IMAPD_CHECK)},
    {ROW("CLOSE", IMAPD_IN_SELECTED, IMAPD_C_NO_SYNC, imap_parse_none, imapd_close_run, MET_IMAPD_CLOSE),
     .cleanup = imapd__expunge_cleanup},
    {ROW("UNSELECT", IMAPD_IN_SELECTED, IMAPD_C_NO_SYNC, imap_parse_none, imapd_unselect_run,
         MET_IMAPD_UNSELECT)},
    {ROW("EXPUNGE", IMAPD_IN_SELECTED, IMAPD_C_WRITES, imap_parse_none, imapd_expunge_run, MET_IMAPD_EXPUNGE),
     .cleanup = imapd__expunge_cleanup},
    {ROW("EXPUNGE", IMAPD_IN_SELECTED, IMAPD_C_WRITES, imap_parse_uid_expunge, imapd_expunge_run,
         MET_IMAPD_EXPUNGE),
     .uid = IMAPD_UID_ONLY, .cleanup = imapd__expunge_cleanup},
    {ROW("FETCH", IMAPD_IN_SELECTED, IMAPD_C_USES_SEQ, imap_parse_fetch, imapd_fetch_run, MET_IMAPD_FETCH),
     .uid = BOTH, .cleanup = imapd__fetch_cleanup},
    {ROW("STORE", IMAPD_IN_SELECTED, IMAPD_C_USES_SEQ | IMAPD_C_WRITES, imap_parse_store, imapd_store_run,
         MET_IMAPD_STORE),
     .uid = BOTH, .cleanup = imapd__store_cleanup},
    {ROW("SEARCH", IMAPD_IN_SELECTED, IMAPD_C_USES_SEQ, imap_parse_search, imapd_search_run,
         MET_IMAPD_SEARCH),
     .uid = BOTH, .cleanup = imapd__search_cleanup},
    {ROW("COPY", IMAPD_IN_SELECTED, 0, imap_parse_copy, imapd_copy_run, MET_IMAPD_COPY), .uid = BOTH,
     .cleanup = imapd__copy_cleanup},
    {ROW("MOVE", IMAPD_IN_SELECTED, IMAPD_C_WRITES, imap_parse_copy, imapd_move_run, MET_IMAPD_MOVE),
     .uid = BOTH, .cleanup = imapd__copy_cleanup},
};

const struct imapd_cmd *imapd__cmd_find(struct slice name, bool uid)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(imapd_cmds); i++) {
        const struct imapd_cmd *row = &imapd_cmds[i];

        if (slice_ieq_cstr(name, row->name) &&
            (row->uid == IMAPD_UID_BOTH || uid == (row->uid == IMAPD_UID_ONLY)))
            return row;
    }
    return NULL;
}

/* -- results */
static enum imapd_step set_result(struct imapd_session *s, const char *status, const char *code,
                                  const char *text)
{
    s->cmd.result = (struct imap_status){.status = status, .code = code, .text = text};
    return IMAPD_DONE;
}

enum imapd_step imapd__ok(struct imapd_session *s, const char *code, const char *text)
{
    return set_result(s, "OK", code, text);
}

enum imapd_step imapd__no(struct imapd_session *s, const char *code, const char *text)
{
    return set_result(s, "NO", code, text);
}

enum imapd_step imapd__bad(struct imapd_session *s, const char *text)
{
    return set_result(s, "BAD", NULL, text);
}

enum imapd_step imapd__fail(struct imapd_session *s, enum ms_err err)
{
    s->cmd.result = imap_code_for_err(err);
    return IMAPD_DONE;
}

/* -- the end of a command */
void imapd__command_drop(struct imapd_session *s)
{
    if (s->cmd.row && s->cmd.row->cleanup && s->cmd.priv)
        s->cmd.row->cleanup(s);
    ms_free(s->cmd.own_modseqs);
    s->cmd = (struct imapd_command){.row = NULL};
    arena_reset(&s->arena);
}

static void command_measure(const struct imapd_session *s)
{
    static _Atomic unsigned series[MS_ARRAY_LEN(imapd_cmds)];
    if (s->cmd.row < imapd_cmds || s->cmd.row >= imapd_cmds + MS_ARRAY_LEN(imapd_cmds) || !s->cmd.begun_ns)
        return; /* what was no command */
    unsigned at = obs_series_keep(&series[s->cmd.row - imapd_cmds], FAM_IMAP_SECONDS, s->cmd.row->name, NULL, NULL);
    obs_series_observe(at, (clock_mono_ns() - s->cmd.begun_ns) / 1000);
}

static void command_end(struct imapd_session *s)
{
    command_measure(s);
    struct imap_status result = s->cmd.result;
    bool close_after = s->cmd.close_after, tls_after = s->cmd.tls_after;

    if (result.status[0] == 'B')
        s->errors++;
    imapd__sync_name_modseq(s, &result);
    imap_emit_status(imapd__out(s), s->cmd.cmd.tag, result);
    imapd__command_drop(s);
    imapd__enter_phase(s, IMAPD_PH_READ);
    if (tls_after)
        imapd__session_start_tls(s);
    else if (close_after)
        imapd__session_bye(s, "Closing connection", NET_CLOSED_BY_US);
    else if (s->errors > (uint64_t)s->rules->conf->errors_max)
        imapd__session_bye(s, "Too many bad commands", NET_CLOSED_BY_US);
    else if (s->is_kicked)
        imapd__session_bye(s, IMAPD_KICKED_TEXT, NET_CLOSED_BY_US);
    else if (s->w->draining)
        imapd__session_bye(s, "Server is shutting down", NET_CLOSED_BY_US);
}

/* The last step of every command. */
static enum imapd_step imapd_finish(struct imapd_session *s)
{
    const struct imapd_cmd *row = s->cmd.row;
    enum imapd_step step;

    if (s->state == IMAPD_ST_SELECTED && row && !(row->flags & IMAPD_C_NO_SYNC)) {
        step = imapd__sync(s, !(row->flags & IMAPD_C_USES_SEQ) || s->cmd.cmd.uid);
        if (step != IMAPD_DONE)
            return step;
    }
    return IMAPD_DONE;
}

/* What the last step said. false: nothing more to do now. */
static bool command_step_done(struct imapd_session *s, enum imapd_step step)
{
    switch (step) {
    case IMAPD_DONE:
        if (s->cmd.next == imapd_finish) {
            command_end(s);
            return false;
        }
        s->cmd.next = imapd_finish;
        return true;
    case IMAPD_GO:
        return true;
    case IMAPD_AGAIN:
        imapd__session_soon(s);
        return false;
    case IMAPD_WAIT:
        imapd__enter_phase(s, IMAPD_PH_WAIT);
        return false;
    case IMAPD_DRAIN:
        imapd__enter_phase(s, IMAPD_PH_DRAIN);
        return false;
    case IMAPD_LINE:
        imap_feed_expect_line(&s->feed);
        imapd__enter_phase(s, IMAPD_PH_LINE);
        return false;
    case IMAPD_LITERAL:
        imapd__enter_phase(s, IMAPD_PH_LITERAL);
        return false;
    }
    MS_UNREACHABLE();
}

void imapd_command_run(struct imapd_session *s)
{
    enum imapd_step step;

    s->w->step_bytes = 0;
    s->w->step_rows = 0;
    do {
        step = s->cmd.next(s);
        s->cmd.line = slice_make(NULL, 0);
        if (s->is_broken) {
            imapd__session_abort(s, NET_CLOSED_BY_US);
            return;
        }
    } while (command_step_done(s, step));
}

/* -- the beginning */
static enum imapd_step run_nothing(struct imapd_session *s)
{
    return IMAPD_DONE; /* the result is there already */
}

/* RFC 3501 3: a command in the wrong state is BAD. Order: first what the table says, then the arguments. */
static bool command_is_allowed(struct imapd_session *s)
{
    const struct imapd_cmd *row = s->cmd.row;
    bool tls = net_tls_is_on(s->stream);

    if (!(row->states & IMAPD_IN(s->state)))
        imapd__bad(s, s->state == IMAPD_ST_NOAUTH       ? "Log in first"
                      : (row->states & IMAPD_IN_NOAUTH) ? "You are logged in already"
                      : s->state == IMAPD_ST_SELECTED   ? "Not while a mailbox is selected"
                                                        : "Select a mailbox first");
    else if ((row->flags & IMAPD_C_BEFORE_TLS) && (tls || !imapd__offers_tls(s)))
        imapd__bad(s, tls ? "TLS is on already" : "STARTTLS is not available");
    else if ((row->flags & IMAPD_C_WRITES) && s->box->readonly)
        imapd__no(s, "NOPERM", "Mailbox is selected read-only");
    else
        return true;
    return false;
}

/* true: s->cmd.args is filled. */
static bool command_parse_args(struct imapd_session *s)
{
    struct imap_rd rd;
    enum ms_err err;

    s->cmd.args = arena_new(&s->arena, union imap_args);
    imap_rd_init(&rd, s->cmd.cmd.args, &s->arena, imapd__has(s, IMAPD_EN_REV2));
    err = s->cmd.row->parse(&rd, s->cmd.args);
    if (!err)
        return true;
    imapd__fail(s, err);
    if (rd.reason)
        s->cmd.result.text = rd.reason;
    return false;
}

static bool command_prepare(struct imapd_session *s, struct slice text, bool has_literal)
{
    static const struct imapd_cmd no_command = {.name = ""};
    const char *reason = NULL;
    enum ms_err err = imap_cmd_parse(text, &s->arena, &s->cmd.cmd, &reason);

    s->cmd.row = &no_command;
    if (err) {
        imapd__bad(s, reason ? reason : "Syntax error");
        return false;
    }
    s->cmd.row = imapd__cmd_find(s->cmd.cmd.name, s->cmd.cmd.uid);
    if (!s->cmd.row) {
        s->cmd.row = &no_command;
        imapd__bad(s, "Unknown command");
        return false;
    }
    obs_count(s->cmd.row->metric, 1);
    if (!command_is_allowed(s))
        return false;
    if (has_literal != ((s->cmd.row->flags & IMAPD_C_LITERAL) != 0)) {
        imapd__bad(s, "Literal of the message expected");
        return false;
    }
    return command_parse_args(s);
}

void imapd__command_begin(struct imapd_session *s, struct slice text, bool has_literal)
{
    MS_ASSERT(!s->cmd.row);
    s->cmd.literal_sync = has_literal && s->feed.literal_sync;
    s->cmd.literal_bytes = has_literal ? s->feed.literal_bytes : 0;
    s->cmd.next = run_nothing;
    s->cmd.begun_ns = clock_mono_ns();
    if (command_prepare(s, text, has_literal))
        s->cmd.next = s->cmd.row->run;
    else if (has_literal)
        imap_feed_refuse(&s->feed);
    imapd__enter_phase(s, IMAPD_PH_RUN);
    imapd_command_run(s);
}

void imapd__command_bad(struct imapd_session *s, struct slice text)
{
    static const struct imapd_cmd no_command = {.name = ""};
    const char *reason;

    if (!s->cmd.row) { /* else the fault is in what a running command takes */
        if (imap_cmd_parse(text, &s->arena, &s->cmd.cmd, &reason))
            s->cmd.cmd.name = slice_make(NULL, 0); /* the tag may have been found */
        s->cmd.row = &no_command;
    }
    s->cmd.result =
        (struct imap_status){"BAD", imap_fault_code(s->feed.fault), imap_fault_text(s->feed.fault)};
    s->cmd.next = imapd_finish;
    if (s->feed.discard_bytes > IMAPD_DISCARD_MAX)
        s->cmd.close_after = true; /* RFC 7888 4: better than reading all of it */
    imapd__enter_phase(s, IMAPD_PH_RUN);
    imapd_command_run(s);
}
