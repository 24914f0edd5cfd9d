#!/bin/sh
# Installs, upgrades or uninstalls dermedge. The bundle runs it after it has checked and unpacked itself, and holds the lock.
#
#   /opt/dermedge/<version>-<digest>/    everything: a virtual environment, the packs, the units
#   /opt/dermedge/current                a link to the one in use; moving it is the installation
#   /etc/dermedge/settings               the settings, never overwritten
#   /etc/systemd/system/dermedge-*       links to the units of `current`
#   /var/lib/private/dermedge-kiosk      the kiosk's own settings, with the hash of the PIN, and its counts
#
# DERMEDGE_ROOT=folder puts all of it below a folder, which is then neither started nor asked for root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
option=${1:-}
pin_file=${2:-}
root=${DERMEDGE_ROOT:-}
home=$root/opt/dermedge
settings=$root/etc/dermedge/settings
state=$root/var/lib/private/dermedge-kiosk
command=$root/usr/local/bin/dermedge
units=$root/etc/systemd/system
wanted=$units/multi-user.target.wants
selftest=dermedge-selftest.service
kiosk=dermedge-kiosk.service
candidate=/run/systemd/system/dermedge-candidate.service
export PYTHONDONTWRITEBYTECODE=1 PIP_CONFIG_FILE=/dev/null LC_ALL=C.UTF-8
unset PYTHONPATH PYTHONHOME DERMEDGE_PACKS

fail() { echo "dermedge: $*" >&2; exit 1; }

is_booted() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

# Systemd is told after every change of its files, and is not there in a chroot.
reload() { if is_booted; then systemctl daemon-reload; fi; }

point_to() {
  rm -f "$home/.current.new"
  ln -s "$1" "$home/.current.new"
  mv -T "$home/.current.new" "$home/current"
}

link_unit() { ln -sfn "$home/current/units/${1##*/}" "$units/$1"; }

want() { ln -sfn "$home/current/units/$1" "$wanted/$1"; }

is_wanted() { [ -L "$wanted/$1" ]; }

remove_kiosk() {
  had_kiosk=''
  ! is_wanted "$kiosk" || had_kiosk=yes
  if is_booted; then systemctl stop "$kiosk" 2>/dev/null || :; fi
  rm -f "$wanted/$kiosk" "$units/$kiosk" "$units/$kiosk.d/cage.conf"
  rmdir "$units/$kiosk.d" 2>/dev/null || :
  reload
  # The console has its login again.
  if [ -n "$had_kiosk" ] && is_booted; then systemctl start --no-block getty.target || :; fi
}

remove_links() {
  remove_kiosk
  if is_booted; then systemctl stop "$selftest" 2>/dev/null || :; fi
  rm -f "$command" "$wanted/$selftest" "$units/$selftest" "$home/current"
  reload
}

uninstall() {
  remove_links
  # With what an operator may have added to the unit.
  rm -rf "$units/$kiosk.d" "$units/$selftest.d"
  rm -rf "$home" "$(dirname "$settings")" "$state" "$root/var/lib/dermedge-kiosk"
  rmdir "$(dirname "$state")" 2>/dev/null || :
  echo "dermedge is uninstalled; settings, counts and packs are gone too"
}

