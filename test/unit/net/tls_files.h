/* Certificates and keys for tests, made by the openssl command in a folder of their own. */
#ifndef TLS_FILES_H
#define TLS_FILES_H

#include <stdbool.h>

/* false: no openssl command here. Makes the folder. */
bool tls_files_begin(void);
void tls_files_end(void); /* removes the folder */
/* The path of a file in it; good until the sixteenth call after this one. */
const char *tls_files_path(const char *name);
/* NAME.pem and NAME.key. kind: "rsa" or "ec". san: "DNS:a,DNS:b" or NULL. ca: NAME of the authority, NULL = signed by
 * itself. */
void tls_files_make(const char *name, const char *kind, const char *cn, const char *san, const char *ca);

#endif
