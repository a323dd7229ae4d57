/* account.h - a user as the system sees one: whose files, and where. */
#ifndef RESTANTE_ADMIN_ACCOUNT_H
#define RESTANTE_ADMIN_ACCOUNT_H

#include "admin/ctl.h"
#include "auth/users.h"

struct account {
    struct conf *conf;
    struct users *users;
    const struct users_entry *entry;
    char *maildrop;
    uint32_t uid, gid; /* USERS_NUMBER_NONE = whoever runs this program */
};

/* Finds the user. Returns EX_OK, or an exit code after a message; close in either case. */
int account_open(const struct cli *ctl, const char *name, struct account *account);

/* Gives up root for the owner of the maildrop, for good; does nothing when we are that owner. */
int account_become(const struct account *account);

void account_close(struct account *account);

#endif
