/* conf_check.h - what settings mean together, and whether this site can carry them out. */
#ifndef RESTANTE_SERVER_CONF_CHECK_H
#define RESTANTE_SERVER_CONF_CHECK_H

#include "conf/conf_fault.h"
#include "server/conf/conf_rows.h"

/* Looks at values alone; no file is touched: whoever may read the configuration may use it. */
void conf_check(const struct conf *conf, struct conf_faults *faults);

/* A further check of a configuration that has no faults so far, such as conf_check_site. */
typedef void conf_more(const struct conf *conf, struct conf_faults *faults);

/* Looks at the site: system users exist, the users file can be read (warnings), certificates and keys can be
 * read and belong together (conf_tls_check.c: needs libcrypto). */
conf_more conf_check_site;

/* conf_read with a further check; more may be NULL. Warnings go into report and leave the result alone. */
bool conf_read_more(const char *path, conf_more *more, struct conf **conf, struct buf *report);

#endif
