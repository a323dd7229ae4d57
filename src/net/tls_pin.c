/* tls_pin.c - pins of public keys as people write them. Does not know: certificates. */
#include "net/tls_client.h"

#include "base/base64.h"
#include "base/num.h"

bool tls_pin_parse(const char *text, uint8_t pin[32])
{
    uint8_t hex[64], raw[BASE64_DECODED(44) + 1];
    size_t n = 0;

    if (strncmp(text, "sha256//", 8) == 0)
        return strlen(text) == 8 + 44 && base64_get(span_str(text + 8), raw, &n) && n == 32 && memcpy(pin, raw, 32);
    for (; *text; text++) {
        if (*text == ':')
            continue;
        if (n == sizeof hex)
            return false;
        hex[n++] = (uint8_t)*text;
    }
    return n == sizeof hex && hex_get(span_of(hex, n), pin, 32);
}
