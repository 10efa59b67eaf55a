/*
 * cmd_queue_shape.c - queue shape: how old what waits is, by the domain it goes to. The table that people know:
 * minutes in columns that double, one line a domain, the largest first.
 */
#include "cmd_queue.h"

#include <stdlib.h>

#include "ms/base/clock.h"
#include "ms/base/map.h"

#define SHAPE_AGES 10 /* up to 5, 10, 20, ... 1280 minutes, and above */

static const char *const age_names[SHAPE_AGES] = {"5",   "10",  "20",  "40",   "80",
                                                  "160", "320", "640", "1280", "1280+"};

struct shape_row {
    uint64_t total, ages[SHAPE_AGES];
    char domain[];
};

struct shape {
    struct map rows; /* domain -> struct shape_row */
    struct shape_row *all;
    uint64_t now_us;
};

static struct shape_row *row_new(struct slice domain)
{
    struct shape_row *row = ms_alloc(sizeof *row + domain.len + 1);
    memcpy(row->domain, domain.ptr, domain.len);
    row->domain[domain.len] = '\0';
    return row;
}

/* A local name has none. */
static struct slice domain_of(struct slice address)
{
    for (size_t i = address.len; i > 0; i--)
        if (address.ptr[i - 1] == '@')
            return slice_sub(address, i, SIZE_MAX);
    return SLICE_LIT("-");
}

static unsigned age_of(const struct shape *s, uint64_t arrival_us)
{
    uint64_t minutes = (s->now_us - MS_MIN(arrival_us, s->now_us)) / 60000000;
    unsigned age = 0;
    for (uint64_t edge = 5; age + 1 < SHAPE_AGES && minutes >= edge; edge *= 2)
        age++;
    return age;
}

static void count(struct shape_row *row, unsigned age)
{
    row->total++;
    row->ages[age]++;
}

static bool shape_entry(void *owner, const struct app_queue_row *entry)
{
    struct shape *s = owner;
    unsigned age = age_of(s, entry->e.arrival_us);
    for (uint32_t i = 0; i < entry->rcpt_count; i++) {
        if (entry->rcpts[i].state != QUEUE_RCPT_PENDING)
            continue;
        char lower[QUEUE_ADDRESS_MAX];
        struct slice domain = slice_sub(domain_of(entry->rcpts[i].address), 0, sizeof lower);
        for (size_t k = 0; k < domain.len; k++)
            lower[k] =
                (char)(domain.ptr[k] >= 'A' && domain.ptr[k] <= 'Z' ? domain.ptr[k] | 0x20 : domain.ptr[k]);
        domain = slice_make(lower, domain.len);
        struct shape_row *row = map_find(&s->rows, domain);
        if (!row)
            map_put(&s->rows, domain, row = row_new(domain));
        count(row, age);
        count(s->all, age);
    }
    return true;
}

static int row_cmp(const void *a, const void *b)
{
    const struct shape_row *const *x = a, *const *y = b;
    if ((*x)->total != (*y)->total)
        return (*x)->total < (*y)->total ? 1 : -1;
    return strcmp((*x)->domain, (*y)->domain);
}

static void print_row(const struct app_args *args, const struct shape_row *row)
{
    const char *names[SHAPE_AGES + 2] = {"domain", "T"}, *values[SHAPE_AGES + 2];
    char texts[SHAPE_AGES + 1][24];
    if (args->output == APP_HUMAN) {
        printf("%30s %6llu", row->domain, (unsigned long long)row->total);
        for (unsigned i = 0; i < SHAPE_AGES; i++)
            printf(" %6llu", (unsigned long long)row->ages[i]);
        putchar('\n');
        return;
    }
    values[0] = row->domain;
    for (unsigned i = 0; i <= SHAPE_AGES; i++) {
        snprintf(texts[i], sizeof texts[i], "%llu", (unsigned long long)(i ? row->ages[i - 1] : row->total));
        values[i + 1] = texts[i];
        if (i)
            names[i + 1] = age_names[i - 1];
    }
    app_emit_row(args, names, values, SHAPE_AGES + 2);
}

static void print_shape(const struct app_args *args, struct shape *s)
{
    struct shape_row **rows = ms_alloc_array(MS_MAX(s->rows.count, 1), sizeof *rows);
    size_t cursor = 0, n = 0;
    struct slice key;
    void *value;
    while (map_next(&s->rows, &cursor, &key, &value))
        rows[n++] = value;
    qsort(rows, n, sizeof *rows, row_cmp);
    if (args->output == APP_HUMAN) {
        printf("%30s %6s", "", "T");
        for (unsigned i = 0; i < SHAPE_AGES; i++)
            printf(" %6s", age_names[i]);
        putchar('\n');
    }
    print_row(args, s->all);
    for (size_t i = 0; i < n; i++) {
        print_row(args, rows[i]);
        ms_free(rows[i]);
    }
    ms_free(rows);
}

int cmd_queue_shape(struct app_args *args)
{
    struct cmd_queue q;
    int rc = cmd_queue_open(&q, args, 0);
    if (rc)
        return rc;
    struct shape s = {.now_us = clock_wall_us(), .all = row_new(SLICE_LIT("TOTAL"))};
    map_init(&s.rows);
    rc = cmd_queue_walk(&q, shape_entry, &s);
    if (!rc)
        print_shape(args, &s);
    if (!rc && s.rows.count == 0 && q.fail_if_empty)
        rc = 1;
    ms_free(s.all);
    map_fini(&s.rows);
    cmd_queue_close(&q);
    return rc;
}
