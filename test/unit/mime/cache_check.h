/*
 * cache_check.h - samples and helpers of the two tests of the cache record.
 */
#ifndef CACHE_CHECK_H
#define CACHE_CHECK_H

#include "mime_check.h"

#include "ms/base/codec.h"
#include "ms/base/sum.h"

static inline void fix_crc(struct str *rec)
{
    uint32_t crc = crc32c_add(0, rec->ptr, 4);

    ms_put_le32(rec->ptr + 4, crc32c_add(crc, rec->ptr + 8, rec->len - 8));
}

static inline void emit(const struct mime_message *m, struct str *rec)
{
    str_init(rec, 0);
    assert_int_equal(mime_cache_emit(m, rec), MS_OK);
    assert_true(rec->len <= MIME_CACHE_BYTES_MAX);
}

static const char *const cache_samples[] = {
    "",
    "\r\n",
    "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nFrom: a@b\r\nSubject: x\r\n y\r\nX-Other: z\r\n\r\nbody\r\n",
    "subject: odd case\r\nTo : blank\r\nMessage-Id: <x>\r\nCc: no end",
    "Subject: line feed\nFrom: x\n\nbody\n",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\nContent-ID: 1\r\n\r\none\r\n--b\r\n"
    "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nTo: c@d\r\n\r\ntext\r\n--b\r\nContent-Type:\r\n "
    "multipart/digest; boundary=c\r\n\r\n--c\r\n\r\nFrom: e@f\r\n\r\n--c--\r\n--b--\r\nepilogue\r\n",
    "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nSubject: deep\r\n\r\nx\r\n",
    "no header at all\r\n\r\nSubject: x\r\n",
};

#endif