# The Pythons that this bundle has wheels for, the newest first.
choose_python() {
  for tag in $(ls "$here/locks" | sed 's/\.txt$//' | sort -t3 -k2 -n -r); do
    candidate_python=python3.${tag#cp3}
    if command -v "$candidate_python" >/dev/null && "$candidate_python" -c 'import venv, zipfile' 2>/dev/null; then
      echo "$candidate_python $tag"
      return
    fi
  done
}

# Whatever stops an installation, what was in use before is in use afterwards.
undo() {
  status=$?
  trap - EXIT
  if is_booted && [ -e "$candidate" ]; then rm -f "$candidate"; systemctl daemon-reload || :; fi
  if [ -z "$finished" ]; then
    [ -n "$had_unit" ] || remove_kiosk
    [ -n "$had_wanted" ] || rm -f "$wanted/$kiosk"
    [ ! -e "$target/kiosk.json.before" ] || mv "$target/kiosk.json.before" "$state/kiosk.json"
    [ -n "$had_state" ] || rm -rf "$state" "$root/var/lib/dermedge-kiosk"
    rmdir "$(dirname "$state")" 2>/dev/null || :
    if [ -n "$previous" ]; then
      if [ "$(readlink "$home/current")" != "$previous" ]; then
        point_to "$previous"
        reload
        ! is_booted || [ -z "$had_wanted" ] || systemctl restart "$kiosk" || :
      fi
      echo "dermedge: $previous stays in use" >&2
    else
      remove_links
      [ -z "$made_settings" ] || rm -f "$settings"
      rmdir "$(dirname "$settings")" 2>/dev/null || :
    fi
    rm -rf "$target"
    [ "$status" != 0 ] || status=1
  fi
  exit "$status"
}

self_test() {
  "$1" doctor >"$here/doctor.txt" 2>&1 && return
  cat "$here/doctor.txt" >&2
  fail "the self-test failed on this machine, see above"
}

# What a kiosk with a touch screen needs; Debian's cage does not start without Xwayland, though nothing uses it.
has_touch() {
  for program in bin/cage bin/foot bin/Xwayland sbin/seatd; do
    [ -x "$root/usr/$program" ] || return 1
  done
}

# As the unit will run it: the same user, the same walls.
self_test_under_systemd() {
  mkdir -p "$(dirname "$candidate")"
  sed "s#/current/#/$name/#g" "$target/units/$selftest" >"$candidate"
  systemctl daemon-reload
  if ! systemctl start "$(basename "$candidate")"; then
    journalctl --no-pager --output=cat --lines=40 --unit="$(basename "$candidate")" >&2 || :
    fail "the self-test failed under systemd, see above"
  fi
  systemctl stop "$(basename "$candidate")"
  rm -f "$candidate"
  systemctl daemon-reload
}

# Whether this machine becomes a kiosk: on, off (prepared, and not started) or none.
decide_kiosk() {
  case $option in
    --no-kiosk) echo none ;;
    --pin-file) echo on ;;
    *)
      if is_wanted "$kiosk"; then echo on
      elif [ -n "$previous" ] && [ -z "$had_unit" ]; then echo none
      elif [ -t 0 ] && [ -z "$root" ]; then
        printf 'Is this machine to be a kiosk, which shows nothing but dermedge? [y/N] ' >&2
        read -r answer || answer=
        case $answer in [yY]*) echo ask ;; *) echo none ;; esac
      else echo off
      fi ;;
  esac
}

# The PIN goes into a copy first; it counts only when everything else has gone well.
set_pin() {
  [ ! -e "$state/kiosk.json" ] || cp "$state/kiosk.json" "$target/kiosk.json"
  if [ -n "$pin_file" ]; then exec 3<"$pin_file"; else exec 3<&0; fi
  if ! "$target/dermedge" kiosk --set-pin --settings "$target/kiosk.json" <&3 2>"$here/pin.txt"; then
    cat "$here/pin.txt" >&2
    fail "no PIN was set, see above"
  fi
  exec 3<&-
}

take_pin() {
  if [ ! -e "$state" ]; then
    [ -e "$(dirname "$state")" ] || mkdir -p -m 700 "$(dirname "$state")"
    mkdir -m 700 "$state"
  fi
  [ ! -e "$state/kiosk.json" ] || cp -p "$state/kiosk.json" "$target/kiosk.json.before"
  # Written over rather than replaced: the file stays the property of the kiosk's user.
  cat "$target/kiosk.json" >"$state/kiosk.json"
  chmod 600 "$state/kiosk.json"
}

start_kiosk() {
  systemctl restart "$kiosk" || fail "the kiosk does not start: journalctl --unit=$kiosk"
  case $(systemctl show --property=StatusText --value "$kiosk") in
    "out of order"*) fail "the kiosk started, and is out of order" ;;
  esac
}

