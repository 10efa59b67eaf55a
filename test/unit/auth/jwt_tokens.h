/* jwt_tokens.h - made by jwt_tokens.py: tokens and the public keys of what signed them. */
/* clang-format off */
#define JWT_NOW 1700000000u
#define JWT_JWKS \
    "{\"keys\": [{\"kty\": \"RSA\", \"kid\": \"r\", \"use\": \"sig\", \"alg\": \"RS256\", \"n\": \"wwpiPQ7_YU2FcbyMy6Wd6Zh7wFF" \
    "H-_km3JgaX2lK6ZMX1idKK2av1rOb8H9-KvQf2S7VHY6SnSELaE1107XLyZbZYiDYvg5zTeTpX_zRnV-SdRtheaCDB4ojfgQRBA-" \
    "pfwn5K1VdFfbt5_dciPIazsxnu21RLvcBUm0lPXxbC-NJLJIIq4U7nUHm56O6nJn8baZwquioELPIF8pXO_v-zx7LhL21gQVVJi7" \
    "RpcZyQT50LvzmnKoLmryc26u5C9YBPeFCNC-MYyMPVO1Epe3WCeFSjc710NwvuQe8Y_07w2AB5UJNiEHeX4wYCjPQTdGJ7FDOXkB" \
    "OOtsUX8ogWRIrCw\", \"e\": \"AQAB\"}, {\"kty\": \"EC\", \"kid\": \"e\", \"crv\": \"P-256\", \"x\": \"j-s24Hq2q_TmtU92_VgR" \
    "BHY8wpntL7ooYTT_KSfb2gE\", \"y\": \"_VxhNOQiPVqaRdLFdLCs8Kdq8UCLGCibIv8qq5Rv7q4\", \"key_ops\": [\"verify\"]}" \
    ", {\"kty\": \"OKP\", \"kid\": \"d\", \"crv\": \"Ed25519\", \"x\": \"qQrhQpkK9uwbj6mXArPDru-0stDjRTwSd2X20O7S6iI\", \"" \
    "alg\": \"EdDSA\"}, {\"kty\": \"RSA\", \"kid\": \"x1\", \"use\": \"enc\", \"n\": \"wwpiPQ7_YU2FcbyMy6Wd6Zh7wFFH-_km3Jga" \
    "X2lK6ZMX1idKK2av1rOb8H9-KvQf2S7VHY6SnSELaE1107XLyZbZYiDYvg5zTeTpX_zRnV-SdRtheaCDB4ojfgQRBA-pfwn5K1Vd" \
    "Ffbt5_dciPIazsxnu21RLvcBUm0lPXxbC-NJLJIIq4U7nUHm56O6nJn8baZwquioELPIF8pXO_v-zx7LhL21gQVVJi7RpcZyQT50" \
    "LvzmnKoLmryc26u5C9YBPeFCNC-MYyMPVO1Epe3WCeFSjc710NwvuQe8Y_07w2AB5UJNiEHeX4wYCjPQTdGJ7FDOXkBOOtsUX8og" \
    "WRIrCw\", \"e\": \"AQAB\"}, {\"kty\": \"RSA\", \"kid\": \"x2\", \"alg\": \"RS512\", \"n\": \"wwpiPQ7_YU2FcbyMy6Wd6Zh7wFF" \
    "H-_km3JgaX2lK6ZMX1idKK2av1rOb8H9-KvQf2S7VHY6SnSELaE1107XLyZbZYiDYvg5zTeTpX_zRnV-SdRtheaCDB4ojfgQRBA-" \
    "pfwn5K1VdFfbt5_dciPIazsxnu21RLvcBUm0lPXxbC-NJLJIIq4U7nUHm56O6nJn8baZwquioELPIF8pXO_v-zx7LhL21gQVVJi7" \
    "RpcZyQT50LvzmnKoLmryc26u5C9YBPeFCNC-MYyMPVO1Epe3WCeFSjc710NwvuQe8Y_07w2AB5UJNiEHeX4wYCjPQTdGJ7FDOXkB" \
    "OOtsUX8ogWRIrCw\", \"e\": \"AQAB\"}, {\"kty\": \"oct\", \"kid\": \"x3\", \"k\": \"c2VjcmV0\"}, {\"kty\": \"EC\", \"kid\": \"" \
    "x4\", \"crv\": \"P-384\", \"x\": \"AA\", \"y\": \"AA\"}, {\"kty\": \"OKP\", \"kid\": \"x5\", \"crv\": \"X25519\", \"x\": \"qQrhQ" \
    "pkK9uwbj6mXArPDru-0stDjRTwSd2X20O7S6iI\"}, {\"kty\": \"EC\", \"kid\": \"x6\", \"crv\": \"P-256\", \"x\": \"AA\", \"y\":" \
    " \"AA\", \"key_ops\": [\"sign\"]}]}"
