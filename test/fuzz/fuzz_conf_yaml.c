/*
 * fuzz_conf_yaml.c - any bytes as a configuration file: read, applied to the tables of the unit tests, shown
 * and read again.
 */
#include "../unit/conf/conf_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_report report;
    struct conf *conf, *again;
    struct str out;

    str_init(&out, 0);
    conf_report_init(&report);
    if (conf_parse_bytes(FX_TABLES, slice_make(data, size), "/nonexistent/fuzz.yaml", &report, &conf)) {
        MS_ASSERT(report.count > 0 && !conf);
        conf_report_emit(&report, &out);
    } else {
        conf_emit_show(conf, &out, false);
        MS_ASSERT(conf_parse_bytes(FX_TABLES, str_slice(&out), "/nonexistent/fuzz.yaml", &report, &again) ==
                  MS_OK);
        str_reset(&out);
        MS_ASSERT(conf_emit_diff(conf, again, CONF_DIFF_ALL, &out) == 0 && out.len == 0);
        conf_unref(&again);
        conf_unref(&conf);
    }
    conf_report_fini(&report);
    str_fini(&out);
    return 0;
}
