/*
 * simulate_plot.c - a run as a picture (SVG): a panel for each channel, in it the queue, what is in work and
 * the jobs over time, each to its own height.
 */
#include "simulate.h"

#define WIDTH      900
#define PANEL      190
#define LEFT       20
#define PLOT_WIDTH (WIDTH - 2 * LEFT)
#define PLOT_TOP   46
#define PLOT_DEPTH 110

struct curve {
    const char *name, *color;
    size_t offset; /* in struct sim_point */
};
static const struct curve curves[] = {
    {"queued", "#8a8f98", offsetof(struct sim_point, queued)},
    {"in work", "#2f7d4f", offsetof(struct sim_point, in_work)},
    {"jobs", "#b5482f", offsetof(struct sim_point, jobs)},
};

static uint64_t value_of(const struct sim_point *p, const struct curve *c)
{
    uint64_t value;
    memcpy(&value, (const char *)p + c->offset, sizeof value);
    return value;
}

static uint64_t max_of(const struct sim_point *points, size_t count, const struct curve *c)
{
    uint64_t max = 0;
    for (size_t i = 0; i < count; i++)
        max = MS_MAX(max, value_of(&points[i], c));
    return max;
}

static void add_curve(struct str *out, const struct sim_point *points, size_t count, const struct curve *c,
                      unsigned top, unsigned place)
{
    uint64_t max = max_of(points, count, c), end_us = MS_MAX(points[count - 1].at_us, 1);
    str_addf(out, "<text x=\"%u\" y=\"%u\" fill=\"%s\">%s, at most %llu</text>\n", LEFT + place * 200,
             top + 36, c->color, c->name, (unsigned long long)max);
    str_addf(out, "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"%s\" points=\"", c->color);
    for (size_t i = 0; i < count; i++)
        str_addf(out, "%.1f,%.1f ", LEFT + (double)points[i].at_us * PLOT_WIDTH / (double)end_us,
                 top + PLOT_TOP + PLOT_DEPTH -
                     (double)value_of(&points[i], c) * PLOT_DEPTH / (double)MS_MAX(max, 1));
    str_add_cstr(out, "\"/>\n");
}

static void add_panel(struct str *out, const char *name, const struct sim_point *points, size_t count,
                      unsigned top)
{
    struct str end;
    str_init(&end, 0);
    conf_emit_duration(&end, points[count - 1].at_us / 1000);
    str_addf(out, "<text x=\"%u\" y=\"%u\" font-weight=\"bold\">%s</text>\n", LEFT, top + 18, name);
    str_addf(out, "<path d=\"M%u %u V%u H%u\" fill=\"none\" stroke=\"#444\"/>\n", LEFT, top + PLOT_TOP,
             top + PLOT_TOP + PLOT_DEPTH, LEFT + PLOT_WIDTH);
    str_addf(out, "<text x=\"%u\" y=\"%u\">0</text><text x=\"%u\" y=\"%u\" text-anchor=\"end\">%s</text>\n",
             LEFT, top + PLOT_TOP + PLOT_DEPTH + 16, LEFT + PLOT_WIDTH, top + PLOT_TOP + PLOT_DEPTH + 16,
             str_cstr(&end));
    for (unsigned i = 0; i < MS_ARRAY_LEN(curves); i++)
        add_curve(out, points, count, &curves[i], top, i);
    str_fini(&end);
}

void sim_plot(const struct sim *s, const struct sim_point *points, size_t count, struct str *out)
{
    size_t channels = sim_channels(s);
    MS_ASSERT(count > 0);
    str_addf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" font-family=\"sans-serif\" "
        "font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        WIDTH, channels * PANEL);
    for (size_t i = 0; i < channels; i++)
        add_panel(out, sim_channel_name(s, i), points + i * count, count, (unsigned)(i * PANEL));
    str_add_cstr(out, "</svg>\n");
}