#define JWT_PEM_RSA \
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBC" \
    "gKCAQEAwwpiPQ7/YU2FcbyMy6Wd\n6Zh7wFFH+/km3JgaX2lK6ZMX1idKK2av1rOb" \
    "8H9+KvQf2S7VHY6SnSELaE1107XL\nyZbZYiDYvg5zTeTpX/zRnV+SdRtheaCDB4o" \
    "jfgQRBA+pfwn5K1VdFfbt5/dciPIa\nzsxnu21RLvcBUm0lPXxbC+NJLJIIq4U7nU" \
    "Hm56O6nJn8baZwquioELPIF8pXO/v+\nzx7LhL21gQVVJi7RpcZyQT50LvzmnKoLm" \
    "ryc26u5C9YBPeFCNC+MYyMPVO1Epe3W\nCeFSjc710NwvuQe8Y/07w2AB5UJNiEHe" \
    "X4wYCjPQTdGJ7FDOXkBOOtsUX8ogWRIr\nCwIDAQAB\n-----END PUBLIC KEY---" \
    "--\n"
#define JWT_PEM_EC \
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEj" \
    "+s24Hq2q/TmtU92/VgRBHY8wpnt\nL7ooYTT/KSfb2gH9XGE05CI9WppF0sV0sKzw" \
    "p2rxQIsYKJsi/yqrlG/urg==\n-----END PUBLIC KEY-----\n"
#define JWT_PEM_ED \
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAqQrhQpkK9uwbj6mXArPDr" \
    "u+0stDjRTwSd2X20O7S6iI=\n-----END PUBLIC KEY-----\n"
#define JWT_ED_X "qQrhQpkK9uwbj6mXArPDru-0stDjRTwSd2X20O7S6iI"
#define JWT_RS256 \
    "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ.MCgxpglj3NAX9PXEwjpZ59FE1kSM7bmQUX8ysocH3pa_j_JOYg0cjE7ygRoJ0Y7Bk7_Ggkk3w-XjBcz0nJF3Hc" \
    "Jj8T4kWUE5AwbcN9IlLDFJIIsTquZY3VqfCf0b1qtVUBl9U2Vnnu4ZWJbeg_g50LRhWgKuRDFUWgEzkRZ-aBPyN2-3ixiotx5ak9" \
    "DrcUfbJ70E_tXpknUAWOCOQlkQrBZYRCH6a3vAZ6IE7o-lRMBXWFNMFhWeMwvsmote5p5Pl41DzvmLMcpeGyx-aielhazMnaLKbY" \
    "JSKqlp83KB-4qkrks-Y1p_L-zymcWDqDapABklawnjb-sNK5Uw30E89Q"
#define JWT_ES256 \
    "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImUiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyI" \
    "sICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWl" \
    "sIjogImFubmFAZXhhbXBsZS5vcmcifQ.CR7PskADqYDX_Vk8DPeiN3LOD3mBXrNnOu4Isg8mGw8z2bbyYN0ENz84wK2P4aPxuw8B" \
    "NePOC1hmKf_ei0MZmw"
#define JWT_EDDSA \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ.gsHGCvODqVtYlkDlZyAz8mNsCZaQq63V92oC1cK-GPArMpPD47zRKMv-xZxIkJDTpzvEZyXr2bBhSdmsK54rAA"
#define JWT_AT_JWT \
    "eyJhbGciOiAiRWREU0EiLCAidHlwIjogImFwcGxpY2F0aW9uL2F0K2p3dCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9" \
    "yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImV" \
    "tYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.X839fsxWwhaKcgTdFiM8GwF4jwLFKC8fGVi-Huqc7HO_CosBHCfPwmXTe8L9aBE5" \
    "QV3lceX2ddkJkN_JbmL3DA"
