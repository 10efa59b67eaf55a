/*
 * app_why.h - the words for why an entry waits.
 */
#ifndef APP_WHY_H
#define APP_WHY_H

#include "ms/jobctl/sched.h"

const char *app_why_word(enum jobctl_why why); /* "maxjobs" */

#endif
