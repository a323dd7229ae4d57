/* super_tls.c - certificates and keys: read, tested, handed to the fronts in a sealed descriptor.
 *
 * What does not pass the test never reaches a front; the bundle before stays in use and the log says why. (A keys
 * worker takes this place later, so that fronts hold no private key.) Does not know: connections.
 */
#include "server/super/super.h"

#include "base/log.h"
#include "base/secret.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 4 * 1024 * 1024, BUNDLE_MAX = 64 * 1024 * 1024 };

static bool read_file(const char *path, struct buf *b, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    uint8_t *dst;
    ssize_t n;

    if (fd < 0)
        return err_errno(e, "open", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !(dst = buf_reserve(b, (size_t)st.st_size + 1))) {
        close(fd);
        return err_set(e, FAULT_BAD, "%s is not a regular file of at most 4 MiB", path);
    }
    n = read(fd, dst, (size_t)st.st_size);
    close(fd);
    if (n != st.st_size)
        return err_set(e, FAULT_TEMP, "%s changed while it was read", path);
    b->n += (size_t)n;
    return true;
}

static bool add_pair(struct buf *bundle, const char *certificate, const char *key, struct err *e)
{
    struct buf chain = BUF(FILE_MAX), secret = BUF(FILE_MAX);
    bool ok = read_file(certificate, &chain, e) && read_file(key, &secret, e) &&
              (tls_bundle_add(bundle, buf_span(&chain), buf_span(&secret)) ||
               err_set(e, FAULT_BAD, "certificates are too large"));

    buf_free(&chain);
    buf_wipe(&secret);
    return ok;
}

static bool make_bundle(const struct conf *conf, struct buf *bundle, struct err *e)
{
    struct buf ca = BUF(FILE_MAX), crl = BUF(FILE_MAX);
    bool ok = add_pair(bundle, conf->tls.certificate, conf->tls.key, e);

    for (uint32_t i = 0; ok && i < conf->ncertificate; i++)
        ok = add_pair(bundle, conf->certificate[i].certificate, conf->certificate[i].key, e);
    if (ok && conf->tls.client_ca[0])
        ok = read_file(conf->tls.client_ca, &ca, e);
    if (ok && conf->tls.client_crl[0])
        ok = read_file(conf->tls.client_crl, &crl, e);
    ok = ok && (tls_bundle_end(bundle, buf_span(&ca), buf_span(&crl)) ||
                err_set(e, FAULT_BAD, "certificates are too large"));
    buf_free(&ca);
    buf_free(&crl);
    return ok;
}

/* The bundle in a descriptor that nobody can change any more. */
static int seal(struct span bundle, struct err *e)
{
    int fd = memfd_create("restante-tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && write(fd, bundle.p, bundle.n) == (ssize_t)bundle.n &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return fd;
    err_set(e, FAULT_TEMP, "memfd: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

struct file_stamp super_stamp(const char *path)
{
    struct file_stamp t = { 0, 0, 0, 0 };
    struct stat st;

    if (stat(path, &st) == 0) {
        t.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        t.ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
        t.size = (uint64_t)st.st_size;
        t.inode = st.st_ino;
    }
    return t;
}

static void stamp(struct super *s, const char *path)
{
    if (!path || !path[0])
        return;
    s->stamps = mem_grow(s->stamps, s->nstamps + 1, sizeof *s->stamps);
    s->stamps[s->nstamps++] = super_stamp(path);
}

static void stamp_all(struct super *s, const struct conf *conf)
{
    s->nstamps = 0;
    stamp(s, conf->tls.certificate);
    stamp(s, conf->tls.key);
    stamp(s, conf->tls.client_ca);
    stamp(s, conf->tls.client_crl);
    for (uint32_t i = 0; i < conf->ncertificate; i++) {
        stamp(s, conf->certificate[i].certificate);
        stamp(s, conf->certificate[i].key);
    }
}

bool super_tls_changed(struct super *s)
{
    struct super now = { .stamps = NULL };
    bool changed;

    if (!s->conf->tls.certificate[0])
        return false;
    stamp_all(&now, s->conf);
    changed = now.nstamps != s->nstamps ||
              memcmp(now.stamps, s->stamps, now.nstamps * sizeof *now.stamps) != 0;
    free(now.stamps);
    return changed;
}

bool super_load_tls(struct super *s, const struct conf *conf, struct err *e)
{
    struct tls_options o = { conf->tls.min_version == CONF_TLS13, conf->tls.strict_sni,
                             conf->tls.tickets, conf->tls.ciphers };
    struct buf bundle = BUF(BUNDLE_MAX);
    struct tls_site *test = NULL;
    int fd = -1;

    stamp_all(s, conf); /* before reading: a change meanwhile is seen at the next look */
    if (!conf->tls.certificate[0]) {
        if (s->tls_fd >= 0)
            close(s->tls_fd);
        s->tls_fd = -1;
        s->tls_broken = false;
        return true;
    }
    if (make_bundle(conf, &bundle, e) && tls_site_new(buf_span(&bundle), &o, &test, e))
        fd = seal(buf_span(&bundle), e);
    tls_site_free(&test);
    buf_wipe(&bundle);
    if (fd < 0) {
        s->tls_broken = s->tls_fd < 0;
        return false;
    }
    if (s->tls_fd >= 0)
        close(s->tls_fd);
    s->tls_fd = fd;
    s->tls_broken = false;
    return true;
}

void super_new_ticket_key(struct super *s)
{
    memmove(s->tickets + 80, s->tickets, sizeof s->tickets - 80);
    secret_random(s->tickets, 80);
    if (s->ntickets < 3)
        s->ntickets++;
    s->tickets_ms = uv_now(s->loop);
}
