/*
 * sasl_gs2.c - the header that SCRAM and OAUTHBEARER begin with (RFC 5801 4): gs2-cb-flag "," [authzid] ",".
 */
#include "sasl_priv.h"

#include "ms/base/codec.h"

enum ms_err sasl__name_parse(struct slice text, struct str *out)
{
    if (text.len == 0 || !utf8_is_valid(text))
        return MS_ESYNTAX;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '=') { /* RFC 5802 5.1: the two characters that are written otherwise, and no other */
            struct slice code = slice_sub(text, i + 1, 2);
            if (!slice_eq_cstr(code, "2C") && !slice_eq_cstr(code, "3D"))
                return MS_ESYNTAX;
            c = slice_eq_cstr(code, "2C") ? ',' : '=';
            i += 2;
        } else if (c == 0 || c == ',') {
            return MS_ESYNTAX;
        }
        str_add_byte(out, c);
    }
    return str_is_over(out) ? MS_ELIMIT : MS_OK;
}

enum ms_err sasl__gs2_parse(struct slice *rest, struct str *authzid)
{
    struct slice flag, name;
    if (!slice_cut(rest, ',', &flag) || !slice_cut(rest, ',', &name))
        return MS_ESYNTAX;
    /* RFC 5802 6: no mechanism with "-PLUS" is offered, so "y" is the truth and "p=" is an error. */
    if (slice_has_prefix(flag, SLICE_LIT("p=")))
        return MS_EUNSUPPORTED;
    if (!slice_eq_cstr(flag, "n") && !slice_eq_cstr(flag, "y"))
        return MS_ESYNTAX;
    if (name.len == 0)
        return MS_OK;
    if (!slice_has_prefix(name, SLICE_LIT("a=")))
        return MS_ESYNTAX;
    return sasl__name_parse(slice_sub(name, 2, SIZE_MAX), authzid);
}
