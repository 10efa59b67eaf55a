/*
 * app_landlock.c - Landlock by its three system calls; the names that older headers lack are here.
 *
 * All rights that the kernel knows are handled, so what no rule gives is refused: there is no rule with the right to
 * execute, to make device files, or to do ioctls on devices.
 */
#include "app_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LL_ABI_MIN   2            /* renaming and linking between folders can be allowed */
#define LL_TRUNCATE  (1ull << 14) /* from version 3 */
#define LL_IOCTL_DEV (1ull << 15) /* from version 5 */

#define LL_FILE_READ  (LANDLOCK_ACCESS_FS_READ_FILE)
#define LL_FILE_WRITE (LL_FILE_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LL_TRUNCATE)
#define LL_READ       (LL_FILE_READ | LANDLOCK_ACCESS_FS_READ_DIR)
#define LL_WRITE                                                                                             \
    (LL_FILE_WRITE | LL_READ | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |              \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |              \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

static uint64_t rights_of_abi(int abi)
{
    uint64_t rights = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;
    if (abi >= 3)
        rights |= LL_TRUNCATE;
    if (abi >= 5)
        rights |= LL_IOCTL_DEV;
    return rights;
}

static uint64_t rights_of(enum app_access access, bool is_folder)
{
    switch (access) {
    case APP_MAY_LIST:
        return is_folder ? LANDLOCK_ACCESS_FS_READ_DIR : 0;
    case APP_MAY_READ:
        return is_folder ? LL_READ : LL_FILE_READ;
    case APP_MAY_WRITE:
        return is_folder ? LL_WRITE : LL_FILE_WRITE;
    }
    MS_UNREACHABLE();
}

/* A path that is not there, or that we may not reach anyway, needs no rule. */
static enum ms_err add_rule(int ruleset, uint64_t handled, const struct app_path *path,
                            struct ms_errinfo *why_out)
{
    struct stat st;
    int fd = open(path->name, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return MS_OK;
    if (fstat(fd, &st) != 0) {
        close(fd);
        return MS_OK;
    }
    uint64_t rights = rights_of(path->access, S_ISDIR(st.st_mode));
    if (!rights) {
        close(fd);
        return MS_OK;
    }
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & handled, .parent_fd = fd};
    long rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int err = errno;
    close(fd);
    return rc == 0 ? MS_OK : ms_fail_errno(why_out, err, "landlock rule for %s", path->name);
}

enum ms_err app_landlock_apply(const struct app_paths *paths, int *abi_out, struct ms_errinfo *why_out)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return ms_fail(why_out, MS_EUNSUPPORTED, "the kernel has no Landlock");
    if (abi < LL_ABI_MIN)
        return ms_fail(why_out, MS_EUNSUPPORTED, "the kernel's Landlock is of version %ld, before %d", abi,
                       LL_ABI_MIN);
    const struct landlock_ruleset_attr attr = {.handled_access_fs = rights_of_abi((int)abi)};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0)
        return ms_fail_errno(why_out, errno, "landlock");
    enum ms_err err = MS_OK;
    for (size_t i = 0; !err && i < paths->count; i++)
        err = add_rule(ruleset, attr.handled_access_fs, &paths->items[i], why_out);
    if (!err &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0))
        err = ms_fail_errno(why_out, errno, "landlock");
    close(ruleset);
    *abi_out = (int)abi;
    return err;
}