#define JWT_NO_KID \
    "eyJhbGciOiAiRWREU0EifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiY" \
    "W5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.Ig" \
    "OK4ULrfwKZvaUW3R88PN3GM-RHAYJlIVzv5xF2x5vY6iDaLinpDUnptMw0Oawh9wl77DL5DTmdw6xqLnAOBg"
#define JWT_AUD_LIST \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiBbIndlY" \
    "iIsICJtYWlsIl0sICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogI" \
    "mFubmFAZXhhbXBsZS5vcmcifQ.eUQxOgrd6kDWMUWGnT_0RXS04ChLj-Xc0K_fOMqKvN2fVdp5p708g_qq8OujLTyQis_om_lEex" \
    "utJKjD6XP3CQ"
#define JWT_EXP_REAL \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMDAwLjUsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uYUBle" \
    "GFtcGxlLm9yZyJ9.5dhCiLJ5QQRBhr0sKccHbz2vojFdYdYRFwUbmhSirthxoWBRoxXNmS3mpix2cOBJE1Fhwf0QxbxPPXnplX1Y" \
    "CQ"
#define JWT_VERIFIED \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmciLCAiZW1haWxfdmVyaWZpZWQiOiB0cnVlfQ.I7Uw4TRpPGlwG_wj9_IWMgLj-wyQC8WoDYZF_c7zB2a3XrSaMTWy6X" \
    "ZnJ1HYwogPmnaM9iBs06ojMFEY2Y8uCg"
#define JWT_UTF8 \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAialx1MDBmNnJnIiwgImV4cCI6IDE3MDAwMDAzMDAsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uY" \
    "UBleGFtcGxlLm9yZyJ9.PfGp55Q11mtkBH7znqGnZK7ohswoKw0SewjGihZESzYWc5bk2Kbkgl474w_bEE4otWAfAvLqoOBH7wk-" \
    "sGIZBg"
#define JWT_OTHER_KEY \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ._Or7Ecrlvn8ZohuzqgEl6G7eXl15fIDwZ9pqzaarJ1DP5Bl3q6Eb1moBOwofWk-KDjVWsJSZnsrICV_c3SSzCw"
#define JWT_WRONG_KID \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogIm5vYm9keSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiA" \
    "ibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmF" \
    "AZXhhbXBsZS5vcmcifQ.adqPBlvyLoVjzdRE5nl7btUMrWcAFGE3TLm9--faI3xdOwvzAw2YYDCRRJsmF4kMsxu83Gt7MyNf8a1U" \
    "XXcfDA"
#define JWT_KID_OF_OTHER_KIND \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogInIifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ.1A2WpZKEM-vhw1RPDyxcJ_iF_DOe4mU5YXkK9GsCzQBLHZjz2VbOZ9_Y147-er1XwnlIxqzvIwvponYoZ273DQ"
#define JWT_ALG_ES_SIG_ED \
    "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImUifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ.Dl7kbgZJUOhHYzafvpyT6QxwTYaOIiG1xMRHVLYvgD3zgWx4FQlLAMVYtZkqVlZPeJSar_6rKgr4Mt404idSAQ"
#define JWT_NONE \
    "eyJhbGciOiJub25lIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5u" \
    "YSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ."
#define JWT_NONE_SIGNED \
    "eyJhbGciOiAibm9uZSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5" \
    "uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.1LBI" \
    "Hrkif1UXZfL0vhHcnmQqigMtle2dbETUMB1zakt8XNYV6y9pccltv0tvfVxC9KdA9l87x2lfw1L_jLR1DA"
#define JWT_NONE_CASE \
    "eyJhbGciOiAibk9uRSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5" \
    "uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.EHnx" \
    "W-_USgFYy__P2i7lZVT7k8KvU9pPojvN4KQOlpHUwZK2U3Zs2n2JoBNL1pJG4pt_puFYxL9TuFQ0KtB8DQ"
#define JWT_HS256 \
    "eyJhbGciOiAiSFMyNTYiLCAia2lkIjogIngzIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFp" \
    "bCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhh" \
    "bXBsZS5vcmcifQ.bFJWrH_2XLAA2p60y0dsOTzXJqWcEWHfGvVn9_zUF5vu7nMz8Fb_E4CNUBn9_x8-Bhh_JR2grWz6ZL_6pDhzD" \
    "A"
