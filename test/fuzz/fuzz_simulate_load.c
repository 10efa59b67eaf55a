/*
 * fuzz_simulate_load.c - any bytes as loads of the simulator: each is read or refused with a sentence; what
 * is read lies within the named bounds and is written as a text that is read as the same load. Needs: the
 * reader of src/app, libms_conf. Corpus: corpus/simulate_load.
 */
#include "../../src/app/simulate_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_load(const struct sim_load *load)
{
    struct sim_load again;
    struct ms_errinfo why;
    struct str text, text_again;
    MS_ASSERT(load->channel[0] && load->count >= 1 && load->count <= SIM_ENTRIES_MAX);
    MS_ASSERT(load->class_ < QUEUE_CLASS_COUNT && load->hosts <= SIM_HOSTS_MAX && load->fail_percent <= 100);
    MS_ASSERT(load->time_us.min <= load->time_us.max && load->bytes.min <= load->bytes.max);
    MS_ASSERT(load->recipients.min >= 1 && load->recipients.min <= load->recipients.max);
    str_init(&text, 0);
    str_init(&text_again, 0);
    sim_load_emit(&text, load);
    enum ms_err err = sim_load_parse(str_slice(&text), &again, &why);
    MS_ASSERT(!err);
    sim_load_emit(&text_again, &again);
    MS_ASSERT(slice_eq(str_slice(&text), str_slice(&text_again)));
    str_fini(&text);
    str_fini(&text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sim_load loads[SIM_LOADS_MAX];
    struct ms_errinfo why = {""};
    size_t count = 0;
    enum ms_err err = sim_load_parse_lines(slice_make(data, size), "file", loads, &count, &why);
    MS_ASSERT(err ? why.text[0] != '\0' : count <= SIM_LOADS_MAX);
    for (size_t i = 0; i < count; i++)
        check_load(&loads[i]);
    return 0;
}
