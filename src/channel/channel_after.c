/*
 * channel_after.c - which deferral a class has (semantics 5, rules 2 and 3).
 *
 * The keywords are taken in the order of the file, those of channels.defaults first; each writes its class,
 * `after` all five. So the last one that was written counts.
 */
#include "channel_priv.h"

struct after_key {
    const char *key;
    size_t offset;
    int class_; /* -1: all */
};
static const struct after_key after_keys[] = {
    {"after", offsetof(struct channel_conf, after), -1},
    {"urgentafter", offsetof(struct channel_conf, urgentafter), QUEUE_URGENT},
    {"normalafter", offsetof(struct channel_conf, normalafter), QUEUE_NORMAL},
    {"nonurgentafter", offsetof(struct channel_conf, nonurgentafter), QUEUE_NONURGENT},
    {"secondclassafter", offsetof(struct channel_conf, secondclassafter), QUEUE_SECONDCLASS},
    {"thirdclassafter", offsetof(struct channel_conf, thirdclassafter), QUEUE_THIRDCLASS},
};

struct after_set {
    const struct after_key *key;
    struct conf_place place;
};

static bool comes_before(const struct after_set *a, const struct after_set *b)
{
    if (a->place.inherited != b->place.inherited)
        return a->place.inherited;
    return a->place.order < b->place.order;
}

void channel_after_make(const struct channel_conf *channel, struct conf_after out[QUEUE_CLASS_COUNT])
{
    struct after_set set[MS_ARRAY_LEN(after_keys)];
    size_t count = 0;
    for (size_t i = 0; i < MS_ARRAY_LEN(after_keys); i++) {
        struct after_set one = {.key = &after_keys[i]};
        size_t at = count;
        if (!conf_is_set(channel, one.key->key, &one.place))
            continue;
        for (; at > 0 && comes_before(&one, &set[at - 1]); at--)
            set[at] = set[at - 1];
        set[at] = one;
        count++;
    }
    memset(out, 0, QUEUE_CLASS_COUNT * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        const struct conf_after *value = (const void *)((const char *)channel + set[i].key->offset);
        for (int class_ = 0; class_ < QUEUE_CLASS_COUNT; class_++)
            if (set[i].key->class_ < 0 || set[i].key->class_ == class_)
                out[class_] = *value;
    }
}
