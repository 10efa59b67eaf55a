/*
 * auth_conf.c - option rows of section "auth".
 */
#include "auth_guard.h"
#include "auth_jwt.h"
#include "auth_priv.h"

/* clang-format off */
static const struct conf_opt auth_opts[] = {
    {.key = "allow_plaintext", .type = CONF_BOOL, CONF_AT(struct auth_conf, allow_plaintext), .dflt = "no",
     .flags = CONF_RELOAD, .help = "Passwords are accepted without TLS. For tests on one machine only."},
    {.key = "mechanisms", .type = CONF_STRLIST, CONF_AT(struct auth_conf, mechanisms), .list_max = 16,
     .dflt = AUTH_MECHANISMS_ALL, .flags = CONF_RELOAD,
     .help = "Mechanisms that may be used. IMAP LOGIN counts as PLAIN. EXTERNAL is offered to those who show a "
             "verified client certificate."},
    {.key = "failures_free", .type = CONF_INT, CONF_AT(struct auth_conf, failures_free), .dflt = "3",
     .min = "0", .max = "100", .flags = CONF_RELOAD,
     .help = "Failures of an address, or of an account from addresses it has not logged in from within 30 days, "
             "behind which each further try waits before it is looked at: half a second, then twice as long each "
             "time."},
    {.key = "delay_max", .type = CONF_DURATION, CONF_AT(struct auth_conf, delay_max_ms), .dflt = "15s",
     .min = "0s", .max = "2m", .flags = CONF_RELOAD, .help = "Longest such wait. 0s: none."},
    {.key = "failures_max", .type = CONF_INT, CONF_AT(struct auth_conf, failures_max), .dflt = "20", .min = "1",
     .max = "100", .flags = CONF_RELOAD | CONF_CAN_BE_NONE,
     .help = "Failures of an address within failure_time behind which its tries are refused without a look at the "
             "password. After ten times as many failures of one account, tries for it are refused from everywhere "
             "but where it has logged in from within 30 days. none: never."},
    {.key = "failure_time", .type = CONF_DURATION, CONF_AT(struct auth_conf, failure_ms), .dflt = "15m",
     .min = "1s", .max = "7d", .flags = CONF_RELOAD,
     .help = "Time in which failures_max failures are forgotten, one after the other."},
    {.key = "trusted_networks", .type = CONF_STRLIST, CONF_AT(struct auth_conf, trusted_networks),
     .list_max = AUTH_NETWORKS_MAX, .flags = CONF_RELOAD, .example = "192.0.2.0/24",
     .help = "Addresses of webmail servers and the like: many people behind one address, so failures count per "
             "account only."},
    {.key = "master_separator", .type = CONF_STRING, CONF_AT(struct auth_conf, master_separator), .dflt = "*",
     .flags = CONF_RELOAD,
     .help = "Character between user and administrator in a login \"user*admin\": the administrator proves "
             "himself and acts as the user. Empty: there are no such logins."},
};
static const struct conf_opt oauth_opts[] = {
    {.key = "keys", .type = CONF_SECRET, CONF_AT(struct auth_oauth_conf, keys), .flags = CONF_RELOAD,
     .example = "!file oauth.jwks",
     .help = "Public keys of who makes the tokens: a JSON Web Key set, or PEM. RS256, ES256 and EdDSA. Not set: "
             "OAUTHBEARER and XOAUTH2 are not offered."},
    {.key = "issuer", .type = CONF_STRING, CONF_AT(struct auth_oauth_conf, issuer), .flags = CONF_RELOAD,
     .example = "https://login.example.org", .help = "What the token must name as its issuer (iss)."},
    {.key = "audience", .type = CONF_STRING, CONF_AT(struct auth_oauth_conf, audience), .flags = CONF_RELOAD,
     .example = "mail.example.org", .help = "What it must name among those it is for (aud)."},
    {.key = "login_claim", .type = CONF_STRING, CONF_AT(struct auth_oauth_conf, login_claim), .dflt = "email",
     .flags = CONF_RELOAD, .help = "Which of its claims is the login: email, preferred_username, sub."},
    {.key = "leeway", .type = CONF_DURATION, CONF_AT(struct auth_oauth_conf, leeway_ms), .dflt = "30s", .min = "0s",
     .max = "10m", .flags = CONF_RELOAD, .help = "By how much the issuer's clock may differ from ours."},
};
/* clang-format on */

static void check_mechanisms(const struct auth_conf *c, struct conf_check *check)
{
    for (size_t i = 0; i < c->mechanisms.count; i++)
        if (auth__mech_find(slice_cstr(c->mechanisms.items[i])) < 0)
            conf_check_error(check, "mechanisms", AUTH_MECHANISMS_ALL, "no mechanism is called %s",
                             c->mechanisms.items[i]);
}

static void check_networks(const struct auth_conf *c, struct conf_check *check)
{
    struct net_network network;
    for (size_t i = 0; i < c->trusted_networks.count; i++)
        if (net_network_parse(slice_cstr(c->trusted_networks.items[i]), &network) != MS_OK)
            conf_check_error(check, "trusted_networks", "192.0.2.0/24, 2001:db8::/32", "%s is no network",
                             c->trusted_networks.items[i]);
}

static enum ms_err auth_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct auth_conf *c = entry;
    check_mechanisms(c, check);
    check_networks(c, check);
    if (c->failures_max && c->failures_free > c->failures_max)
        conf_check_error(check, "failures_free", "failures_max", "more than failures_max");
    if (c->master_separator &&
        (strlen(c->master_separator) > 1 || strchr("@+", c->master_separator[0]) != NULL) &&
        c->master_separator[0])
        conf_check_error(check, "master_separator", "*", "one character, neither @ nor +");
    return MS_OK;
}

const struct conf_table auth_table = {.path = "auth",
                                      CONF_OPTS(auth_opts),
                                      CONF_STRUCT(struct auth_conf),
                                      .check = auth_check,
                                      .help = "Logging in."};

/* RFC 8725 3.9: a token for another service is no token for us. */
static enum ms_err oauth_check(const void *entry, const char *name, struct conf_check *check)
{
    const struct auth_oauth_conf *c = entry;
    struct auth_jwt_keys *keys = NULL;
    struct ms_errinfo why;
    if (!c->keys)
        return MS_OK;
    if (auth_jwt_keys_parse(slice_cstr(c->keys), &keys, &why) != MS_OK)
        conf_check_error(check, "keys", NULL, "%s", why.text);
    auth_jwt_keys_destroy(&keys);
    if (!c->issuer || !c->issuer[0] || !c->audience || !c->audience[0])
        conf_check_error(check, "keys", "auth.oauth.issuer, auth.oauth.audience",
                         "keys need an issuer and an audience: a token for another service is none for us");
    return MS_OK;
}

const struct conf_table auth_oauth_table = {.path = "auth.oauth",
                                            CONF_OPTS(oauth_opts),
                                            CONF_STRUCT(struct auth_oauth_conf),
                                            .check = oauth_check,
                                            .help = "Bearer tokens: OAUTHBEARER and XOAUTH2."};
