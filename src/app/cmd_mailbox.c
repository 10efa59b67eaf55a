/*
 * cmd_mailbox.c - mailbox list, status, create, delete, rename, subscribe, unsubscribe: what the running
 * server is asked for over its local socket.
 */
#include "mbx.h"

#include <getopt.h>

/* -- list, status */
static const char *number(struct arena *a, uint64_t n)
{
    return arena_printf(a, "%llu", (unsigned long long)n);
}

static void emit_listed(const struct app_args *args, const struct mbx_box *b, struct arena *a)
{
    const struct app_field fields[] = {
        {.name = "name", .text = (const char *)b->name.ptr},
        {.name = "messages", .text = b->has_status ? number(a, b->messages) : ""},
        {.name = "unseen", .text = b->has_status ? number(a, b->unseen) : ""},
        {.name = "size", .text = b->has_status ? number(a, b->size) : ""},
        {.name = "subscribed", .text = b->subscribed ? "yes" : "no"},
        {.name = "attributes", .items = b->attrs, .count = b->attr_count},
    };
    app_emit_fields(args, fields, MS_ARRAY_LEN(fields), false);
}

static void emit_status(const struct app_args *args, const struct mbx_box *b, struct arena *a)
{
    const struct app_field fields[] = {
        {.name = "name", .text = (const char *)b->name.ptr},
        {.name = "messages", .text = number(a, b->messages)},
        {.name = "unseen", .text = number(a, b->unseen)},
        {.name = "size", .text = number(a, b->size)},
        {.name = "uidnext", .text = number(a, b->uidnext)},
        {.name = "uidvalidity", .text = number(a, b->uidvalidity)},
        {.name = "subscribed", .text = b->subscribed ? "yes" : "no"},
        {.name = "attributes", .items = b->attrs, .count = b->attr_count},
    };
    app_emit_fields(args, fields, MS_ARRAY_LEN(fields), true);
}

int cmd_mailbox_list(struct app_args *args)
{
    struct mbx_conn *c;
    struct mbx_boxes boxes;
    if (args->argc < 2 || args->argc > 3 || args->argv[1][0] == '-')
        return app_usage(args, "mailbox list takes a user and perhaps a mailbox");
    const char *name = args->argc == 3 ? args->argv[2] : NULL;
    int rc = name ? mbx_check_name(name) : EX_OK;
    if (rc || (rc = mbx_conn_open(args, args->argv[1], &c)))
        return rc;
    mbx_boxes_init(&boxes);
    rc = mbx_boxes_read(c, name, true, &boxes);
    if (!rc && name && !boxes.count)
        rc = app_fail(EX_NOINPUT, "%s: No such mailbox", name);
    if (!rc)
        rc = mbx_boxes_status(c, &boxes);
    for (const struct mbx_box *b = boxes.first; b && !rc; b = b->next)
        emit_listed(args, b, &boxes.arena);
    mbx_boxes_fini(&boxes);
    mbx_conn_close(&c);
    return rc;
}

static struct mbx_box *find_box(const struct mbx_boxes *boxes, struct slice name)
{
    bool inbox = slice_ieq_cstr(name, "INBOX"); /* RFC 3501 5.1 */
    for (struct mbx_box *b = boxes->first; b; b = b->next)
        if (slice_eq(b->name, name) || (inbox && slice_eq_cstr(b->name, "INBOX")))
            return b;
    return NULL;
}

static int status_of(const struct app_args *args, struct mbx_boxes *boxes, const char *name)
{
    struct mbx_box *b = find_box(boxes, slice_cstr(name));
    if (!b || !b->has_status)
        return app_fail(EX_NOINPUT, "%s: No such mailbox", name);
    emit_status(args, b, &boxes->arena);
    return EX_OK;
}

int cmd_mailbox_status(struct app_args *args)
{
    struct mbx_conn *c;
    struct mbx_boxes boxes;
    if (args->argc < 3 || args->argv[1][0] == '-')
        return app_usage(args, "mailbox status takes a user and mailboxes");
    int rc = mbx_conn_open(args, args->argv[1], &c);
    if (rc)
        return rc;
    mbx_boxes_init(&boxes);
    rc = mbx_boxes_read(c, NULL, true, &boxes);
    if (!rc)
        rc = mbx_boxes_status(c, &boxes);
    for (int i = 2; i < args->argc && (!rc || rc == EX_NOINPUT); i++) {
        int one = status_of(args, &boxes, args->argv[i]);
        rc = rc ? rc : one;
    }
    mbx_boxes_fini(&boxes);
    mbx_conn_close(&c);
    return rc;
}

/* -- one command on names */
static int on_names(struct app_args *args, const char *command, const char *usage, int names)
{
    struct mbx_conn *c;
    if (args->argc != names + 2 || args->argv[1][0] == '-')
        return app_usage(args, usage);
    for (int i = 2; i < args->argc; i++)
        if (mbx_check_name(args->argv[i]))
            return EX_USAGE;
    int rc = mbx_conn_open(args, args->argv[1], &c);
    if (rc)
        return rc;
    uint32_t tag = mbx_begin(c, command);
    for (int i = 2; i < args->argc; i++)
        mbx_add_name(c, slice_cstr(args->argv[i]));
    mbx_end(c);
    rc = mbx_expect(c, tag, NULL, NULL, args->argv[2]);
    mbx_conn_close(&c);
    return rc;
}