#define JWT_RS512 \
    "eyJhbGciOiAiUlM1MTIiLCAia2lkIjogIngyIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFp" \
    "bCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhh" \
    "bXBsZS5vcmcifQ.tIxkcf8mCunKr4EwBBQPPsTdW7yY6aFIjnnAa1r_foLGtUhuTJx4je4au2RKEfwBy1g-pN1lMOyUuuL0CQ6yg" \
    "flMnjCsVRrsGknY2B-oTll6WPx0ZPy2-YPr90HcbRispVk-OqxZIZj9V1Y0nt9Su8DlFSsKfo2qHdvd2qyDss36a1-M0y_y8xQRe" \
    "5-ph3rZtH90sBXwckLrg2uX5wzsQG8M7DlgVzPOzN5MMaC887HbP2HXRnA_9hi3Nxy2tjJdAE0vP-oTv7tz9WpSjEHgOm-6WKSNF" \
    "-JiquVa6NC6iO3MW8V2pWwXgLqSuCm1mqAl9wNa1egGHZ_zUB3a7T_4QA"
#define JWT_ALG_LOWER \
    "eyJhbGciOiAiZWRkc2EifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiY" \
    "W5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.b7" \
    "z5HOGfQv5TJETEfuTSO03hzXhkU6-YGtiVeaYFZzB93FRLtoo0okigJtep8XTO4p2LKx2UiW8n6hJvzHMGCA"
#define JWT_NO_ALG \
    "eyJraWQiOiAiZCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSI" \
    "sICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.s_8abXp8" \
    "lLxwfwZrKgft8R84hPTOFNEi71vEoNcKO4wi4ggNG40PzOFTObmV5WImHRYyVTB-nqvpDM8vwRZPAg"
#define JWT_ALG_NUMBER \
    "eyJhbGciOiAxfQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsI" \
    "CJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.ec-6tyEB7J" \
    "zhrfjsOzue9wAYuKPFL630umy4_rWGyJgP_X44Dix9Z4sBGnEzCI3iaFtGpV6a5KetrZC0HNM7Aw"
#define JWT_CRIT \
    "eyJhbGciOiAiRWREU0EiLCAiY3JpdCI6IFsiYjY0Il0sICJiNjQiOiBmYWxzZX0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxl" \
    "Lm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwg" \
    "ImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ._S8TRlNu71ohIGuhH7Z3JKqeh1kVnCCsVuHezQVUspeS8gDyZKU8SpJJ5v0TC" \
    "5U_k2xqVKjCsq91s4D3hj1mAA"
#define JWT_TYP_OTHER \
    "eyJhbGciOiAiRWREU0EiLCAidHlwIjogInNlY2V2ZW50K2p3dCJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJ" \
    "hdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjo" \
    "gImFubmFAZXhhbXBsZS5vcmcifQ.n8t78gZUBxoIUAh3RwWbOkqMnuPtBQLsXbfbK8ktofolWHl_bIsdhMAO8kdmQithZtt79C3F" \
    "I5cOMcvojTu6BQ"
#define JWT_TYP_NUMBER \
    "eyJhbGciOiAiRWREU0EiLCAidHlwIjogMX0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIs" \
    "ICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBs" \
    "ZS5vcmcifQ.vqlgZPcm00OJ7gTrr4ZppfjPLqhBb707qBeFDahof5u1lJyREkYzMaAx36M_rl_i0v5EMHSAVqVqaINF142RCw"
#define JWT_KID_NUMBER \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogMX0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIs" \
    "ICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBs" \
    "ZS5vcmcifQ.pzmGXE8Iq0SdNdcbLPvtc3R5eMQNgNG7_WYJ-hToY181c5dwWklHJVdza0UkmZ6Ia9v6urzKrK4K5cDZuO4wDw"
#define JWT_ALG_TWICE \
    "eyJhbGciOiJFZERTQSIsImFsZyI6Im5vbmUifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ.LljUz1l5Fx8dC69m6rYGRpFDQrwocwhXDTt5TBn9mIFRE_JojUoiQlzpejxY1baA8sZR_71bkx8KJ46vsLbSDQ"
#define JWT_HEADER_LIST \
    "W10.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAx" \
    "NzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.IeMPNnBHtvxuJr6okKeFG" \
    "O2gu-A_NhHAOoIJUuy6ha-jKGMwtrIqP7xIvEMQBwPSrcSiDNsH5QGLLrRHQKBQCg"
