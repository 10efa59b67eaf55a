/*
 * play_scram.h - the client's side of SCRAM (RFC 5802) for protocol scripts: what it says depends on the server's nonce.
 */
#ifndef PLAY_SCRAM_H
#define PLAY_SCRAM_H

#include "ms/base/str.h"
#include "ms/crypt.h"

struct play_scram {
    enum crypt_hash hash;
    struct str header;      /* of GS2 */
    struct str signed_text; /* AuthMessage */
    uint8_t salted[CRYPT_HASH_BYTES_MAX];
};

/* "n,,n=user,r=..." in base64 to out. authzid may be "". */
void play_scram_first(struct play_scram *s, enum crypt_hash hash, const char *user, const char *authzid,
                      struct str *out);
/* The server's first message in base64; the client's last one to out. false: it is none. */
bool play_scram_last(struct play_scram *s, struct slice server_first, const char *password, struct str *out);
/* Is the server's last message right? */
bool play_scram_is_server(struct play_scram *s, struct slice server_last);
void play_scram_fini(struct play_scram *s);

#endif