install() {
  needed=$(cat "$here/glibc")
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/.* //')
  [ "$(printf '%s\n%s\n' "$needed" "${glibc:-0}" | sort -V | head -n 1)" = "$needed" ] ||
    fail "glibc $needed or newer is needed and this system has ${glibc:-another C library}"
  found=$(choose_python)
  [ -n "$found" ] || fail "none of $(ls "$here/locks" | sed 's/^cp3/Python 3./; s/\.txt$//' | paste -sd, | sed 's/,/, /g') is here; install the system's python3"
  python=${found% *} lock=$here/locks/${found#* }.txt
  if [ -e "$command" ] && [ "$(readlink "$command")" != "$home/current/dermedge" ]; then
    fail "$command is not ours; remove it first"
  fi

  finished='' made_settings='' had_state='' had_unit='' had_wanted=''
  previous=$(readlink "$home/current" || :)
  [ ! -d "$state" ] || had_state=yes
  [ ! -L "$units/$kiosk" ] || had_unit=yes
  ! is_wanted "$kiosk" || had_wanted=yes
  mode=$(decide_kiosk)
  name=$(cat "$here/name")
  # The one in use is never written into, even when it is this very version.
  [ "$name" != "$previous" ] || name=$name.again
  target=$home/$name
  trap undo EXIT
  trap 'exit 130' HUP INT TERM
  rm -rf "$target" "$home/.current.new"

  # What pip leaves when it is killed goes with everything else.
  export TMPDIR="$here"
  "$python" -m venv --without-pip "$target" || fail "$python cannot make a virtual environment"
  pip=$(echo "$here"/wheels/pip-*.whl)
  "$target/bin/python" "$pip/pip" --quiet --disable-pip-version-check install --no-cache-dir --no-deps --no-index \
    --require-hashes --find-links "$here/wheels" --requirement "$lock" || fail "the wheels cannot be installed"
  mkdir "$target/units"
  for unit in "$selftest" "$kiosk"; do
    sed "s#@ROOT@#$root#g" "$here/$unit" >"$target/units/$unit"
  done
  if has_touch; then
    sed "s#@ROOT@#$root#g" "$here/cage.conf" >"$target/units/cage.conf"
  else
    echo "# cage, foot, seatd and Xwayland were not all installed: the kiosk is on the plain console." >"$target/units/cage.conf"
  fi
  cp "$here/foot.ini" "$here/BOX.md" "$target/"
  # The packs belong to the installation: one link decides over both. Those of the one before are shared, not copied.
  if [ -n "$previous" ] && [ -d "$home/$previous/packs" ]; then cp -al "$home/$previous/packs" "$target/packs"; fi
  cat >"$target/dermedge" <<END_OF_COMMAND
#!/bin/sh
set -a
DERMEDGE_PACKS=$target/packs
. "$settings"
exec "$target/bin/dermedge" "\$@"
END_OF_COMMAND
  chmod 755 "$target/dermedge"
  if [ ! -e "$settings" ]; then
    made_settings=yes
    mkdir -p "$(dirname "$settings")"
    echo "# NAME=value: the environment of every dermedge on this machine. An upgrade leaves this file alone." >"$settings"
  fi

  self_test "$target/dermedge"
  for pack in "$here"/packs/*/; do
    [ ! -d "$pack" ] || "$target/dermedge" pack install "$pack" >/dev/null ||
      fail "the pack $(basename "$pack") cannot be used on this machine"
  done
  if is_booted; then self_test_under_systemd; fi
  if [ "$mode" = ask ] || [ -n "$pin_file" ]; then set_pin; fi
  # The next installation removes every folder that did not come this far.
  touch "$target/.tested"
  sync -f "$target"

  point_to "$name"
  mkdir -p "$(dirname "$command")" "$wanted"
  ln -sfn "$home/current/dermedge" "$command"
  link_unit "$selftest"
  want "$selftest"
  if [ "$mode" != none ]; then
    [ ! -e "$target/kiosk.json" ] || take_pin
    link_unit "$kiosk"
    mkdir -p "$units/$kiosk.d"
    link_unit "$kiosk.d/cage.conf"
    [ "$mode" = off ] || want "$kiosk"
  fi
  reload
  if is_booted; then
    systemctl start "$selftest" || fail "the self-test failed under systemd: journalctl --unit=$selftest"
    [ "$mode" = none ] || [ "$mode" = off ] || start_kiosk
  else
    self_test "$command"
  fi
  finished=yes
  rm -f "$target/kiosk.json" "$target/kiosk.json.before"
  [ "$option" != --no-kiosk ] || [ -z "$had_unit" ] || remove_kiosk
  # A program that was started before still runs from the one before; older ones go.
  for old in "$home"/*/; do
    old=$(basename "$old")
    case $old in current | "$name" | "$previous") ;; *) rm -rf "${home:?}/$old" ;; esac
  done
  echo "dermedge $name is installed and answers as it should"
  if [ "$mode" = off ]; then
    echo "the kiosk is prepared and not started, for it has no PIN: run this file again with --pin-file FILE, or on a terminal"
  fi
}

if [ "$option" = --uninstall ]; then uninstall; else install; fi
