/*
 * mbx_import.h - `mailbox import` and `mailbox export`: trees of folders in the file system on one side,
 * mailboxes on the other.
 *
 *   mbx_tree      which folders lie under a path, and what their mailboxes are called
 *   mbx_maildir   the messages of one Maildir, in the order of their UIDs, or of their arrival
 *   mbx_upload    messages into one mailbox: what is there already is passed over, the others go many
 *                 at a time
 *
 * Resuming: a message is taken to be there when the mailbox has one with the same size, INTERNALDATE and
 * first MBX_IDENTITY_BYTES bytes; each one there stands for one in the source. So an import can be repeated
 * after any interruption.
 *
 * Memory: the names of one folder's files, and 16 bytes for each message that the mailbox has before; not the
 * messages.
 * Links: nothing below the path given is reached through a symbolic link: a user's folder must not give away
 * others' files.
 */
#ifndef APP_MBX_IMPORT_H
#define APP_MBX_IMPORT_H

#include "mbx.h"
#include "mbx_files.h"
#include "ms/base/map.h"

#define MBX_IDENTITY_BYTES 4096
#define MBX_SMALL_MAX      ((size_t)128 << 10) /* goes as it is read; larger ones are read twice */
#define MBX_BATCH_MAX      128                 /* messages of one APPEND */
#define MBX_BATCH_BYTES                                                                                      \
    ((size_t)512 << 10) /* no more when there are so many: below what the server throws away */
#define MBX_DEPTH_MAX   32
#define MBX_FOLDERS_MAX 10000

enum mbx_format { MBX_FORMAT_AUTO, MBX_FORMAT_MAILDIR, MBX_FORMAT_MBOX };

/* "mailserverd: PATH: why" on standard error. */
void mbx_note(const char *path, const char *fmt, ...) MS_PRINTF(2, 3);

/* -- mbx_tree.c */
struct mbx_folder {
    char *rel;         /* below the tree's path; "" = that itself */
    struct slice name; /* below the target; empty = that itself */
    bool is_mbox;
};
struct mbx_tree {
    struct arena arena;
    const char *path;
    int fd;
    bool is_file; /* one mbox */
    struct mbx_folder *folders;
    size_t count, cap;
    bool has_subscriptions;
    struct slice *subscriptions;
    size_t subscription_count;
    uint64_t problems;
};
/* A sysexits code; has printed why. */
int mbx_tree_open(const char *path, enum mbx_format format, struct mbx_tree *out);
void mbx_tree_close(struct mbx_tree *t);
/* A file or directory below fd without a symbolic link on the way; -1 and errno. */
int mbx_open_below(int fd, const char *rel, int flags);

/* -- one message on its way */
struct mbx_mail {
    struct mbx_meta meta;
    struct mbx_input in;
    uint64_t off, end, body;
    enum mbx_form form;
    bool unquote, drop_length;
    const char *path; /* for what is told of it */
    uint64_t number;  /* in the mbox; 0: the path says it */
};

/* -- mbx_maildir.c */
struct mbx_maildir_file {
    const char *name;
    uint64_t stamp; /* number at the beginning of the name: seconds */
    uint32_t uid;
    bool is_new; /* in new/ */
};
struct mbx_maildir {
    struct arena arena;
    const char *path;
    int dir_fd[2]; /* cur, new */
    struct mbx_maildir_file *files;
    size_t count, cap, at;
    struct slice letters[26];
    struct mbx_uidlist uids;
    uint64_t problems;
    int open_fd; /* of the message given last */
    char label[4200];
};
/* fd: the folder. MS_EIO, MS_EDENIED: has noted why. */
MS_MUST_USE enum ms_err mbx_maildir_open(int fd, const char *path, struct mbx_maildir *out);
void mbx_maildir_close(struct mbx_maildir *m);
/* MS_ENOTFOUND: no more. What cannot be read is noted, counted and passed over. Good until the next call. */
MS_MUST_USE enum ms_err mbx_maildir_next(struct mbx_maildir *m, struct mbx_mail *out);

/* -- mbx_upload.c */
struct mbx_item {
    const char *path;
    uint64_t number, bytes;
    size_t at, len; /* in the batch's wire */
    bool has_uid;
};
/* Messages of one APPEND (RFC 3502): there together or not at all. */
struct mbx_batch {
    struct arena arena;
    struct str wire; /* " (flags) date {n+}CRLF bytes" each */
    struct mbx_item items[MBX_BATCH_MAX];
    unsigned count;
    uint32_t tag; /* 0: not sent */
};
struct mbx_upload {
    struct mbx_conn *c;
    struct slice mailbox;
    struct map seen;
    bool keep_uids;
    uint32_t uidnext;
    struct mbx_batch batch[2]; /* one is filled while the other is under way */
    unsigned filled;
    struct str body;
    uint64_t messages, bytes, existing, failed, uid_refused, of_first_pass;
    int stop; /* a sysexits code: no more is sent */
};
void mbx_upload_init(struct mbx_upload *u, struct mbx_conn *c, struct slice mailbox);
void mbx_upload_fini(struct mbx_upload *u);
/* What is in the mailbox now. */
int mbx_upload_look(struct mbx_upload *u);
/* Before a second pass. */
void mbx_upload_forget(struct mbx_upload *u);
/* Both: what goes wrong with a message is noted and counted; u->stop is set when going on makes no sense. */
void mbx_upload_add(struct mbx_upload *u, struct mbx_mail *mail);
void mbx_upload_finish(struct mbx_upload *u);

/* -- mbx_fetch.c: "7 FETCH (UID 9 ...)" */
struct mbx_fetch {
    struct mbx_meta meta;
    bool has_date, has_size, has_body, body_is_nil;
    uint64_t size;
    struct slice body;
};
/* false: another response. Texts are in the line. */
bool mbx_fetch_parse(struct slice line, struct arena *arena, struct mbx_fetch *out);

#endif
