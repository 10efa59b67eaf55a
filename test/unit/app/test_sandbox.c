/* What a confined process can still do, each case in a child of its own, and the paths of a configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../src/app/app_sandbox.h"
#include "ms/account.h"
#include "ms/conf.h"
#include "ms/dispatch.h"
#include "ms/partition.h"

static char dir[] = "/tmp/ms-sandbox-test-XXXXXX";

#define SKIPPED 77
#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            fprintf(stderr, "# line %d: %s (%s)\n", __LINE__, #cond, strerror(errno));                       \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

/* Runs it in a child: what is given up there stays given up. */
static void in_child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        print_message("# not here: the kernel or a sanitizer does not allow it\n");
        return;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static char *below(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static bool can_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static void confine(void)
{
    struct app_paths paths;
    struct ms_errinfo why;
    int abi = 0;
    if (app_sandbox_obstacle())
        _exit(SKIPPED);
    app_paths_init(&paths);
    app_paths_add(&paths, below("rw"), APP_MAY_WRITE);
    app_paths_add(&paths, below("rw2"), APP_MAY_WRITE);
    app_paths_add(&paths, below("ro"), APP_MAY_READ);
    app_paths_add(&paths, below("single"), APP_MAY_READ);
    app_paths_add(&paths, below("list"), APP_MAY_LIST);
    app_paths_add(&paths, below("missing"), APP_MAY_WRITE);
    app_paths_add(&paths, "/dev/null", APP_MAY_WRITE);
    enum ms_err err = app_landlock_apply(&paths, &abi, &why);
    app_paths_fini(&paths);
    if (err == MS_EUNSUPPORTED) {
        fprintf(stderr, "# %s\n", why.text);
        _exit(SKIPPED);
    }
    CHECK(!err && abi >= 2);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void *thread_opens(void *arg)
{
    return (void *)(uintptr_t)can_open(arg, O_RDONLY);
}

static void files_case(void)
{
    CHECK(can_open(below("secret"), O_RDONLY));
    confine();
    CHECK(!can_open(below("secret"), O_RDONLY) && errno == EACCES);
    CHECK(!can_open("/etc/passwd", O_RDONLY) && errno == EACCES);
    CHECK(!can_open(below("new"), O_WRONLY | O_CREAT) && errno == EACCES);
    CHECK(!can_open(dir, O_RDONLY | O_DIRECTORY));
    CHECK(mkdir(below("folder"), 0700) < 0 && errno == EACCES);
    CHECK(can_open(below("ro/file"), O_RDONLY));
    CHECK(!can_open(below("ro/file"), O_WRONLY) && !can_open(below("ro/new"), O_WRONLY | O_CREAT));
    CHECK(unlink(below("ro/file")) < 0 && rename(below("ro/file"), below("rw/stolen")) < 0);
    CHECK(can_open(below("single"), O_RDONLY) && !can_open(below("single"), O_WRONLY));
    CHECK(can_open(below("rw/new"), O_RDWR | O_CREAT) && can_open(below("rw/new"), O_WRONLY | O_TRUNC));
    CHECK(truncate(below("rw/new"), 10) == 0 && mkdir(below("rw/folder"), 0700) == 0);
    CHECK(rename(below("rw/new"), below("rw/folder/new")) == 0);
    CHECK(link(below("rw/folder/new"), below("rw2/new")) == 0);
    CHECK(rename(below("rw2/new"), below("rw/other")) == 0 && unlink(below("rw/other")) == 0);
    CHECK(symlink(below("secret"), below("rw/way")) == 0 && !can_open(below("rw/way"), O_RDONLY));
    CHECK(mknod(below("rw/disk"), S_IFCHR | 0600, 259) < 0);
    CHECK(can_open(below("list"), O_RDONLY | O_DIRECTORY) && !can_open(below("list/file"), O_RDONLY));
    CHECK(can_open("/dev/null", O_RDWR));
    CHECK(execl("/bin/true", "true", (char *)NULL) < 0 && errno == EACCES);
    pthread_t thread;
    void *got;
    CHECK(pthread_create(&thread, NULL, thread_opens, below("secret")) == 0);
    CHECK(pthread_join(thread, &got) == 0 && !got);
}

static void test_files(void **state)
{
    in_child(files_case);
}

static pthread_barrier_t barrier;

static void check_calls(void)
{
    static char name[] = "true";
    char *const args[] = {name, NULL};
    CHECK(execv("/bin/true", args) < 0 && errno == EPERM);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM);
    CHECK(mount("none", dir, "tmpfs", 0, NULL) < 0 && errno == EPERM);
    CHECK(syscall(SYS_unshare, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_perf_event_open, NULL, 0, 0, -1, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_keyctl, 0, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EPERM);
    CHECK(syscall(SYS_userfaultfd, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_reboot, 0, 0, 0, NULL) < 0 && errno == EPERM);
    CHECK(syscall(SYS_swapon, dir, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_finit_module, -1, "", 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_kexec_load, 0, 0, NULL, 0) < 0 && errno == EPERM);
    CHECK(can_open("/dev/null", O_RDWR)); /* the rest goes on */
}

/* This thread was there before the filter. */
static void *older_thread(void *arg)
{
    pthread_barrier_wait(&barrier);
    check_calls();
    return NULL;
}

static void calls_case(void)
{
    pthread_t thread;
    struct ms_errinfo why;
    if (app_sandbox_obstacle())
        _exit(SKIPPED);
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, older_thread, NULL) == 0);
    enum ms_err err = app_seccomp_apply(&why);
    if (err == MS_EUNSUPPORTED) {
        fprintf(stderr, "# %s\n", why.text);
        _exit(SKIPPED);
    }
    CHECK(!err);
    check_calls();
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void test_calls(void **state)
{
    in_child(calls_case);
}

static void drop_case(void)
{
    const struct app_identity nobody = {.uid = 64999, .gid = 64998};
    struct ms_errinfo why;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
    struct sockaddr_in low = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    bool may_bind = prctl(PR_CAPBSET_READ, CAP_NET_BIND_SERVICE, 0, 0, 0) == 1;
    if (geteuid() != 0) {
        CHECK(app_privileges_drop(&nobody, &why) == MS_EDENIED);
        _exit(SKIPPED);
    }
    CHECK(app_privileges_drop(&nobody, &why) == MS_OK);
    CHECK(getuid() == 64999 && geteuid() == 64999 && getegid() == 64998 && getgroups(0, NULL) == 0);
    CHECK(!can_open(below("secret"), O_RDONLY) && setuid(0) < 0 && setgid(0) < 0);
    CHECK(syscall(SYS_capget, &head, caps) == 0);
    CHECK((caps[0].permitted & ~(1u << CAP_NET_BIND_SERVICE)) == 0 && caps[1].permitted == 0);
    if (may_bind) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), bound = -1;
        for (uint16_t port = 1000; port < 1023 && bound != 0; port++) {
            low.sin_port = htons(port);
            bound = bind(fd, (struct sockaddr *)&low, sizeof low);
        }
        CHECK(bound == 0);
    }
    CHECK(app_privileges_drop(&nobody, &why) == MS_EDENIED);
}

