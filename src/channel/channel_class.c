/*
 * channel_class.c - ceilings of the class by size (semantics 3.3).
 *
 * In blocks, rounded up, and only what is larger; the three limits one after the other, whatever class the
 * message asked for. The channel's own limit goes before that of the queue.
 */
#include "channel_priv.h"

#define BLOCK_BYTES 1024

static bool is_larger(uint64_t bytes, uint64_t own, uint64_t general)
{
    uint64_t limit = own ? own : general;
    return limit && (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES > limit / BLOCK_BYTES;
}

enum queue_class channel_class_of(const struct channel_conf *channel, const struct channel_queue_conf *queue,
                                  enum queue_class asked, uint64_t bytes)
{
    static const struct channel_conf none;
    const struct channel_conf *c = channel ? channel : &none;
    enum queue_class class_ = asked;
    if (is_larger(bytes, c->urgent_bytes, queue->urgent_bytes))
        class_ = MS_MAX(class_, QUEUE_NORMAL);
    if (is_larger(bytes, c->normal_bytes, queue->normal_bytes))
        class_ = MS_MAX(class_, QUEUE_NONURGENT);
    if (is_larger(bytes, c->nonurgent_bytes, queue->nonurgent_bytes))
        class_ = MS_MAX(class_, QUEUE_SECONDCLASS);
    return class_;
}
