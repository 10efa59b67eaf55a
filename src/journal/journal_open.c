/*
 * journal_open.c - what lies in the folder, and which of it is the log.
 *
 * The log is the chain of predecessors behind the newest segment that is not an interrupted recovery. A
 * predecessor that is missing leaves a gap: the chain goes on with the greatest older segment there is.
 * Nothing is written here; what is not part of the chain is left to journal_recover.
 */
#include "journal_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_number(const void *a, const void *b)
{
    const struct journal_file *x = a;
    const struct journal_file *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static enum ms_err read_file(struct journal *j, struct journal_file *f, struct ms_errinfo *why_out)
{
    char name[JOURNAL_NAME_MAX];
    struct stat st;
    journal__name(name, f->number);
    int fd = openat(j->dirfd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return ms_fail_errno(why_out, err, "%s/%s", j->dir, name);
    }
    uint8_t *area = ms_alloc(JOURNAL_DATA_OFFSET);
    f->bytes = (uint64_t)st.st_size;
    journal__read_area(fd, 0, area, JOURNAL_DATA_OFFSET);
    enum ms_err err = journal__head_find(area, &f->head);
    ms_free(area);
    close(fd);
    f->kind = err == MS_OK          ? JOURNAL_FILE_SEGMENT
              : err == MS_ENOTFOUND ? JOURNAL_FILE_ZERO
                                    : JOURNAL_FILE_GARBAGE;
    if (err == MS_EVERSION)
        return ms_fail(why_out, MS_EVERSION, "%s/%s has format %u, which this program does not know", j->dir,
                       name, (unsigned)f->head.version);
    if (err == MS_OK && f->head.number != f->number)
        return ms_fail(why_out, MS_EDAMAGED, "%s/%s says it is segment %016llx", j->dir, name,
                       (unsigned long long)f->head.number);
    return MS_OK;
}

static enum ms_err list_files(struct journal *j, struct ms_errinfo *why_out)
{
    int fd = openat(j->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return ms_fail_errno(why_out, err, "%s", j->dir);
    }
    enum ms_err err = MS_OK;
    size_t cap = 0;
    for (struct dirent *e = readdir(d); e != NULL && err == MS_OK; e = readdir(d)) {
        uint64_t number;
        if (!journal__name_parse(e->d_name, &number))
            continue;
        if (number >= JOURNAL_NUMBER_MAX) {
            err = ms_fail(why_out, MS_ELIMIT, "%s/%s: no numbers are left", j->dir, e->d_name);
            break;
        }
        if (j->file_count == cap) {
            cap = cap ? cap * 2 : 16;
            j->files = ms_realloc_array(j->files, cap, sizeof(*j->files));
        }
        struct journal_file *f = &j->files[j->file_count++];
        *f = (struct journal_file){.number = number};
        j->pool.number_max = MS_MAX(j->pool.number_max, number);
        err = read_file(j, f, why_out);
    }
    closedir(d);
    if (j->file_count > 1)
        qsort(j->files, j->file_count, sizeof(*j->files), by_number);
    return err;
}

static bool is_complete(struct journal *j, const struct journal_file *f)
{
    char name[JOURNAL_NAME_MAX];
    journal__name(name, f->number);
    int fd = openat(j->dirfd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* never take for interrupted, and unlink, what cannot be looked at */
    bool complete = journal__scan_is_complete(&f->head, (struct journal_src){.fd = fd, .bytes = f->bytes});
    close(fd);
    return complete;
}

static struct journal_file *find_newest(struct journal *j)
{
    for (size_t i = j->file_count; i > 0; i--) {
        struct journal_file *f = &j->files[i - 1];
        if (f->kind != JOURNAL_FILE_SEGMENT)
            continue;
        if ((f->head.flags & JOURNAL_SEG_RECOVERY) == 0 || is_complete(j, f))
            return f;
        f->kind = JOURNAL_FILE_INTERRUPTED;
    }
    return NULL;
}

/* The segment before f. *gap_out: positions between the two are missing. */
static struct journal_file *find_previous(struct journal *j, const struct journal_file *f, bool *gap_out)
{
    *gap_out = false;
    if (f->head.prev_number == 0)
        return NULL;
    for (struct journal_file *p = j->files + j->file_count; p-- > j->files;) {
        if (p->number > f->head.prev_number || p->kind != JOURNAL_FILE_SEGMENT ||
            p->head.start > f->head.start)
            continue;
        *gap_out = p->number != f->head.prev_number || f->head.prev_end != f->head.start;
        return p;
    }
    return NULL;
}

/* End of a segment that no intact successor names: as far as records can be read. */
static uint64_t find_end(struct journal *j, struct journal_file *f, uint64_t limit)
{
    char name[JOURNAL_NAME_MAX];
    struct journal_scan s;
    struct journal_record rec;
    journal__name(name, f->number);
    int fd = openat(j->dirfd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return f->head.start;
    journal__scan_init(&s, &f->head, (struct journal_src){.fd = fd, .bytes = f->bytes}, UINT64_MAX, 0);
    s.limit = MS_MIN(s.limit, limit);
    while (journal__scan_next(&s, &rec) != JOURNAL_FOUND_END)
        continue;
    uint64_t end = s.at;
    journal__scan_fini(&s);
    close(fd);
    return end;
}

static enum ms_err build_chain(struct journal *j, struct ms_errinfo *why_out)
{
    struct journal_file *newest = find_newest(j);
    struct journal_file *next = NULL;
    bool gap = false;
    j->complete = true;
    for (struct journal_file *f = newest; f != NULL; f = find_previous(j, f, &gap)) {
        if (next != NULL && j->seg_count > 0)
            j->segs[j->seg_count - 1]->gap_before = gap;
        if (memcmp(f->head.partition_id, newest->head.partition_id, 16) != 0)
            return ms_fail(why_out, MS_EDAMAGED, "%s: segment %016llx belongs to another partition", j->dir,
                           (unsigned long long)f->number);
        uint64_t end;
        if (next != NULL && next->head.prev_number == f->number)
            end = MS_MAX(f->head.start, next->head.prev_end);
        else
            end = find_end(j, f, next ? next->head.start : UINT64_MAX);
        if (gap)
            j->complete = false;
        f->in_chain = true;
        journal__seg_append(j, journal__seg_create(&f->head, end));
        next = f;
    }
    if (next != NULL && (next->head.prev_number != 0 || next->head.start != 0))
        j->complete = false;
    for (size_t i = 0; i < j->seg_count / 2; i++) { /* oldest first */
        struct journal_seg *seg = j->segs[i];
        j->segs[i] = j->segs[j->seg_count - 1 - i];
        j->segs[j->seg_count - 1 - i] = seg;
    }
    return MS_OK;
}

static enum ms_err open_all(struct journal *j, struct ms_errinfo *why_out)
{
    if (j->conf.segment_bytes < JOURNAL_SEGMENT_MIN || j->conf.segment_bytes % 4096 != 0)
        return ms_fail(why_out, MS_EINVAL, "segment size %llu", (unsigned long long)j->conf.segment_bytes);
    if (j->conf.prepared == 0)
        j->conf.prepared = JOURNAL_PREPARED;
    if (j->conf.prepared > JOURNAL_SPARES_MAX - 3)
        return ms_fail(why_out, MS_EINVAL, "%u segments ahead", j->conf.prepared);
    j->dirfd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (j->dirfd < 0)
        return ms_fail_errno(why_out, errno, "%s", j->dir);
    MS_TRY(list_files(j, why_out));
    MS_TRY(build_chain(j, why_out));
    j->timeline = 1;
    if (j->seg_count > 0) {
        const struct journal_seg *newest = j->segs[j->seg_count - 1];
        memcpy(j->partition_id, newest->head.partition_id, 16);
        j->timeline = newest->head.timeline;
        j->branch = newest->head.branch;
        atomic_store(&j->end, atomic_load(&newest->end));
    }
    return MS_OK;
}

enum ms_err journal_open(const struct journal_conf *conf, const uint8_t new_partition_id[16],
                         struct journal **out, struct ms_errinfo *why_out)
{
    struct journal *j = ms_new(struct journal);
    j->dir = ms_strdup(conf->dir);
    j->conf = *conf;
    j->conf.dir = j->dir;
    j->dirfd = -1;
    j->write_fd = -1;
    j->next.fd = -1;
    memcpy(j->partition_id, new_partition_id, 16);
    pthread_mutex_init(&j->seg_lock, NULL);
    journal__pool_init(&j->pool);
    j->out = ms_new(struct journal_out);
    j->streams = ms_new(struct journal_streams);
    journal__streams_init(j->streams);
    enum ms_err err = open_all(j, why_out);
    if (err != MS_OK)
        journal_close(&j);
    *out = j;
    return err;
}
