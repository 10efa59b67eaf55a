/*
 * imapd_capability.c - what the server offers, by the state of the session. RFC 3501 7.2.1, RFC 9051 7.2.2
 *
 * A row is written when the whole of an extension works, and test/proto/imap has a script that names it in its line
 * "# capability:"; the table of conformance in mailserverd-imap(7) is made from both.
 */
#include "imapd_cmds.h"

enum offer {
    OFFER_ALWAYS,
    OFFER_STARTTLS, /* before login, in the clear, when there is a certificate */
    OFFER_MECHANISM, /* before login, when auth_mechanisms has it */
    OFFER_NO_LOGIN, /* before login, when no password may be sent now: RFC 3501 6.2.3 */
    OFFER_USER,     /* behind login */
};

struct capability {
    const char *name;
    enum offer offer;
    unsigned enable; /* bit that ENABLE sets; 0: ENABLE does not know it */
    void (*value)(const struct imapd_session *s, struct str *out); /* behind the name; may be NULL */
};

/* RFC 7889 3: the same for all mailboxes; a number has 32 bits, so of a greater one STATUS tells that there is none */
static void emit_append_limit(const struct imapd_session *s, struct str *out)
{
    if (s->rules->limits.append_bytes_max <= UINT32_MAX)
        str_addf(out, "=%llu", (unsigned long long)s->rules->limits.append_bytes_max);
}

/* clang-format off */
static const struct capability capabilities[] = {
    {"IMAP4rev1", OFFER_ALWAYS, 0},
    {"IMAP4rev2", OFFER_ALWAYS, IMAPD_EN_REV2},
    {"LITERAL+", OFFER_ALWAYS, 0},
    {"SASL-IR", OFFER_ALWAYS, 0},
    {"ID", OFFER_ALWAYS, 0},
    {"STARTTLS", OFFER_STARTTLS, 0},
    {"AUTH=PLAIN", OFFER_MECHANISM, 0},
    {"AUTH=LOGIN", OFFER_MECHANISM, 0},
    {"AUTH=SCRAM-SHA-256", OFFER_MECHANISM, 0},
    {"AUTH=SCRAM-SHA-1", OFFER_MECHANISM, 0},
    {"AUTH=EXTERNAL", OFFER_MECHANISM, 0},
    {"AUTH=OAUTHBEARER", OFFER_MECHANISM, 0},
    {"AUTH=XOAUTH2", OFFER_MECHANISM, 0},
    {"LOGINDISABLED", OFFER_NO_LOGIN, 0},
    {"IDLE", OFFER_USER, 0},
    {"NAMESPACE", OFFER_USER, 0},
    {"UIDPLUS", OFFER_USER, 0},
    {"UNSELECT", OFFER_USER, 0},
    {"ESEARCH", OFFER_USER, 0},
    {"SEARCHRES", OFFER_USER, 0},
    {"WITHIN", OFFER_USER, 0},
    {"SAVEDATE", OFFER_USER, 0},
    {"OBJECTID", OFFER_USER, 0},
    {"MOVE", OFFER_USER, 0},
    {"BINARY", OFFER_USER, 0},
    {"MULTIAPPEND", OFFER_USER, 0},
    {"APPENDLIMIT", OFFER_USER, 0, emit_append_limit},
    {"CHILDREN", OFFER_USER, 0},
    {"LIST-EXTENDED", OFFER_USER, 0},
    {"LIST-STATUS", OFFER_USER, 0},
    {"STATUS=SIZE", OFFER_USER, 0},
    {"SPECIAL-USE", OFFER_USER, 0},
    {"CREATE-SPECIAL-USE", OFFER_USER, 0},
    {"ENABLE", OFFER_USER, 0},
    {"CONDSTORE", OFFER_USER, IMAPD_EN_CONDSTORE},
    {"QRESYNC", OFFER_USER, IMAPD_EN_QRESYNC},
};
/* clang-format on */

/* What auth offers this peer, "PLAIN LOGIN"; nothing behind login. */
static void find_mechanisms(const struct imapd_session *s, struct str *out)
{
    struct auth_peer peer = imapd__login_peer(s);

    if (s->state == IMAPD_ST_NOAUTH)
        auth_mechanisms(s->w->auth, &peer, out);
}

static bool has_mechanism(struct slice mechanisms, const char *capability)
{
    struct slice name;

    while (slice_cut(&mechanisms, ' ', &name))
        if (slice_ieq_cstr(name, capability + strlen("AUTH=")))
            return true;
    return slice_ieq_cstr(mechanisms, capability + strlen("AUTH="));
}

static bool password_is_permitted(const struct imapd_session *s)
{
    struct auth_peer peer = imapd__login_peer(s);

    return auth_password_is_permitted(s->w->auth, &peer);
}

static bool is_offered(const struct imapd_session *s, const struct capability *row, struct slice mechanisms)
{
    switch (row->offer) {
    case OFFER_ALWAYS:
        return true;
    case OFFER_STARTTLS:
        return s->state == IMAPD_ST_NOAUTH && imapd__offers_tls(s) && !imapd__is_private(s);
    case OFFER_MECHANISM:
        return has_mechanism(mechanisms, row->name);
    case OFFER_NO_LOGIN:
        return s->state == IMAPD_ST_NOAUTH && !password_is_permitted(s);
    case OFFER_USER:
        return s->state != IMAPD_ST_NOAUTH;
    }
    MS_UNREACHABLE();
}

void imapd__emit_capability(const struct imapd_session *s, struct str *out)
{
    const char *blank = "";
    struct str mechanisms;

    str_init(&mechanisms, 0);
    find_mechanisms(s, &mechanisms);
    for (size_t i = 0; i < MS_ARRAY_LEN(capabilities); i++) {
        if (!is_offered(s, &capabilities[i], str_slice(&mechanisms)))
            continue;
        str_add_cstr(out, blank);
        str_add_cstr(out, capabilities[i].name);
        if (capabilities[i].value)
            capabilities[i].value(s, out);
        blank = " ";
    }
    str_fini(&mechanisms);
}

unsigned imapd__enable_bits(struct slice name)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(capabilities); i++)
        if (slice_ieq_cstr(name, capabilities[i].name))
            return capabilities[i].enable;
    return 0;
}

const char *imapd__enable_name(unsigned bit)
{
    for (size_t i = 0; i < MS_ARRAY_LEN(capabilities); i++)
        if (capabilities[i].enable == bit)
            return capabilities[i].name;
    MS_UNREACHABLE();
}

void imapd__enable(struct imapd_session *s, unsigned bits)
{
    bool had = imapd__has(s, IMAPD_EN_CONDSTORE);

    s->enabled |= bits;
    if (s->enabled & IMAPD_EN_QRESYNC) /* RFC 7162 3.2.3 */
        s->enabled |= IMAPD_EN_CONDSTORE;
    if (!had && imapd__has(s, IMAPD_EN_CONDSTORE) && s->box && !s->box->gone)
        str_addf(imapd__out(s), "* OK [HIGHESTMODSEQ %llu] Known so far\r\n",
                 (unsigned long long)s->box->vanish_modseq);
}
