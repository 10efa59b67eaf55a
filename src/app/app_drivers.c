/*
 * app_drivers.c - the delivery drivers of the program mailserverd.
 */
#include "app.h"

#include "ms/chan.h"

const struct app_driver app_drivers[] = {{&chan_store_driver, NULL}};
const size_t app_driver_count = MS_ARRAY_LEN(app_drivers);
