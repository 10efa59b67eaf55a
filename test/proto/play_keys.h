/*
 * play_keys.h - the public key of the tokens in the scripts (auth_oauth.script); whoever signed them is gone. They end with the year 9999.
 */
#ifndef PLAY_KEYS_H
#define PLAY_KEYS_H

#define PLAY_OAUTH_PEM "-----BEGIN PUBLIC KEY-----\n" \
    "MCowBQYDK2VwAyEA+kkT0sPA6ahXCL5Qk44FM3HU10xJF44rQUWHyaUV68c=\n" \
    "-----END PUBLIC KEY-----\n"

#endif
