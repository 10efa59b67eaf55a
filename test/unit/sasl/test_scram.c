/* SCRAM: the exchanges of RFC 5802 and 7677 word for word, then what a hostile client could say. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ms/base/codec.h"
#include "ms/crypt.h"

#include "../../../src/sasl/sasl_priv.h"

static const struct vector {
    const char *mech;
    enum sasl_hash hash;
    const char *password, *salt; /* base64 */
    uint32_t iterations;
    const char *client_first, *nonce, *server_first, *client_final, *server_final;
} vectors[] = {
    {"SCRAM-SHA-1", SASL_SHA1, "pencil", "QSXCR+Q6sek8bf92", 4096, /* RFC 5802 5 */
     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
     "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {"SCRAM-SHA-256", SASL_SHA256, "pencil", "W22ZaJ0SNY7soEsUEjb6gQ==", 4096, /* RFC 7677 3 */
     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+"
     "Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

static struct sasl_keys keys_of(const struct vector *v)
{
    struct sasl_keys keys;
    struct str salt;
    str_init(&salt, 0);
    assert_int_equal(base64_parse(slice_cstr(v->salt), &salt), MS_OK);
    assert_int_equal(sasl_keys_from(v->hash, slice_cstr(v->password), v->iterations, str_slice(&salt), &keys),
                     MS_OK);
    str_fini(&salt);
    return keys;
}

/* The exchange of a vector up to and with its server-first. */
static void begin(struct sasl *s, const struct vector *v)
{
    struct sasl_keys keys = keys_of(v);
    sasl_init(s, sasl_mech_find(slice_cstr(v->mech)));
    assert_int_equal(sasl_step(s, slice_cstr(v->client_first)), MS_OK);
    assert_int_equal(s->state, SASL_WANT_KEYS);
    sasl__scram_first(s, &keys, slice_cstr(v->nonce));
    s->state = SASL_WANT_CLIENT;
}

static void test_vectors(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct sasl s;
        begin(&s, v);
        assert_string_equal(str_cstr(&s.authcid), "user");
        assert_string_equal(str_cstr(&s.challenge), v->server_first);
        assert_int_equal(sasl_step(&s, slice_cstr(v->client_final)), MS_OK);
        assert_int_equal(s.state, SASL_WANT_CLIENT);
        assert_string_equal(str_cstr(&s.challenge), v->server_final);
        assert_int_equal(sasl_step(&s, SLICE_LIT("")), MS_OK);
        assert_int_equal(s.state, SASL_HAVE_PROOF);
        assert_string_equal(str_cstr(&s.authcid), "user");
        assert_int_equal(s.challenge.len, 0);
        sasl_fini(&s);
    }
}

static const struct {
    const char *text;
    enum ms_err want;
    const char *authcid, *authzid;
} first_rows[] = {
    {"n,,n=user,r=abc", MS_OK, "user", ""},
    {"y,,n=user,r=abc", MS_OK, "user", ""},
    {"n,a=boss,n=user,r=abc", MS_OK, "user", "boss"},
    {"n,a=b=2Co=3Dss,n=us=3Der=2C,r=abc", MS_OK, "us=er,", "b,o=ss"},
    {"n,,n=j\xc3\xb6rg@example.org,r=a!~b", MS_OK, "j\xc3\xb6rg@example.org", ""},
    {"n,,n=user,r=abc,x=later", MS_OK, "user", ""},
    {"n,,n=user,r=abc,x=a=b,Y=z", MS_OK, "user", ""},
    {"", MS_ESYNTAX, 0, 0},
    {"n", MS_ESYNTAX, 0, 0},
    {"n,", MS_ESYNTAX, 0, 0},
    {"n,,", MS_ESYNTAX, 0, 0},
    {"n,,n=user", MS_ESYNTAX, 0, 0},
    {"n,,n=user,", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=", MS_ESYNTAX, 0, 0},
    {"n,,n=,r=abc", MS_ESYNTAX, 0, 0},
    {"n,,r=abc,n=user", MS_ESYNTAX, 0, 0},
    {"n,,n=user,s=abc", MS_ESYNTAX, 0, 0},
    {"n,,N=user,r=abc", MS_ESYNTAX, 0, 0},
    {"n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"x,,n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"N,,n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"nn,,n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"n,b=boss,n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"n,a=,n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"n,boss,n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"n,,n=us=er,r=abc", MS_ESYNTAX, 0, 0},
    {"n,,n=us=2cer,r=abc", MS_ESYNTAX, 0, 0}, /* upper case only */
    {"n,,n=us=41er,r=abc", MS_ESYNTAX, 0, 0},
    {"n,,n=user=,r=abc", MS_ESYNTAX, 0, 0},
    {"n,,n=user=2,r=abc", MS_ESYNTAX, 0, 0},
    {"n,,n=\xff,r=abc", MS_ESYNTAX, 0, 0},
    {"n,a=\xc3,n=user,r=abc", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=a b", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=a\x7f", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=\xc3\xa4", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=abc,", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=abc,x", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=abc,x=", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=abc,1=a", MS_ESYNTAX, 0, 0},
    {"n,,n=user,r=abc,x=\xff", MS_ESYNTAX, 0, 0},
    {"p=tls-unique,,n=user,r=abc", MS_EUNSUPPORTED, 0, 0},
    {"p=,,n=user,r=abc", MS_EUNSUPPORTED, 0, 0},
    {"n,,m=new,n=user,r=abc", MS_EUNSUPPORTED, 0, 0},
    {"\0user\0secret", MS_ESYNTAX, 0, 0},
};

static void test_client_first(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(first_rows); i++) {
        struct sasl s;
        sasl_init(&s, sasl_mech_find(SLICE_LIT("scram-sha-256")));
        assert_int_equal(s.challenge.len, 0);
        enum ms_err err = sasl_step(&s, slice_cstr(first_rows[i].text));
        if (err != first_rows[i].want || s.state != (err ? SASL_FAILED : SASL_WANT_KEYS))
            fail_msg("row %zu %s: %d, state %d", i, first_rows[i].text, err, s.state);
        if (!err) {
            assert_string_equal(str_cstr(&s.authcid), first_rows[i].authcid);
            assert_string_equal(str_cstr(&s.authzid), first_rows[i].authzid);
        }
        sasl_fini(&s);
    }
}

/* NUL in each place of a first message: never taken. */
static void test_nul(void **state)
{
    static const char good[] = "n,a=x,n=user,r=abc,y=z";
    for (size_t i = 0; i < sizeof good - 1; i++) {
        char text[sizeof good];
        struct sasl s;
        memcpy(text, good, sizeof good);
        text[i] = '\0';
        sasl_init(&s, sasl_mech_find(SLICE_LIT("SCRAM-SHA-1")));
        assert_int_equal(sasl_step(&s, slice_make(text, sizeof text - 1)), MS_ESYNTAX);
        sasl_fini(&s);
    }
}

static void first_of_length(size_t name_len, size_t zid_len, size_t nonce_len, enum ms_err want)
{
    struct sasl s;
    struct str text;
    str_init(&text, 0);
    str_add_cstr(&text, "n,");
    if (zid_len)
        str_add_cstr(&text, "a=");
    for (size_t i = 0; i < zid_len; i++)
        str_add_byte(&text, 'z');
    str_add_cstr(&text, ",n=");
    for (size_t i = 0; i < name_len; i++)
        str_add_byte(&text, 'n');
    str_add_cstr(&text, ",r=");
    for (size_t i = 0; i < nonce_len; i++)
        str_add_byte(&text, 'r');
    sasl_init(&s, sasl_mech_find(SLICE_LIT("SCRAM-SHA-256")));
    assert_int_equal(sasl_step(&s, str_slice(&text)), want);
    sasl_fini(&s);
    str_fini(&text);
}

static void test_limits(void **state)
{
    first_of_length(SASL_NAME_MAX, SASL_NAME_MAX, SASL_NONCE_MAX, MS_OK);
    first_of_length(SASL_NAME_MAX + 1, 0, 1, MS_ELIMIT);
    first_of_length(1, SASL_NAME_MAX + 1, 1, MS_ELIMIT);
    first_of_length(1, 0, SASL_NONCE_MAX + 1, MS_ELIMIT);
    first_of_length(1, 0, SASL_MESSAGE_MAX, MS_ELIMIT);
}

#define NONCE256 "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF256 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static const struct {
    const char *text;
    enum ms_err want;
} final_rows[] = {
    {"c=biws," NONCE256 "," PROOF256, MS_OK},
    {"c=biws," NONCE256 ",x=y," PROOF256, MS_EDENIED}, /* an extension is signed too */
    {"c=eSws," NONCE256 "," PROOF256, MS_EDENIED},     /* "y,,": was "n,," */
    {"c=biw=," NONCE256 "," PROOF256, MS_EDENIED},
    {"c=biws!," NONCE256 "," PROOF256, MS_EDENIED},
    {"c=," NONCE256 "," PROOF256, MS_EDENIED},
    {"c=biws," NONCE256 "0," PROOF256, MS_EDENIED},
    {"c=biws,r=rOprNGfwEbeRWgbNEkqO," PROOF256, MS_EDENIED}, /* the client's alone */
    {"c=biws,r=," PROOF256, MS_EDENIED},
    {"c=biws," NONCE256 ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA=", MS_EDENIED},
    {"c=biws," NONCE256 ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", MS_EDENIED},
    {"c=biws," NONCE256 ",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", MS_EDENIED}, /* 20 octets */
    {"c=biws," NONCE256 ",p=dHzb", MS_EDENIED},
    {"c=biws," NONCE256 ",p=", MS_EDENIED},
    {"c=biws," NONCE256 ",p=not base64", MS_EDENIED},
    {"c=biws," NONCE256 ",q=dHzb", MS_ESYNTAX},
    {"c=biws," NONCE256, MS_ESYNTAX},
    {"c=biws," NONCE256 ",", MS_ESYNTAX},
    {"c=biws," NONCE256 ",p", MS_ESYNTAX},
    {"c=biws," PROOF256, MS_ESYNTAX},
    {"c=biws," PROOF256 "," NONCE256, MS_ESYNTAX},
    {NONCE256 ",c=biws," PROOF256, MS_ESYNTAX},
    {"c=biws," NONCE256 ",x," PROOF256, MS_ESYNTAX},
    {"c=biws," NONCE256 ",," PROOF256, MS_ESYNTAX},
    {PROOF256, MS_ESYNTAX},
    {"", MS_ESYNTAX},
    {",", MS_ESYNTAX},
    {",,,,,,", MS_ESYNTAX},
    {"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", MS_ESYNTAX}, /* the first once more */
};

static void test_client_final(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(final_rows); i++) {
        struct sasl s;
        begin(&s, &vectors[1]);
        enum ms_err err = sasl_step(&s, slice_cstr(final_rows[i].text));
        if (err != final_rows[i].want || s.state != (err ? SASL_FAILED : SASL_WANT_CLIENT))
            fail_msg("row %zu %s: %d", i, final_rows[i].text, err);
        if (err) { /* nothing goes out, and nothing more is taken */
            assert_int_equal(s.challenge.len, 0);
            assert_int_equal(sasl_step(&s, slice_cstr(vectors[1].client_final)), MS_EINVAL);
            assert_int_equal(s.state, SASL_FAILED);
        }
        sasl_fini(&s);
    }
}

static void test_states(void **state)
{
    struct sasl s;
    sasl_init(&s, sasl_mech_find(SLICE_LIT("SCRAM-SHA-256")));
    assert_int_equal(sasl_step(&s, slice_cstr(vectors[1].client_first)), MS_OK);
    assert_int_equal(sasl_step(&s, slice_cstr(vectors[1].client_final)), MS_EINVAL); /* before the keys */
    assert_int_equal(s.state, SASL_FAILED);
    sasl_fini(&s);
    begin(&s, &vectors[1]);
    assert_int_equal(sasl_step(&s, slice_cstr(vectors[1].client_final)), MS_OK);
    assert_int_equal(sasl_step(&s, SLICE_LIT("x")), MS_ESYNTAX); /* the last answer is empty */
    assert_int_equal(s.state, SASL_FAILED);
    sasl_fini(&s);
    begin(&s, &vectors[1]);
    assert_int_equal(sasl_step(&s, slice_cstr(vectors[1].client_final)), MS_OK);
    assert_int_equal(sasl_step(&s, SLICE_LIT("")), MS_OK);
    assert_int_equal(sasl_step(&s, SLICE_LIT("")), MS_EINVAL); /* once proven, it is over */
    sasl_fini(&s);
}

/* A client of the tests: proof and signature for what the server said (RFC 5802 3). */
static void client_final_make(enum sasl_hash hash, const char *password, const char *gs2, const char *bare,
                              struct slice server_first, struct str *final, struct str *signature)
{
    enum crypt_hash h = hash == SASL_SHA1 ? CRYPT_SHA1 : CRYPT_SHA256;
    size_t len = crypt_hash_bytes(h);
    uint8_t salted[32], client[32], stored[32], server[32], sign[32];
    struct str salt, auth;
    str_init(&salt, 0);
    str_init(&auth, 0);
    struct slice rest = server_first, nonce, salt_text;
    assert_true(slice_cut(&rest, ',', &nonce));
    assert_true(slice_cut(&rest, ',', &salt_text));
    assert_string_equal((const char *)rest.ptr, "i=10000");
    assert_int_equal(base64_parse(slice_sub(salt_text, 2, SIZE_MAX), &salt), MS_OK);
    crypt_pbkdf2(h, slice_cstr(password), str_slice(&salt), SASL_ITERATIONS, salted);
    crypt_hmac(h, slice_make(salted, len), SLICE_LIT("Client Key"), client);
    crypt_hmac(h, slice_make(salted, len), SLICE_LIT("Server Key"), server);
    crypt_digest(h, slice_make(client, len), stored);
    str_add_cstr(final, "c=");
    base64_emit(final, slice_cstr(gs2));
    str_addf(final, "," SLICE_FMT, SLICE_ARG(nonce));
    str_addf(&auth, "%s," SLICE_FMT ",%s", bare, SLICE_ARG(server_first), str_cstr(final));
    crypt_hmac(h, slice_make(stored, len), str_slice(&auth), sign);
    for (size_t i = 0; i < len; i++)
        sign[i] ^= client[i];
    str_add_cstr(final, ",p=");
    base64_emit(final, slice_make(sign, len));
    crypt_hmac(h, slice_make(server, len), str_slice(&auth), sign);
    str_add_cstr(signature, "v=");
    base64_emit(signature, slice_make(sign, len));
    str_fini(&salt);
    str_fini(&auth);
}

static const struct {
    enum sasl_hash hash;
    const char *gs2, *bare, *stored, *typed; /* the password as it was set, and as the client prepares it */
    enum ms_err want;
} pair_rows[] = {
    {SASL_SHA256, "n,,", "n=user,r=abc", "secret", "secret", MS_OK},
    {SASL_SHA1, "n,,", "n=user,r=abc", "secret", "secret", MS_OK},
    {SASL_SHA256, "y,a=b=2Coss,", "n=us=3Der,r=,x=y", "secret", "secret", MS_ESYNTAX},
    {SASL_SHA256, "y,a=b=2Coss,", "n=us=3Der,r=!!,x=y", "secret", "secret", MS_OK},
    {SASL_SHA256, "n,,", "n=user,r=abc", "se\xc2\xadret\xc2\xa0\xe2\x85\xa8", "seret IX",
     MS_OK}, /* SASLprep */
    {SASL_SHA256, "n,,", "n=user,r=abc", "secret", "Secret", MS_EDENIED},
    {SASL_SHA1, "n,,", "n=user,r=abc", "secret", "secret ", MS_EDENIED},
};

static void test_pairs(void **state)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(pair_rows); i++) {
        struct sasl s;
        struct sasl_keys keys;
        struct str text, signature;
        str_init(&text, 0);
        str_init(&signature, 0);
        assert_int_equal(sasl_keys_make(pair_rows[i].hash, slice_cstr(pair_rows[i].stored), &keys), MS_OK);
        sasl_init(&s, pair_rows[i].hash == SASL_SHA1 ? &sasl__scram_sha1 : &sasl__scram_sha256);
        str_addf(&text, "%s%s", pair_rows[i].gs2, pair_rows[i].bare);
        enum ms_err err = sasl_step(&s, str_slice(&text));
        if (!err) {
            sasl_give_keys(&s, &keys);
            str_reset(&text);
            client_final_make(pair_rows[i].hash, pair_rows[i].typed, pair_rows[i].gs2, pair_rows[i].bare,
                              str_slice(&s.challenge), &text, &signature);
            err = sasl_step(&s, str_slice(&text));
        }
        if (err != pair_rows[i].want)
            fail_msg("row %zu: %d", i, err);
        if (!err)
            assert_string_equal(str_cstr(&s.challenge), str_cstr(&signature));
        sasl_fini(&s);
        str_fini(&text);
        str_fini(&signature);
    }
}

static void test_keys(void **state)
{
    struct sasl_keys a, b, c;
    uint8_t longest[1025];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(sasl_keys_make(SASL_SHA256, SLICE_LIT("secret"), &a), MS_OK);
    assert_int_equal(sasl_keys_make(SASL_SHA256, SLICE_LIT("secret"), &b), MS_OK);
    assert_int_equal(a.iterations, SASL_ITERATIONS);
    assert_int_equal(a.salt_len, SASL_SALT_BYTES);
    assert_memory_not_equal(a.salt, b.salt, sizeof a.salt);
    assert_memory_not_equal(a.stored, b.stored, sizeof a.stored);
    assert_int_equal(
        sasl_keys_from(SASL_SHA256, SLICE_LIT("secret"), SASL_ITERATIONS, slice_make(a.salt, 16), &c), MS_OK);
    assert_memory_equal(&a, &c, sizeof a);
    assert_int_equal(sasl_keys_make(SASL_SHA1, SLICE_LIT(""), &a), MS_EINVAL);
    assert_int_equal(sasl_keys_make(SASL_SHA1, SLICE_LIT("a\x01"), &a), MS_EINVAL);
    assert_int_equal(sasl_keys_make(SASL_SHA1, SLICE_LIT("a\xff"), &a), MS_EINVAL);
    assert_int_equal(sasl_keys_make(SASL_SHA1, slice_make(longest, sizeof longest), &a), MS_ELIMIT);
    assert_int_equal(sasl_keys_from(SASL_SHA1, SLICE_LIT("x"), 0, SLICE_LIT("salt"), &a), MS_ELIMIT);
    assert_int_equal(
        sasl_keys_from(SASL_SHA1, SLICE_LIT("x"), SASL_ITERATIONS_MAX + 1, SLICE_LIT("salt"), &a), MS_ELIMIT);
    assert_int_equal(sasl_keys_from(SASL_SHA1, SLICE_LIT("x"), 1, SLICE_LIT(""), &a), MS_ELIMIT);
    assert_int_equal(sasl_keys_from(SASL_SHA1, SLICE_LIT("x"), 1, SLICE_LIT("12345678901234567"), &a),
                     MS_ELIMIT);
}

/* A name without keys always gets the same, and looks like one with keys. */
static void test_fake(void **state)
{
    struct sasl_keys a, b;
    sasl_keys_fake(SASL_SHA256, SLICE_LIT(""), SLICE_LIT("nobody"), &a);
    sasl_keys_fake(SASL_SHA256, SLICE_LIT(""), SLICE_LIT("nobody"), &b);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(a.iterations, SASL_ITERATIONS);
    assert_int_equal(a.salt_len, SASL_SALT_BYTES);
    sasl_keys_fake(SASL_SHA256, SLICE_LIT(""), SLICE_LIT("nobodY"), &b);
    assert_memory_not_equal(a.salt, b.salt, sizeof a.salt);
    sasl_keys_fake(SASL_SHA1, SLICE_LIT(""), SLICE_LIT("nobody"), &b);
    assert_memory_not_equal(a.salt, b.salt, sizeof a.salt);
    assert_int_equal(b.hash, SASL_SHA1);
    assert_memory_not_equal(a.stored, a.server, sizeof a.stored);
    sasl_keys_fake(SASL_SHA256, SLICE_LIT("secret"), SLICE_LIT("nobody"), &b);
    assert_memory_not_equal(a.salt, b.salt, sizeof a.salt);
    sasl_keys_fake(SASL_SHA256, SLICE_LIT("secret"), SLICE_LIT("nobody"), &a);
    assert_memory_equal(&a, &b, sizeof a);
}

/* Our half of the nonce is new each time, and printable. */
static void test_nonce(void **state)
{
    struct sasl_keys keys;
    char seen[2][64];
    sasl_keys_fake(SASL_SHA1, SLICE_LIT(""), SLICE_LIT("user"), &keys);
    for (int i = 0; i < 2; i++) {
        struct sasl s;
        struct slice rest, nonce;
        sasl_init(&s, &sasl__scram_sha1);
        assert_int_equal(sasl_step(&s, SLICE_LIT("n,,n=user,r=abc")), MS_OK);
        sasl_give_keys(&s, &keys);
        assert_int_equal(s.state, SASL_WANT_CLIENT);
        rest = str_slice(&s.challenge);
        assert_true(slice_cut(&rest, ',', &nonce));
        assert_int_equal(nonce.len, 2 + 3 + 24);
        memcpy(seen[i], nonce.ptr, nonce.len);
        seen[i][nonce.len] = '\0';
        assert_true(slice_has_prefix(nonce, SLICE_LIT("r=abc")));
        sasl_fini(&s);
    }
    assert_string_not_equal(seen[0], seen[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_client_first), cmocka_unit_test(test_nul),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_client_final), cmocka_unit_test(test_states),
        cmocka_unit_test(test_pairs),   cmocka_unit_test(test_keys),         cmocka_unit_test(test_fake),
        cmocka_unit_test(test_nonce),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
