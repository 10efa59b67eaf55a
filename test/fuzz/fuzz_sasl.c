/*
 * fuzz_sasl.c - hostile clients of every mechanism. First byte: the mechanism; then messages, each with a u16 length.
 * The server's part is played as a session plays it: keys are given (of the password "pencil", salt and nonce always
 * the same, so that a proof can be found in the corpus), tokens are refused. Needs: libms_sasl. Corpus: corpus/sasl.
 */
#include "../../src/sasl/sasl_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sasl_mech *const all[] = {&sasl__plain,      &sasl__login,        &sasl__external,
                                              &sasl__scram_sha1, &sasl__scram_sha256, &sasl__xoauth2,
                                              &sasl__oauthbearer};

static void keys_of(enum sasl_hash hash, struct sasl_keys *out)
{
    static struct sasl_keys keys[2];
    if (keys[hash].iterations == 0)
        MS_ASSERT(sasl_keys_from(hash, SLICE_LIT("pencil"), 4, SLICE_LIT("0123456789abcdef"), &keys[hash]) ==
                  MS_OK);
    *out = keys[hash];
}

/* What a session may count on in each state. */
static void check(struct sasl *s, enum ms_err err)
{
    MS_ASSERT((err != MS_OK) == (s->state == SASL_FAILED));
    MS_ASSERT(s->authcid.len <= SASL_NAME_MAX && s->authzid.len <= SASL_NAME_MAX &&
              !str_is_over(&s->authcid));
    MS_ASSERT(s->challenge.len <= SASL_MESSAGE_MAX && !str_is_over(&s->challenge));
    MS_ASSERT(s->state != SASL_HAVE_PASSWORD || (s->authcid.len && s->password.len));
    MS_ASSERT((s->state != SASL_HAVE_PROOF && s->state != SASL_WANT_KEYS) || s->authcid.len);
    MS_ASSERT(s->state != SASL_HAVE_PROOF || s->steps >= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_make(slice_make(data, size));
    const struct sasl_mech *mech = all[rd_u8(&r) % MS_ARRAY_LEN(all)];
    struct sasl s;
    sasl_init(&s, mech);
    while (rd_left(&r) && s.state == SASL_WANT_CLIENT) {
        struct slice message = rd_bytes16(&r);
        if (r.bad)
            break;
        check(&s, sasl_step(&s, message));
        if (s.state == SASL_WANT_KEYS) {
            struct sasl_keys keys;
            keys_of(mech->hash, &keys);
            sasl__scram_first(&s, &keys, SLICE_LIT("nonce"));
            s.state = SASL_WANT_CLIENT;
        } else if (s.state == SASL_HAVE_TOKEN) {
            sasl_refuse_token(&s, "invalid_token");
        }
        MS_ASSERT(s.steps <= 4);
    }
    sasl_fini(&s);
    return 0;
}
