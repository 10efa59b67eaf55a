/*
 * mbx_mbox.c - messages in an mbox.
 *
 * A message begins with a From_ line, "From sender date"; one without a date that can be read is text. Its
 * end is the next From_ line, without the empty line before it, or, when Content-Length names a place where a
 * From_ line (behind one empty line or none) or the end of the file is, that place: then lines that begin
 * with "From " are text too (mboxcl2). Otherwise writers put a ">" in front of those, and of those that begin
 * with ">From " already (mboxrd); it is taken off again. RFC 4155
 */
#include "mbx_files.h"

#include <time.h>

/* -- the From_ line */
static const char *const weekdays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static int word_index(struct slice word, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_ieq_cstr(word, names[i]))
            return (int)i;
    return -1;
}

#define FROM_WORDS_MAX 32
#define FROM_LINE_MAX  1000
static size_t cut_words(struct slice line, struct slice words[FROM_WORDS_MAX])
{
    size_t n = 0;
    line = slice_trim(line);
    while (line.len && n < FROM_WORDS_MAX) {
        if (!slice_cut(&line, ' ', &words[n])) {
            words[n] = line;
            line.len = 0;
        }
        n += words[n].len > 0;
    }
    return n;
}

/* "02:44" or "02:44:25" */
static bool take_clock(struct slice word, struct tm *tm)
{
    struct slice part[3];
    uint64_t v[3] = {0};
    size_t n = 0;
    while (n < 3 && word.len) {
        if (!slice_cut(&word, ':', &part[n])) {
            part[n] = word;
            word.len = 0;
        }
        if (part[n].len != 2 || slice_to_u64(part[n], 60, &v[n]))
            return false;
        n++;
    }
    if (n < 2 || word.len || v[0] > 23 || v[1] > 59)
        return false;
    tm->tm_hour = (int)v[0];
    tm->tm_min = (int)v[1];
    tm->tm_sec = (int)v[2];
    return true;
}

static bool take_year(struct slice word, struct tm *tm)
{
    uint64_t year;
    if (word.len != 4 || slice_to_u64(word, 9999, &year) || year < 1900)
        return false;
    tm->tm_year = (int)year - 1900;
    return true;
}

/* "+0530": seconds to take off; a zone by letters counts as UTC. */
static bool take_zone(struct slice word, int64_t *off_out)
{
    uint64_t v;
    bool sign = word.len == 5 && (word.ptr[0] == '+' || word.ptr[0] == '-');
    *off_out = 0;
    for (size_t i = 0; !sign && i < word.len; i++)
        if (!ms_ascii_is_alpha(word.ptr[i]))
            return false;
    if (!sign)
        return word.len <= 5;
    if (slice_to_u64(slice_sub(word, 1, 4), 2359, &v) || v % 100 > 59)
        return false;
    *off_out = (int64_t)(v / 100 * 3600 + v % 100 * 60) * (word.ptr[0] == '-' ? -1 : 1);
    return true;
}

/* "Thu Jan  1 00:00:00 1970", the zone before or behind the year. */
static bool take_date(const struct slice *word, size_t n, int64_t *date_out)
{
    struct tm tm = {0};
    uint64_t day;
    int64_t zone = 0;
    if (n < 5 || word_index(word[0], weekdays, 7) < 0 || (tm.tm_mon = word_index(word[1], months, 12)) < 0 ||
        slice_to_u64(word[2], 31, &day) || day == 0 || !take_clock(word[3], &tm))
        return false;
    tm.tm_mday = (int)day;
    if (take_year(word[4], &tm)) {
        if (n > 5 && !take_zone(word[5], &zone))
            zone = 0; /* "remote from ..." */
    } else if (n < 6 || !take_zone(word[4], &zone) || !take_year(word[5], &tm)) {
        return false;
    }
    *date_out = (int64_t)timegm(&tm) - zone;
    return true;
}

bool mbx_from_line(struct slice line, int64_t *date_out)
{
    struct slice words[FROM_WORDS_MAX];
    if (line.len > FROM_LINE_MAX || !slice_has_prefix(line, SLICE_LIT("From ")))
        return false;
    size_t n = cut_words(slice_sub(line, 5, SIZE_MAX), words);
    for (size_t i = 0; i + 5 <= n; i++)
        if (take_date(words + i, n - i, date_out))
            return true;
    return false;
}

