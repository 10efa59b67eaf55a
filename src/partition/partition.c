/*
 * partition.c - the life of a partition.
 *
 *   OPEN --recover_log--> LOG_READY --recover--> RECOVERED --start--> SERVING --stop--> STOPPED
 *                             |                                          |
 *                             +-- offline: an op crashed twice           +-- FAILED: the index is damaged
 *
 * In OPEN nothing was written; LOG_READY without an index is where skip-op works; FAILED answers reads only
 * and is rebuilt at the next start.
 */
#include "part_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum part__state part__state(const struct partition *p)
{
    return (enum part__state)atomic_load(&p->state);
}

/* The only writer of the state. */
void part__enter(struct partition *p, enum part__state next)
{
    static const unsigned from[] = {
        [PART_ST_OPEN] = 0,
        [PART_ST_LOG_READY] = 1u << PART_ST_OPEN,
        [PART_ST_RECOVERED] = 1u << PART_ST_LOG_READY,
        [PART_ST_SERVING] = 1u << PART_ST_RECOVERED,
        [PART_ST_FAILED] = 1u << PART_ST_SERVING,
        [PART_ST_STOPPED] = 1u << PART_ST_SERVING | 1u << PART_ST_FAILED,
    };
    MS_ASSERT(from[next] & 1u << part__state(p));
    atomic_store(&p->state, (int)next);
}

void part__path(const struct partition *p, const char *name, char out[PART_PATH_MAX])
{
    snprintf(out, PART_PATH_MAX, "%s/%s", p->conf.dir, name);
}

enum ms_err part__sync_dir(const char *path, struct ms_errinfo *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum ms_err err = MS_OK;
    if (fd < 0 || fsync(fd))
        err = ms_fail_errno(why, errno, "%s", path);
    if (fd >= 0)
        close(fd);
    return err;
}

static enum ms_err make_folder(const char *path, struct ms_errinfo *why)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return ms_fail_errno(why, errno, "%s", path);
    return MS_OK;
}

static enum ms_err make_folders(const struct partition *p, struct ms_errinfo *why)
{
    static const char *const names[] = {"journal", "checkpoints"};
    char path[PART_PATH_MAX];
    MS_TRY(make_folder(p->conf.dir, why));
    for (unsigned i = 0; i < MS_ARRAY_LEN(names); i++) {
        part__path(p, names[i], path);
        MS_TRY(make_folder(path, why));
    }
    MS_TRY(part__sync_dir(p->conf.dir, why));
    part__path(p, "..", path);
    return part__sync_dir(path, why);
}

static enum ms_err lock_folder(struct partition *p, struct ms_errinfo *why)
{
    p->dir_fd = open(p->conf.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir_fd < 0)
        return ms_fail_errno(why, errno, "%s", p->conf.dir);
    if (flock(p->dir_fd, LOCK_EX | LOCK_NB))
        return ms_fail(why, MS_EBUSY, "%s: in use by another process", p->conf.dir);
    return MS_OK;
}

static enum ms_err open_journal(struct partition *p, struct ms_errinfo *why)
{
    char path[PART_PATH_MAX];
    part__path(p, "journal", path);
    if (getrandom(p->id, sizeof(p->id), 0) != sizeof(p->id))
        return ms_fail_errno(why, errno, "getrandom");
    const struct journal_conf conf = {.dir = path,
                                      .segment_bytes = p->conf.segment_bytes,
                                      .prepared = JOURNAL_PREPARED,
                                      .flush_series = obs_series(FAM_STORE_FSYNC, p->conf.name, NULL, NULL),
                                      .flush = p->conf.flush};
    struct journal_info info;
    p->commit_series = obs_series(FAM_STORE_COMMIT, p->conf.name, NULL, NULL);
    MS_TRY(journal_open(&conf, p->id, &p->journal, why));
    journal_info(p->journal, &info);
    memcpy(p->id, info.partition_id, sizeof(p->id));
    return MS_OK;
}

static void register_op(struct partition *p, const struct part_op *op)
{
    MS_ASSERT(op->kind >= 1 && op->kind < PART_OPS_MAX && op->apply && op->dump && op->name);
    for (unsigned i = 0; i < PART_OP_VERSIONS_MAX; i++) {
        const struct part_op **slot = &p->ops[op->kind][i];
        MS_ASSERT(!*slot || (*slot)->version != op->version);
        if (!*slot) {
            *slot = op;
            return;
        }
    }
    MS_UNREACHABLE(); /* PART_OP_VERSIONS_MAX */
}

static struct partition *create(const struct partition_conf *conf)
{
    struct partition *p = ms_new(struct partition);
    p->conf = *conf;
    p->conf.name = ms_strdup(conf->name);
    p->conf.dir = ms_strdup(conf->dir);
    p->dir_fd = -1;
    p->crash.fd = -1;
    register_op(p, &part__hole_op);
    p->watch = ms_alloc_array(PART_WATCH_BUCKETS, sizeof(p->watch[0]));
    part__keep_init(&p->keep);
    return p;
}

