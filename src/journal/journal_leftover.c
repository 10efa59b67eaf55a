/*
 * journal_leftover.c - files of the folder that are not part of the log: which go, and when.
 *
 * Spares and interrupted recoveries go at once. A segment that the log has passed by stays until the recovery
 * under way was flushed: what superseded it may exist in the page cache only. A file without a readable
 * header that could have held records is never unlinked.
 */
#include "journal_priv.h"

#include <fcntl.h>
#include <unistd.h>

#include "ms/obs.h"

#define PROBE_BYTES       ((size_t)64 << 10)
#define FIRST_BATCH_BYTES ((uint64_t)4 << 20) /* more than the first batch of a segment can have */

/* The segment of the chain that comes next behind the number; NULL: the number is the greatest. */
static const struct journal_head *next_in_chain(const struct journal *j, uint64_t number)
{
    for (size_t i = 0; i < j->seg_count; i++) { /* oldest first */
        if (j->segs[i]->head.number > number)
            return &j->segs[i]->head;
    }
    return NULL;
}

/* A file without a good header, behind the newest segment or where the chain has a gap: could it have held
 * flushed records? A prepared file is zeros, a torn activation has nothing behind its first batch. */
static bool may_hold_data(const struct journal *j, const struct journal_file *f, bool is_newer)
{
    char name[JOURNAL_NAME_MAX];
    uint64_t offset = JOURNAL_DATA_OFFSET + (is_newer ? FIRST_BATCH_BYTES : 0);
    bool found = f->kind == JOURNAL_FILE_GARBAGE && !is_newer;
    journal__name(name, f->number);
    int fd = openat(j->dirfd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    uint8_t *probe = ms_alloc(PROBE_BYTES);
    journal__read_area(fd, offset, probe, PROBE_BYTES);
    for (size_t i = 0; i < PROBE_BYTES && !found; i++)
        found = probe[i] != 0;
    ms_free(probe);
    close(fd);
    return found;
}

static void put_aside(struct journal *j, const char *name)
{
    char aside[JOURNAL_NAME_MAX];
    memcpy(aside, name, JOURNAL_NAME_MAX);
    memcpy(aside + 16, ".bad", 5);
    if (journal__io->rename(j->dirfd, name, aside) == 0)
        OBS_EVENT(OBS_JOURNAL_ASIDE, 0, OBS_C("dir", j->dir), OBS_C("file", aside));
}

static enum journal_fate fate_of(const struct journal *j, const struct journal_file *f)
{
    const struct journal_head *next = next_in_chain(j, f->number);
    if (f->in_chain)
        return JOURNAL_FATE_STAYS;
    if (f->kind == JOURNAL_FILE_INTERRUPTED)
        return JOURNAL_FATE_UNLINK;
    /* The log passed it by. But what superseded it may exist in the page cache only, until this recovery has
     * flushed. */
    if (f->kind == JOURNAL_FILE_SEGMENT || (next != NULL && next->prev_number < f->number))
        return JOURNAL_FATE_UNLINK_LATER;
    if (next != NULL && next->prev_number == f->number)
        return JOURNAL_FATE_STAYS; /* part of the log whose header is damaged: left for salvage */
    return may_hold_data(j, f, next == NULL) ? JOURNAL_FATE_ASIDE : JOURNAL_FATE_UNLINK;
}

static void discard(struct journal *j, enum journal_fate fate)
{
    char name[JOURNAL_NAME_MAX];
    for (size_t i = 0; i < j->file_count; i++) {
        if (j->files[i].fate != fate)
            continue;
        journal__name(name, j->files[i].number);
        if (fate == JOURNAL_FATE_ASIDE)
            put_aside(j, name);
        else
            journal__io->unlink(j->dirfd, name); /* left behind, it is found again at the next start */
    }
}

void journal__leftovers_discard(struct journal *j)
{
    for (size_t i = 0; i < j->file_count; i++)
        j->files[i].fate = fate_of(j, &j->files[i]);
    discard(j, JOURNAL_FATE_UNLINK);
    discard(j, JOURNAL_FATE_ASIDE);
}

void journal__leftovers_discard_superseded(struct journal *j)
{
    discard(j, JOURNAL_FATE_UNLINK_LATER);
}