static void test_drop(void **state)
{
    in_child(drop_case);
}

static void test_identity(void **state)
{
    static const struct {
        const char *user, *group;
        enum ms_err err;
        uid_t uid;
        gid_t gid;
    } rows[] = {
        {"root", NULL, MS_OK, 0, 0},
        {"4711", NULL, MS_OK, 4711, 4711},
        {"4711", "root", MS_OK, 4711, 0},
        {"4711", "12", MS_OK, 4711, 12},
        {"no-such-user-here", NULL, MS_ENOTFOUND, 0, 0},
        {"4711x", NULL, MS_ENOTFOUND, 0, 0},
        {"-1", NULL, MS_ENOTFOUND, 0, 0},
        {"4294967295", NULL, MS_ENOTFOUND, 0, 0},
        {"99999999999999999999", NULL, MS_ENOTFOUND, 0, 0},
        {"", NULL, MS_ENOTFOUND, 0, 0},
        {"root", "no-such-group-here", MS_ENOTFOUND, 0, 0},
    };
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct app_identity id;
        struct ms_errinfo why = {0};
        assert_int_equal(app_identity_find(rows[i].user, rows[i].group, &id, &why), rows[i].err);
        if (!rows[i].err) {
            assert_int_equal(id.uid, rows[i].uid);
            assert_int_equal(id.gid, rows[i].gid);
        } else {
            assert_true(why.text[0] != 0);
        }
    }
}

