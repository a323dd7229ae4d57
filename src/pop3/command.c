/* command.c - the table itself: see command.h. A linear scan of seventeen rows needs no hash. */
#include "pop3/command.h"

#define AZ STATE_BIT(ST_AUTH)
#define TX STATE_BIT(ST_TRANS)

/* clang-format off */
const struct command commands[] = {
    { "CAPA", AZ | TX, ARGS_NONE,    NAME_KEEP, true,  NULL,   cmd_capa, "lists what the server can do" },
    { "USER", AZ,      ARGS_RAW,     NAME_VOID, false, "USER", cmd_user, "names the user; PASS follows" },
    { "PASS", AZ,      ARGS_RAW,     NAME_USE,  false, NULL,   cmd_pass, "logs in with a password" },
    { "STAT", TX,      ARGS_NONE,    NAME_VOID, false, NULL,   cmd_stat, "counts messages and octets" },
    { "UIDL", TX,      ARGS_MSG_OPT, NAME_VOID, true,  "UIDL", cmd_uidl, "lists the unique ids" },
    { "LIST", TX,      ARGS_MSG_OPT, NAME_VOID, true,  NULL,   cmd_list, "lists the sizes" },
    { "RETR", TX,      ARGS_MSG,     NAME_VOID, true,  NULL,   cmd_retr, "sends a message" },
    { "DELE", TX,      ARGS_MSG,     NAME_VOID, false, NULL,   cmd_dele, "marks a message as deleted" },
    { "TOP",  TX,      ARGS_TOP,     NAME_VOID, true,  "TOP",  cmd_top,  "sends the first lines of a message" },
    { "QUIT", AZ | TX, ARGS_NONE,    NAME_KEEP, false, NULL,   cmd_quit, "removes what is marked, and ends" },
    { "AUTH", AZ,      ARGS_AUTH,    NAME_VOID, true,  "SASL", cmd_auth, "logs in by a SASL mechanism" },
    { "APOP", AZ,      ARGS_APOP,    NAME_VOID, false, NULL,   cmd_apop, "logs in with a digest" },
    { "STLS", AZ,      ARGS_NONE,    NAME_VOID, false, "STLS", cmd_stls, "starts TLS" },
    { "NOOP", TX,      ARGS_NONE,    NAME_KEEP, false, NULL,   cmd_noop, "does nothing" },
    { "RSET", TX,      ARGS_NONE,    NAME_VOID, false, NULL,   cmd_rset, "takes all marks back" },
    { "UTF8", AZ | TX, ARGS_NONE,    NAME_VOID, false, "UTF8", cmd_utf8, "switches to UTF-8 mode" },
    { "LANG", AZ | TX, ARGS_LANG,    NAME_VOID, true,  "LANG", cmd_lang, "lists or chooses languages" },
};
/* clang-format on */
const size_t commands_n = sizeof commands / sizeof *commands;

static const char *const foreign[] = { "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "EHLO", "HELO" };

const struct command *command_find(struct span word)
{
    for (size_t i = 0; i < commands_n; i++)
        if (span_iis(word, commands[i].word))
            return &commands[i];
    return NULL;
}

bool command_is_foreign(struct span word)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (span_iis(word, foreign[i]))
            return true;
    return word.n >= 4 && memcmp(word.p, "SSH-", 4) == 0;
}
