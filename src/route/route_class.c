/*
 * route_class.c - the priority a message asks for (semantics 3.2).
 *
 * Importance is for the recipient, not for us. Of several fields of one name the first counts: when it is not valid
 * the field says nothing, whatever the others say.
 */
#include "ms/mime.h"
#include "ms/route.h"

#define WORD_MAX 64 /* no value that means something is as long */

/* RFC 5322 3.2.2: comments nest, and a backslash takes the next octet as it is. s begins with one; false: it has
 * no end. */
static bool skip_comment(struct slice *s)
{
    unsigned depth = 0;
    while (s->len) {
        uint8_t c = s->ptr[0];
        *s = slice_sub(*s, c == '\\' ? 2 : 1, SIZE_MAX);
        if (c == '(')
            depth++;
        else if (c == ')' && --depth == 0)
            return true;
    }
    return false;
}

/* The value with comments and folds as one blank each, none at its ends. Empty: there is none, or it is not valid. */
static struct slice field_text(const struct mime_message *m, enum mime_field_id id, char buf[WORD_MAX])
{
    const struct mime_field *field = mime_part_field(m, mime_message_root(m), id, NULL);
    struct slice value = field ? mime_field_value(field) : slice_make(NULL, 0);
    size_t len = 0;
    while (value.len) {
        uint8_t c = value.ptr[0];
        bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '(';
        if (c == '(' ? !skip_comment(&value) : c == ')')
            return slice_make(NULL, 0);
        if (c != '(')
            value = slice_sub(value, 1, SIZE_MAX);
        if (is_blank && (len == 0 || buf[len - 1] == ' '))
            continue;
        if (len == WORD_MAX)
            return slice_make(NULL, 0);
        buf[len++] = is_blank ? ' ' : (char)c;
    }
    return slice_trim(slice_make(buf, len));
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
    bool alone = word.len == 1 || (word.len > 1 && word.ptr[1] == ' ');
    if (!alone || word.ptr[0] < '1' || word.ptr[0] > '5')
        return QUEUE_NORMAL;
    return word.ptr[0] <= '2' ? QUEUE_URGENT : word.ptr[0] == '3' ? QUEUE_NORMAL : QUEUE_NONURGENT;
}

enum queue_class route_class_of(const struct mime_message *m, const struct channel_queue_conf *rules)
{
    enum queue_class class_ = QUEUE_NORMAL;
    char buf[WORD_MAX];
    if (!by_priority(field_text(m, MIME_FIELD_PRIORITY, buf), &class_) && rules && rules->honor_x_priority)
        class_ = by_x_priority(field_text(m, MIME_FIELD_X_PRIORITY, buf));
    if (rules && rules->honor_precedence) {
        struct slice word = field_text(m, MIME_FIELD_PRECEDENCE, buf);
        if (slice_ieq_cstr(word, "bulk"))
            class_ = MS_MAX(class_, QUEUE_SECONDCLASS);
        else if (slice_ieq_cstr(word, "junk"))
            class_ = MS_MAX(class_, QUEUE_THIRDCLASS);
    }
    return class_;
}
