/*
 * simulate_print.h - a run of the simulator as text.
 */
#ifndef APP_SIMULATE_PRINT_H
#define APP_SIMULATE_PRINT_H

#include "app.h"
#include "simulate.h"

#define SIM_TEXT_MAX 32
const char *sim_time_text(uint64_t us, char out[SIM_TEXT_MAX]); /* "4.20s" "1m05s" "2h30m" "3d04h" */

struct sim_print {
    const struct app_args *args;
    const struct conf *conf;
    const struct sim *sim;
    const struct sim_record *record;
    bool all_rows; /* of the record; else some that read well */
    bool is_over;
};
void sim_print(const struct sim_print *p);
/* "pool SMTP (job_limit 10), maxjobs 4, ..." */
void sim_settings_emit(struct str *out, const struct sim *s, const struct conf *conf, size_t channel);

#endif
