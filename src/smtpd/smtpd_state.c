/*
 * smtpd_state.c - the states of a session, and enter(), the only writer of s->state.
 *
 *   START ─▶ TLS (implicit) ─▶ GREET ──EHLO──▶ READY ──MAIL──▶ MAIL ──RCPT──▶ RCPT ──DATA──▶ DATA
 *     └────────────────────────▶┘ ▲             │ │ ▲           │  ▲           │ ▲             │
 *                                 └──── TLS ◀───┘ │ │           ▼  │           ▼ │             ▼
 *                                    (STARTTLS)   │ │          LOOKUP ◀──────▶ LOOKUP        DRAIN
 *                                    AUTH/VERIFY ◀┘ └────────────────────────────────────────┤
 *                                                   └──────────────────────────── COMMIT ◀───┘
 *   READY ─▶ ASK (VRFY) ─▶ READY; chunks in place of DATA: smtpd_bdat.c.
 *   every state ─▶ CLOSED; MAIL, RCPT and BDAT ─▶ READY by RSET or a new EHLO.
 *
 * Invariants, checked on entry:
 *   1. MAIL to COMMIT have a transaction (but ASK), the states before have none (LOOKUP for MAIL has one
 *      already); SWALLOW has what the state before it had.
 *   2. RCPT, DATA, CHUNK, BDAT, DRAIN and COMMIT have at least one accepted recipient.
 *   3. A state that does not read has something under way that will end it; a state that reads has a timer.
 */
#include "smtpd_priv.h"

enum timeout { NO_TIMEOUT, COMMAND_TIMEOUT, DATA_TIMEOUT, END_TIMEOUT };

struct state_row {
    const char *name;
    unsigned to; /* edges, SMTPD_IN bits; CLOSED is allowed from everywhere */
    enum timeout timeout;
    bool reads;
    bool between; /* commands */
    bool has_tx;
    bool any_tx; /* or has not */
    bool has_rcpt;
};

static const struct state_row rows[SMTPD_ST_COUNT] = {
    [SMTPD_ST_START] = {.name = "start", .to = SMTPD_IN(TLS) | SMTPD_IN(GREET)},
    [SMTPD_ST_TLS] = {.name = "tls", .to = SMTPD_IN(GREET), .timeout = COMMAND_TIMEOUT, .reads = true},
    [SMTPD_ST_GREET] = {.name = "greet",
                        .to = SMTPD_IN(READY) | SMTPD_IN(SWALLOW),
                        .timeout = COMMAND_TIMEOUT,
                        .reads = true,
                        .between = true},
    [SMTPD_ST_READY] = {.name = "ready",
                        .to = SMTPD_IN(READY) | SMTPD_IN(MAIL) | SMTPD_IN(LOOKUP) | SMTPD_IN(AUTH) |
                              SMTPD_IN(VERIFY) | SMTPD_IN(TLS) | SMTPD_IN(ASK) | SMTPD_IN(SWALLOW),
                        .timeout = COMMAND_TIMEOUT,
                        .reads = true,
                        .between = true},
    [SMTPD_ST_AUTH] = {.name = "auth",
                       .to = SMTPD_IN(READY) | SMTPD_IN(VERIFY),
                       .timeout = COMMAND_TIMEOUT,
                       .reads = true},
    [SMTPD_ST_VERIFY] = {.name = "verify", .to = SMTPD_IN(READY) | SMTPD_IN(AUTH)},
    [SMTPD_ST_MAIL] = {.name = "mail",
                       .to = SMTPD_IN(READY) | SMTPD_IN(RCPT) | SMTPD_IN(LOOKUP) | SMTPD_IN(SWALLOW),
                       .timeout = COMMAND_TIMEOUT,
                       .reads = true,
                       .between = true,
                       .has_tx = true},
    [SMTPD_ST_RCPT] = {.name = "rcpt",
                       .to = SMTPD_IN(READY) | SMTPD_IN(LOOKUP) | SMTPD_IN(DATA) | SMTPD_IN(CHUNK),
                       .timeout = COMMAND_TIMEOUT,
                       .reads = true,
                       .between = true,
                       .has_tx = true,
                       .has_rcpt = true},
    [SMTPD_ST_LOOKUP] = {.name = "lookup",
                         .to = SMTPD_IN(READY) | SMTPD_IN(MAIL) | SMTPD_IN(RCPT),
                         .has_tx = true},
    [SMTPD_ST_ASK] = {.name = "ask", .to = SMTPD_IN(READY)},
    [SMTPD_ST_DATA] = {.name = "data",
                       .to = SMTPD_IN(DRAIN) | SMTPD_IN(READY),
                       .timeout = DATA_TIMEOUT,
                       .reads = true,
                       .has_tx = true,
                       .has_rcpt = true},
    [SMTPD_ST_CHUNK] = {.name = "chunk",
                        .to = SMTPD_IN(BDAT) | SMTPD_IN(DRAIN) | SMTPD_IN(READY),
                        .timeout = DATA_TIMEOUT,
                        .reads = true,
                        .has_tx = true,
                        .has_rcpt = true},
    [SMTPD_ST_BDAT] = {.name = "bdat",
                       .to = SMTPD_IN(CHUNK) | SMTPD_IN(READY),
                       .timeout = COMMAND_TIMEOUT,
                       .reads = true,
                       .between = true,
                       .has_tx = true,
                       .has_rcpt = true},
    [SMTPD_ST_SWALLOW] = {.name = "swallow",
                          .to = SMTPD_IN(GREET) | SMTPD_IN(READY) | SMTPD_IN(MAIL),
                          .timeout = DATA_TIMEOUT,
                          .reads = true,
                          .any_tx = true},
    [SMTPD_ST_DRAIN] = {.name = "drain",
                        .to = SMTPD_IN(COMMIT) | SMTPD_IN(READY),
                        .timeout = END_TIMEOUT,
                        .has_tx = true,
                        .has_rcpt = true},
    [SMTPD_ST_COMMIT] =
        {.name = "commit", .to = SMTPD_IN(READY), .timeout = END_TIMEOUT, .has_tx = true, .has_rcpt = true},
    [SMTPD_ST_CLOSED] = {.name = "closed"},
};

