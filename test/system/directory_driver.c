/*
 * directory_driver.c - random changes of a directory, for directory_crash.py.
 *
 *   init FILE                       makes the directory with its domains
 *   run FILE SEED FROM TO [state]   makes the changes FROM..TO-1 and writes a line "NUMBER ERROR OPERATION" for
 *                                   each when its call has returned; with the state behind it when asked
 *   state FILE                      verifies; writes the state, or the problems and exits 1
 *   dump FILE                       what the state is made of
 *   import FILE COUNT BATCH         users with ready-made hashes, and how many a second
 *
 * Change N of a seed depends on the seed, N and the directory only, so a run can be taken up behind any change,
 * and two runs pass through the same states. The state is a checksum of everything but times. OPERATION is the
 * counter of shim.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ms/account.h"
#include "ms/base/clock.h"
#include "ms/base/sum.h"

#define NAMES   24
#define DOMAINS 5

static struct account *a;
static struct ms_errinfo why;
static uint64_t rnd_state;

static uint64_t rnd(uint64_t below) /* splitmix64 */
{
    uint64_t z = (rnd_state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % below;
}

static const char *const domains[DOMAINS] = {"example.org", "example.com", "example.net",
                                             ("b\xc3\xbc"
                                              "cher.example"),
                                             "lost.example"};

/* Some of them repeat often, so that changes meet. */
static struct slice random_name(char out[128], bool detail)
{
    int len = snprintf(out, 128, "u%d%s@%s", (int)rnd(NAMES), detail && rnd(5) == 0 ? "+x" : "",
                       domains[rnd(10) ? rnd(3) : rnd(DOMAINS)]);
    return slice_make(out, (size_t)len);
}

static struct slice random_alias(char out[128])
{
    int len = rnd(12) == 0
                  ? snprintf(out, 128, "@%s", domains[rnd(DOMAINS)])
                  : snprintf(out, 128, "a%d%s@%s", (int)rnd(NAMES), rnd(8) ? "" : "+x", domains[rnd(3)]);
    return rnd(6) == 0 ? random_name(out, true) : slice_make(out, (size_t)len);
}

static size_t random_list(char texts[][128], struct slice *out, size_t max)
{
    size_t count = rnd(3) ? 1 : rnd(max + 1);
    for (size_t i = 0; i < count; i++)
        out[i] = rnd(3) ? random_name(texts[i], true) : random_alias(texts[i]);
    return count;
}

static enum ms_err user_change(bool add)
{
    char login[128], texts[2][4][128], display[32];
    struct slice lists[2][4];
    struct account_user_spec spec = {.set = (unsigned)rnd(0x1000), .login = random_name(login, false)};
    spec.password_hash = rnd(2) ? SLICE_LIT("$y$j9T$salt$hash") : SLICE_LIT("");
    spec.display_name =
        slice_make(display, (size_t)snprintf(display, sizeof display, "name %d", (int)rnd(100)));
    spec.quota_bytes = rnd(1000);
    spec.quota_messages = rnd(10);
    spec.message_max = rnd(10);
    spec.recipients_max = (uint32_t)rnd(10);
    spec.partition = rnd(2) ? SLICE_LIT("main") : SLICE_LIT("");
    spec.status = (enum account_status)rnd(ACCOUNT_STATUS_COUNT);
    spec.mail_status = (enum account_status)rnd(ACCOUNT_STATUS_COUNT);
    spec.forwards = lists[0];
    spec.forward_count = random_list(texts[0], lists[0], 4);
    spec.grants = lists[1];
    spec.grant_count = random_list(texts[1], lists[1], 4);
    spec.keep = rnd(2);
    return add ? account_dir_user_add(a, &spec, rnd(2), NULL, &why) : account_dir_user_set(a, &spec, &why);
}

static enum ms_err alias_change(bool add)
{
    char name[128], texts[5][128];
    struct slice list[5];
    struct account_alias_info alias = {.address = random_alias(name), .targets = list};
    alias.target_count = random_list(texts, list, 5);
    alias.status = (enum account_status)rnd(ACCOUNT_STATUS_COUNT);
    return add ? account_dir_alias_add(a, alias.address, list, alias.target_count, &why)
               : account_dir_alias_set(a, &alias,
                                       (unsigned)rnd(2) * ACCOUNT_SET_STATUS | ACCOUNT_SET_FORWARDS, &why);
}

static enum ms_err domain_change(void)
{
    struct slice domain = slice_cstr(domains[rnd(DOMAINS)]);
    switch (rnd(3)) {
    case 0:
        return account_dir_domain_add(a, domain, rnd(2) ? slice_cstr(domains[rnd(3)]) : SLICE_LIT(""), &why);
    case 1:
        return account_dir_domain_delete(a, domain, &why);
    default:
        return account_dir_domain_set(a, domain,
                                      (unsigned)rnd(2) ? ACCOUNT_SET_STATUS : ACCOUNT_SET_MAIL_STATUS,
                                      (enum account_status)rnd(ACCOUNT_STATUS_COUNT), ACCOUNT_ACTIVE, &why);
    }
}

static enum ms_err purge_one(void)
{
    uint64_t id;
    MS_TRY(account_dir_removed_next(a, UINT64_MAX, 0, &id));
    return account_dir_user_purge(a, id, &why);
}

static enum ms_err change(void)
{
    char name[128], other[128];
    switch (rnd(16)) {
    case 0:
    case 1:
    case 2:
        return user_change(true);
    case 3:
    case 4:
        return user_change(false);
    case 5:
    case 6:
    case 7:
        return alias_change(true);
    case 8:
        return alias_change(false);
    case 9:
        return account_dir_alias_delete(a, random_alias(name), &why);
    case 10:
        return account_dir_user_delete(a, random_name(name, false), &why);
    case 11:
        return rnd(2) ? account_dir_user_restore(a, random_name(name, false), &why)
                      : account_dir_user_delete_now(a, random_name(name, false), &why);
    case 12:
        return purge_one();
    case 13:
    case 14:
        return account_dir_user_rename(a, random_name(name, false),
                                       rnd(4) ? random_name(other, false) : random_alias(other), rnd(2),
                                       &why);
    default:
        return domain_change();
    }
}

/* One change, or several in one transaction: what is refused inside it does not count. */
static enum ms_err numbered_change(uint64_t seed, uint64_t number)
{
    rnd_state = seed * 0x2545f4914f6cdd1d + number * 0x9e3779b97f4a7c15;
    if (rnd(6))
        return change();
    MS_TRY(account_dir_begin(a, &why));
    for (uint64_t i = 2 + rnd(8); i > 0; i--)
        (void)!change();
    if (rnd(4))
        return account_dir_commit(a, &why);
    account_dir_abort(a);
    return MS_OK;
}

/* -- the state */

static void add_list(struct str *out, const char *what, const struct slice *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        str_addf(out, "  %s " SLICE_FMT "\n", what, SLICE_ARG(list[i]));
}

static enum ms_err dump_users(struct str *out, struct arena *arena)
{
    struct account_user_info u;
    char after[ACCOUNT_LOGIN_MAX + 1] = "";
    enum ms_err err;
    while ((err = account_dir_user_next(a, after, arena, &u)) == MS_OK) {
        str_addf(out, "user %s %llu %llu %llu %llu %u %s %d %d %d %d %d %d " SLICE_FMT "\n", u.entry.login,
                 (unsigned long long)u.entry.id, (unsigned long long)u.entry.quota_bytes,
                 (unsigned long long)u.entry.quota_messages, (unsigned long long)u.entry.message_max,
                 u.entry.recipients_max, u.entry.partition, u.entry.status, u.status, u.mail_status,
                 u.has_password, u.keep, u.removed_us ? 1 : 0, SLICE_ARG(u.display_name));
        add_list(out, "forward", u.forwards, u.forward_count);
        add_list(out, "grant", u.grants, u.grant_count);
        add_list(out, "address", u.addresses, u.address_count);
        memcpy(after, u.entry.login, sizeof after);
        arena_reset(arena);
    }
    return err;
}

static enum ms_err dump_rest(struct str *out, struct arena *arena)
{
    struct account_alias_info al;
    struct account_domain_info d;
    char after[ACCOUNT_LOGIN_MAX + 1] = "";
    enum ms_err err;
    uint64_t id = 0;
    while ((err = account_dir_alias_next(a, after, arena, &al)) == MS_OK) {
        str_addf(out, "alias " SLICE_FMT " %d\n", SLICE_ARG(al.address), al.status);
        add_list(out, "target", al.targets, al.target_count);
        memcpy(after, al.address.ptr, al.address.len);
        after[al.address.len] = '\0';
        arena_reset(arena);
    }
    after[0] = '\0';
    if (err != MS_ENOTFOUND)
        return err;
    while ((err = account_dir_domain_next(a, after, &d)) == MS_OK) {
        str_addf(out, "domain %s %s %d %d\n", d.name, d.canonical, d.status, d.mail_status);
        memcpy(after, d.name, sizeof after);
    }
    while (err == MS_ENOTFOUND && account_dir_removed_next(a, UINT64_MAX, id, &id) == MS_OK)
        str_addf(out, "removed %llu\n", (unsigned long long)id);
    return err;
}

static bool dump(struct str *out)
{
    struct arena arena;
    arena_init(&arena, 0);
    enum ms_err err = dump_users(out, &arena);
    if (err == MS_ENOTFOUND)
        err = dump_rest(out, &arena);
    arena_fini(&arena);
    if (err != MS_ENOTFOUND)
        fprintf(stderr, "dump: %s\n", ms_err_text(err));
    return err == MS_ENOTFOUND;
}

static uint64_t state_of(void)
{
    struct str text;
    str_init(&text, 0);
    uint64_t lo = dump(&text) ? sum128_of(str_slice(&text)).lo : 0;
    str_fini(&text);
    return lo;
}

/* -- commands */

static volatile uint64_t *operations(void)
{
    static uint64_t none;
    const char *path = getenv("SHIM_SHM");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    return p == MAP_FAILED ? &none : p;
}

static int run(uint64_t seed, uint64_t from, uint64_t to, bool state)
{
    volatile uint64_t *number = operations();
    for (uint64_t n = from; n < to; n++) {
        char line[128];
        enum ms_err err = numbered_change(seed, n);
        int len = snprintf(line, sizeof line, "%llu %s %llu", (unsigned long long)n, ms_err_name(err),
                           (unsigned long long)*number);
        if (state)
            len +=
                snprintf(line + len, sizeof line - (size_t)len, " %016llx", (unsigned long long)state_of());
        line[len++] = '\n';
        if (write(1, line, (size_t)len) != len)
            return 1;
        if (ms_err_class(err) == MS_CLASS_TEMP && err != MS_EBUSY) {
            fprintf(stderr, "change %llu: %s: %s\n", (unsigned long long)n, ms_err_text(err), why.text);
            return 1;
        }
    }
    return 0;
}

static void print_problem(void *owner, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

static int state(void)
{
    enum ms_err err = account_dir_verify(a, print_problem, NULL);
    if (err)
        fprintf(stderr, "verify: %s\n", ms_err_text(err));
    printf("%016llx\n", (unsigned long long)state_of());
    return err ? 1 : 0;
}

static int import(uint64_t count, uint64_t batch)
{
    uint64_t begun = clock_mono_ms();
    for (uint64_t i = 0; i < count; i++) {
        char login[64];
        struct account_user_spec spec = {.set = ACCOUNT_SET_PASSWORD | ACCOUNT_SET_QUOTA,
                                         .quota_bytes = 1 << 30};
        /* scattered, as names are */
        rnd_state = i;
        spec.login =
            slice_make(login, (size_t)snprintf(login, sizeof login, "%06llx.user%llu@example.org",
                                               (unsigned long long)rnd(1 << 24), (unsigned long long)i));
        spec.password_hash =
            SLICE_LIT("$y$j9T$0123456789abcdefghijkl$0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
        enum ms_err err = i % batch == 0 ? account_dir_begin(a, &why) : MS_OK;
        if (!err)
            err = account_dir_user_add(a, &spec, true, NULL, &why);
        if (!err && (i % batch == batch - 1 || i == count - 1))
            err = account_dir_commit(a, &why);
        if (err) {
            fprintf(stderr, "user %llu: %s\n", (unsigned long long)i, why.text);
            return 1;
        }
    }
    uint64_t ms = clock_mono_ms() - begun;
    printf("%llu users in %llu ms: %llu/s\n", (unsigned long long)count, (unsigned long long)ms,
           (unsigned long long)(count * 1000 / (ms ? ms : 1)));
    return 0;
}

static int command(int argc, char **argv)
{
    const char *what = argv[1];
    if (strcmp(what, "init") == 0) {
        enum ms_err err = MS_OK;
        for (int i = 0; i < 4 && !err; i++)
            err = account_dir_domain_add(a, slice_cstr(domains[i]),
                                         i == 3 ? slice_cstr(domains[0]) : SLICE_LIT(""), &why);
        return err ? 1 : 0;
    }
    if (strcmp(what, "run") == 0 && argc >= 6)
        return run(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10),
                   argc > 6);
    if (strcmp(what, "import") == 0 && argc == 5)
        return import(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    if (strcmp(what, "dump") == 0) {
        struct str text;
        str_init(&text, 0);
        bool ok = dump(&text);
        fputs(str_cstr(&text), stdout);
        str_fini(&text);
        return ok ? 0 : 1;
    }
    return strcmp(what, "state") == 0 ? state() : 64;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 64;
    struct account_conf conf = {.path = argv[2], .threads = 1};
    if (account_open(&conf, "example.org", strcmp(argv[1], "init") == 0 || strcmp(argv[1], "import") == 0, &a,
                     &why)) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    int rc = command(argc, argv);
    account_close(&a);
    return rc;
}
