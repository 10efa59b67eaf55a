/*
 * mbx_export.h - one mailbox into a Maildir or an mbox.
 *
 * A message comes as a stream, its bytes first or last: they are kept in a spool, memory or from
 * MBX_SPOOL_MEMORY on a file without a name, and written when all is known of it.
 */
#ifndef APP_MBX_EXPORT_H
#define APP_MBX_EXPORT_H

#include "mbx_import.h"

#define MBX_SPOOL_MEMORY ((size_t)1 << 20)

struct mbx_spool {
    struct str memory;
    int dir_fd, fd; /* fd: -1 while it fits into memory */
    uint64_t size;
    int err; /* errno of a write */
};
void mbx_spool_init(struct mbx_spool *s, int dir_fd);
void mbx_spool_fini(struct mbx_spool *s);
void mbx_spool_reset(struct mbx_spool *s);
void mbx_spool_add(struct mbx_spool *s, struct slice bytes);
/* 0, or errno. */
int mbx_spool_input(struct mbx_spool *s, struct mbx_input *out);

/* A file that is written under another name and then has its own, which must be free. All give 0 or errno. */
struct mbx_out {
    int dir_fd, to_fd, fd; /* to_fd: where it has its name; dir_fd unless set */
    char name[MBX_FILE_MAX + 1], temporary[MBX_FILE_MAX + 1];
    struct str buf;
    uint64_t written;
    int err; /* the first */
};
int mbx_out_open(struct mbx_out *o, int dir_fd, const char *name);
void mbx_out_add(struct mbx_out *o, struct slice bytes);
int mbx_out_flush(struct mbx_out *o);
int mbx_out_close(struct mbx_out *o, bool sync); /* flushed, and known by its name */
void mbx_out_drop(struct mbx_out *o);
/* Renames, but never over something else. */
int mbx_rename_new(int from_fd, const char *from, int to_fd, const char *to);

struct mbx_box_info {
    uint32_t uidvalidity, uidnext;
};

/* -- Maildir */
struct mbx_maildir_writer {
    int dir_fd, cur_fd, tmp_fd;
    struct mbx_out uidlist;
    struct slice keywords[26];
    size_t keyword_count;
    struct arena arena;
    uint64_t keywords_lost; /* more than 26 */
};
/* dir_fd: an empty directory, borrowed. */
int mbx_maildir_writer_open(struct mbx_maildir_writer *w, int dir_fd, const struct mbx_box_info *info);
int mbx_maildir_write(struct mbx_maildir_writer *w, const struct mbx_meta *meta, const struct mbx_input *in);
int mbx_maildir_writer_close(struct mbx_maildir_writer *w, bool good);

/* -- mbox */
struct mbx_mbox_writer {
    struct mbx_out out;
    struct mbx_box_info info;
    bool begun;
};
int mbx_mbox_writer_open(struct mbx_mbox_writer *w, int dir_fd, const char *name,
                         const struct mbx_box_info *info);
int mbx_mbox_write(struct mbx_mbox_writer *w, const struct mbx_meta *meta, const struct mbx_input *in);
int mbx_mbox_writer_close(struct mbx_mbox_writer *w, bool good);

#endif
