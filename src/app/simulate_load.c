/*
 * simulate_load.c - the text of a load: key=value, with commas between. One row a key says how it is read,
 * written, and what it takes.
 */
#include "simulate_load.h"

#define DAY_US   (24ull * 3600 * 1000000)
#define SPAN_MAX (10 * 365 * DAY_US) /* when the last message of a load may arrive */

enum load_type {
    LOAD_NAME,
    LOAD_NUMBER,
    LOAD_NUMBERS,
    LOAD_TIME,
    LOAD_TIMES,
    LOAD_SIZES,
    LOAD_WORD,
    LOAD_PERCENT
};
struct load_key {
    const char *name;
    enum load_type type;
    size_t offset;
    uint64_t min, max; /* NAME: octets; TIME: us; WORD: of words */
    const char *const *words;
};

static const char *const class_names[] = {"urgent", "normal", "nonurgent", "secondclass", "thirdclass", NULL};
static const char *const arrive_names[] = {"evenly", "chance", NULL};

/* clang-format off */
#define AT(member) offsetof(struct sim_load, member)
#define TIME_MAX   (SIM_DAYS_MAX * DAY_US)
static const struct load_key keys[] = {
    {"channel", LOAD_NAME,    AT(channel),      1, CHANNEL_NAME_MAX, NULL},
    {"count",   LOAD_NUMBER,  AT(count),        1, SIM_ENTRIES_MAX, NULL},
    {"for",     LOAD_TIME,    AT(for_us),       0, TIME_MAX, NULL},
    {"from",    LOAD_TIME,    AT(from_us),      0, TIME_MAX, NULL},
    {"arrive",  LOAD_WORD,    AT(arrive),       0, 1, arrive_names},
    {"repeat",  LOAD_NUMBER,  AT(repeat),       1, SIM_REPEAT_MAX, NULL},
    {"every",   LOAD_TIME,    AT(every_us),     1000, TIME_MAX, NULL},
    {"class",   LOAD_WORD,    AT(class_),       0, 4, class_names},
    {"size",    LOAD_SIZES,   AT(bytes),        0, (uint64_t)1 << 40, NULL},
    {"rcpts",   LOAD_NUMBERS, AT(recipients),   1, QUEUE_RECIPIENTS_MAX, NULL},
    {"hosts",   LOAD_NUMBER,  AT(hosts),        0, SIM_HOSTS_MAX, NULL},
    {"host",    LOAD_NAME,    AT(host),         1, SIM_HOST_NAME_MAX, NULL},
    {"time",    LOAD_TIMES,   AT(time_us),      0, TIME_MAX, NULL},
    {"fail",    LOAD_PERCENT, AT(fail_percent), 0, 100, NULL},
    {"failtime", LOAD_TIMES,  AT(fail_us),      0, TIME_MAX, NULL},
    {"down",    LOAD_TIMES,   AT(down_us),      0, TIME_MAX, NULL},
};
/* clang-format on */
static const struct sim_load defaults = {.class_ = QUEUE_NORMAL,
                                         .repeat = 1,
                                         .recipients = {1, 1},
                                         .time_us = {1000000, 1000000},
                                         .fail_us = {1000000, 1000000}};

const char *sim_class_name(enum queue_class class_)
{
    return class_names[class_];
}

/* -- values */
static enum ms_err parse_number(const struct load_key *k, struct slice value, uint64_t *out)
{
    if (k->type == LOAD_PERCENT && slice_has_suffix(value, SLICE_LIT("%")))
        value.len--;
    if (k->type == LOAD_SIZES) {
        MS_TRY(conf_parse_size(value, 1, out));
    } else if (k->type == LOAD_TIME || k->type == LOAD_TIMES) {
        uint64_t ms;
        MS_TRY(conf_parse_duration(value, 1000, &ms));
        if (ms > UINT64_MAX / 1000)
            return MS_ELIMIT;
        *out = ms * 1000;
    } else {
        MS_TRY(slice_to_u64(value, k->max, out));
    }
    return *out < k->min || *out > k->max ? MS_ELIMIT : MS_OK;
}

/* A..B, or one value for both. */
static enum ms_err parse_range(const struct load_key *k, struct slice value, struct sim_range *out)
{
    ssize_t dots = slice_find(value, SLICE_LIT(".."));
    if (dots < 0) {
        MS_TRY(parse_number(k, value, &out->min));
        out->max = out->min;
        return MS_OK;
    }
    MS_TRY(parse_number(k, slice_sub(value, 0, (size_t)dots), &out->min));
    MS_TRY(parse_number(k, slice_sub(value, (size_t)dots + 2, SIZE_MAX), &out->max));
    return out->max < out->min ? MS_ELIMIT : MS_OK;
}

static enum ms_err parse_name(const struct load_key *k, struct slice value, char *out)
{
    if (value.len < k->min || value.len > k->max)
        return MS_ELIMIT;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' ||
            value.ptr[i] >= 0x7f) /* what a name in the configuration may be, and is seen */
            return MS_ESYNTAX;
    memcpy(out, value.ptr, value.len);
    out[value.len] = '\0';
    return MS_OK;
}

