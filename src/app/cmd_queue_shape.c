/*
 * cmd_queue_shape.c - queue shape: how old what waits is, by the domain it goes to or comes from. The table that people
 * know: minutes in columns that double, one line a domain, the largest first.
 */
#include "cmd_queue.h"

#include <stdlib.h>

#include "ms/base/clock.h"
#include "ms/base/map.h"

#define DOMAIN_WIDTH 30

struct shape_row {
    uint64_t total, ages[CMD_QUEUE_BUCKETS_MAX];
    char domain[];
};

struct shape {
    const struct cmd_queue *q;
    struct map rows; /* domain -> struct shape_row */
    struct shape_row *all;
    uint64_t now_us;
    uint64_t edges[CMD_QUEUE_BUCKETS_MAX]; /* minutes; the last has none */
    char names[CMD_QUEUE_BUCKETS_MAX][24];
};

static struct shape_row *row_new(struct slice domain)
{
    struct shape_row *row = ms_alloc(sizeof *row + domain.len + 1);
    memcpy(row->domain, domain.ptr, domain.len);
    row->domain[domain.len] = '\0';
    return row;
}

/* -- counting */
static void make_edges(struct shape *s)
{
    unsigned last = s->q->buckets - 1;
    for (unsigned i = 0; i < last; i++) {
        s->edges[i] = s->q->linear ? s->q->minutes * (i + 1) : s->q->minutes << i;
        snprintf(s->names[i], sizeof s->names[i], "%llu", (unsigned long long)s->edges[i]);
    }
    snprintf(s->names[last], sizeof s->names[last], "%s+", last ? s->names[last - 1] : "0");
}

static unsigned age_of(const struct shape *s, uint64_t arrival_us)
{
    uint64_t minutes = (s->now_us - MS_MIN(arrival_us, s->now_us)) / 60000000;
    unsigned age = 0;
    while (age + 1 < s->q->buckets && minutes >= s->edges[age])
        age++;
    return age;
}

/* A local name has none; the empty sender is "<>". */
static struct slice domain_of(struct slice address)
{
    ssize_t at = slice_rfind_byte(address, '@');
    if (address.len == 0)
        return SLICE_LIT("<>");
    return at < 0 ? SLICE_LIT("-") : slice_sub(address, (size_t)at + 1, address.len);
}

static void count(struct shape *s, struct slice address, unsigned age)
{
    char lower[QUEUE_ADDRESS_MAX];
    struct slice domain = slice_sub(domain_of(address), 0, sizeof lower);
    for (size_t k = 0; k < domain.len; k++)
        lower[k] = (char)ms_ascii_lower(domain.ptr[k]);
    domain = slice_make(lower, domain.len);
    struct shape_row *row = map_find(&s->rows, domain);
    if (!row)
        map_put(&s->rows, domain, row = row_new(domain));
    row->total++;
    row->ages[age]++;
    s->all->total++;
    s->all->ages[age]++;
}

static bool shape_entry(void *owner, const struct app_queue_row *entry)
{
    struct shape *s = owner;
    unsigned age = age_of(s, entry->e.arrival_us);
    if (s->q->by_sender) {
        count(s, entry->e.sender, age);
        return true;
    }
    for (uint32_t i = 0; i < entry->rcpt_count; i++)
        if (entry->rcpts[i].state == QUEUE_RCPT_PENDING)
            count(s, entry->rcpts[i].address, age);
    return true;
}

/* -- output */
static int row_cmp(const void *a, const void *b)
{
    const struct shape_row *const *x = a, *const *y = b;
    if ((*x)->total != (*y)->total)
        return (*x)->total < (*y)->total ? 1 : -1;
    return strcmp((*x)->domain, (*y)->domain);
}

/* To the right; of a long name the end, which says most. */
static void print_domain(const char *domain)
{
    size_t len = strlen(domain);
    bool is_long = len > DOMAIN_WIDTH;
    if (is_long)
        domain += len - (DOMAIN_WIDTH - 1);
    printf("%*s", is_long ? 0 : (int)(DOMAIN_WIDTH - len), "");
    fputs(is_long ? "+" : "", stdout);
    app_print_text(stdout, slice_cstr(domain));
}

static void print_row(const struct shape *s, const struct shape_row *row)
{
    const char *names[CMD_QUEUE_BUCKETS_MAX + 2] = {"domain", "T"}, *values[CMD_QUEUE_BUCKETS_MAX + 2];
    char texts[CMD_QUEUE_BUCKETS_MAX + 1][24];
    unsigned buckets = s->q->buckets;
    if (s->q->args->output == APP_HUMAN) {
        print_domain(row->domain);
        printf(" %6llu", (unsigned long long)row->total);
        for (unsigned i = 0; i < buckets; i++)
            printf(" %6llu", (unsigned long long)row->ages[i]);
        putchar('\n');
        return;
    }
    values[0] = row->domain;
    for (unsigned i = 0; i <= buckets; i++) {
        snprintf(texts[i], sizeof texts[i], "%llu", (unsigned long long)(i ? row->ages[i - 1] : row->total));
        values[i + 1] = texts[i];
        if (i)
            names[i + 1] = s->names[i - 1];
    }
    app_emit_row(s->q->args, names, values, buckets + 2);
}

static void print_shape(const struct shape *s)
{
    struct shape_row **rows = ms_alloc_array(MS_MAX(s->rows.count, 1), sizeof *rows);
    size_t cursor = 0, n = 0;
    struct slice key;
    void *value;
    while (map_next(&s->rows, &cursor, &key, &value))
        rows[n++] = value;
    qsort(rows, n, sizeof *rows, row_cmp);
    if (s->q->args->output == APP_HUMAN) {
        printf("%*s %6s", DOMAIN_WIDTH, "", "T");
        for (unsigned i = 0; i < s->q->buckets; i++)
            printf(" %6s", s->names[i]);
        putchar('\n');
    }
    print_row(s, s->all);
    for (size_t i = 0; i < MS_MIN(n, s->q->rows); i++)
        print_row(s, rows[i]);
    for (size_t i = 0; i < n; i++)
        ms_free(rows[i]);
    ms_free(rows);
}

int cmd_queue_shape(struct app_args *args)
{
    struct cmd_queue q;
    int rc = cmd_queue_open(&q, args, CMD_QUEUE_SHAPE);
    if (rc)
        return rc;
    struct shape s = {.q = &q, .now_us = clock_wall_us(), .all = row_new(SLICE_LIT("TOTAL"))};
    map_init(&s.rows);
    make_edges(&s);
    rc = cmd_queue_walk(&q, shape_entry, &s);
    if (!rc)
        print_shape(&s);
    if (!rc && s.rows.count == 0 && q.fail_if_empty)
        rc = 1;
    ms_free(s.all);
    map_fini(&s.rows);
    cmd_queue_close(&q);
    return rc;
}
