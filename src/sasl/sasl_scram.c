/*
 * sasl_scram.c - SCRAM (RFC 5802) with SHA-1, and with SHA-256 (RFC 7677), without channel binding.
 *
 *   client-first  n,[a=authzid],n=name,r=nonce        -> SASL_WANT_KEYS, sasl_give_keys
 *   server-first  r=nonce+ours,s=salt,i=iterations    <-
 *   client-final  c=biws,r=nonce+ours,p=proof         ->
 *   server-final  v=signature                         <-
 *   (empty)                                           -> SASL_HAVE_PROOF
 *
 * A wrong proof ends the exchange without a server-final (RFC 5802 5.1 leaves "e=" to the server): the protocol's own
 * refusal says all, and the same, for unknown names too.
 */
#include "sasl_priv.h"

#include "ms/base/codec.h"
#include "ms/crypt.h"

#define NONCE_RAW 18 /* octets of ours, 24 characters */

enum scram_at { SCRAM_FIRST, SCRAM_FINAL, SCRAM_END };

struct scram {
    enum scram_at at;
    struct str gs2; /* the header as it came: c= must repeat it */
    struct str
        first; /* client-first-message-bare, then a comma and server-first-message: what AuthMessage begins with */
    struct str nonce; /* the client's and ours */
    struct sasl_keys keys;
};

static struct scram *scram_of(struct sasl *s)
{
    return s->priv;
}

static enum crypt_hash hash_of(const struct sasl *s)
{
    return s->mech->hash == SASL_SHA1 ? CRYPT_SHA1 : CRYPT_SHA256;
}

static struct scram *scram_create(void)
{
    struct scram *m = ms_new(struct scram);
    str_init(&m->gs2, 0);
    str_init(&m->first, 0);
    str_init(&m->nonce, 0);
    return m;
}

static void scram_fini(struct sasl *s)
{
    struct scram *m = scram_of(s);
    if (!m)
        return;
    str_fini(&m->gs2);
    str_fini(&m->first);
    str_fini(&m->nonce);
    crypt_wipe(m, sizeof *m);
    ms_free(m);
    s->priv = NULL;
}

/* The value of "x=value", the next of *rest; the last one has no comma behind it. */
static bool attribute(struct slice *rest, char name, struct slice *value_out)
{
    struct slice part;
    if (!slice_cut(rest, ',', &part)) {
        part = *rest;
        *rest = slice_make(NULL, 0);
    }
    if (part.len < 2 || part.ptr[0] != (uint8_t)name || part.ptr[1] != '=')
        return false;
    *value_out = slice_sub(part, 2, SIZE_MAX);
    return true;
}

/* RFC 5802 7: attr-val = ALPHA "=" value, value not empty, without NUL; extensions we do not know are skipped. */
static bool extensions_fit(struct slice rest)
{
    struct slice value;
    while (rest.len) {
        if (!ms_ascii_is_alpha(rest.ptr[0]) || rest.ptr[rest.len - 1] == ',' ||
            !attribute(&rest, (char)rest.ptr[0], &value) || value.len == 0 ||
            slice_find_byte(value, 0) >= 0 || !utf8_is_valid(value))
            return false;
    }
    return true;
}

/* RFC 5802 7: printable = %x21-2B / %x2D-7E */
static bool is_nonce(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e || text.ptr[i] == ',')
            return false;
    return text.len > 0;
}

static enum ms_err client_first(struct sasl *s, struct slice message)
{
    struct scram *m = s->priv = scram_create();
    struct slice rest = message, name, nonce;
    MS_TRY(sasl__gs2_parse(&rest, &s->authzid));
    str_add_slice(&m->gs2, slice_sub(message, 0, message.len - rest.len));
    str_add_slice(&m->first, rest);
    /* RFC 5802 5.1: "m=" is an extension that must be understood, and there is none. */
    if (slice_has_prefix(rest, SLICE_LIT("m=")))
        return MS_EUNSUPPORTED;
    if (slice_has_suffix(message, SLICE_LIT(",")) || !attribute(&rest, 'n', &name) ||
        !attribute(&rest, 'r', &nonce) || !is_nonce(nonce) || !extensions_fit(rest))
        return MS_ESYNTAX;
    if (nonce.len > SASL_NONCE_MAX)
        return MS_ELIMIT;
    MS_TRY(sasl__name_parse(name, &s->authcid));
    str_add_slice(&m->nonce, nonce);
    s->state = SASL_WANT_KEYS;
    return MS_OK;
}

void sasl__scram_first(struct sasl *s, const struct sasl_keys *keys, struct slice nonce)
{
    struct scram *m = scram_of(s);
    MS_ASSERT(keys->hash == s->mech->hash && keys->iterations > 0);
    m->keys = *keys;
    str_add_slice(&m->nonce, nonce);
    str_add_cstr(&s->challenge, "r=");
    str_add_slice(&s->challenge, str_slice(&m->nonce));
    str_add_cstr(&s->challenge, ",s=");
    base64_emit(&s->challenge, slice_make(keys->salt, keys->salt_len));
    str_addf(&s->challenge, ",i=%u", keys->iterations);
    str_add_byte(&m->first, ',');
    str_add_slice(&m->first, str_slice(&s->challenge));
    m->at = SCRAM_FINAL;
}

