/* conf_tls_check.c - whether the site can carry out a configuration: system users, files, certificates.
 *
 * Links libcrypto; for "restantectl config check" alone. Workers load certificates by themselves.
 * Does not know: how faults are shown.
 */
#include "server/conf/conf_check.h"

#include <errno.h>
#include <grp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SOON_S = 14 * 86400 };

static FILE *open_pem(struct conf_faults *faults, const struct conf_spot *at, const char *path)
{
    FILE *f = fopen(path, "re");

    if (!f)
        conf_fault_in(faults, at, "%.200s: %s; check the path, or run this as root", path, strerror(errno));
    return f;
}

static X509 *read_certificate(struct conf_faults *faults, const struct conf_spot *at, const char *path)
{
    FILE *f = open_pem(faults, at, path);
    X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

    if (f && !x)
        conf_fault_in(faults, at, "%.200s holds no certificate in PEM", path);
    if (f)
        fclose(f);
    return x;
}

/* Keys with a passphrase cannot be used by a server that starts unattended. */
static int no_passphrase(char *dst, int room, int writing, void *ctx)
{
    (void)dst;
    (void)room;
    (void)writing;
    (void)ctx;
    return -1;
}

static EVP_PKEY *read_key(struct conf_faults *faults, const struct conf_spot *at, const char *path)
{
    FILE *f = open_pem(faults, at, path);
    EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, no_passphrase, NULL) : NULL;
    struct conf_spot open_file = *at;
    struct stat st;

    open_file.warning = true;
    if (f && !key)
        conf_fault_in(faults, at, "%.200s holds no private key in PEM without a passphrase", path);
    if (f && fstat(fileno(f), &st) == 0 && (st.st_mode & 007))
        conf_fault_in(faults, &open_file, "%.200s is open to everybody; chmod o= it", path);
    if (f)
        fclose(f);
    return key;
}

static void check_dates(struct conf_faults *faults, struct conf_spot at, const X509 *x)
{
    time_t now = time(NULL), soon = now + SOON_S;

    at.warning = true;
    if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0)
        conf_fault_in(faults, &at, "the certificate has expired; renew it");
    else if (X509_cmp_time(X509_get0_notAfter(x), &soon) < 0)
        conf_fault_in(faults, &at, "the certificate expires within two weeks; renew it");
    if (X509_cmp_time(X509_get0_notBefore(x), &now) > 0)
        conf_fault_in(faults, &at, "the certificate is not valid yet; check the clock");
}

static void check_pair(struct conf_faults *faults, struct conf_spot cert_at, struct conf_spot key_at,
                       const char *cert_path, const char *key_path)
{
    X509 *x = read_certificate(faults, &cert_at, cert_path);
    EVP_PKEY *key = read_key(faults, &key_at, key_path);

    if (x && key && X509_check_private_key(x, key) != 1)
        conf_fault_in(faults, &key_at, "%.200s is not the key of the certificate", key_path);
    if (x)
        check_dates(faults, cert_at, x);
    X509_free(x);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

static struct conf_spot spot(const char *section, const char *name)
{
    return (struct conf_spot){ .section = section, .name = name };
}

static void check_certificates(const struct conf *conf, struct conf_faults *faults)
{
    struct conf_spot ca = spot("tls", "client_ca"), crl = spot("tls", "client_crl");

    if (*conf->tls.certificate)
        check_pair(faults, spot("tls", "certificate"), spot("tls", "key"), conf->tls.certificate, conf->tls.key);
    for (uint32_t i = 0; i < conf->ncertificate; i++) {
        struct conf_spot cert = spot("certificate", "certificate"), key = spot("certificate", "key");

        cert.instance = key.instance = i;
        cert.title = key.title = conf->certificate[i].name;
        check_pair(faults, cert, key, conf->certificate[i].certificate, conf->certificate[i].key);
    }
    if (*conf->tls.client_ca)
        X509_free(read_certificate(faults, &ca, conf->tls.client_ca));
    if (*conf->tls.client_crl && access(conf->tls.client_crl, R_OK) != 0)
        conf_fault_in(faults, &crl, "%.200s: %s; check the path", conf->tls.client_crl, strerror(errno));
}

static void check_user(struct conf_faults *faults, struct conf_spot at, const char *name)
{
    if (*name && !getpwnam(name))
        conf_fault_in(faults, &at, "there is no system user \"%.60s\"; create it or name another", name);
}

void conf_check_site(const struct conf *conf, struct conf_faults *faults)
{
    struct conf_spot users = spot("users", "file"), group = spot("mail", "group");
    struct conf_spot front = spot("workers", "front_user"), auth = spot("workers", "auth_user");

    check_certificates(conf, faults);
    users.warning = true;
    if (access(conf->users.file, R_OK) != 0)
        conf_fault_in(faults, &users, "%.200s: %s; nobody can log in until it can be read", conf->users.file,
                      strerror(errno));
    check_user(faults, spot("mail", "user"), conf->mail.user);
    if (*conf->mail.group && !getgrnam(conf->mail.group))
        conf_fault_in(faults, &group, "there is no system group \"%.60s\"; create it or name another",
                      conf->mail.group);
    front.warning = auth.warning = true; /* they matter to a server that is started as root */
    if (geteuid() == 0) {
        check_user(faults, front, conf->workers.front_user);
        check_user(faults, auth, conf->workers.auth_user);
    }
}