enum ms_err partition_open(const struct partition_conf *conf, bool create_missing, struct partition **out,
                           struct ms_errinfo *why_out)
{
    if (strlen(conf->dir) + 64 > PART_PATH_MAX)
        return ms_fail(why_out, MS_ELIMIT, "%s: path too long", conf->name);
    struct partition *p = create(conf);
    char path[PART_PATH_MAX];
    enum ms_err err = create_missing ? make_folders(p, why_out) : MS_OK;
    if (!err)
        err = lock_folder(p, why_out);
    if (!err) {
        part__path(p, "crashmark", path);
        err = part__crash_open(&p->crash, path, why_out);
    }
    if (!err)
        err = open_journal(p, why_out);
    if (err) {
        partition_close(&p);
        return err;
    }
    *out = p;
    return MS_OK;
}

void partition_close(struct partition **p_io)
{
    struct partition *p = *p_io;
    if (!p)
        return;
    MS_ASSERT(part__state(p) != PART_ST_SERVING && part__state(p) != PART_ST_FAILED);
    for (unsigned i = 0; i < p->client_count; i++)
        part__client_destroy(p->clients[i]);
    part__applier_free(&p->applier);
    db_close(&p->db);
    if (p->journal)
        journal_close(&p->journal);
    part__crash_close(&p->crash);
    if (p->dir_fd >= 0)
        close(p->dir_fd);
    part__keep_fini(&p->keep);
    ms_free(p->watch);
    ms_free((char *)(uintptr_t)p->conf.name);
    ms_free((char *)(uintptr_t)p->conf.dir);
    ms_free(p);
    *p_io = NULL;
}

/* -- what the owners of ops bring ----------------------------------------------------------------- */

void partition_register(struct partition *p, const struct part_op *ops, size_t op_count,
                        const struct part_row *rows, size_t row_count)
{
    for (size_t i = 0; i < op_count; i++)
        register_op(p, &ops[i]);
    for (size_t i = 0; i < row_count; i++) {
        MS_ASSERT(rows[i].db > PART_DB_DIGEST && rows[i].db < PART_DB_COUNT && !p->rows[rows[i].db]);
        p->rows[rows[i].db] = &rows[i];
    }
}

const struct part_op *part__op_find(const struct partition *p, uint16_t kind, uint16_t version)
{
    if (kind >= PART_OPS_MAX)
        return NULL;
    for (unsigned i = 0; i < PART_OP_VERSIONS_MAX && p->ops[kind][i]; i++)
        if (p->ops[kind][i]->version == version)
            return p->ops[kind][i];
    return NULL;
}

void partition_register_salvage(struct partition *p, part_salvage_fn *fn)
{
    MS_ASSERT(!p->salvage);
    p->salvage = fn;
}

void partition_register_verify(struct partition *p, part_verify_fn *fn)
{
    MS_ASSERT(p->verifier_count < PART_VERIFIERS_MAX);
    p->verifiers[p->verifier_count++] = fn;
}

void partition_set_port(struct partition *p, unsigned port, struct bus_ep *to, bus_event_fn *on_overflow,
                        void *owner)
{
    MS_ASSERT(port < PART_PORTS_MAX && !p->ports[port].to && part__state(p) < PART_ST_SERVING);
    p->ports[port] = (struct part__port){to, on_overflow, owner};
}

/* -- start and stop ------------------------------------------------------------------------------- */

enum ms_err partition_start(struct partition *p, struct bus *bus, struct loop_pool *cold_reads,
                            struct ms_errinfo *why_out)
{
    MS_ASSERT(part__state(p) == PART_ST_RECOVERED);
    p->bus = bus;
    p->cold_reads = cold_reads;
    part__keep_space(p);
    MS_TRY(part__applier_start(p, bus, why_out));
    enum ms_err err = part__keep_start(p, why_out);
    part__enter(p, PART_ST_SERVING);
    if (err)
        partition_stop(p);
    return err;
}

void partition_stop(struct partition *p)
{
    if (part__state(p) != PART_ST_SERVING && part__state(p) != PART_ST_FAILED)
        return;
    part__keep_stop(p);
    journal_stop(p->journal); /* the applier takes what it still hands over */
    part__applier_stop(p);
    struct ms_errinfo why;
    enum ms_err err = MS_OK;
    if (part__state(p) == PART_ST_SERVING)
        err = part__checkpoint_is_due(p) ? part__checkpoint_make(p, &why) : db_sync_now(p->db, &why);
    if (err)
        OBS_EVENT(OBS_PART_TROUBLE, 0, OBS_C("partition", p->conf.name), OBS_C("what", why.text));
    part__enter(p, PART_ST_STOPPED);
}

/* -- small answers -------------------------------------------------------------------------------- */

const char *partition_name(const struct partition *p)
{
    return p->conf.name;
}

const uint8_t *partition_id(const struct partition *p)
{
    return p->id;
}

struct db *partition_db(struct partition *p)
{
    return p->db;
}

struct journal *partition_journal(struct partition *p)
{
    return p->journal;
}

bool partition_is_serving(const struct partition *p)
{
    return part__state(p) == PART_ST_SERVING && journal_state(p->journal) == JOURNAL_SERVING;
}

uint64_t partition_epoch(const struct partition *p)
{
    return p->epoch;
}