static void test_cover(void **state)
{
    struct app_paths p;
    app_paths_init(&p);
    app_paths_add(&p, "/srv/mail", APP_MAY_READ);
    app_paths_add(&p, "/srv/mail/store", APP_MAY_WRITE);
    app_paths_add(&p, "/srv/mail/store", APP_MAY_READ); /* takes nothing away */
    assert_int_equal(p.count, 2);
    assert_true(app_paths_cover(&p, "/srv/mail", APP_MAY_READ));
    assert_true(app_paths_cover(&p, "/srv/mail/x/y", APP_MAY_READ));
    assert_false(app_paths_cover(&p, "/srv/mail", APP_MAY_WRITE));
    assert_false(app_paths_cover(&p, "/srv/mailbox", APP_MAY_READ));
    assert_false(app_paths_cover(&p, "/srv", APP_MAY_READ));
    assert_false(app_paths_cover(&p, "", APP_MAY_READ));
    assert_true(app_paths_cover(&p, "/srv/mail/store/a", APP_MAY_WRITE));
    app_paths_add(&p, "/", APP_MAY_READ);
    assert_true(app_paths_cover(&p, "/anything", APP_MAY_READ));
    app_paths_fini(&p);
}

static bool has(const struct app_paths *p, const char *name, enum app_access access)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name, name) == 0)
            return p->items[i].access == access;
    return false;
}

struct some_conf {
    const char *run_dir, *maildrop, *history, *key;
};
static const struct conf_opt server_opts[] = {
    {.key = "run_dir", .type = CONF_PATH, CONF_AT(struct some_conf, run_dir), .help = "Written."},
    {.key = "maildrop", .type = CONF_PATH, CONF_AT(struct some_conf, maildrop), .help = "Written."},
    {.key = "key", .type = CONF_PATH, CONF_AT(struct some_conf, key), .flags = CONF_RELOAD, .help = "Read."},
};
static const struct conf_opt log_opts[] = {
    {.key = "history", .type = CONF_PATH, CONF_AT(struct some_conf, history), .help = "Written."},
};
static const struct conf_table server_table = {
    .path = "server", CONF_OPTS(server_opts), CONF_STRUCT(struct some_conf), .help = "Some paths."};
static const struct conf_table log_table = {
    .path = "log", CONF_OPTS(log_opts), CONF_STRUCT(struct some_conf), .help = "Another."};
static const struct conf_table *const tables[] = {&server_table,    &log_table,
                                                  &account_table,   &dispatch_defaults_table,
                                                  &partition_table, &dispatch_services_table};

