/*
 * route_class.c - the priority a message asks for.
 */
#include "ms/route.h"

enum queue_class route_class_of(struct slice priority)
{
    /* semantics 3.2: comments stripped; unknown or missing is normal. */
    ssize_t comment = slice_find_byte(priority, '(');
    struct slice word = slice_trim(comment < 0 ? priority : slice_sub(priority, 0, (size_t)comment));
    if (slice_ieq_cstr(word, "urgent"))
        return QUEUE_URGENT;
    if (slice_ieq_cstr(word, "non-urgent"))
        return QUEUE_NONURGENT;
    return QUEUE_NORMAL;
}