bool mbx_is_quotable(struct slice line)
{
    while (line.len && line.ptr[0] == '>')
        line = slice_sub(line, 1, SIZE_MAX);
    return slice_has_prefix(line, SLICE_LIT("From "));
}

/* -- the header */
bool mbx_meta_add(struct mbx_meta *m, struct slice keyword)
{
    if (keyword.len == 0 || keyword.len > 64 || keyword.ptr[0] == '\\' ||
        m->keyword_count == MBX_KEYWORDS_MAX)
        return false;
    for (size_t i = 0; i < keyword.len; i++) /* RFC 9051 9: atom */
        if (keyword.ptr[i] <= ' ' || keyword.ptr[i] >= 0x7f || strchr("(){%*\"\\]", keyword.ptr[i]))
            return false;
    for (size_t i = 0; i < m->keyword_count; i++)
        if (slice_ieq(m->keywords[i], keyword))
            return true;
    m->keywords[m->keyword_count++] = keyword;
    return true;
}

static unsigned letters_flags(struct slice value, const char *letters, const unsigned *flags)
{
    unsigned found = 0;
    for (size_t i = 0; i < value.len; i++) {
        const char *at = value.ptr[i] ? strchr(letters, value.ptr[i]) : NULL;
        found |= at ? flags[at - letters] : 0;
    }
    return found;
}

static void take_keywords(struct mbx_mbox *m, struct slice value, struct mbx_meta *meta)
{
    struct slice word;
    while (value.len) {
        if (!slice_cut(&value, ' ', &word)) {
            word = value;
            value.len = 0;
        }
        word = slice_trim(word);
        if (word.len)
            mbx_meta_add(meta, arena_dup(&m->arena, word));
    }
}

bool mbx_imapbase_parse(struct slice value, uint32_t *uidvalidity_out, uint32_t *uidlast_out)
{
    struct slice words[FROM_WORDS_MAX];
    uint64_t validity, last;
    if (cut_words(value, words) < 2 || slice_to_u64(words[0], UINT32_MAX, &validity) ||
        slice_to_u64(words[1], UINT32_MAX - 1, &last) || validity == 0)
        return false;
    *uidvalidity_out = (uint32_t)validity;
    *uidlast_out = (uint32_t)last;
    return true;
}

struct header {
    bool has_length, has_imap, has_pseudo_subject;
    uint64_t length;
};

static void take_field(struct mbx_mbox *m, struct slice line, struct header *h, struct mbx_meta *meta)
{
    static const unsigned status[] = {IMAP_FLAG_SEEN, IMAP_FLAG_DELETED};
    static const unsigned x_status[] = {IMAP_FLAG_ANSWERED, IMAP_FLAG_FLAGGED, IMAP_FLAG_DELETED,
                                        IMAP_FLAG_DRAFT};
    struct slice name, value = line;
    uint64_t n;
    if (!slice_cut(&value, ':', &name))
        return;
    name = slice_trim(name);
    value = slice_trim(value);
    if (slice_ieq_cstr(name, "Status"))
        meta->flags |= letters_flags(value, "RD", status);
    else if (slice_ieq_cstr(name, "X-Status"))
        meta->flags |= letters_flags(value, "AFDT", x_status);
    else if (slice_ieq_cstr(name, "X-Keywords"))
        take_keywords(m, value, meta);
    else if (slice_ieq_cstr(name, "X-UID") && slice_to_u64(value, UINT32_MAX - 1, &n) == MS_OK)
        meta->uid = (uint32_t)n;
    else if (slice_ieq_cstr(name, "Content-Length"))
        h->has_length = slice_to_u64(value, INT64_MAX, &h->length) == MS_OK;
    else if (slice_ieq_cstr(name, "Subject"))
        h->has_pseudo_subject = slice_has_prefix(value, SLICE_LIT("DON'T DELETE THIS MESSAGE"));
    else if (slice_ieq_cstr(name, "X-IMAP") || slice_ieq_cstr(name, "X-IMAPbase")) {
        h->has_imap = h->has_imap || name.len == 6;
        if (!m->begun)
            (void)!mbx_imapbase_parse(value, &m->uidvalidity, &m->uidlast);
    }
}

static bool is_empty_line(struct slice text)
{
    return slice_eq_cstr(text, "\n") || slice_eq_cstr(text, "\r\n");
}

