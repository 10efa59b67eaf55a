/* play_text.h - the escapes of the protocol scripts. */
#ifndef TEST_PLAY_TEXT_H
#define TEST_PLAY_TEXT_H

#include "ms/base/str.h"

/* Bytes that in stands for, added to out. */
void play_unescape(const char *in, size_t len, struct str *out);

#endif