#define JWT_HEADER_TEXT \
    "RWREU0E.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAi" \
    "OiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.7YWy0zJcHBl6g11RS" \
    "t9IX81RxlcrdfQ095l9xV9ksbM5Q6bzlmbbhgEpCYbonqxxg1MwEf4W9ArRryUewXpYCw"
#define JWT_HEADER_DEEP \
    "eyJhbGciOiJFZERTQSIsIngiOltbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tdXV1dXV1dXV1dXV1dXV1d" \
    "XV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dfQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpbCIsI" \
    "CJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZ" \
    "S5vcmcifQ.c-XQWl86bEUIOJD7xn0tWlmZFKljqf2Z5aPxR-C9yI6We8rGVQMKjgml-2PzqO7m4AvUJr8fM1YhK1DToZtYCg"
#define JWT_CLAIMS_LIST \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.WzFd.FZe8gR7s-Wd1jSwxQKODy_s-FXPkRAy72o35krtU6Jyt-MUnt8koxXkZ" \
    "L6AUO_CLzjyH9kEbsq_SKJDHYlJ8CA"
#define JWT_CLAIMS_BROKEN \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJzdWIiOiJhbm5hIg.bGyCI7VSVyQjp5-4rDedrovwqLcghp62ZsGdlxBpbS" \
    "DP1cnP8fvWPLiMikNogGroy9Gcgv7kslpFdsj1tHbqCg"
#define JWT_CLAIMS_TWICE \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJleHAiOjE3MDAwMDAwMDEsImV4cCI6MTcwMDAwMDAwMn0.CHHR_YaQLQKiY" \
    "Q2SgN0e7HMpvpxlOtOeXTwkGP6wXVYlGGiQn6-aOXn3UCmZJaUKKVouOIVeARlS3w_LcdWqDA"
#define JWT_CLAIMS_NUL \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJzdWIiOiJhblx1MDAwMG5hIiwiZXhwIjoxNzAwMDAwMzAwfQ.Gc7Dvn4KA4" \
    "kiCpIdgYYvS7I5He9v4bWKWKnQD9GF2sWmXKvGipeatq1XxjSbFPQBg4p0-DzCQrVtJjzOwZ15Cg"
#define JWT_CLAIMS_DEEP \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJ4IjpbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbX" \
    "V1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXV1dXX0.hnErjxalE5x7597ph-SUw-gWI-BpljGjTb25BwUYZkxrX" \
    "kBgyE_VTYE9dlzSXlFthbWvtrlHqSzfc7hV6aRwBg"
#define JWT_EXPIRED \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMDAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ.zCNXyiqZSfAU2jQQbaNO7S6S7xrgXe07xeKCMoPX2G4pCY9aumsqypd9-PmwKC0KClrYIw3PodykqHt6iIRXBg"
#define JWT_NO_EXP \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uYUBleGFtcGxlLm9yZyJ9.75DMBwnx8sjM" \
    "d_CW_OAEFWxtxC45fGFmQcWY8e4f1ou_4GwdPBxdc059fbsXHvcyCrQ_xpAiCVhkcJs_xJj3Dg"
#define JWT_EXP_TEXT \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAiMTcwMDAwMDMwMCIsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uYUBle" \
    "GFtcGxlLm9yZyJ9.WIBXXqN2D6ZmQpZJSC1MwOHyrhje2XJbypQUqJ-9qxznypgw-kFvc3KZyWDWqdGjVvozFxQ55wnWgNQjjn7w" \
    "CA"
#define JWT_EXP_NEGATIVE \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAtMSwgImlhdCI6IDE2OTk5OTk5OTAsICJlbWFpbCI6ICJhbm5hQGV4YW1wbGUub3JnI" \
    "n0.9JJ5CdVRYAMByAuienktm-eQRpltaoO-ZgEAyjb6w3CrEh-Q1sHhcHCyaVa0cCB820QdCPPmYt3NSfQFPD7NAA"
#define JWT_EXP_HUGE \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxZSszMDAsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uYUBleGFtcGxlL" \
    "m9yZyJ9.Mmj80hGbXVKIiLOqQh_g9qYh53AxPCbRvJcavyt1_BSBMTm_ktwN05nf_u2A2pJoQjTRC0aa2cpEuwf7gLPpDw"
