/*
 * app_queue_select.c - which entries of the queue are meant.
 */
#include "app_queue.h"

bool app_queue_trace_match(struct slice wanted, struct slice trace)
{
    return slice_has_iprefix(trace, wanted) && (trace.len == wanted.len || trace.ptr[wanted.len] == '.');
}

static bool sender_matches(struct slice pattern, struct slice sender)
{
    if (slice_eq_cstr(pattern, "<>"))
        return sender.len == 0;
    return slice_imatch(pattern, sender);
}

bool app_queue_select_entry(const struct app_queue_select *sel, const struct queue_entry *e)
{
    return e->pending > 0 && (!sel->sender.ptr || sender_matches(sel->sender, e->sender)) &&
           (!sel->channel.ptr || slice_eq(sel->channel, e->channel)) &&
           (!sel->trace.ptr || app_queue_trace_match(sel->trace, e->trace)) &&
           (!sel->older_us || e->arrival_us <= sel->older_us) && e->arrival_us >= sel->younger_us &&
           (sel->held == APP_QUEUE_HELD_ANY || e->held == (sel->held == APP_QUEUE_HELD_YES));
}

static bool domain_is(struct slice address, struct slice domain)
{
    ssize_t at = slice_rfind_byte(address, '@');
    return at >= 0 && slice_ieq(slice_sub(address, (size_t)at + 1, address.len), domain);
}

static bool recipient_matches(const struct app_queue_select *sel, const struct queue_recipient *r)
{
    if (r->state != QUEUE_RCPT_PENDING)
        return false;
    if (sel->rcpt.ptr && !slice_imatch(sel->rcpt, r->address) &&
        !slice_imatch(sel->rcpt, r->original))
        return false;
    return !sel->rcpt_domain.ptr || domain_is(r->address, sel->rcpt_domain) ||
           domain_is(r->original, sel->rcpt_domain);
}

bool app_queue_select_row(const struct app_queue_select *sel, const struct app_queue_row *row)
{
    if (!app_queue_select_entry(sel, &row->e))
        return false;
    if (!sel->rcpt.ptr && !sel->rcpt_domain.ptr)
        return true;
    for (uint32_t i = 0; i < row->rcpt_count; i++)
        if (recipient_matches(sel, &row->rcpts[i]))
            return true;
    return false;
}

/* -- as words */
static void add_text(struct arena *a, const char *key, struct slice value, struct slice *words, size_t *n)
{
    if (value.ptr)
        words[(*n)++] = slice_cstr(arena_printf(a, "%s=" SLICE_FMT, key, SLICE_ARG(value)));
}

size_t app_queue_select_emit(const struct app_queue_select *sel, struct arena *a,
                             struct slice words[APP_QUEUE_SELECT_WORDS])
{
    size_t n = 0;
    add_text(a, "sender", sel->sender, words, &n);
    add_text(a, "rcpt", sel->rcpt, words, &n);
    add_text(a, "rcpt-domain", sel->rcpt_domain, words, &n);
    add_text(a, "channel", sel->channel, words, &n);
    add_text(a, "trace", sel->trace, words, &n);
    if (sel->older_us)
        words[n++] = slice_cstr(arena_printf(a, "older=%llu", (unsigned long long)sel->older_us));
    if (sel->younger_us)
        words[n++] = slice_cstr(arena_printf(a, "younger=%llu", (unsigned long long)sel->younger_us));
    if (sel->held != APP_QUEUE_HELD_ANY)
        words[n++] = slice_cstr(sel->held == APP_QUEUE_HELD_YES ? "held=1" : "held=0");
    return n;
}

static enum ms_err add_held(struct app_queue_select *sel, struct slice value)
{
    if (!slice_eq_cstr(value, "0") && !slice_eq_cstr(value, "1"))
        return MS_EINVAL;
    sel->held = value.ptr[0] == '1' ? APP_QUEUE_HELD_YES : APP_QUEUE_HELD_NO;
    return MS_OK;
}

enum ms_err app_queue_select_add(struct app_queue_select *sel, struct slice word)
{
    struct slice key, value = word;
    struct {
        const char *key;
        struct slice *out;
    } texts[] = {{"sender", &sel->sender},
                 {"rcpt", &sel->rcpt},
                 {"rcpt-domain", &sel->rcpt_domain},
                 {"channel", &sel->channel},
                 {"trace", &sel->trace}};
    if (!slice_cut(&value, '=', &key) || value.len > APP_QUEUE_PATTERN_MAX)
        return MS_EINVAL;
    for (size_t i = 0; i < MS_ARRAY_LEN(texts); i++)
        if (slice_eq_cstr(key, texts[i].key)) {
            *texts[i].out = value.ptr ? value : SLICE_LIT("");
            return MS_OK;
        }
    if (slice_eq_cstr(key, "held"))
        return add_held(sel, value);
    if (slice_eq_cstr(key, "older"))
        return slice_to_u64(value, UINT64_MAX, &sel->older_us) ? MS_EINVAL : MS_OK;
    if (slice_eq_cstr(key, "younger"))
        return slice_to_u64(value, UINT64_MAX, &sel->younger_us) ? MS_EINVAL : MS_OK;
    return MS_EINVAL;
}
