/*
 * channel.c - the registry of drivers, and the names that a configuration may use.
 */
#include "channel_priv.h"

#define CHANNEL_DRIVERS_MAX 32

/* Of the program, not of a server in it: a configuration is checked by commands that have no registry. */
static const char *declared[CHANNEL_DRIVERS_MAX];
static unsigned declared_count;

void channel_driver_declare(const char *name)
{
    MS_ASSERT(declared_count < CHANNEL_DRIVERS_MAX);
    declared[declared_count++] = name;
}

bool channel__driver_is_known(const char *name)
{
    for (unsigned i = 0; i < declared_count; i++)
        if (strcmp(declared[i], name) == 0)
            return true;
    return declared_count == 0;
}

struct channel_registry {
    struct {
        const struct channel_driver *driver;
        void *env;
    } rows[CHANNEL_DRIVERS_MAX];
    unsigned count;
};

struct channel_registry *channel_registry_create(void)
{
    return ms_new(struct channel_registry);
}

void channel_registry_destroy(struct channel_registry **r)
{
    ms_free(*r);
    *r = NULL;
}

void channel_register(struct channel_registry *r, const struct channel_driver *driver, void *env)
{
    MS_ASSERT(r->count < CHANNEL_DRIVERS_MAX);
    r->rows[r->count].driver = driver;
    r->rows[r->count++].env = env;
}

const struct channel_driver *channel_driver_find(const struct channel_registry *r, const char *name,
                                                 void **env_out)
{
    for (unsigned i = 0; i < r->count; i++)
        if (strcmp(r->rows[i].driver->name, name) == 0) {
            *env_out = r->rows[i].env;
            return r->rows[i].driver;
        }
    return NULL;
}