/* Up to and with the empty line; *next_out: a From_ line came instead. */
static enum ms_err read_header(struct mbx_mbox *m, struct mbx_mbox_message *out, struct header *h,
                               bool *next_out)
{
    struct mbx_line line;
    int64_t date;
    enum ms_err err;
    *next_out = false;
    while ((err = mbx_lines_next(&m->lines, &line)) == MS_OK) {
        out->body = out->end = line.at + line.text.len;
        if (!line.is_begin)
            continue;
        if (is_empty_line(line.text))
            return MS_OK;
        if (mbx_from_line(line.text, &date)) {
            out->body = out->end = m->at = line.at;
            *next_out = true;
            return MS_OK;
        }
        take_field(m, line.text, h, &out->meta);
    }
    m->at = out->end;
    *next_out = err == MS_ENOTFOUND;
    return err == MS_ENOTFOUND ? MS_OK : err;
}

/* -- the end */
/* A From_ line, behind one empty line or none, or the end of the file. */
static bool length_leads_on(const struct mbx_mbox *m, uint64_t end, uint64_t *next_out)
{
    uint8_t text[FROM_LINE_MAX + 4];
    size_t got;
    int64_t date;
    if (end > m->in->size || mbx_input_read(m->in, end, text, sizeof text, &got))
        return false;
    struct slice at = slice_make(text, got);
    size_t blank = slice_has_prefix(at, SLICE_LIT("\n"))     ? 1
                   : slice_has_prefix(at, SLICE_LIT("\r\n")) ? 2
                                                             : 0;
    at = slice_sub(at, blank, SIZE_MAX);
    *next_out = end + blank;
    if (at.len == 0)
        return true;
    ssize_t lf = slice_find_byte(at, '\n');
    return mbx_from_line(slice_sub(at, 0, lf < 0 ? at.len : (size_t)lf), &date);
}

static enum ms_err find_end(struct mbx_mbox *m, struct mbx_mbox_message *out)
{
    struct mbx_line line;
    size_t blank = 0; /* bytes of an empty line that may be the one in front of the next message */
    int64_t date;
    enum ms_err err;
    while ((err = mbx_lines_next(&m->lines, &line)) == MS_OK) {
        if (line.is_begin && mbx_from_line(line.text, &date)) {
            m->at = line.at;
            out->end -= blank;
            return MS_OK;
        }
        out->end = line.at + line.text.len;
        blank = line.is_begin && is_empty_line(line.text) ? line.text.len : 0;
    }
    if (err != MS_ENOTFOUND)
        return err;
    m->at = out->end;
    out->end -= blank;
    return MS_OK;
}

void mbx_mbox_init(struct mbx_mbox *m, const struct mbx_input *in)
{
    *m = (struct mbx_mbox){.in = in};
    mbx_lines_init(&m->lines, in, 0, in->size);
    arena_init(&m->arena, 0);
}

void mbx_mbox_fini(struct mbx_mbox *m)
{
    mbx_lines_fini(&m->lines);
    arena_fini(&m->arena);
}

static enum ms_err read_from(struct mbx_mbox *m, struct mbx_mbox_message *out)
{
    struct mbx_line line;
    do
        MS_TRY(mbx_lines_next(&m->lines, &line));
    while (!m->begun && is_empty_line(line.text));
    if (!mbx_from_line(line.text, &out->meta.date))
        return MS_ESYNTAX;
    out->at = line.at;
    out->head = out->body = out->end = line.at + line.text.len;
    return MS_OK;
}

enum ms_err mbx_mbox_next(struct mbx_mbox *m, struct mbx_mbox_message *out)
{
    struct header h = {.has_length = false};
    bool next;
    uint64_t at;
    arena_reset(&m->arena);
    memset(out, 0, sizeof *out);
    mbx_lines_seek(&m->lines, m->at);
    MS_TRY(read_from(m, out));
    MS_TRY(read_header(m, out, &h, &next));
    if (!next && h.has_length && h.length <= m->in->size && length_leads_on(m, out->body + h.length, &at)) {
        out->length_is_true = true;
        out->end = out->body + h.length;
        m->at = at;
    } else if (!next) {
        MS_TRY(find_end(m, out));
    }
    out->is_pseudo = !m->begun && h.has_imap && h.has_pseudo_subject;
    m->begun = true;
    return MS_OK;
}
