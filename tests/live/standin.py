"""Dovecot behind the interface of server.Server: to try test adapters against a server known to all.

    RESTANTE_STANDIN=dovecot python3 -m pytest tests/peers

It proves nothing about Restante; it tells whether a failing test is the test's own fault.
"""

from __future__ import annotations

import getpass
import grp
import os
import subprocess
import time
from pathlib import Path

import server as srv

CONF = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = pop3
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:{base}/mail/%u
first_valid_uid = 0
pop3_uidl_format = %f
pop3_lock_session = yes
passdb {{
  driver = passwd-file
  args = {base}/users
}}
userdb {{
  driver = passwd-file
  args = {base}/users
  override_fields = uid={uid} gid={gid} home={base}/home/%u
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {plain}
  }}
  inet_listener pop3s {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Dovecot(srv.Server):
    def __init__(self, pki):
        super().__init__(pki, start=False)

    def start(self, expect_ready: bool = True):
        plain, tls = srv.free_ports(2)
        self.ports = {"plain": plain, "strict": plain, "tls": tls}
        (self.base / "home").mkdir()
        srv.own(self.base / "home")
        self.users_path.chmod(0o644)
        self.conf_path.write_text(
            CONF.format(
                base=self.base,
                user="nobody" if srv.ROOT else getpass.getuser(),
                group=grp.getgrgid(65534 if srv.ROOT else os.getgid()).gr_name,
                cert=self.certificate,
                key=self.key,
                uid=srv.MAIL_UID,
                gid=srv.MAIL_GID,
                plain=plain,
                tls=tls,
            )
        )
        with open(self.base / "stderr", "wb") as log:
            self.proc = subprocess.Popen(
                ["/usr/sbin/dovecot", "-F", "-c", str(self.conf_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                self.wire("plain").close()
                return self
            except OSError:
                assert self.proc.poll() is None, Path(self.base / "stderr").read_text()
                time.sleep(0.05)
        raise AssertionError(self.log())

    def stop(self, seconds: float = 0) -> None:
        self.kill()