#define JWT_NBF_AHEAD \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmciLCAibmJmIjogMTcwMDAwMDAwMX0.MePzR-2VBnyV44xMqrfbO9Dl75bejcvrZgHNlOe2fS_MwGTO9ImXA0De2HtA6" \
    "sBEzAAMCCMS9XjfH0DcXaDzCA"
#define JWT_NBF_BEHIND \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmciLCAibmJmIjogMTcwMDAwMDAwMH0.m0qpLI6XomIrIlJR8FB4vcR_waLLkIU_6NGaVkP8Z2EmqyRHdze0BsAvRk-Hf" \
    "Txwx-yLJLXPcAqkssasTkekCg"
#define JWT_NBF_TEXT \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmciLCAibmJmIjogIm5vdyJ9.Ocb0wnCSmWds3rg4IUIceAPB2ozrU79SwSjk2B6pHKlsDuA7BaNF7ZAkj9uG1tgg5f94" \
    "1JwvSvnF22ksWOE-DA"
#define JWT_IAT_AHEAD \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTcwMDAwMDAwMSwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmcifQ.JpE0dsAdZX0DGObEXrUUX690K3bd0tnY0mbotnoMnnVIxk5Fy4jsoNqIg5aBqy2XD7TnYz934WshwOFu9-LMCg"
#define JWT_NO_ISS \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJhdWQiOiAibWFpbCIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwM" \
    "zAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.Hto1rFuX_3695LtSjze7c4K3eQWq5c" \
    "xYNDma40_w7yHw0ZRW4lpYlZWF_QFTdTn8E9R2qrxT8RrzakXbMITXDQ"
#define JWT_ISS_OTHER \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZy8iLCAiYXVkIjogIm1ha" \
    "WwiLCAic3ViIjogImFubmEiLCAiZXhwIjogMTcwMDAwMDMwMCwgImlhdCI6IDE2OTk5OTk5OTAsICJlbWFpbCI6ICJhbm5hQGV4Y" \
    "W1wbGUub3JnIn0.8JhQGX1uoOrorq14eYjEIydVoEKowM7Yx6Z-HTzDI4KEran12IxRf6MHSetnqluk1doMZgBWoz-F9bW4mkD2D" \
    "g"
#define JWT_ISS_LIST \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiBbImh0dHBzOi8vaWQuZXhhbXBsZS5vcmciXSwgImF1ZCI6ICJtY" \
    "WlsIiwgInN1YiI6ICJhbm5hIiwgImV4cCI6IDE3MDAwMDAzMDAsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uYUBle" \
    "GFtcGxlLm9yZyJ9.2vF6SB9qGghSPzVte9bzzEjLMabPVcNGsRteteSXh19l0n25TOiqsdChzZRMqrEaTySIIC9tn-on9fXNu7pQ" \
    "DA"
#define JWT_NO_AUD \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJzdWIiOiAiYW5uY" \
    "SIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.3_Oxfb" \
    "sOehMXz6mbjkiv1VT5zYRInX0a2Z_9_izwQO2De62V9UfazZKLAlO4mO-alPL6-TYti6FICxGmZ1zkCA"
#define JWT_AUD_OTHER \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "DIiLCAic3ViIjogImFubmEiLCAiZXhwIjogMTcwMDAwMDMwMCwgImlhdCI6IDE2OTk5OTk5OTAsICJlbWFpbCI6ICJhbm5hQGV4Y" \
    "W1wbGUub3JnIn0.HHcyLYeIFpcpBKAO_Vl-eLzhBNd49gnU0XmvHjSQVEIDl_bGs-TVcTCy4N8mRoV4ctsGOuulCHD2b4OsFoqnC" \
    "g"
#define JWT_AUD_LIST_OTHER \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiBbIndlY" \
    "iIsIDFdLCAic3ViIjogImFubmEiLCAiZXhwIjogMTcwMDAwMDMwMCwgImlhdCI6IDE2OTk5OTk5OTAsICJlbWFpbCI6ICJhbm5hQ" \
    "GV4YW1wbGUub3JnIn0.6xmxFHJrybXPWfVxnTj94TvbnLmoi9UmeRJMmp3J64h__7lLeRLLNv0D1JQu4mJ3sJyG7IUAaVFIwoq-S" \
    "rKxDA"
