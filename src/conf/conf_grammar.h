/* conf_grammar.h - which names a kind of configuration file knows: given by those who know what they mean. */
#ifndef RESTANTE_CONF_CONF_GRAMMAR_H
#define RESTANTE_CONF_CONF_GRAMMAR_H

#include "base/span.h"

/* What a section is. */
struct conf_section {
    const char *name;
    bool titled; /* may be repeated, each with a name: listen "pop3s" { … } */
    const char *sentence;
};

struct conf_grammar {
    const struct conf_section *sections; /* [0] is "": outside of sections */
    size_t nsections;
    const char *(*setting)(size_t i, const char **section); /* name of the i-th setting, NULL behind the last */
};

#endif
