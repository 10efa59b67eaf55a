/*
 * app_maildrop.h - the maildrop of the running server, on one of its worker loops.
 */
#ifndef APP_MAILDROP_H
#define APP_MAILDROP_H

#include "app.h"

#include "ms/chan.h"

struct app_maildrop;
/* Main thread, before loops run and anything is delivered. */
struct app_maildrop *app_maildrop_create(struct conf *conf, struct loop *loop, struct partition *partition,
                                         const struct chan_env *chan);
void app_maildrop_reload(struct app_maildrop *a, struct conf *conf); /* its loop: another snapshot from now on */
void app_maildrop_stop(struct app_maildrop *a);          /* any thread: no file is begun any more */
bool app_maildrop_is_idle(const struct app_maildrop *a); /* any thread: stopped, and nothing is in work */
void app_maildrop_destroy(struct app_maildrop **a);      /* main thread, the loop has ended */

#endif
