/* play_main.h - the main function of a player of scripts. */
#ifndef TEST_PLAY_MAIN_H
#define TEST_PLAY_MAIN_H

#include <stdbool.h>

/* Arguments: scripts, and folders of them. Each script is a test twice: in whole lines, and one byte at a time. */
int play_main(int argc, char **argv, const char *group, void (*play)(const char *path, bool by_bytes));

#endif
