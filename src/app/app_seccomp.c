/*
 * app_seccomp.c - a list of system calls that are refused.
 *
 * A list of what is allowed would have to follow every library; a short list of what turns a hole in a mail server into
 * more than that does not. Names that this kernel or machine does not know are passed over.
 */
#include "app_sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>

static const char *const refused[] = {
    /* other programs and processes */
    "execve",
    "execveat",
    "fork",
    "vfork",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "process_madvise",
    "personality",
    /* another view of the file system, or around its rules */
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "unshare",
    "setns",
    "name_to_handle_at",
    "open_by_handle_at",
    "fanotify_init",
    "mknod",
    "mknodat",
    "quotactl",
    "quotactl_fd",
    "swapon",
    "swapoff",
    "acct",
    "nfsservctl",
    /* the kernel's programmable parts */
    "bpf",
    "perf_event_open",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "userfaultfd",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "lookup_dcookie",
    "uselib",
    /* its keys, and the machine */
    "keyctl",
    "add_key",
    "request_key",
    "reboot",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "stime",
    "sethostname",
    "setdomainname",
    "syslog",
    "vhangup",
    "iopl",
    "ioperm",
    "modify_ldt",
    "vm86",
    "vm86old",
};

/* Refuses these in all threads from now on. */
static int filter_add(const char *const *names, size_t count, uint32_t action)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return -ENOSYS;
    int rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
    for (size_t i = 0; !rc && i < count; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number >= 0) /* negative: not on this machine */
            rc = seccomp_rule_add(filter, action, number, 0);
    }
    if (!rc)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!rc)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc;
}

static enum ms_err filter_result(int rc, struct ms_errinfo *why_out)
{
    return rc ? ms_fail(why_out, MS_EUNSUPPORTED, "seccomp filter: %s", strerror(-rc)) : MS_OK;
}

enum ms_err app_seccomp_no_rings(struct ms_errinfo *why_out)
{
    static const char *const rings[] = {"io_uring_setup"};
    return filter_result(filter_add(rings, MS_ARRAY_LEN(rings), SCMP_ACT_ERRNO(ENOSYS)), why_out);
}

enum ms_err app_seccomp_apply(struct ms_errinfo *why_out)
{
    return filter_result(filter_add(refused, MS_ARRAY_LEN(refused), SCMP_ACT_ERRNO(EPERM)), why_out);
}
