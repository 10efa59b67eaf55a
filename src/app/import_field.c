/*
 * import_field.c - names of the fields of a user, as they stand in files and, with "-" for "_", in options.
 */
#include "import.h"

static const struct {
    const char *name;
    bool list;
} fields[IMPORT_FIELD_COUNT] = {
    [IMPORT_LOGIN] = {"login", false},
    [IMPORT_PASSWORD] = {"password", false},
    [IMPORT_PASSWORD_HASH] = {"password_hash", false},
    [IMPORT_NAME] = {"name", false},
    [IMPORT_QUOTA] = {"quota", false},
    [IMPORT_QUOTA_MESSAGES] = {"quota_messages", false},
    [IMPORT_MESSAGE_MAX] = {"message_max", false},
    [IMPORT_RECIPIENTS_MAX] = {"recipients_max", false},
    [IMPORT_PARTITION] = {"partition", false},
    [IMPORT_STATUS] = {"status", false},
    [IMPORT_MAIL_STATUS] = {"mail_status", false},
    [IMPORT_FORWARDS] = {"forwards", true},
    [IMPORT_KEEP] = {"keep", false},
    [IMPORT_ALIASES] = {"aliases", true},
    [IMPORT_SEND_AS] = {"send_as", true},
    [IMPORT_ADMIN] = {"admin", false},
};

const char *import_field_name(enum import_field f)
{
    return fields[f].name;
}

bool import_field_is_list(enum import_field f)
{
    return fields[f].list;
}

bool import_field_find(struct slice name, enum import_field *out)
{
    for (unsigned i = 0; i < IMPORT_FIELD_COUNT; i++)
        if (slice_eq_cstr(name, fields[i].name)) {
            *out = (enum import_field)i;
            return true;
        }
    return false;
}
