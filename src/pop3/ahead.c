/* ahead.c - the messages a client is about to ask for: see ahead.h. */
#include "pop3/ahead.h"

#include "pop3/command.h"
#include "pop3/engine_impl.h"

enum { LINES = 64 }; /* looked at in one go, whatever they say */

static bool take_line(struct span *in, struct span *line)
{
    if (in->n == 0 || !memchr(in->p, '\n', in->n))
        return false;
    *line = span_until(in, '\n');
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    return line->n < LIMIT_CMD_LINE;
}

/* Commands that leave every message as it is, but for the one that DELE names. */
static bool is_harmless(const struct command *cmd)
{
    return cmd->run == cmd_dele || cmd->run == cmd_list || cmd->run == cmd_uidl || cmd->run == cmd_stat ||
           cmd->run == cmd_noop;
}

static bool holds(const uint32_t *msgs, size_t n, uint32_t msg)
{
    for (size_t i = 0; i < n; i++)
        if (msgs[i] == msg)
            return true;
    return false;
}

size_t ahead_messages(const struct engine *e, struct span unread, uint32_t *msgs, size_t room)
{
    struct span line;
    size_t n = 0;

    for (int i = 0; i < LINES && n < room && e->state == ST_TRANS && take_line(&unread, &line); i++) {
        struct span rest = line, word = span_until(&rest, ' ');
        const struct command *cmd = command_find(word);
        struct call call;

        rest = span_of(line.p + word.n, line.n - word.n);
        if (!cmd || !call_parse(cmd->args, rest, &call))
            break;
        if (cmd->run == cmd_retr || cmd->run == cmd_top) {
            uint32_t msg = call.msg - 1; /* 0 becomes a number past every count */

            if (msg < e->view->count && !mail_is_deleted(e, msg) && !holds(msgs, n, msg))
                msgs[n++] = msg;
        } else if (!is_harmless(cmd)) {
            break;
        }
    }
    return n;
}
