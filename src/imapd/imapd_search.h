/*
 * imapd_search.h - SEARCH: the plan made of a command, what is known of a message, and the job that looks through
 * messages on a work thread.
 *
 *   loop:    rows of the index --decided--> result
 *                              --UNKNOWN--> batch --post--> work thread: record, header, parts --> loop
 *
 * A key is YES, NO or UNKNOWN; the tree is asked again whenever more is known, so a message is opened only when flags,
 * dates, sizes and ids do not decide, and read only as far as it needs.
 *
 * A job belongs to the loop, or, between post and done, to a work thread. A command that ends meanwhile leaves it
 * behind: `stop` makes it come home soon, where it is freed.
 */
#ifndef IMAPD_SEARCH_H
#define IMAPD_SEARCH_H

#include "imapd_priv.h"

#include "ms/mime/text.h"

#define SEARCH_ITEMS_MAX 256 /* messages of one batch */
#define SEARCH_WORK_BYTES                                                                                    \
    ((size_t)4 << 20)           /* what a work thread reads before other searches have their turn */
#define SEARCH_ITEM_BYTES  4096 /* that opening a message counts as */
#define SEARCH_INLINE_KEYS ((size_t)16 << 10) /* bytes of keys that are brought into form on the loop */
#define SEARCH_WHOLE_BYTES PART_READ_MAX /* messages up to this are read at once, so that damage is seen */
#define SEARCH_SAVED_RUNS  ((size_t)64 << 10) /* of one "$": RFC 5182 2.5 */

enum search_is { SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN };

/* -- plan */
struct search_node {
    enum imap_search_op op;
    unsigned flag;
    unsigned cost; /* dear ones come last */
    int32_t days;
    int64_t number; /* size, modseq, bit of a keyword (>= STORE_KEYWORDS_MAX: unknown), seconds since 1970 */
    size_t text;    /* fields, BODY, TEXT: index of plan->texts */
    struct slice name; /* KEYWORD, EMAILID, THREADID */
    struct imap_seqset set;
    struct search_node *child, *next;
};

enum search_where { SEARCH_IN_FIELD, SEARCH_IN_BODY, SEARCH_IN_ALL };
struct search_text {
    enum search_where where;
    struct slice field; /* SEARCH_IN_FIELD */
    enum mime_field_id id;
    struct slice key; /* in the charset of the command */
};

struct search_plan {
    struct arena arena;
    struct search_node *root; /* an AND */
    struct search_text *texts;
    size_t text_count;
    struct mime_needles needles; /* one a text; made by prepare */
    bool has_charset;
    struct slice charset;
    size_t key_bytes;
    bool needs_rows; /* not only numbers and UIDs */
};
/* Sets are resolved. */
void imapd__search_plan_init(struct search_plan *plan, const struct imap_search *args, uint64_t now_us);
void imapd__search_plan_fini(struct search_plan *plan);
/* May be done on a loop: no charset has to be looked up, keys are short. */
bool imapd__search_plan_is_quick(const struct search_plan *plan);
/* MS_EUNSUPPORTED: unknown charset. MS_EINVAL: a key is no text of it. */
MS_MUST_USE enum ms_err imapd__search_plan_prepare(struct search_plan *plan);
/* Bits of keywords, as this mailbox has them now. */
void imapd__search_plan_keywords(struct search_plan *plan, const struct store_mailbox *mb);

/* -- evaluation */
struct search_subject { /* what is known of a message */
    const struct store_message *row;
    uint32_t seq;
    bool recent;
    const struct mime_message *mime; /* NULL: not read yet */
    const enum search_is *texts;     /* NULL: all UNKNOWN */
};
enum search_is imapd__search_eval(const struct search_node *node, const struct search_subject *subject);

/* -- looking through one message */
struct
    search_source { /* prefix and blob. What is read is valid until the next read; empty: there is nothing at off */
    enum ms_err (*read)(void *owner, uint64_t off, size_t max, struct slice *out);
    void *owner;
};
enum search_stage { SEARCH_RECORD, SEARCH_HEADER, SEARCH_PART, SEARCH_BODY, SEARCH_END };
struct search_scan {
    const struct search_plan *plan;
    struct search_source source;
    struct search_subject sub;
    enum search_is *texts; /* one each */
    bool *wanted;
    enum search_stage stage;
    size_t part;
    uint64_t at, end; /* SEARCH_BODY: of prefix and blob */
    struct mime_matcher matcher;
    struct mime_text text;
    struct str bytes, value;
    struct arena scratch;
};
void imapd__search_scan_init(struct search_scan *scan, const struct search_plan *plan);
void imapd__search_scan_fini(struct search_scan *scan);
/* row and mime stay in place until the message is decided. */
void imapd__search_scan_begin(struct search_scan *scan, const struct search_subject *sub);
/* MS_OK: *out_is is YES or NO. MS_EMORE: *budget is used up. Errors of the source. */
MS_MUST_USE enum ms_err imapd__search_scan_step(struct search_scan *scan, size_t *budget,
                                                enum search_is *out_is);

/* -- job */
struct search_item {
    struct store_message row; /* the prefix lies in the arena of the job */
    uint32_t seq;
    bool recent;
    enum search_is is;
};
struct search_job;
struct search_job *imapd__search_job_create(struct imapd_session *s, const struct imap_search *args);
void imapd__search_job_drop(struct search_job **job); /* also while it is on a work thread */
struct search_plan *imapd__search_job_plan(struct search_job *job);
/* A message that is decided, or not; false: the batch is full (nothing was added). */
bool imapd__search_job_add(struct search_job *job, const struct search_item *item);
size_t imapd__search_job_count(const struct search_job *job);
const struct search_item *imapd__search_job_item(const struct search_job *job, size_t i);
void imapd__search_job_reset(struct search_job *job); /* another batch */
/* IMAPD_WAIT: the step is called again when it is done; or IMAPD_DONE: too many searches. */
enum imapd_step imapd__search_job_prepare(struct search_job *job);
enum imapd_step imapd__search_job_run(struct search_job *job);
/* Of the last prepare or run. MS_EMORE: run it again. */
MS_MUST_USE enum ms_err imapd__search_job_err(const struct search_job *job);
/* Those that were left behind when their loop ended. */
void imapd__search_jobs_free(struct list *jobs);

/* -- results */
struct search_found {
    struct imapd_runs runs; /* UIDs */
    uint32_t count;
    uint64_t first_modseq, last_modseq, highest_modseq;
};
void imapd__search_found_add(struct search_found *f, uint32_t uid, uint64_t modseq);
void imapd__search_found_fini(struct search_found *f);
struct search_answer { /* zero at the beginning; unsigned ret: IMAP_RETURN_* */
    bool extended, has_modseq, is_open;
    unsigned ret;
    size_t run;
    uint32_t at;
};
/* Writes the answer: IMAPD_GO when complete. Else: say it. */
enum imapd_step imapd__search_answer(struct imapd_session *s, const struct search_found *f,
                                     struct search_answer *a);
/* "$" becomes what RFC 5182 2.4 says. MS_ELIMIT: too much, it is empty. */
MS_MUST_USE enum ms_err imapd__search_save(struct imapd_session *s, const struct search_found *f,
                                           unsigned ret);

#endif
