/*
 * channel_times.c - waits between attempts, ages of notices and of the return (semantics 6).
 *
 * Which list a class has:
 *   backoff   its own keyword -> backoff -> the class's built-in list
 *   notices   its own keyword -> notices -> notices of the local channel -> 3 6 9 12
 * The second and third class below non-urgent use the keywords and the built-in list of non-urgent.
 */
#include "channel_priv.h"

#define MINUTE_MS 60000ull
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

static const uint64_t urgent_ms[] = {30 * MINUTE_MS,  60 * MINUTE_MS,  60 * MINUTE_MS, 120 * MINUTE_MS,
                                     120 * MINUTE_MS, 120 * MINUTE_MS, 240 * MINUTE_MS};
static const uint64_t normal_ms[] = {60 * MINUTE_MS,  120 * MINUTE_MS, 120 * MINUTE_MS, 240 * MINUTE_MS,
                                     240 * MINUTE_MS, 240 * MINUTE_MS, 480 * MINUTE_MS};
static const uint64_t nonurgent_ms[] = {120 * MINUTE_MS, 240 * MINUTE_MS, 240 * MINUTE_MS, 480 * MINUTE_MS,
                                        480 * MINUTE_MS, 480 * MINUTE_MS, 960 * MINUTE_MS};

#define BUILT_IN(list)                                                                                       \
    {                                                                                                        \
        .items = (list), .count = MS_ARRAY_LEN(list)                                                         \
    }
static const struct conf_numlist backoff_built_in[QUEUE_CLASS_COUNT] = {
    [QUEUE_URGENT] = BUILT_IN(urgent_ms),        [QUEUE_NORMAL] = BUILT_IN(normal_ms),
    [QUEUE_NONURGENT] = BUILT_IN(nonurgent_ms),  [QUEUE_SECONDCLASS] = BUILT_IN(nonurgent_ms),
    [QUEUE_THIRDCLASS] = BUILT_IN(nonurgent_ms),
};
static const char *const notices_built_in_items[] = {"3", "6", "9", "12"};
static const struct conf_strlist notices_built_in = BUILT_IN(notices_built_in_items);

/* -- backoff */
static const struct conf_numlist *own_backoff(const struct channel_conf *c, enum queue_class class_)
{
    switch (class_) {
    case QUEUE_URGENT:
        return &c->urgentbackoff;
    case QUEUE_NORMAL:
        return &c->normalbackoff;
    default:
        return &c->nonurgentbackoff;
    }
}

static void make_backoff(const struct channel_conf *c, enum queue_class class_, struct channel_list *out)
{
    const struct conf_numlist *list = own_backoff(c, class_);
    if (list->count == 0)
        list = &c->backoff;
    if (list->count == 0)
        list = &backoff_built_in[class_];
    out->count = (unsigned)MS_MIN(list->count, (size_t)CHANNEL_BACKOFF_MAX);
    for (unsigned i = 0; i < out->count; i++)
        out->us[i] = list->items[i] * 1000;
}

/* -- notices */
static bool is_separator(uint8_t c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* Next word of one item of the list; false at its end. */
static bool next_word(struct slice *rest, struct slice *word_out)
{
    size_t n = 0;
    while (rest->len && is_separator(rest->ptr[0]))
        *rest = slice_sub(*rest, 1, SIZE_MAX);
    while (n < rest->len && !is_separator(rest->ptr[n]))
        n++;
    *word_out = slice_sub(*rest, 0, n);
    *rest = slice_sub(*rest, n, SIZE_MAX);
    return n > 0;
}

enum ms_err channel__notices_parse(const struct conf_strlist *list, enum channel_units units,
                                   struct channel_list *out)
{
    uint64_t unit_ms = units == CHANNEL_HOURS ? HOUR_MS : DAY_MS, ms;
    out->count = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct slice rest = slice_cstr(list->items[i]), word;
        while (next_word(&rest, &word)) {
            if (out->count == CHANNEL_NOTICES_MAX)
                return MS_ELIMIT;
            MS_TRY(conf_parse_duration(word, unit_ms, &ms));
            if (ms == 0 || ms > CHANNEL__NOTICE_MS_MAX ||
                (out->count && ms * 1000 <= out->us[out->count - 1]))
                return MS_EINVAL;
            out->us[out->count++] = ms * 1000;
        }
    }
    return out->count ? MS_OK : MS_EINVAL;
}

static const struct conf_strlist *own_notices(const struct channel_conf *c, enum queue_class class_)
{
    switch (class_) {
    case QUEUE_URGENT:
        return &c->urgentnotices;
    case QUEUE_NORMAL:
        return &c->normalnotices;
    default:
        return &c->nonurgentnotices;
    }
}

static void make_notices(const struct channel_conf *c, const struct channel_conf *local,
                         enum queue_class class_, enum channel_units units, struct channel_list *out)
{
    const struct conf_strlist *list = own_notices(c, class_);
    if (list->count == 0)
        list = &c->notices;
    if (list->count == 0 && local)
        list = &local->notices;
    if (list->count == 0)
        list = &notices_built_in;
    enum ms_err err = channel__notices_parse(list, units, out);
    MS_ASSERT(err == MS_OK); /* the configuration was checked */
}

void channel_times_make(const struct channel_conf *channel, const struct channel_conf *local,
                        const struct channel_queue_conf *queue, struct channel_times *out)
{
    for (unsigned i = 0; i < QUEUE_CLASS_COUNT; i++) {
        make_backoff(channel, (enum queue_class)i, &out->backoff[i]);
        make_notices(channel, local, (enum queue_class)i, (enum channel_units)queue->return_units,
                     &out->notices[i]);
    }
}

/* semantics 6: interval k is the wait between attempt k failing and attempt k + 1; the last value repeats. */
uint64_t channel_backoff_us(const struct channel_times *t, enum queue_class class_, uint32_t attempts)
{
    const struct channel_list *list = &t->backoff[class_];
    MS_ASSERT(attempts > 0 && list->count > 0);
    return list->us[MS_MIN(attempts, list->count) - 1];
}

uint64_t channel_notice_us(const struct channel_times *t, enum queue_class class_, unsigned k)
{
    const struct channel_list *list = &t->notices[class_];
    return k + 1 < list->count ? list->us[k] : UINT64_MAX;
}

uint64_t channel_return_us(const struct channel_times *t, enum queue_class class_)
{
    const struct channel_list *list = &t->notices[class_];
    return list->us[list->count - 1];
}

unsigned channel_notices_reached(const struct channel_times *t, enum queue_class class_, unsigned notices,
                                 uint64_t age_us)
{
    while (notices < CHANNEL_NOTICES_MAX && channel_notice_us(t, class_, notices) <= age_us)
        notices++;
    return notices;
}

uint64_t channel_due_us(const struct channel_times *t, enum queue_class class_, uint64_t arrival_us,
                        uint32_t attempts, unsigned notices, uint64_t now_us)
{
    uint64_t due_us = now_us + channel_backoff_us(t, class_, attempts);
    uint64_t return_us = arrival_us + channel_return_us(t, class_);
    uint64_t notice_us = channel_notice_us(t, class_, notices);
    if (return_us > now_us) /* else only recipients on hold are left */
        due_us = MS_MIN(due_us, return_us);
    if (notice_us != UINT64_MAX && arrival_us + notice_us > now_us)
        due_us = MS_MIN(due_us, arrival_us + notice_us);
    return due_us;
}