static void scram_give_keys(struct sasl *s, const struct sasl_keys *keys)
{
    uint8_t raw[NONCE_RAW];
    struct str nonce;
    crypt_random(raw, sizeof raw);
    str_init(&nonce, 0);
    base64_emit(&nonce, slice_make(raw, sizeof raw));
    sasl__scram_first(s, keys, str_slice(&nonce));
    str_fini(&nonce);
}

/* Base64 of exactly these bytes. */
static bool is_base64_of(struct slice text, struct slice want)
{
    struct str out;
    str_init(&out, 0);
    bool same = base64_parse(text, &out) == MS_OK && slice_eq(str_slice(&out), want);
    str_fini(&out);
    return same;
}

/* RFC 5802 3: ClientKey = proof XOR HMAC(StoredKey, AuthMessage), and its digest must be StoredKey. */
static bool is_proof(struct sasl *s, struct slice text, struct slice auth_message)
{
    enum crypt_hash hash = hash_of(s);
    const struct sasl_keys *keys = &scram_of(s)->keys;
    size_t len = crypt_hash_bytes(hash);
    uint8_t key[CRYPT_HASH_BYTES_MAX], digest[CRYPT_HASH_BYTES_MAX];
    struct str proof;
    str_init(&proof, 0);
    bool fits = base64_parse(text, &proof) == MS_OK && proof.len == len;
    crypt_hmac(hash, slice_make(keys->stored, len), auth_message, key);
    for (size_t i = 0; fits && i < len; i++)
        key[i] ^= proof.ptr[i];
    crypt_digest(hash, slice_make(key, len), digest);
    fits = crypt_equal(digest, keys->stored, len) && fits;
    crypt_wipe(key, sizeof key);
    str_fini(&proof);
    return fits;
}

static void server_final(struct sasl *s, struct slice auth_message)
{
    enum crypt_hash hash = hash_of(s);
    size_t len = crypt_hash_bytes(hash);
    uint8_t signature[CRYPT_HASH_BYTES_MAX];
    crypt_hmac(hash, slice_make(scram_of(s)->keys.server, len), auth_message, signature);
    str_add_cstr(&s->challenge, "v=");
    base64_emit(&s->challenge, slice_make(signature, len));
    scram_of(s)->at = SCRAM_END;
}

static enum ms_err client_final(struct sasl *s, struct slice message)
{
    struct scram *m = scram_of(s);
    struct slice rest = message, binding, nonce, proof;
    /* The proof is last, and what is before it was signed. */
    ssize_t cut = slice_rfind_byte(message, ',');
    if (cut < 0 || !attribute(&rest, 'c', &binding) || !attribute(&rest, 'r', &nonce))
        return MS_ESYNTAX;
    struct slice signed_part = slice_sub(message, 0, (size_t)cut),
                 last = slice_sub(message, (size_t)cut + 1, SIZE_MAX);
    size_t between = rest.len - MS_MIN(rest.len, last.len); /* extensions and the comma behind them */
    if (rest.len < last.len || between == 1 || !attribute(&last, 'p', &proof) ||
        !extensions_fit(slice_sub(rest, 0, between ? between - 1 : 0)))
        return MS_ESYNTAX;
    /* RFC 5802 5.1: what the client says it sent first is what came, or somebody changed it on the way. */
    if (!is_base64_of(binding, str_slice(&m->gs2)) || !slice_eq(nonce, str_slice(&m->nonce)))
        return MS_EDENIED;
    str_add_byte(&m->first, ',');
    str_add_slice(&m->first, signed_part);
    if (!is_proof(s, proof, str_slice(&m->first)))
        return MS_EDENIED;
    server_final(s, str_slice(&m->first));
    return MS_OK;
}

static enum ms_err scram_step(struct sasl *s, struct slice message)
{
    enum ms_err err = MS_OK;
    switch (s->priv ? scram_of(s)->at : SCRAM_FIRST) {
    case SCRAM_FIRST:
        err = s->priv ? MS_EINVAL : client_first(s, message);
        break;
    case SCRAM_FINAL:
        err = client_final(s, message);
        break;
    case SCRAM_END: /* RFC 4954 4, RFC 9051 6.2.2: the answer to the server's last word is empty */
        err = message.len ? MS_ESYNTAX : MS_OK;
        s->state = SASL_HAVE_PROOF;
        break;
    }
    return err ? sasl__fail(s, err) : MS_OK;
}

const struct sasl_mech sasl__scram_sha1 = {.name = "SCRAM-SHA-1",
                                           .first = "",
                                           .step = scram_step,
                                           .give_keys = scram_give_keys,
                                           .fini = scram_fini,
                                           .hash = SASL_SHA1};
const struct sasl_mech sasl__scram_sha256 = {.name = "SCRAM-SHA-256",
                                             .first = "",
                                             .step = scram_step,
                                             .give_keys = scram_give_keys,
                                             .fini = scram_fini,
                                             .hash = SASL_SHA256};