const char *smtpd__state_name(enum smtpd_state state)
{
    return rows[state].name;
}

bool smtpd__edge_is_allowed(enum smtpd_state from, enum smtpd_state to)
{
    if (to == SMTPD_ST_CLOSED)
        return from != SMTPD_ST_CLOSED;
    return rows[from].to & (1u << to);
}

bool smtpd__state_reads(enum smtpd_state state)
{
    return rows[state].reads;
}

bool smtpd__state_is_between(enum smtpd_state state)
{
    return rows[state].between;
}

static void on_timeout(struct loop_timer *timer)
{
    struct smtpd_session *s = MS_CONTAINER_OF(timer, struct smtpd_session, timer);
    obs_count(MET_SMTPD_TIMEOUTS, 1);
    if (s->state == SMTPD_ST_TLS || s->state == SMTPD_ST_COMMIT)
        /* A reply would go into the handshake; or the message may be taken, and neither yes nor no is true.
         */
        smtpd__close(s, NET_CLOSED_TIMEOUT);
    else if (s->state == SMTPD_ST_DRAIN)
        smtpd__goodbye(s, SMTPD_REPLY(421, "4.3.0", "Storage does not answer, closing connection"),
                       NET_CLOSED_TIMEOUT);
    else
        smtpd__goodbye(s, SMTPD_REPLY(421, "4.4.2", "Timeout, closing connection"), NET_CLOSED_TIMEOUT);
}

void smtpd__timer_arm(struct smtpd_session *s)
{
    switch (rows[s->state].timeout) {
    case NO_TIMEOUT:
        loop_timer_stop(s->worker->loop, &s->timer);
        break;
    case COMMAND_TIMEOUT:
        loop_timer_start(s->worker->loop, &s->timer, s->conf->command_ms, on_timeout);
        break;
    case END_TIMEOUT:
        loop_timer_start(s->worker->loop, &s->timer, s->conf->data_end_ms, on_timeout);
        break;
    case DATA_TIMEOUT:
        loop_timer_start(s->worker->loop, &s->timer, s->conf->data_ms, on_timeout);
        break;
    }
}

/* RFC 4954 4: a line with AUTH data may be much longer than others. */
static size_t line_max(const struct smtpd_session *s)
{
    bool may_auth = s->worker->kind == SMTPD_SUBMISSION && !s->account &&
                    (s->state == SMTPD_ST_READY || s->state == SMTPD_ST_AUTH);
    return may_auth ? SMTP_LINE_AUTH_MAX : SMTP_LINE_EXT_MAX;
}

void smtpd_enter(struct smtpd_session *s, enum smtpd_state next)
{
    MS_ASSERT(loop_is_home(s->worker->loop) && smtpd__edge_is_allowed(s->state, next));
    MS_ASSERT(rows[next].any_tx || rows[next].has_tx == (s->tx != NULL));
    MS_ASSERT(!rows[next].has_rcpt || s->tx->rcpt_count > 0);
    OBS_EVENT(OBS_SMTPD_STATE, s->member.id, OBS_C("from", rows[s->state].name),
              OBS_C("to", rows[next].name));
    s->state = next;
    s->line.bytes_max = line_max(s);
    smtpd__timer_arm(s);
}
