/* Answers of others: wrong id, question, source, letters. They are counted and never believed. */
#include "dns_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

static uint64_t ignored(void)
{
    return obs_counter_get(MET_DNS_IGNORED);
}

static void truth(struct str *out, struct slice query)
{
    say(out, query, 0);
    add_a(out, "", 60, "192.0.2.1");
}

/* Before the truth comes: 200 lies with other ids, another question, no question, an answer that is a
 * query. */
static void lies_first(struct peer *p, struct slice query, bool tcp, struct str *out)
{
    for (unsigned i = 0; i < 200; i++) {
        struct str lie;
        str_init(&lie, 0);
        truth(&lie, query);
        lie.ptr[lie.len - 1] = 66;
        switch (i % 4) {
        case 0:
            ms_put_be16(lie.ptr, (uint16_t)(ms_get_be16(query.ptr) + 1 + i));
            break;
        case 1:
            lie.ptr[13] ^= 1; /* another name */
            break;
        case 2:
            lie.ptr[2] &= 0x7f; /* no answer */
            break;
        case 3:
            str_cut(&lie, i % 28); /* shorter than header and question */
            break;
        }
        assert_true(sendto(p->udp, lie.ptr, lie.len, 0, (struct sockaddr *)&p->from, p->from_len) >= 0);
        str_fini(&lie);
    }
    truth(out, query);
}

static void test_wrong_content(void **state)
{
    struct site s;
    struct got g;
    uint64_t before = ignored();
    site_open(&s, 1, lies_first);
    ask_now(&s, "host.example", DNS_A, &g);
    for (unsigned i = 0; i < 20 && g.count == 0; i++)
        site_settle(&s);
    assert_true(g.count == 1 && g.err == MS_OK && g.records == 1);
    assert_string_equal(g.data[0], "192.0.2.1");
    assert_int_equal(ignored() - before, 200);
    assert_int_equal(s.peers[0].asked, 1);
    site_close(&s);
}

/* From another address or port the kernel does not even let it in. */
static void other_source(struct peer *p, struct slice query, bool tcp, struct str *out)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct str lie;
    for (unsigned i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        from.sin_addr.s_addr = htonl(i ? 0x7f000002 : INADDR_LOOPBACK);
        from.sin_port = i ? htons(p->port) : 0;
        assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
        str_init(&lie, 0);
        truth(&lie, query);
        lie.ptr[lie.len - 1] = 66;
        assert_true(sendto(fd, lie.ptr, lie.len, 0, (struct sockaddr *)&p->from, p->from_len) > 0);
        str_fini(&lie);
        close(fd);
    }
}

static void test_wrong_source(void **state)
{
    struct site s;
    struct got g;
    site_open(&s, 1, other_source);
    ask_now(&s, "host.example", DNS_A, &g);
    assert_int_equal(g.count, 0);
    loop_advance(s.loop, 15100);
    assert_true(g.count == 1 && g.err == MS_ETIMEOUT);
    site_close(&s);
}

static bool lie_about_case;
static void case_zone(struct peer *p, struct slice query, bool tcp, struct str *out)
{
    truth(out, query);
    if (tcp || !lie_about_case)
        return;
    out->ptr[out->len - 1] = 66;
    for (size_t i = 12; out->ptr[i]; i++)
        out->ptr[i] = ms_ascii_lower(out->ptr[i]);
}

/* A server that keeps our letters is held to it: other letters are looked into over TCP. One that never
 * did is believed. */
static void test_letters(void **state)
{
    struct site s;
    struct got g;
    char name[64];
    uint64_t before = ignored();
    site_open(&s, 1, case_zone);
    lie_about_case = false;
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "quite-a-long-name-%u.example", i);
        ask_now(&s, name, DNS_A, &g);
        assert_string_equal(g.data[0], "192.0.2.1");
    }
    assert_int_equal(s.peers[0].asked_tcp, 0);
    lie_about_case = true;
    ask_now(&s, "quite-another-rather-long-name.example", DNS_A, &g);
    assert_true(g.count == 1);
    assert_string_equal(g.data[0], "192.0.2.1");
    assert_int_equal(s.peers[0].asked_tcp, 1);
    assert_int_equal(ignored() - before, 1);
    site_close(&s);
    site_open(&s, 1, case_zone); /* always in lower case: nothing to hold it to */
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "quite-a-long-name-%u.example", i);
        ask_now(&s, name, DNS_A, &g);
        assert_true(g.count == 1 && g.err == MS_OK);
    }
    assert_int_equal(s.peers[0].asked_tcp, 0);
    site_close(&s);
}

static void answer_truth(struct peer *p, struct slice query, bool tcp, struct str *out)
{
    truth(out, query);
}

/* Nothing of one query helps to guess the next. */
static void test_entropy(void **state)
{
    struct site s;
    struct got g;
    unsigned same_port = 0, next_id = 0;
    site_open(&s, 1, answer_truth);
    for (unsigned i = 0; i < 60; i++) {
        char name[32];
        snprintf(name, sizeof(name), "h%u.example", i);
        ask_now(&s, name, DNS_A, &g);
        assert_int_equal(g.count, 1);
        for (unsigned k = 0; k < i; k++)
            same_port += s.peers[0].ports[k] == s.peers[0].ports[i];
        next_id += i > 0 && (uint16_t)(s.peers[0].ids[i] - s.peers[0].ids[i - 1]) < 16;
    }
    assert_true(same_port < 10); /* 60 of 28,000 ports: 0.06 pairs are to be expected */
    assert_true(next_id < 5);
    site_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wrong_content),
                                       cmocka_unit_test(test_wrong_source), cmocka_unit_test(test_letters),
                                       cmocka_unit_test(test_entropy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
