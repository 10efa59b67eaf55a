/*
 * chan_priv.h - what the files of this module share.
 *
 *   chan_entry    a queue entry and its pending recipients, copied out of one snapshot
 *   chan_age      retry, notices, expiry (pure)
 *   chan_judge    what the directory's answer means for a recipient (pure)
 *   chan_attempt  what every driver's attempt begins and ends with
 *   chan_settle   the end of an attempt: outcomes, hold and the report to the sender in one record
 *   chan_report   the bytes of that report
 *   chan_claim    nobody else works on the entry meanwhile
 *   chan_log      the delivery log lines
 */
#ifndef MS_CHAN_PRIV_H
#define MS_CHAN_PRIV_H

#include "ms/base/arena.h"
#include "ms/base/list.h"
#include "ms/chan.h"

/* -- chan_entry.c */
enum chan_verdict {
    CHAN_SENT,
    CHAN_DEFERRED, /* stays, is tried again */
    CHAN_FAILED,   /* for good */
    CHAN_HELD,     /* stays until somebody releases it; does not expire */
};
struct chan_rcpt {
    uint32_t number;
    uint8_t notify;
    enum chan_verdict verdict;
    bool is_noted; /* the verdict is in the queue */
    struct slice address, original, orcpt;
    struct slice reason; /* of the verdict: "4.2.2 text" */
};
struct chan_entry {
    struct arena arena; /* of everything below; reasons too */
    struct queue_id id;
    const char *channel, *host; /* their names; host: "" = none */
    struct slice sender, envid, trace;
    uint64_t blob, blob_bytes, arrival_us;
    uint64_t due_us;   /* of this attempt; 0 = at once */
    uint64_t begun_us; /* when it was read: work began */
    uint32_t attempts;
    uint8_t notices, ret, body_type;
    bool smtputf8;
    enum queue_class class_;
    struct chan_rcpt *rcpts; /* that were pending */
    size_t rcpt_count;
};
/* MS_ENOTFOUND: no such entry, or nothing to do for it: held (unless even_held), nobody pending. Start with a zeroed entry;
 * fini in any case. */
MS_MUST_USE enum ms_err chan__entry_read(struct chan_entry *e, struct part_client *queue,
                                         const struct queue_id *id, bool even_held);
void chan__entry_fini(struct chan_entry *e);
size_t chan__count(const struct chan_entry *e, enum chan_verdict verdict);

/* -- chan_age.c: what time says about an entry (pure) */
bool chan__is_expired(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us);
/* Delay notices whose age has been reached, at least those sent. */
uint8_t chan__notices_reached(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us);
/* Somebody is late and has not been told about it. */
bool chan__is_notice_due(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us);
/* When the entry is tried again after this attempt, when `notices` have been sent. */
uint64_t chan__due(const struct chan_entry *e, const struct channel_times *times, uint64_t now_us,
                   unsigned notices);

/* -- chan_judge.c: semantics 10.4 for a message that has been accepted already */
struct chan_judgement {
    enum chan_verdict verdict; /* CHAN_SENT: nothing is in the way */
    struct slice reason;       /* static */
};
/* err: of the look-up; account: when it is MS_OK. partition: where the queue is. */
struct chan_judgement chan__judge_account(enum ms_err err, const struct account_entry *account,
                                          uint64_t bytes, const char *partition);
struct chan_judgement chan__judge_store(enum ms_err err); /* of a deliver op */

/* -- chan_claim.c */
struct chan_claim {
    struct list node;
    struct queue_id id;
    bool held;
};
/* Any loop. false: somebody else works on this entry. */
bool chan__claim(struct chan_claims *c, struct chan_claim *claim, const struct queue_id *id);
void chan__claim_end(struct chan_claims *c, struct chan_claim *claim); /* nothing when it is not held */