static void test_collect(void **state)
{
    static const char text[] =
        "server: {run_dir: /r/run, maildrop: drop, key: /k/keys/key.pem}\n"
        "log: {history: /h/history}\n"
        "directory: {path: /d/dir/file.mdb}\n"
        "store: {partitions: {primary: {path: /p/primary}}}\n"
        "dispatcher: {services: {smtp: {listen: [\"127.0.0.1:25\", \"unix:/u/sock/lmtp\", "
        "\"unix:rel/lmtp\"], protocol: smtp}}}\n";
    struct conf_report report;
    struct conf *conf = NULL;
    struct app_paths p;
    char link_dir[300];
    conf_report_init(&report);
    enum ms_err err = conf_parse_bytes(tables, MS_ARRAY_LEN(tables), SLICE_LIT(text), "/etc/site/conf.yaml",
                                       &report, &conf);
    if (err)
        print_message("# %s\n", report.errors[0].text);
    assert_int_equal(err, MS_OK);
    app_paths_init(&p);
    app_paths_collect(&p, conf, tables, MS_ARRAY_LEN(tables), false);
    assert_true(has(&p, "/etc/site", APP_MAY_READ));
    assert_true(has(&p, "/r/run", APP_MAY_WRITE));
    assert_true(has(&p, "/etc/site/drop", APP_MAY_WRITE));
    assert_true(has(&p, "/h/history", APP_MAY_WRITE));
    assert_true(has(&p, "/k/keys", APP_MAY_READ)); /* the folder: a new file is renamed into it */
    assert_true(has(&p, "/d/dir", APP_MAY_WRITE));
    assert_true(has(&p, "/p/primary", APP_MAY_WRITE));
    assert_true(has(&p, "/u/sock", APP_MAY_WRITE));
    assert_true(has(&p, "/etc/site/rel", APP_MAY_WRITE));
    assert_true(has(&p, "/p", APP_MAY_LIST));
    assert_true(has(&p, "/d", APP_MAY_LIST));
    assert_false(app_paths_cover(&p, "/etc/passwd", APP_MAY_READ));
    app_paths_fini(&p);
    app_paths_collect(&p, conf, tables, MS_ARRAY_LEN(tables),
                      true); /* what only a restart applies does not count */
    assert_true(has(&p, "/k/keys", APP_MAY_READ) && has(&p, "/u/sock", APP_MAY_WRITE));
    assert_false(app_paths_cover(&p, "/r/run", APP_MAY_LIST) ||
                 app_paths_cover(&p, "/p/primary", APP_MAY_LIST));
    app_paths_fini(&p);
    conf_unref(&conf);
    conf_report_fini(&report);
    snprintf(link_dir, sizeof link_dir, "%s/made/deep", dir);
    app_paths_init(&p);
    app_paths_add(&p, link_dir, APP_MAY_WRITE);
    app_paths_add(&p, below("not-made"), APP_MAY_READ);
    assert_int_equal(app_paths_make(&p, (uid_t)-1, (gid_t)-1, NULL), MS_OK);
    struct stat st;
    assert_int_equal(stat(link_dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(below("not-made"), &st), -1);
    app_paths_add(&p, below("single/folder"), APP_MAY_WRITE);
    struct ms_errinfo why = {0};
    assert_int_not_equal(app_paths_make(&p, (uid_t)-1, (gid_t)-1, &why), MS_OK);
    assert_non_null(strstr(why.text, "single"));
    app_paths_fini(&p);
}

static int make_tree(void **state)
{
    static const char *const folders[] = {"rw", "rw2", "ro", "list"}, *const files[] = {"secret", "single",
                                                                                        "ro/file",
                                                                                        "list/file"};
    if (!mkdtemp(dir))
        return -1;
    for (size_t i = 0; i < MS_ARRAY_LEN(folders); i++)
        if (mkdir(below(folders[i]), 0700) != 0)
            return -1;
    for (size_t i = 0; i < MS_ARRAY_LEN(files); i++)
        if (!can_open(below(files[i]), O_WRONLY | O_CREAT))
            return -1;
    return 0;
}

static int remove_tree(void **state)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_cover), cmocka_unit_test(test_collect),
        cmocka_unit_test(test_files),    cmocka_unit_test(test_calls), cmocka_unit_test(test_drop),
    };
    return cmocka_run_group_tests_name("sandbox", tests, make_tree, remove_tree);
}
