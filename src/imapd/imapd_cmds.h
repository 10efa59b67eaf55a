/*
 * imapd_cmds.h - what the files imapd_cmd_*.c give to the command table.
 */
#ifndef IMAPD_CMDS_H
#define IMAPD_CMDS_H

#include "imapd_priv.h"

imapd_step_fn imapd_capability_run, imapd_noop_run, imapd_logout_run, imapd_id_run, imapd_starttls_run;
imapd_step_fn imapd_login_run, imapd_authenticate_run;
imapd_step_fn imapd_namespace_run, imapd_list_run, imapd_lsub_run, imapd_subscribe_run, imapd_unsubscribe_run;
imapd_step_fn imapd_create_run, imapd_delete_run, imapd_rename_run, imapd_status_run;
imapd_step_fn imapd_select_run, imapd_examine_run, imapd_close_run, imapd_unselect_run;
imapd_step_fn imapd_append_run, imapd_idle_run, imapd_expunge_run, imapd_enable_run;
imapd_step_fn imapd_fetch_run, imapd_store_run, imapd_search_run, imapd_copy_run, imapd_move_run;

void imapd__login_cleanup(struct imapd_session *s);
void imapd__rename_cleanup(struct imapd_session *s);
void imapd__select_cleanup(struct imapd_session *s);
void imapd__append_cleanup(struct imapd_session *s);
void imapd__expunge_cleanup(struct imapd_session *s);
void imapd__fetch_cleanup(struct imapd_session *s);
void imapd__store_cleanup(struct imapd_session *s);
void imapd__search_cleanup(struct imapd_session *s);
void imapd__copy_cleanup(struct imapd_session *s);

#endif
