/*
 * simulate_plot.c - a run as a picture (SVG): for each channel the queue, the work and the waits over time,
 * one below the other.
 *
 * No scripts; colours follow the light or dark theme of the viewer. Coordinates are tenths, made of
 * integers, so that the same run is the same file everywhere.
 */
#include "simulate_print.h"

#define WIDTH         860
#define LEFT          70
#define RIGHT         20
#define PLOT_WIDTH    (WIDTH - LEFT - RIGHT)
#define HEAD          66 /* of a panel: its name and settings */
#define STRIP         150
#define STRIP_TOP     34 /* in a strip: its title and legend */
#define DEPTH         92
#define TAIL          24
#define STRIPS        3
#define PANEL         (HEAD + STRIPS * STRIP + TAIL)
#define DRAWN_MAX     480 /* points of a curve */
#define LOAD_TEXT_MAX 130

enum curve_kind {
    CURVE_LINE,
    CURVE_AREA,
    CURVE_MEAN,
    CURVE_LONGEST
}; /* the last two: of those delivered since the point before */
struct curve {
    const char *name, *style;
    enum curve_kind kind;
    size_t offset; /* LINE, AREA: in struct sim_point */
};
struct strip {
    const char *title;
    bool is_time; /* its values are us */
    unsigned count;
    struct curve curves[3];
};
#define AT(member) offsetof(struct sim_point, member)
/* clang-format off */
static const struct strip strips[STRIPS] = {
    {"queue: entries", false, 3, {{"queued", "a", CURVE_AREA, AT(queued)}, {"deferred", "b", CURVE_LINE, AT(deferred)},
                                  {"delayed", "c", CURVE_LINE, AT(delayed)}}},
    {"work: jobs and their threads", false, 2, {{"threads", "d", CURVE_LINE, AT(in_work)},
                                                {"jobs", "e", CURVE_LINE, AT(jobs)}}},
    {"wait from arrival to delivery", true, 2, {{"longest", "f", CURVE_LONGEST, 0}, {"mean", "g", CURVE_MEAN, 0}}},
};
/* clang-format on */
static const char style[] =
    "<style>\n"
    "text{font:12px sans-serif;fill:#24292f}\n"
    ".h{font-size:15px;font-weight:bold}.s{fill:#57606a}.n{fill:#57606a;font-size:11px}\n"
    ".bg{fill:#fff}.grid{stroke:#d8dee4;stroke-width:1}.axis{stroke:#57606a;stroke-width:1;fill:none}\n"
    ".l{fill:none;stroke-width:1.6;stroke-linejoin:round}\n"
    ".a{stroke:#57606a;fill:#57606a;fill-opacity:.18}.b{stroke:#8250df}.c{stroke:#bf8700}.d{stroke:#1a7f37}\n"
    ".e{stroke:#cf222e}.f{stroke:#0969da}.g{stroke:#57606a;stroke-dasharray:4 3}\n"
    ".k{fill:none;stroke-width:3}\n"
    "@media "
    "(prefers-color-scheme:dark){text{fill:#e6edf3}.s,.n{fill:#9198a1}.bg{fill:#0d1117}.grid{stroke:#30363d}"
    "\n"
    ".axis{stroke:#9198a1}.a{stroke:#9198a1;fill:#9198a1}.b{stroke:#ab7df8}.c{stroke:#d29922}.d{stroke:#"
    "3fb950}\n"
    ".e{stroke:#f85149}.f{stroke:#4493f8}.g{stroke:#9198a1}}\n"
    "</style>\n";

static unsigned long long ull(uint64_t n)
{
    return n;
}