/* -- chan_report.c */
struct chan_report;
typedef void chan_report_fn(void *owner, enum ms_err err); /* MS_OK: chan__report_body is finished */
/* dsn: hostname, to, recipients, times; the rest is filled. All borrowed until done, which may run within the call. */
struct chan_report *chan__report_create(const struct chan_env *env, struct loop *loop,
                                        const struct chan_entry *e, const struct mime_dsn *dsn,
                                        chan_report_fn *done, void *owner);
void chan__report_start(struct chan_report *r);
struct part_body *chan__report_body(struct chan_report *r);
bool chan__report_is_utf8(const struct chan_report *r);
uint8_t chan__report_body_type(const struct chan_report *r);
void chan__report_destroy(struct chan_report **r); /* done does not run any more */

/* -- chan_settle.c */
struct chan_settlement {
    struct queue_attempt attempt; /* for recipients that stay */
    struct slice hold;            /* the entry is held for this reason; empty: not */
    bool delayed;                 /* those that are deferred are told about */
    uint64_t until_us;            /* how long they are tried; 0: not told */
};
/* err   MS_OK: the verdicts are in the queue; reported: and a report is. Else nothing was changed. */
typedef void chan_settle_fn(void *owner, enum ms_err err, bool reported);
struct chan_settle;
/* Entry and claim are the caller's until done, which may run within the call of start. */
struct chan_settle *chan__settle_create(const struct chan_env *env, struct loop *loop, struct chan_entry *e,
                                        const struct chan_settlement *how, chan_settle_fn *done, void *owner);
void chan__settle_start(struct chan_settle *s);
void chan__settle_destroy(
    struct chan_settle **s); /* done does not run any more; what was posted still happens */
struct queue_outcome chan__outcome(const struct chan_rcpt *r); /* the verdict, as it is written */

/* -- chan_attempt.c */
struct chan_times { /* when a job's channel tries again, tells and gives up; follows reloads */
    char channel[CHANNEL_NAME_MAX + 1];
    struct channel_times times; /* of version */
    unsigned version;
};
void chan__times_make(struct chan_times *t, const struct chan_env_loop *here, const char *channel,
                      const struct channel_conf *conf);
void chan__times_refresh(struct chan_times *t, const struct chan_env_loop *here);

/* The driver sets a verdict and its reason for each of entry.rcpts between begin and settle. Zeroed before begin, fini in any
 * case. */
typedef void chan_attempt_fn(void *owner, enum ms_err err); /* MS_OK: the verdicts are in the queue. Else try again */
struct chan_attempt {
    const struct chan_env *env;
    struct loop *loop;
    const struct chan_times *times; /* of the job */
    struct chan_claim claim;
    struct chan_entry entry;
    bool is_noted; /* a record of the driver's own counted the attempt: verdicts with rcpts[].is_noted are in it */
    struct part_rec rec; /* of those who have it, before a report */
    uint64_t request;
    struct bus_waiter waiter;
    struct chan_settle *settle;
    chan_attempt_fn *done;
    void *owner;
};
/* MS_ENOTFOUND: nothing to do for it; MS_EBUSY: somebody else is at it: try again. */
MS_MUST_USE enum ms_err chan__attempt_begin(struct chan_attempt *a, const struct chan_env *env, struct loop *loop,
                                            const struct chan_times *times, const struct queue_id *id);
/* What has not been delivered in time fails; then chan_settle, when there is something to write. Whoever has the message is
 * written first when a report is to follow, unless is_noted says that he was. done may run within the call. */
void chan__attempt_settle(struct chan_attempt *a, chan_attempt_fn *done, void *owner);
/* The delivery's log lines, and how the entry ended. */
enum channel_outcome chan__attempt_log(const struct chan_attempt *a, const char *relay);
void chan__attempt_fini(struct chan_attempt *a); /* done does not run any more */

/* -- chan_log.c */
void chan__log_delivery(const struct chan_entry *e, const struct chan_rcpt *r, const char *relay);
void chan__log_report(const struct chan_entry *e, const struct queue_id *report, struct slice report_trace,
                      struct slice hold);
void chan__log_report_dropped(const struct chan_entry *e, const char *why);

#endif
