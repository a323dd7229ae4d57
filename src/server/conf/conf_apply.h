/* conf_apply.h - the meaning of what stands in the server's configuration files. */
#ifndef RESTANTE_SERVER_CONF_APPLY_H
#define RESTANTE_SERVER_CONF_APPLY_H

#include "conf/conf_items.h"
#include "server/conf/conf_rows.h"

/* Sets what the items say. All faults are collected. */
void conf_apply(struct conf *conf, const struct conf_items *items, struct conf_faults *faults);

#endif
