/* conf_forms.c - forms of values: see conf_forms.h. Pure but for memory. */
#include "conf/conf_forms.h"

#include "base/num.h"

enum { WORDS_ROOM = 120 };

bool conf_take_flag(const char *text, bool *v, struct err *e)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_iis(span_str(text), words[i])) {
            *v = i % 2 == 1;
            return true;
        }
    }
    return err_set(e, FAULT_BAD, "\"%.60s\" is neither yes nor no; write yes or no", text);
}

bool conf_put_words(const char *const *words, struct buf *out)
{
    bool first = true;

    for (; *words; words++) {
        if (**words == '\0')
            continue;
        if (!buf_put_str(out, first ? "" : "|") || !buf_put_str(out, *words))
            return false;
        first = false;
    }
    return true;
}

bool conf_take_word(const char *text, const char *const *words, uint32_t *at, struct err *e)
{
    struct buf all = BUF(WORDS_ROOM);

    for (*at = 0; words[*at]; ++*at)
        if (*text && span_iis(span_str(text), words[*at]))
            return true;
    if (conf_put_words(words, &all))
        err_set(e, FAULT_BAD, "\"%.60s\" is not known here; choose %.*s", text, (int)all.n, (const char *)all.p);
    buf_free(&all);
    return false;
}

bool conf_is_text(const char *text, struct err *e)
{
    for (const char *c = text; *c; c++)
        if ((uint8_t)*c < 0x20 || (uint8_t)*c == 0x7f)
            return err_set(e, FAULT_BAD, "the value holds a control character; remove it");
    return true;
}

bool conf_put_units(struct buf *out, const struct conf_unit *units, uint64_t v)
{
    for (; units->name; units++)
        if (v && v % units->worth == 0)
            return buf_printf(out, "%llu%s", (unsigned long long)(v / units->worth), units->name);
    return buf_put_str(out, "0");
}

bool conf_take_units(struct span in, const struct conf_unit *units, uint64_t bare, uint64_t *v)
{
    uint64_t n;

    if (!num_take_u64(&in, &n))
        return false;
    if (in.n == 0)
        return !__builtin_mul_overflow(n, bare, v);
    for (; units->name; units++)
        if (span_is(in, units->name))
            return !__builtin_mul_overflow(n, units->worth, v);
    return false;
}
