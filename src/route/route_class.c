/*
 * route_class.c - the priority a message asks for (semantics 3.2).
 *
 * Importance is for the recipient, not for us. Of several fields of one name the first counts.
 */
#include "ms/mime.h"
#include "ms/route.h"

/* Without its comment; empty: there is none. */
static struct slice field_word(const struct mime_message *m, enum mime_field_id id)
{
    const struct mime_field *field = mime_part_field(m, mime_message_root(m), id, NULL);
    struct slice value = field ? mime_field_value(field) : slice_make(NULL, 0);
    ssize_t comment = slice_find_byte(value, '(');
    return slice_trim(comment < 0 ? value : slice_sub(value, 0, (size_t)comment));
}

static bool by_priority(struct slice word, enum queue_class *out)
{
    static const struct {
        const char *word;
        enum queue_class class_;
    } words[] = {{"urgent", QUEUE_URGENT}, {"normal", QUEUE_NORMAL}, {"non-urgent", QUEUE_NONURGENT}};
    for (size_t i = 0; i < MS_ARRAY_LEN(words); i++)
        if (slice_ieq_cstr(word, words[i].word)) {
            *out = words[i].class_;
            return true;
        }
    return false;
}

/* "1 (Highest)" to "5 (Lowest)", also "1 Highest". */
static enum queue_class by_x_priority(struct slice word)
{
    bool alone = word.len == 1 || (word.len > 1 && (word.ptr[1] == ' ' || word.ptr[1] == '\t'));
    if (!alone || word.ptr[0] < '1' || word.ptr[0] > '5')
        return QUEUE_NORMAL;
    return word.ptr[0] <= '2' ? QUEUE_URGENT : word.ptr[0] == '3' ? QUEUE_NORMAL : QUEUE_NONURGENT;
}

enum queue_class route_class_of(const struct mime_message *m, const struct channel_queue_conf *rules)
{
    enum queue_class class_ = QUEUE_NORMAL;
    if (!by_priority(field_word(m, MIME_FIELD_PRIORITY), &class_) && rules && rules->honor_x_priority)
        class_ = by_x_priority(field_word(m, MIME_FIELD_X_PRIORITY));
    if (rules && rules->honor_precedence) {
        struct slice word = field_word(m, MIME_FIELD_PRECEDENCE);
        if (slice_ieq_cstr(word, "bulk"))
            class_ = MS_MAX(class_, QUEUE_SECONDCLASS);
        else if (slice_ieq_cstr(word, "junk"))
            class_ = MS_MAX(class_, QUEUE_THIRDCLASS);
    }
    return class_;
}
