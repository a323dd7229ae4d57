/* mem.h - maildrops in memory (store_mem), for tests: how a test fills and changes them.
 *
 * Names stand for paths. All functions may be called from any thread. Not linked into the programs.
 */
#ifndef RESTANTE_STORE_MEM_H
#define RESTANTE_STORE_MEM_H

#include "store/store.h"

/* Adds a message behind the others; makes the maildrop if it is new. */
void mem_add(const char *path, struct span uid, struct span content);

/* What another program might do: false when there is no such message. */
bool mem_remove(const char *path, struct span uid);
bool mem_change(const char *path, struct span uid, struct span content);

/* Removals fail from now on (or work again). */
void mem_refuse_removals(const char *path, bool refuse);

void mem_clear(void);

#endif
