/*
 * queue_id.c - names of queue entries.
 *
 * Short form: epoch, loop and counter in hex without leading zeros, "-" between them: 1f-2-3a7c. Long form:
 * all 32 digits.
 */
#include "queue_priv.h"

#include "ms/base/codec.h"

#include <stdio.h>

static uint64_t get_be48(const uint8_t *p)
{
    return (uint64_t)ms_get_be16(p) << 32 | ms_get_be32(p + 2);
}

static void put_be48(uint8_t *p, uint64_t v)
{
    ms_put_be16(p, (uint16_t)(v >> 32));
    ms_put_be32(p + 2, (uint32_t)v);
}

size_t queue_id_emit(const struct queue_id *id, char out[QUEUE_ID_TEXT_MAX])
{
    int len = snprintf(out, QUEUE_ID_TEXT_MAX, "%llx-%x-%llx", (unsigned long long)ms_get_be64(id->b),
                       ms_get_be16(id->b + 8), (unsigned long long)get_be48(id->b + 10));

    return (size_t)len;
}

static int digit(uint8_t c)
{
    c = ms_ascii_lower(c);
    if (ms_ascii_is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_group(struct slice text, unsigned digits_max, uint64_t *out)
{
    *out = 0;
    if (text.len == 0 || text.len > digits_max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (digit(text.ptr[i]) < 0)
            return false;
        *out = *out << 4 | (uint64_t)digit(text.ptr[i]);
    }
    return true;
}

enum ms_err queue_id_parse(struct slice text, struct queue_id *out)
{
    struct slice epoch, loop;
    uint64_t e, l, c;

    if (text.len == 32) {
        if (!parse_group(slice_sub(text, 0, 16), 16, &e) || !parse_group(slice_sub(text, 16, 16), 16, &c))
            return MS_ESYNTAX;
        ms_put_be64(out->b, e);
        ms_put_be64(out->b + 8, c);
        return MS_OK;
    }
    if (!slice_cut(&text, '-', &epoch) || !slice_cut(&text, '-', &loop))
        return MS_ESYNTAX;
    if (!parse_group(epoch, 16, &e) || !parse_group(loop, 4, &l) || !parse_group(text, 12, &c))
        return MS_ESYNTAX;
    ms_put_be64(out->b, e);
    ms_put_be16(out->b + 8, (uint16_t)l);
    put_be48(out->b + 10, c);
    return MS_OK;
}

struct queue_id queue_id_next(struct queue_ids *ids)
{
    struct queue_id id;

    MS_ASSERT(ids->next < (uint64_t)1 << 48);
    if (ids->next == 0)
        ids->next = 1;
    ms_put_be64(id.b, ids->epoch);
    ms_put_be16(id.b + 8, ids->loop);
    put_be48(id.b + 10, ids->next++);
    return id;
}