static enum ms_err parse_word(const struct load_key *k, struct slice value, int *out)
{
    for (int i = 0; k->words[i]; i++)
        if (slice_eq_cstr(value, k->words[i])) {
            *out = i;
            return MS_OK;
        }
    return MS_ESYNTAX;
}

static enum ms_err parse_value(const struct load_key *k, struct slice value, struct sim_load *l)
{
    void *field = (char *)l + k->offset;
    switch (k->type) {
    case LOAD_NAME:
        return parse_name(k, value, field);
    case LOAD_WORD:
        return parse_word(k, value, field);
    case LOAD_NUMBERS:
    case LOAD_TIMES:
    case LOAD_SIZES:
        return parse_range(k, value, field);
    case LOAD_NUMBER:
    case LOAD_TIME:
    case LOAD_PERCENT:
        return parse_number(k, value, field);
    }
    MS_UNREACHABLE();
}

/* -- what is said when it is wrong */
static void add_allowed(struct str *out, const struct load_key *k)
{
    const char *pair =
        k->type == LOAD_NUMBERS || k->type == LOAD_TIMES || k->type == LOAD_SIZES ? ", or A..B" : "";
    switch (k->type) {
    case LOAD_NAME:
        str_addf(out, "a name of at most %llu characters, without blanks", (unsigned long long)k->max);
        break;
    case LOAD_WORD:
        for (unsigned i = 0; k->words[i]; i++)
            str_addf(out, "%s%s", !i ? "" : k->words[i + 1] ? ", " : " or ", k->words[i]);
        break;
    case LOAD_TIME:
    case LOAD_TIMES:
        str_addf(out, "a time such as 90s or 5m, at most %dd%s", SIM_DAYS_MAX, pair);
        break;
    case LOAD_SIZES:
        str_addf(out, "a size such as 20KiB, at most 1TiB%s", pair);
        break;
    case LOAD_NUMBER:
    case LOAD_NUMBERS:
    case LOAD_PERCENT:
        str_addf(out, "a number from %llu to %llu%s", (unsigned long long)k->min, (unsigned long long)k->max,
                 pair);
    }
}

static enum ms_err refuse_value(const struct load_key *k, struct slice value, struct ms_errinfo *why_out)
{
    struct str allowed;
    str_init(&allowed, 0);
    add_allowed(&allowed, k);
    enum ms_err err = ms_fail(why_out, MS_EINVAL, "%s takes %s, not \"%.*s\"", k->name, str_cstr(&allowed),
                              (int)MS_MIN(value.len, 60), (const char *)value.ptr);
    str_fini(&allowed);
    return err;
}

static enum ms_err refuse_key(struct slice key, struct ms_errinfo *why_out)
{
    struct str all;
    str_init(&all, 0);
    for (size_t i = 0; i < MS_ARRAY_LEN(keys); i++)
        str_addf(&all, "%s%s", !i ? "" : i + 1 < MS_ARRAY_LEN(keys) ? ", " : " and ", keys[i].name);
    enum ms_err err = ms_fail(why_out, MS_EINVAL, "a load has no \"%.*s\"; its keys are %s",
                              (int)MS_MIN(key.len, 60), (const char *)key.ptr, str_cstr(&all));
    str_fini(&all);
    return err;
}

/* -- a load */
static enum ms_err parse_word_of(struct slice word, struct sim_load *l, uint32_t *given,
                                 struct ms_errinfo *why_out)
{
    struct slice value = word, key;
    if (!slice_cut(&value, '=', &key))
        return ms_fail(why_out, MS_EINVAL, "\"%.*s\" is not key=value", (int)MS_MIN(word.len, 60),
                       (const char *)word.ptr);
    key = slice_trim(key);
    value = slice_trim(value);
    for (size_t i = 0; i < MS_ARRAY_LEN(keys); i++) {
        if (!slice_eq_cstr(key, keys[i].name))
            continue;
        if (*given & 1u << i)
            return ms_fail(why_out, MS_EINVAL, "%s is given twice", keys[i].name);
        *given |= 1u << i;
        return parse_value(&keys[i], value, l) ? refuse_value(&keys[i], value, why_out) : MS_OK;
    }
    return refuse_key(key, why_out);
}

static bool is_given(uint32_t given, const char *name)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(keys); i++)
        if (strcmp(keys[i].name, name) == 0)
            return given & 1u << i;
    MS_UNREACHABLE();
}