#define JWT_AUD_NUMBER \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAxLCAic" \
    "3ViIjogImFubmEiLCAiZXhwIjogMTcwMDAwMDMwMCwgImlhdCI6IDE2OTk5OTk5OTAsICJlbWFpbCI6ICJhbm5hQGV4YW1wbGUub" \
    "3JnIn0.9mMgFixflxFcogs6nGvoNpPIJVpZuDSDizj749PDFG7XiTQkbBHxyxD8W1NuJ2RHJ8iahB_-0JAfUE2-TbD_Aw"
#define JWT_NO_SUB \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.aVdYJX" \
    "WdbY3Cr65XXddU6YAma2XpPhVaGqE1F9zHB_is1zWcwNFd8lFEOqVRLRJxSQShNupsSFbq7NPnYa1WAg"
#define JWT_SUB_EMPTY \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiIiwgImV4cCI6IDE3MDAwMDAzMDAsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uYUBleGFtcGxlL" \
    "m9yZyJ9.H5A6x-1yVInMZfNk07IHruco1h6pAr9fqXsOigBvLXdvfGuRxOjPWYfHNarHAhhvHJKnQlShmZFNMT0qeSk1BQ"
#define JWT_SUB_NUMBER \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiA3LCAiZXhwIjogMTcwMDAwMDMwMCwgImlhdCI6IDE2OTk5OTk5OTAsICJlbWFpbCI6ICJhbm5hQGV4YW1wbGUub" \
    "3JnIn0.7SSAb_O_7_l-4ndfHYNWK-n7Lmox-Z3FBQ595z2_PLEICm4E5aj3-yFFVsiXDoh70zWXd8yi6Biz3xjtVELXBg"
#define JWT_SUB_CONTROL \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5cbm5hIiwgImV4cCI6IDE3MDAwMDAzMDAsICJpYXQiOiAxNjk5OTk5OTkwLCAiZW1haWwiOiAiYW5uYUBle" \
    "GFtcGxlLm9yZyJ9.laJZ6QXeSSyItQiLj63grsgXVWyddkt6KMY0hoYnf__nU8M2_hQmcDVO7JbSql4qumnn18A9DCouyNyyRdNN" \
    "Dg"
#define JWT_SUB_LONGEST \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY" \
    "WFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY" \
    "WFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY" \
    "WFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhIiwgImV4cCI6IDE3MDAwMDAzMDAsICJpYXQiOiAxNjk5O" \
    "Tk5OTkwLCAiZW1haWwiOiAiYW5uYUBleGFtcGxlLm9yZyJ9.g-vsX7v78w0-wiWkPEobB3e1TWzJQejURjPQ5Q0oE6SyWL_sZaqJ" \
    "JssFtGaBPfCHTUYLreKLbdtX1-LB8KhFCA"
#define JWT_SUB_LONG \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY" \
    "WFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY" \
    "WFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY" \
    "WFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5O" \
    "Tk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhbXBsZS5vcmcifQ.ylByrOS1LzSmXiDimIovsBhGtw8vhKbxNYrolK0ZJr8A2EvetT" \
    "FPQQIhlxKMepfiC6qaFtbT0PRbSu1rbtMVBA"
#define JWT_UNVERIFIED \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmciLCAiZW1haWxfdmVyaWZpZWQiOiBmYWxzZX0.4z2-3mnlWQxJHB22g4y2gQlVFLo-jqQDRBijS-zoNTRtFZzx5wUwV" \
    "ERi4oYdqhXXKHulmNP7BllzYCmcxlfXBA"
#define JWT_VERIFIED_TEXT \
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImQifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlLm9yZyIsICJhdWQiOiAibWFpb" \
    "CIsICJzdWIiOiAiYW5uYSIsICJleHAiOiAxNzAwMDAwMzAwLCAiaWF0IjogMTY5OTk5OTk5MCwgImVtYWlsIjogImFubmFAZXhhb" \
    "XBsZS5vcmciLCAiZW1haWxfdmVyaWZpZWQiOiAidHJ1ZSJ9.01bUt7MI7PYe2JXPov6EdnMwgbMSrPTYqWeR8qTrWF_qNXeutXGC" \
    "188RUouqmAVxOpQXhA-9iWKGR2lBRwE1DA"
/* clang-format on */