int cmd_mailbox_rename(struct app_args *args)
{
    return on_names(args, "RENAME", "mailbox rename takes a user, a mailbox and its new name", 2);
}

int cmd_mailbox_subscribe(struct app_args *args)
{
    return on_names(args, "SUBSCRIBE", "mailbox subscribe takes a user and a mailbox", 1);
}

int cmd_mailbox_unsubscribe(struct app_args *args)
{
    return on_names(args, "UNSUBSCRIBE", "mailbox unsubscribe takes a user and a mailbox", 1);
}

/* -- create */
struct create_args {
    const char *user, *name;
    char uses[256]; /* "\Sent \Archive" */
    bool subscribe;
};

/* "sent" and "\Sent" are the same; the server knows which there are. */
static int add_use(struct create_args *a, const char *text)
{
    size_t at = strlen(a->uses);
    text += text[0] == '\\';
    for (const char *p = text; *p; p++)
        if (!ms_ascii_is_alpha((uint8_t)*p))
            return app_fail(EX_USAGE, "--special-use takes a word like sent");
    int n = snprintf(a->uses + at, sizeof a->uses - at, "%s\\%s", at ? " " : "", text);
    if (!text[0] || n < 0 || (size_t)n >= sizeof a->uses - at)
        return app_fail(EX_USAGE, "--special-use takes a word like sent");
    return EX_OK;
}

static int create_parse(struct app_args *args, struct create_args *out)
{
    static const struct option options[] = {
        {"special-use", required_argument, NULL, 'u'}, {"subscribe", no_argument, NULL, 's'}, {0}};
    int c, rc = EX_OK;
    while (!rc && (c = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (c == 'u')
            rc = add_use(out, optarg);
        else if (c == 's')
            out->subscribe = true;
        else
            return EX_USAGE;
    }
    if (rc)
        return rc;
    if (optind + 2 != args->argc)
        return app_usage(args, "mailbox create takes a user and a mailbox");
    out->user = args->argv[optind];
    out->name = args->argv[optind + 1];
    return mbx_check_name(out->name);
}

int cmd_mailbox_create(struct app_args *args)
{
    struct create_args a = {0};
    struct mbx_conn *c;
    int rc = create_parse(args, &a);
    if (rc || (rc = mbx_conn_open(args, a.user, &c)))
        return rc;
    uint32_t tag = mbx_begin(c, "CREATE");
    mbx_add_name(c, slice_cstr(a.name));
    if (a.uses[0]) { /* RFC 6154 3 */
        mbx_add(c, SLICE_LIT(" (USE ("));
        mbx_add(c, slice_cstr(a.uses));
        mbx_add(c, SLICE_LIT("))"));
    }
    mbx_end(c);
    rc = mbx_expect(c, tag, NULL, NULL, a.name);
    if (!rc && a.subscribe) {
        tag = mbx_begin(c, "SUBSCRIBE");
        mbx_add_name(c, slice_cstr(a.name));
        mbx_end(c);
        rc = mbx_expect(c, tag, NULL, NULL, a.name);
    }
    mbx_conn_close(&c);
    return rc;
}

/* -- delete */
static int delete_one(struct mbx_conn *c, const char *name)
{
    uint32_t tag = mbx_begin(c, "DELETE");
    mbx_add_name(c, slice_cstr(name));
    mbx_end(c);
    return mbx_expect(c, tag, NULL, NULL, name);
}

/* Those below come first, so that an interruption leaves a tree. */
static int delete_tree(struct mbx_conn *c, const char *name)
{
    struct mbx_boxes boxes;
    mbx_boxes_init(&boxes);
    int rc = mbx_boxes_read(c, name, false, &boxes);
    if (!rc && !boxes.count)
        rc = app_fail(EX_NOINPUT, "%s: No such mailbox", name);
    const struct mbx_box **all = arena_new_array(&boxes.arena, const struct mbx_box *, boxes.count);
    size_t n = 0;
    for (const struct mbx_box *b = boxes.first; b; b = b->next)
        all[n++] = b;
    while (n-- > 0 && !rc)
        if (!all[n]->no_select)
            rc = delete_one(c, (const char *)all[n]->name.ptr);
    mbx_boxes_fini(&boxes);
    return rc;
}

int cmd_mailbox_delete(struct app_args *args)
{
    static const struct option options[] = {{"recursive", no_argument, NULL, 'r'}, {0}};
    struct mbx_conn *c;
    bool recursive = false;
    int o;
    while ((o = getopt_long(args->argc, args->argv, "", options, NULL)) != -1) {
        if (o != 'r')
            return EX_USAGE;
        recursive = true;
    }
    if (optind + 2 != args->argc)
        return app_usage(args, "mailbox delete takes a user and a mailbox");
    const char *user = args->argv[optind], *name = args->argv[optind + 1];
    int rc = mbx_check_name(name);
    if (rc || (rc = mbx_conn_open(args, user, &c)))
        return rc;
    rc = recursive ? delete_tree(c, name) : delete_one(c, name);
    mbx_conn_close(&c);
    return rc;
}
