/*
 * account_proven.c - logins proven a moment ago, so that a mail program that opens ten connections costs one
 * hash. The key is HMAC-SHA-256 under a random key of the process over login, stored hash and password: a
 * changed password makes old proofs unfindable, and the cache holds nothing that could be tried off-line.
 * Only successes are remembered. One cache per loop, ACCOUNT_PROVEN_MAX proofs, oldest out first.
 */
#include "account_priv.h"

struct account_proof {
    struct list node;
    uint8_t mac[CRYPT_SHA256_BYTES];
    uint64_t until_ms;
};

static void proof_mac(const struct account_client *c, const char *login, const char *hash,
                      struct slice password, uint8_t out[CRYPT_SHA256_BYTES])
{
    struct str text;
    str_init(&text, 0);
    str_add_bytes16(&text, slice_cstr(login));
    str_add_bytes16(&text, slice_cstr(hash));
    str_add_bytes16(&text, password);
    crypt_hmac_sha256(slice_make(c->account->key, sizeof c->account->key), str_slice(&text), out);
    crypt_wipe(text.ptr, text.cap);
    str_fini(&text);
}

static void proof_drop(struct account_client *c, struct account_proof *proof)
{
    map_remove(&c->proven, slice_make(proof->mac, sizeof proof->mac));
    list_remove(&proof->node);
    ms_free(proof);
}

bool account__proven_has(struct account_client *c, const char *login, const char *hash, struct slice password)
{
    uint8_t mac[CRYPT_SHA256_BYTES];
    if (c->account->proven_ms == 0 || password.len > CRYPT_PASSWORD_MAX)
        return false;
    proof_mac(c, login, hash, password, mac);
    struct account_proof *proof = map_find(&c->proven, slice_make(mac, sizeof mac));
    if (!proof)
        return false;
    if (proof->until_ms > loop_now_ms(c->loop))
        return true;
    proof_drop(c, proof);
    return false;
}

void account__proven_add(struct account_client *c, const char *login, const char *hash, struct slice password)
{
    if (c->account->proven_ms == 0)
        return;
    struct account_proof *proof = ms_new(struct account_proof);
    proof_mac(c, login, hash, password, proof->mac);
    struct account_proof *old = map_find(&c->proven, slice_make(proof->mac, sizeof proof->mac));
    if (old)
        proof_drop(c, old);
    if (c->proven.count >= ACCOUNT_PROVEN_MAX)
        proof_drop(c, LIST_ENTRY(c->proofs.next, struct account_proof, node));
    proof->until_ms = loop_now_ms(c->loop) + c->account->proven_ms;
    list_push_back(&c->proofs, &proof->node);
    map_put(&c->proven, slice_make(proof->mac, sizeof proof->mac), proof);
}

void account_client_shed(struct account_client *c)
{
    MS_ASSERT(loop_is_home(c->loop));
    account__proven_clear(c);
}

void account__proven_clear(struct account_client *c)
{
    LIST_FOREACH_SAFE(&c->proofs, it)
    proof_drop(c, LIST_ENTRY(it, struct account_proof, node));
}
