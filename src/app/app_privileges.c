/*
 * app_privileges.c - from root to the server's user.
 *
 * The capability to bind low ports is kept, so that a reload can open another address; all others go. Raw capset: it
 * changes the calling thread, and there is no other yet.
 */
#include "app_sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *const app_sandbox_mode_names[] = {"auto", "on", "off", NULL};

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define APP_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define APP_SANITIZED 1
#endif

const char *app_sandbox_obstacle(void)
{
#ifdef APP_SANITIZED
    return "a sanitizer is built in";
#else
    return NULL;
#endif
}

/* "65534": a user that has no name. */
static bool id_parse(const char *text, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *out = (uint32_t)value;
    return text[0] >= '0' && text[0] <= '9' && !*end && errno == 0 && value < UINT32_MAX;
}

static enum ms_err group_find(const char *group, gid_t *out, struct ms_errinfo *why_out)
{
    uint32_t number;
    const struct group *gr = getgrnam(group);
    if (gr)
        *out = gr->gr_gid;
    else if (id_parse(group, &number))
        *out = number;
    else
        return ms_fail(why_out, MS_ENOTFOUND, "server.group: no group \"%s\"", group);
    return MS_OK;
}

enum ms_err app_identity_find(const char *user, const char *group, struct app_identity *out,
                              struct ms_errinfo *why_out)
{
    uint32_t number;
    const struct passwd *pw = getpwnam(user);
    if (pw)
        *out = (struct app_identity){.uid = pw->pw_uid, .gid = pw->pw_gid};
    else if (id_parse(user, &number))
        *out = (struct app_identity){.uid = number, .gid = number};
    else
        return ms_fail(why_out, MS_ENOTFOUND, "server.user: no user \"%s\"", user);
    return group ? group_find(group, &out->gid, why_out) : MS_OK;
}

static int caps_set(uint32_t low)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{.effective = low, .permitted = low}};
    return (int)syscall(SYS_capset, &head, data);
}

enum ms_err app_privileges_drop(const struct app_identity *to, struct ms_errinfo *why_out)
{
    const uint32_t bind = 1u << CAP_NET_BIND_SERVICE;
    if (geteuid() != 0)
        return ms_fail(why_out, MS_EDENIED,
                       "server.user: only a server that is started as root can become another user");
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
        setresgid(to->gid, to->gid, to->gid) != 0 || setresuid(to->uid, to->uid, to->uid) != 0)
        return ms_fail_errno(why_out, errno, "cannot become user %u, group %u", (unsigned)to->uid,
                             (unsigned)to->gid);
    /* Not permitted where the machine has taken that capability from root, too: then without. */
    if (caps_set(bind) != 0 && caps_set(0) != 0)
        return ms_fail_errno(why_out, errno, "cannot give up the capabilities");
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    if (to->uid != 0 && setresuid(0, 0, 0) == 0)
        return ms_fail(why_out, MS_EDENIED, "the way back to root is open");
    return MS_OK;
}
