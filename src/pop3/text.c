/* text.c - the table of texts and of languages: see text.h. */
#include "pop3/text.h"

const struct text_lang text_langs[TEXT_LANGS_N] = {
    { "en", "English", LANG_EN },
    { "de", "Deutsch", LANG_DE },
    { "fr", "Français", LANG_FR },
    { "i-default", "Default (English)", LANG_EN }, /* RFC 2277 §4.5 */
};

static const char *const neutral[] = {
    [TEXT_CUSTOM] = "@",
    [TEXT_NUMBERS] = "# #",
};

static const char *const texts[TEXT_N][LANG_N] = {
    [TEXT_GREETING] = { "@ POP3 server ready", "@ POP3-Server bereit", "@ serveur POP3 prêt" },
    [TEXT_CAPA] = { "capabilities follow", "Fähigkeiten folgen", "voici les capacités" },
    [TEXT_USER] = { "now the password", "nun das Passwort", "maintenant le mot de passe" },
    [TEXT_LOGGED_IN_1] = { "maildrop open, # message", "Postfach offen, # Nachricht",
                           "boîte ouverte, # message" },
    [TEXT_LOGGED_IN_N] = { "maildrop open, # messages", "Postfach offen, # Nachrichten",
                           "boîte ouverte, # messages" },
    [TEXT_LISTING_1] = { "# message (# octets)", "# Nachricht (# Oktette)", "# message (# octets)" },
    [TEXT_LISTING_N] = { "# messages (# octets)", "# Nachrichten (# Oktette)", "# messages (# octets)" },
    [TEXT_UIDL] = { "unique-ids follow", "eindeutige Kennungen folgen", "voici les identifiants uniques" },
    [TEXT_OCTETS] = { "# octets", "# Oktette", "# octets" },
    [TEXT_TOP] = { "top of the message follows", "Anfang der Nachricht folgt", "voici le début du message" },
    [TEXT_DELETED] = { "message marked as deleted", "Nachricht zum Löschen vorgemerkt",
                       "message marqué comme effacé" },
    [TEXT_NOOP] = { "nothing done", "nichts getan", "rien de fait" },
    [TEXT_RESET] = { "no message is marked as deleted", "keine Nachricht ist zum Löschen vorgemerkt",
                     "aucun message n'est marqué comme effacé" },
    [TEXT_BYE] = { "goodbye", "auf Wiedersehen", "au revoir" },
    [TEXT_BYE_REMOVED] = { "goodbye, messages removed: #", "auf Wiedersehen, gelöschte Nachrichten: #",
                           "au revoir, messages effacés : #" },
    [TEXT_STLS] = { "begin TLS now", "TLS kann beginnen", "TLS peut commencer" },
    [TEXT_MECHS] = { "mechanisms follow", "Verfahren folgen", "voici les mécanismes" },
    [TEXT_UTF8] = { "UTF-8 from now on", "ab jetzt UTF-8", "UTF-8 à partir de maintenant" },
    [TEXT_LANGS] = { "languages follow", "Sprachen folgen", "voici les langues" },
    [TEXT_LANG_SET] = { "@ English from now on", "@ ab jetzt Deutsch", "@ français à partir de maintenant" },

    [TEXT_UNKNOWN] = { "unknown command", "unbekannter Befehl", "commande inconnue" },
    [TEXT_BEFORE_LOGIN] = { "log in first", "erst anmelden", "identifiez-vous d'abord" },
    [TEXT_AFTER_LOGIN] = { "not after login", "nicht nach der Anmeldung", "pas après l'identification" },
    [TEXT_BAD_ARGS] = { "wrong arguments", "falsche Argumente", "arguments incorrects" },
    [TEXT_BAD_OCTETS] = { "octets that no command has", "Oktette, die kein Befehl enthält",
                          "octets interdits dans une commande" },
    [TEXT_LONG_LINE] = { "line too long", "Zeile zu lang", "ligne trop longue" },
    [TEXT_TOO_MANY_BAD] = { "too many bad commands", "zu viele fehlerhafte Befehle",
                            "trop de commandes incorrectes" },
    [TEXT_FOREIGN] = { "this is a POP3 server", "dies ist ein POP3-Server", "ceci est un serveur POP3" },

    [TEXT_USER_FIRST] = { "the command USER first", "erst der Befehl USER", "d'abord la commande USER" },
    [TEXT_NEEDS_TLS] = { "encryption (TLS) first", "erst Verschlüsselung (TLS)", "d'abord le chiffrement (TLS)" },
    [TEXT_NO_APOP] = { "APOP is not offered", "APOP wird nicht angeboten", "APOP n'est pas proposé" },
    [TEXT_NO_MECH] = { "mechanism not available", "Verfahren nicht verfügbar", "mécanisme indisponible" },
    [TEXT_BAD_BASE64] = { "not valid Base64", "kein gültiges Base64", "Base64 incorrect" },
    [TEXT_CANCELLED] = { "authentication cancelled", "Anmeldung abgebrochen", "identification annulée" },
    [TEXT_MALFORMED] = { "malformed authentication message", "fehlerhafte Anmeldenachricht",
                         "message d'identification mal formé" },
    [TEXT_LOGIN_FAILED] = { "login failed", "Anmeldung fehlgeschlagen", "échec de l'identification" },
    [TEXT_IN_USE] = { "maildrop is in use by another session", "Postfach wird von einer anderen Sitzung benutzt",
                      "la boîte est utilisée par une autre session" },
    [TEXT_LOGIN_DELAY] = { "last login was too recent", "letzte Anmeldung war erst kürzlich",
                           "dernière identification trop récente" },
    [TEXT_SYS_TEMP] = { "temporary server failure, try again later",
                        "vorübergehende Störung des Servers, später erneut versuchen",
                        "panne passagère du serveur, réessayez plus tard" },
    [TEXT_SYS_PERM] = { "server failure, tell the administrator", "Störung des Servers, bitte den Betreiber verständigen",
                        "panne du serveur, prévenez l'administrateur" },
    [TEXT_HAVE_TLS] = { "TLS is already active", "TLS ist schon aktiv", "TLS est déjà actif" },
    [TEXT_NO_STLS] = { "TLS is not offered here", "TLS wird hier nicht angeboten", "TLS n'est pas proposé ici" },
    [TEXT_STLS_BROKEN] = { "TLS cannot be started, tell the administrator",
                           "TLS kann nicht beginnen, bitte den Betreiber verständigen",
                           "TLS ne peut pas commencer, prévenez l'administrateur" },
    [TEXT_STLS_AFTER_UTF8] = { "not after UTF8", "nicht nach UTF8", "pas après UTF8" },

    [TEXT_NO_MSG] = { "no such message", "keine solche Nachricht", "ce message n'existe pas" },
    [TEXT_MSG_DELETED] = { "message is marked as deleted", "Nachricht ist zum Löschen vorgemerkt",
                           "le message est marqué comme effacé" },
    [TEXT_MSG_GONE] = { "message can no longer be read", "Nachricht ist nicht mehr lesbar",
                        "le message n'est plus lisible" },
    [TEXT_NEEDS_UTF8] = { "message needs UTF8 mode", "Nachricht braucht den Modus UTF8",
                          "le message demande le mode UTF8" },
    [TEXT_TOP_REFUSED] = { "only TOP n 0 here, or RETR", "hier nur TOP n 0 oder RETR", "ici TOP n 0 ou RETR" },
    [TEXT_UTF8_LATE] = { "too late for UTF8", "zu spät für UTF8", "trop tard pour UTF8" },
    [TEXT_NO_LANG] = { "no such language", "keine solche Sprache", "langue inconnue" },
    [TEXT_COMMIT_FAILED] = { "messages removed: #, not removed: #", "Nachrichten gelöscht: #, nicht gelöscht: #",
                             "messages effacés : #, non effacés : #" },
};

const char *text_get(enum lang lang, enum text_id id)
{
    return id < sizeof neutral / sizeof *neutral ? neutral[id] : texts[id][lang];
}

/* RFC 4647 §3.3.1: the range is the tag, or the tag goes on with "-" behind it. */
static bool in_range(struct span range, const char *tag)
{
    struct span t = span_str(tag);

    if (range.n == 0 || range.n > t.n || (range.n < t.n && t.p[range.n] != '-'))
        return false;
    t.n = range.n;
    return span_ieq(range, t);
}

const struct text_lang *text_lang_find(struct span range, const char *preferred)
{
    const struct text_lang *found;

    if (span_is(range, "*")) {
        found = preferred && !span_is(range, preferred) ? text_lang_find(span_str(preferred), NULL) : NULL;
        return found ? found : &text_langs[0];
    }
    for (size_t i = 0; i < TEXT_LANGS_N; i++)
        if (in_range(range, text_langs[i].tag))
            return &text_langs[i];
    return NULL;
}
