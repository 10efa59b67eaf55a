/*
 * app_sandbox.h - what a process can give up: its user, new privileges, files, system calls.
 *
 * Order of a start (each step needs what the next ones take away):
 *
 *   sockets bound, keys read -> app_privileges_drop -> app_seccomp_no_rings -> app_landlock_apply -> threads
 *   -> app_seccomp_apply
 *
 * Threads:  the drop and Landlock before any other thread exists (Landlock binds the calling thread and those it
 *           makes); seccomp after all of them exist (it reaches every thread at once).
 */
#ifndef APP_SANDBOX_H
#define APP_SANDBOX_H

#include <sys/types.h>

#include "app_paths.h"

enum app_sandbox_mode { APP_SANDBOX_AUTO, APP_SANDBOX_ON, APP_SANDBOX_OFF };
extern const char *const app_sandbox_mode_names[];

/* Why this build cannot be confined (a sanitizer opens files and traces threads by itself); NULL: it can. */
const char *app_sandbox_obstacle(void);

struct app_identity {
    uid_t uid;
    gid_t gid;
};
/* group: NULL = the user's own. Names, or numbers without a name. */
MS_MUST_USE enum ms_err app_identity_find(const char *user, const char *group, struct app_identity *out,
                                          struct ms_errinfo *why_out);
/* Root becomes that user for good; only the right to bind low ports stays, for a reload. MS_EDENIED: we are not root. */
MS_MUST_USE enum ms_err app_privileges_drop(const struct app_identity *to, struct ms_errinfo *why_out);

/* Files: only what paths names, from now on. *abi_out: version of the kernel's Landlock. MS_EUNSUPPORTED: it has none, or one
 * that would forbid renaming from folder to folder (before version 2). Sets no_new_privs. */
MS_MUST_USE enum ms_err app_landlock_apply(const struct app_paths *paths, int *abi_out,
                                           struct ms_errinfo *why_out);
/* No ring of io_uring can be made from now on (ENOSYS). Before the first loop: libuv 1.45 and later makes one a loop when
 * it can, and aborts when the calls on it are refused later. Sets no_new_privs. */
MS_MUST_USE enum ms_err app_seccomp_no_rings(struct ms_errinfo *why_out);
/* System calls that a mail server never makes fail with EPERM from now on, in every thread. Sets no_new_privs. */
MS_MUST_USE enum ms_err app_seccomp_apply(struct ms_errinfo *why_out);

#endif
