/*
 * channel.c - the registry of drivers.
 */
#include "ms/channel.h"

#define CHANNEL_DRIVERS_MAX 32

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
