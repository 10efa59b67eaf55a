/*
 * mapping_match.c - does a pattern take the whole probe, and what did its wildcards take?
 *
 * Goes back on failure, and never tries the same thing twice: that the atoms behind star s cannot take the
 * rest from position p is kept in a bit, so the work is at most stars x length x length of the probe.
 * Recursion is one level a star.
 */
#include "mapping_priv.h"

#include <arpa/inet.h>

#define FAILED_WORDS ((MAPPING_STARS_MAX * (MAPPING_PROBE_MAX + 1) + 63) / 64)

struct matcher {
    const struct mapping__pattern *pattern;
    struct slice probe;
    uint32_t *steps;
    bool is_over;
    struct slice saved[MAPPING_CAPTURES_MAX];
    uint64_t failed[FAILED_WORDS]; /* the first stars * (length + 1) bits are in use */
};

static size_t failed_bit(const struct matcher *m, unsigned star, size_t pos)
{
    return star * (m->probe.len + 1) + pos;
}

bool mapping__step(uint32_t *steps, size_t octets)
{
    size_t cost = 1 + octets / 16;
    bool is_enough = *steps >= cost;

    *steps = is_enough ? *steps - (uint32_t)cost : 0;
    return is_enough;
}

static bool step(struct matcher *m, size_t octets)
{
    m->is_over = m->is_over || !mapping__step(m->steps, octets);
    return !m->is_over;
}

static bool set_has(const struct mapping__set *set, uint8_t c)
{
    return !set || set->bits[c / 8] & (1 << c % 8);
}

/* -- networks */

static bool is_address_octet(uint8_t c)
{
    uint8_t lower = ms_ascii_lower(c);
    return ms_ascii_is_digit(c) || c == '.' || c == ':' || (lower >= 'a' && lower <= 'f');
}

/* IPv4 written as IPv6 (::ffff:192.0.2.1) counts as IPv4. */
static bool net_has(const struct mapping__net *net, struct slice text)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char buf[INET6_ADDRSTRLEN] = "";
    uint8_t address[16];
    const uint8_t *bytes = address;
    bool is_v6 = slice_find_byte(text, ':') >= 0;

    if (text.len == 0 || text.len >= sizeof(buf))
        return false;
    memcpy(buf, text.ptr, text.len);
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, buf, address) != 1)
        return false;
    if (is_v6 && !net->is_v6 && memcmp(address, mapped, sizeof(mapped)) == 0) {
        is_v6 = false;
        bytes += 12;
    }
    if (is_v6 != net->is_v6 || memcmp(bytes, net->bytes, net->bits / 8) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00 >> net->bits % 8);
    return mask == 0 || ((bytes[net->bits / 8] ^ net->bytes[net->bits / 8]) & mask) == 0;
}

/* -- atoms */

/* Octets that an atom of fixed choice takes at pos; false: it does not match there. */
static bool atom_take(const struct matcher *m, const struct mapping__atom *atom, size_t pos, size_t *len_out)
{
    size_t left = m->probe.len - pos;
    const uint8_t *at = m->probe.ptr + pos;

    switch (atom->kind) {
    case MAPPING__LITERAL:
        *len_out = atom->literal.len;
        for (size_t i = 0; i < atom->literal.len; i++)
            if (i >= left || ms_ascii_lower(at[i]) != atom->literal.ptr[i])
                return false;
        return true;
    case MAPPING__ONE:
        *len_out = 1;
        return left > 0 && set_has(atom->set, at[0]);
    case MAPPING__NET:
        *len_out = 0;
        while (*len_out < left && is_address_octet(at[*len_out]))
            ++*len_out;
        return net_has(atom->net, slice_make(at, *len_out));
    case MAPPING__MANY:
        break;
    }
    return false;
}

/* Matches atoms from the i-th on against the probe from pos on; saved counts the captures so far. */
static bool match_from(struct matcher *m, size_t i, size_t pos, unsigned saved);

static void save(struct matcher *m, const struct mapping__atom *atom, unsigned *saved, size_t pos, size_t len)
{
    if (!atom->is_saved)
        return;
    if (*saved < MAPPING_CAPTURES_MAX)
        m->saved[*saved] = slice_sub(m->probe, pos, len);
    ++*saved;
}

static bool match_many(struct matcher *m, size_t i, size_t pos, unsigned saved)
{
    const struct mapping__atom *atom = &m->pattern->atoms[i];
    size_t most = 0;

    while (pos + most < m->probe.len && set_has(atom->set, m->probe.ptr[pos + most]))
        most++;
    if (!step(m, most))
        return false;
    for (size_t tried = 0; tried <= most; tried++) {
        size_t len = atom->is_lazy ? tried : most - tried;
        size_t bit = failed_bit(m, atom->star, pos + len);
        unsigned behind = saved;
        if (!step(m, 0))
            return false;
        if (m->failed[bit / 64] >> bit % 64 & 1)
            continue;
        save(m, atom, &behind, pos, len);
        if (match_from(m, i + 1, pos + len, behind))
            return true;
        m->failed[bit / 64] |= (uint64_t)1 << bit % 64;
    }
    return false;
}

static bool match_from(struct matcher *m, size_t i, size_t pos, unsigned saved)
{
    for (; i < m->pattern->count; i++) {
        const struct mapping__atom *atom = &m->pattern->atoms[i];
        size_t len;
        if (atom->kind == MAPPING__MANY)
            return match_many(m, i, pos, saved);
        if (!step(m, atom->literal.len) || !atom_take(m, atom, pos, &len))
            return false;
        save(m, atom, &saved, pos, len);
        pos += len;
    }
    return pos == m->probe.len;
}

enum ms_err mapping__match(const struct mapping__pattern *pattern, struct slice probe, uint32_t *steps,
                           struct mapping__match *out, bool *matched_out)
{
    struct matcher m;

    *matched_out = false;
    if (probe.len > MAPPING_PROBE_MAX)
        return MS_ELIMIT;
    m.pattern = pattern;
    m.probe = slice_make(probe.ptr ? probe.ptr : (const uint8_t *)"", probe.len);
    m.steps = steps;
    m.is_over = false;
    size_t words = (pattern->stars * (probe.len + 1) + 63) / 64;
    if (!step(&m, words))
        return MS_ELIMIT;
    memset(m.failed, 0, words * sizeof(m.failed[0]));
    *matched_out = match_from(&m, 0, 0, 0);
    if (m.is_over)
        return MS_ELIMIT;
    if (!*matched_out)
        return MS_OK;
    out->count = MS_MIN(pattern->saved, (unsigned)MAPPING_CAPTURES_MAX);
    memcpy(out->captures, m.saved, out->count * sizeof(out->captures[0]));
    return MS_OK;
}