/* -- text */
static void add_escaped(struct str *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<' || c == '>' || c == '&' || c == '"')
            str_addf(out, "&#%u;", c);
        else
            str_add_byte(out, c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static void add_text(struct str *out, unsigned x, unsigned y, const char *attributes, const char *text)
{
    str_addf(out, "<text x=\"%u\" y=\"%u\" %s>", x, y, attributes);
    add_escaped(out, text);
    str_add_cstr(out, "</text>\n");
}

/* -- axes */
/* The next of 1, 2, 5, 10, 20 ... that is not below. */
static uint64_t round_up(uint64_t n)
{
    for (uint64_t unit = 1;; unit *= 10)
        for (unsigned i = 0; i < 3; i++)
            if (unit * (i == 0 ? 1 : i == 1 ? 2 : 5) >= n)
                return unit * (i == 0 ? 1 : i == 1 ? 2 : 5);
}

/* The same for times, at what clocks show. */
static uint64_t round_up_time(uint64_t us)
{
    static const uint64_t s[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    if (us <= 500000)
        return MS_MAX(round_up(us), (uint64_t)1000);
    for (size_t i = 0; i < MS_ARRAY_LEN(s); i++)
        if (us <= s[i] * 1000000)
            return s[i] * 1000000;
    return round_up((us + 86399999999) / 86400000000) * 86400000000;
}

static const char *tick_text(uint64_t value, bool is_time, char out[SIM_TEXT_MAX])
{
    struct str text;
    if (!is_time) {
        snprintf(out, SIM_TEXT_MAX, "%llu", ull(value));
        return out;
    }
    str_init(&text, 0);
    conf_emit_duration(&text, value / 1000);
    snprintf(out, SIM_TEXT_MAX, "%s", str_cstr(&text));
    str_fini(&text);
    return out;
}

static uint64_t step_of(uint64_t max, unsigned ticks, bool is_time)
{
    uint64_t least = (max + ticks - 1) / ticks;
    return is_time ? round_up_time(least) : round_up(MS_MAX(least, (uint64_t)1));
}

/* Horizontal lines with what they mean; the value at the top. */
static uint64_t add_scale(struct str *out, uint64_t max, unsigned top, bool is_time)
{
    uint64_t step = step_of(MS_MAX(max, (uint64_t)1), 4, is_time),
             high = (MS_MAX(max, (uint64_t)1) + step - 1) / step * step;
    char text[SIM_TEXT_MAX];
    for (uint64_t v = 0; v <= high; v += step) {
        unsigned y = top + DEPTH - (unsigned)(v * DEPTH / high);
        str_addf(out, "<path class=\"%s\" d=\"M%u %u.5H%u\"/>\n", v ? "grid" : "axis", LEFT, y,
                 LEFT + PLOT_WIDTH);
        add_text(out, LEFT - 6, y + 4, "class=\"n\" text-anchor=\"end\"", tick_text(v, is_time, text));
    }
    return high;
}

static void add_times(struct str *out, uint64_t end_us, unsigned top)
{
    uint64_t step = step_of(end_us, 10, true);
    char text[SIM_TEXT_MAX];
    for (uint64_t t = 0; t <= end_us; t += step) {
        unsigned x = LEFT + (unsigned)((unsigned __int128)t * PLOT_WIDTH / end_us);
        str_addf(out, "<path class=\"axis\" d=\"M%u.5 %uv4\"/>\n", x, top + DEPTH);
        add_text(out, x, top + DEPTH + 16, "class=\"n\" text-anchor=\"middle\"", tick_text(t, true, text));
    }
}

/* -- curves */
/* What is drawn at point `to`, of all since point `from` was: a peak is not lost. false: nothing. */
static bool value_at(const struct sim_record *r, size_t channel, const struct curve *c, size_t from,
                     size_t to, uint64_t *out)
{
    const struct sim_point *p = sim_record_at(r, channel, to), *before = sim_record_at(r, channel, from);
    uint64_t delivered = p->delivered - (from < to ? before->delivered : 0), max = 0;
    if (c->kind == CURVE_LONGEST)
        *out = from < to ? sim_record_wait_max(r, channel, from, to) : p->wait_max_us;
    else if (c->kind == CURVE_MEAN)
        *out = (p->wait_sum_us - (from < to ? before->wait_sum_us : 0)) / MS_MAX(delivered, (uint64_t)1);
    else
        for (size_t i = from + (from < to); i <= to; i++) {
            uint64_t value;
            memcpy(&value, (const char *)sim_record_at(r, channel, i) + c->offset, sizeof value);
            *out = max = MS_MAX(max, value);
        }
    return delivered > 0 || c->kind == CURVE_LINE || c->kind == CURVE_AREA;
}

/* Over the whole; what is drawn is no higher. */
static uint64_t max_of(const struct sim_record *r, size_t channel, const struct curve *c)
{
    uint64_t max = 0, value;
    for (size_t i = 0; i < r->count; i++)
        if (value_at(r, channel, c, i ? i - 1 : 0, i, &value))
            max = MS_MAX(max, value);
    return max;
}

static void add_coordinates(struct str *out, uint64_t x, uint64_t y)
{
    str_addf(out, "%llu.%llu,%llu.%llu ", ull(x / 10), ull(x % 10), ull(y / 10), ull(y % 10));
}

static void add_curve(struct str *out, const struct sim_record *r, size_t channel, const struct curve *c,
                      uint64_t high, unsigned top)
{
    uint64_t end_us = MS_MAX(sim_record_at(r, channel, r->count - 1)->at_us, (uint64_t)1);
    size_t stride = (r->count + DRAWN_MAX - 1) / DRAWN_MAX, last = r->count - 1;
    str_addf(out, "<%s class=\"l %s\" points=\"", c->kind == CURVE_AREA ? "polygon" : "polyline", c->style);
    if (c->kind == CURVE_AREA)
        add_coordinates(out, LEFT * 10, (top + DEPTH) * 10);
    for (size_t i = 0, before = 0;; before = i, i = MS_MIN(i + stride, last)) {
        uint64_t value, at_us = sim_record_at(r, channel, i)->at_us;
        if (value_at(r, channel, c, before, i, &value))
            add_coordinates(out, LEFT * 10 + (uint64_t)((unsigned __int128)at_us * PLOT_WIDTH * 10 / end_us),
                            (top + DEPTH) * 10 - (uint64_t)((unsigned __int128)value * DEPTH * 10 / high));
        if (i == last)
            break;
    }
    if (c->kind == CURVE_AREA)
        add_coordinates(out, (LEFT + PLOT_WIDTH) * 10, (top + DEPTH) * 10);
    str_add_cstr(out, "\"/>\n");
}

static void add_legend(struct str *out, const struct strip *strip, const struct sim_record *r, size_t channel,
                       unsigned top)
{
    unsigned x = LEFT + 230;
    for (unsigned i = 0; i < strip->count; i++) {
        const struct curve *c = &strip->curves[i];
        char number[SIM_TEXT_MAX], text[SIM_TEXT_MAX + 32];
        uint64_t max = max_of(r, channel, c);
        if (max == 0)
            continue;
        snprintf(text, sizeof text, "%s, at most %s", c->name,
                 strip->is_time ? sim_time_text(max, number) : tick_text(max, false, number));
        str_addf(out, "<path class=\"k %s\" d=\"M%u %uh16\"/>\n", c->style, x, top + 14);
        add_text(out, x + 22, top + 18, "class=\"s\"", text);
        x += 185;
    }
}

static void add_strip(struct str *out, const struct strip *strip, const struct sim_record *r, size_t channel,
                      unsigned top)
{
    uint64_t max = 0;
    for (unsigned i = 0; i < strip->count; i++)
        max = MS_MAX(max, max_of(r, channel, &strip->curves[i]));
    add_text(out, LEFT, top + 18, "", strip->title);
    add_legend(out, strip, r, channel, top);
    uint64_t high = add_scale(out, max, top + STRIP_TOP, strip->is_time);
    add_times(out, MS_MAX(sim_record_at(r, channel, r->count - 1)->at_us, (uint64_t)1), top + STRIP_TOP);
    for (unsigned i = 0; i < strip->count; i++)
        if (max_of(r, channel, &strip->curves[i]))
            add_curve(out, r, channel, &strip->curves[i], high, top + STRIP_TOP);
}

/* -- panels */
static void add_panel(struct str *out, const struct sim *s, const struct sim_record *r,
                      const struct conf *conf, size_t channel, unsigned top)
{
    struct str text;
    str_init(&text, 0);
    str_addf(&text, "channel %s", sim_channel_name(s, channel));
    add_text(out, LEFT, top + 28, "class=\"h\"", str_cstr(&text));
    str_reset(&text);
    sim_settings_emit(&text, s, conf, channel);
    add_text(out, LEFT, top + 48, "class=\"s\"", str_cstr(&text));
    str_fini(&text);
    for (unsigned i = 0; i < STRIPS; i++)
        add_strip(out, &strips[i], r, channel, top + HEAD + i * STRIP);
}

/* What was asked, cut to what fits; the height it takes. */
static unsigned add_loads(struct str *out, const struct sim *s)
{
    struct str text;
    unsigned y = 28;
    add_text(out, LEFT, y, "class=\"h\"", "mailserverd jobs simulate");
    str_init(&text, 0);
    for (size_t i = 0; i < sim_loads(s); i++) {
        str_reset(&text);
        str_add_cstr(&text, "load ");
        sim_load_emit(&text, sim_load_get(s, i));
        if (text.len > LOAD_TEXT_MAX) {
            str_cut(&text, LOAD_TEXT_MAX - 3);
            str_add_cstr(&text, "...");
        }
        add_text(out, LEFT, y += 18, "class=\"n\"", str_cstr(&text));
    }
    str_fini(&text);
    return y + 10;
}

void sim_plot(const struct sim *s, const struct sim_record *r, const struct conf *conf, struct str *out)
{
    size_t height = 28 + 18 * sim_loads(s) + 10 + r->channels * PANEL;
    MS_ASSERT(r->count > 0);
    str_addf(out,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" width=\"%d\" height=\"%zu\" "
             "role=\"img\">\n"
             "<title>mailserverd jobs simulate</title>\n",
             WIDTH, height, WIDTH, height);
    str_add_cstr(out, style);
    str_add_cstr(out, "<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n");
    unsigned top = add_loads(out, s);
    for (size_t i = 0; i < r->channels; i++)
        add_panel(out, s, r, conf, i, top + (unsigned)i * PANEL);
    str_add_cstr(out, "</svg>\n");
}
