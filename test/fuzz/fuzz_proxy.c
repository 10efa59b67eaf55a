/*
 * fuzz_proxy.c - PROXY headers of a hostile proxy. What is taken is never more than there is, "more" is said
 * of no input that a longer one with the same beginning turns wrong at a byte already seen, and a header that
 * is good says the same whatever stands behind it. Needs: libms_net. Corpus: corpus/proxy.
 */
#include "ms/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_make(data, size);
    struct net_proxy p, again;
    size_t used, used_again;
    enum ms_err err = net_proxy_parse(in, &p, &used);

    if (err == MS_OK) {
        MS_ASSERT(used > 0 && used <= size && used <= NET_PROXY_MAX);
        MS_ASSERT(p.is_local || p.peer.text[0]);
        MS_ASSERT(net_proxy_parse(slice_sub(in, 0, used), &again, &used_again) == MS_OK &&
                  used_again == used);
        MS_ASSERT(memcmp(&p, &again, sizeof(p)) == 0);
        for (size_t n = 0; n < used; n++)
            MS_ASSERT(net_proxy_parse(slice_sub(in, 0, n), &again, &used_again) == MS_EMORE);
    } else if (err == MS_EMORE) {
        for (size_t n = 0; n < size; n++)
            MS_ASSERT(net_proxy_parse(slice_sub(in, 0, n), &again, &used_again) == MS_EMORE);
        MS_ASSERT(size < NET_PROXY_MAX);
    } else {
        MS_ASSERT(err == MS_ESYNTAX || err == MS_ELIMIT);
    }
    return 0;
}
