#!/bin/sh
# Runs in a booted Debian that has the package (tests/product/bare.py --boot): configures, starts,
# hangs, stops and restarts each service as the getting-started page has it. Its last line is `ok`.
set -eu
exec 2>&1

die() {
  echo "booted: $*"
  systemctl status --no-pager 'gemmine*' || true
  journalctl --no-pager -n 60 -u 'gemmine*' || true
  exit 1
}
until_said() { # UNIT PATTERN
  for _ in $(seq 300); do
    journalctl --no-pager -u "$1" | grep -q "$2" && return
    systemctl is-failed -q "$1" && die "$1 failed"
    sleep 1
  done
  die "$1 never said $2"
}
is() { # UNIT PROPERTY VALUE
  found=$(systemctl show -P "$2" "$1")
  [ "$found" = "$3" ] || die "$2 of $1 is $found, not $3"
}

# A pool whose folder was never made says so, and is no new pool.
systemctl start gemmine-pool && die "a pool without a folder started"
[ -z "$(ls -A /var/lib/gemmine-pool)" ] || die "a pool without a folder made one"
systemctl stop gemmine-pool

pin=$(sudo -u gemmine-pool gemmine-pool init --data /var/lib/gemmine-pool |
  grep -o 'sha256:[0-9a-f]*' | head -1)
mkdir -p /srv/jobs
sed 's/^steps_per_lease = .*/steps_per_lease = 50/' /usr/share/gemmine/jobs/fashion-mnist.toml \
  >/srv/jobs/fashion-mnist.toml
echo 'GEMMINE_POOL="--fund 10000000 --job /srv/jobs/fashion-mnist.toml --listen 127.0.0.1:4400"' \
  >/etc/gemmine/pool.conf
echo "GEMMINE_MINE=\"--pool 127.0.0.1:4400 --pin $pin --account somebody --throttle 50\"" \
  >/etc/gemmine/mine.conf
echo "GEMMINE_AUDIT=\"--pool 127.0.0.1:4400 --pin $pin --rate 1\"" >/etc/gemmine/audit.conf

systemctl enable -q --now gemmine-pool
is gemmine-pool StatusText "listening on port 4400"
systemctl enable -q --now gemmine-audit
# The miner's word of life, often enough to miss it here.
mkdir -p /etc/systemd/system/gemmine.service.d
printf '[Service]\nWatchdogSec=4\nRestartSec=1\n' >/etc/systemd/system/gemmine.service.d/often.conf
systemctl daemon-reload
systemctl enable -q --now gemmine
is gemmine StatusText "mining on cpu for somebody"
until_said gemmine share_accepted
until_said gemmine-audit 'replayed .*outcome=valid'
for user in gemmine gemmine-pool gemmine-audit; do
  is "$user" ActiveState active
  is "$user" NRestarts 0
  [ "$(stat -c %U "/proc/$(systemctl show -P MainPID "$user")")" = "$user" ] || die "$user is not"
  [ "$(stat -c '%a %U' "/var/lib/$user")" = "700 $user" ] || die "/var/lib/$user is open"
done

# One that hangs is ended and started again, and goes on with what it had.
kill -STOP "$(systemctl show -P MainPID gemmine)"
for _ in $(seq 60); do
  [ "$(systemctl show -P NRestarts gemmine)" = 0 ] || break
  sleep 1
done
is gemmine NRestarts 1
until_said gemmine 'Watchdog timeout'

systemctl restart gemmine-pool # everybody comes back to it by himself
journalctl --rotate -q && journalctl --vacuum-time=1s -q >/dev/null 2>&1
until_said gemmine share_accepted
systemctl stop gemmine gemmine-audit gemmine-pool
is gemmine Result success
is gemmine-audit Result success
is gemmine-pool Result success
sudo -u gemmine gemmine receipts --data /var/lib/gemmine | grep -q . || die "no receipts"

# What another try does not mend is not tried again.
echo 'GEMMINE_MINE="--pool 127.0.0.1:4400 --acount somebody"' >/etc/gemmine/mine.conf
systemctl start gemmine && die "a wrong command line started"
sleep 3
is gemmine ExecMainStatus 2
is gemmine NRestarts 0
is gemmine ActiveState failed

journalctl --no-pager -q -n 20 -u 'gemmine*'
apt-get purge -y -qq gemmine >/dev/null
[ -e /var/lib/gemmine-pool/pool.key ] || die "a purge took the pool's key"
[ ! -e /etc/systemd/system/multi-user.target.wants/gemmine.service ] || die "still enabled"
echo ok