/* What the keys say together. */
static enum ms_err check(struct sim_load *l, uint32_t given, struct ms_errinfo *why_out)
{
    if (!l->channel[0] || !l->count)
        return ms_fail(why_out, MS_EINVAL, "a load needs channel= and count=");
    if (is_given(given, "every") != is_given(given, "repeat"))
        return ms_fail(why_out, MS_EINVAL,
                       "repeat= (how often) and every= (from one beginning to the next) go together");
    if (l->host[0] && !is_given(given, "hosts"))
        l->hosts = 1;
    if (l->host[0] && !l->hosts)
        return ms_fail(why_out, MS_EINVAL, "host= with hosts=0: a channel with one queue has no hosts");
    if (!is_given(given, "failtime"))
        l->fail_us = l->time_us;
    if (is_given(given, "down") && l->down_us.min == l->down_us.max)
        return ms_fail(why_out, MS_EINVAL, "down takes two times, FROM..UNTIL");
    if (l->from_us + l->for_us + (l->repeat - 1) * l->every_us > SPAN_MAX)
        return ms_fail(why_out, MS_EINVAL, "the last message would arrive after more than ten years");
    return MS_OK;
}

enum ms_err sim_load_parse(struct slice text, struct sim_load *out, struct ms_errinfo *why_out)
{
    struct slice rest = text, word;
    uint32_t given = 0;
    *out = defaults;
    for (bool more = true; more;) {
        more = slice_cut(&rest, ',', &word);
        MS_TRY(parse_word_of(slice_trim(more ? word : rest), out, &given, why_out));
    }
    return check(out, given, why_out);
}

static struct slice without_comment(struct slice line)
{
    ssize_t hash = slice_find_byte(line, '#');
    return slice_trim(hash < 0 ? line : slice_sub(line, 0, (size_t)hash));
}

enum ms_err sim_load_parse_lines(struct slice text, const char *name, struct sim_load loads[SIM_LOADS_MAX],
                                 size_t *count, struct ms_errinfo *why_out)
{
    struct slice rest = text, line;
    struct ms_errinfo why;
    unsigned number = 0;
    for (bool more = true; more;) {
        more = slice_cut(&rest, '\n', &line);
        line = without_comment(more ? line : rest);
        number++;
        if (line.len == 0)
            continue;
        if (*count == SIM_LOADS_MAX)
            return ms_fail(why_out, MS_EINVAL, "%s:%u: more than %d loads", name, number, SIM_LOADS_MAX);
        if (sim_load_parse(line, &loads[*count], &why))
            return ms_fail(why_out, MS_EINVAL, "%s:%u: %s", name, number, why.text);
        ++*count;
    }
    return MS_OK;
}

/* -- writing */
static void emit_number(struct str *out, const struct load_key *k, uint64_t value)
{
    if (k->type == LOAD_TIME || k->type == LOAD_TIMES)
        conf_emit_duration(out, value / 1000);
    else if (k->type == LOAD_SIZES)
        conf_emit_size(out, value);
    else
        str_addf(out, "%llu%s", (unsigned long long)value, k->type == LOAD_PERCENT ? "%" : "");
}

static void emit_value(struct str *out, const struct load_key *k, const void *field)
{
    const struct sim_range *range = field;
    switch (k->type) {
    case LOAD_NAME:
        str_add_cstr(out, field);
        break;
    case LOAD_WORD:
        str_add_cstr(out, k->words[*(const int *)field]);
        break;
    case LOAD_NUMBERS:
    case LOAD_TIMES:
    case LOAD_SIZES:
        emit_number(out, k, range->min);
        if (range->max != range->min) {
            str_add_cstr(out, "..");
            emit_number(out, k, range->max);
        }
        break;
    case LOAD_NUMBER:
    case LOAD_TIME:
    case LOAD_PERCENT:
        emit_number(out, k, *(const uint64_t *)field);
    }
}

static bool same(const struct load_key *k, const void *a, const void *b)
{
    static const size_t bytes[] = {
        [LOAD_NUMBER] = sizeof(uint64_t),        [LOAD_NUMBERS] = sizeof(struct sim_range),
        [LOAD_TIME] = sizeof(uint64_t),          [LOAD_TIMES] = sizeof(struct sim_range),
        [LOAD_SIZES] = sizeof(struct sim_range), [LOAD_WORD] = sizeof(int),
        [LOAD_PERCENT] = sizeof(uint64_t)};
    return k->type == LOAD_NAME ? strcmp(a, b) == 0 : memcmp(a, b, bytes[k->type]) == 0;
}

void sim_load_emit(struct str *out, const struct sim_load *load)
{
    struct sim_load plain = defaults;
    bool is_first = true;
    plain.fail_us = load->time_us;
    plain.hosts = load->host[0] ? 1 : 0;
    for (size_t i = 0; i < MS_ARRAY_LEN(keys); i++) {
        const void *field = (const char *)load + keys[i].offset;
        bool is_pair = strcmp(keys[i].name, "repeat") == 0 && load->every_us; /* also when it is once */
        if (!is_pair && same(&keys[i], field, (const char *)&plain + keys[i].offset))
            continue;
        str_addf(out, "%s%s=", is_first ? "" : ",", keys[i].name);
        emit_value(out, &keys[i], field);
        is_first = false;
    }
}
