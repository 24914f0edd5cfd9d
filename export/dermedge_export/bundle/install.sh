#!/bin/sh
# Installs, upgrades or uninstalls dermedge. The bundle runs it after it has checked and unpacked itself.
#
#   /opt/dermedge/<version>-<digest>/    a virtual environment with everything in it
#   /opt/dermedge/current                a link to the one in use; moving it is the installation
#   /etc/dermedge/settings               the settings, never overwritten
#   /var/lib/dermedge/packs              packs installed later or brought along
#
# DERMEDGE_ROOT=folder puts all of it below a folder, which is then neither started nor asked for root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${DERMEDGE_ROOT:-}
home=$root/opt/dermedge
settings=$root/etc/dermedge/settings
data=$root/var/lib/dermedge
command=$root/usr/local/bin/dermedge
units=$root/etc/systemd/system
service=dermedge-selftest.service
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

remove_links() {
  if is_booted; then systemctl stop "$service" 2>/dev/null || :; fi
  rm -f "$command" "$units/$service" "$units/multi-user.target.wants/$service" "$home/current"
  reload
}

uninstall() {
  [ -d "$home" ] || fail "it is not installed"
  remove_links
  rm -rf "$home" "$data" "$(dirname "$settings")"
  echo "dermedge is uninstalled; settings and packs are gone too"
}

# The Pythons that this bundle has wheels for, the newest first.
choose_python() {
  for tag in $(ls "$here/locks" | sed 's/\.txt$//' | sort -t3 -k2 -n -r); do
    candidate=python3.${tag#cp3}
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import venv, zipfile' 2>/dev/null; then
      echo "$candidate $tag"
      return
    fi
  done
}

# Whatever stops an installation, what was in use before is in use afterwards.
undo() {
  status=$?
  trap - EXIT
  if [ "$status" != 0 ] || [ -z "$finished" ]; then
    for id in $installed_packs; do
      "$target/bin/dermedge" pack rollback "$id" >/dev/null 2>&1 || "$target/bin/dermedge" pack remove "$id" >/dev/null 2>&1 || :
    done
    if [ -n "$previous" ]; then
      [ "$(readlink "$home/current")" = "$previous" ] || point_to "$previous"
      if is_booted; then systemctl restart "$service" || :; fi
    else
      remove_links
      [ -z "$made_settings" ] || rm -f "$settings"
      [ -n "$had_data" ] || rm -rf "$data"
      rmdir "$(dirname "$settings")" 2>/dev/null || :
    fi
    rm -rf "$target"
    if [ -n "$previous" ]; then echo "dermedge: $previous stays in use" >&2; fi
  fi
  exit "$status"
}

self_test() {
  "$1" doctor >"$here/doctor.txt" 2>&1 && return
  cat "$here/doctor.txt" >&2
  fail "the self-test failed on this machine, see above"
}

install_pack() {
  id=$(basename "$1")
  before=$(cat "$data/packs/$id/current" 2>/dev/null || :)
  "$target/bin/dermedge" pack install "$1" >/dev/null || fail "the pack $id cannot be used on this machine"
  [ "$before" = "$(cat "$data/packs/$id/current")" ] || installed_packs="$installed_packs $id"
}

install() {
  mkdir -p "$home"
  exec 9<"$home"
  flock -n 9 || fail "another installation is running"
  glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/.* //')
  [ "$(printf '2.28\n%s\n' "${glibc:-0}" | sort -V | head -n 1)" = 2.28 ] ||
    fail "glibc 2.28 or newer is needed and this system has ${glibc:-another C library}"
  found=$(choose_python)
  [ -n "$found" ] || fail "none of $(ls "$here/locks" | sed 's/^cp3/Python 3./; s/\.txt$//' | paste -sd, | sed 's/,/, /g') is here; install the system's python3"
  python=${found% *} lock=$here/locks/${found#* }.txt
  if [ -e "$command" ] && [ "$(readlink "$command")" != "$home/current/dermedge" ]; then
    fail "$command is not ours; remove it first"
  fi

  finished='' installed_packs='' made_settings='' had_data=''
  previous=$(readlink "$home/current" || :)
  [ ! -d "$data" ] || had_data=yes
  name=$(cat "$here/name")
  # The one in use is never written into, even when it is this very version.
  [ "$name" != "$previous" ] || name=$name.again
  target=$home/$name
  trap undo EXIT
  trap 'exit 130' HUP INT TERM
  for old in "$home"/.incoming.* "$home"/.current.new; do
    [ "$old" = "$here" ] || rm -rf "$old"
  done
  rm -rf "$target"

  "$python" -m venv --without-pip "$target" || fail "$python cannot make a virtual environment"
  pip=$(echo "$here"/wheels/pip-*.whl)
  "$target/bin/python" "$pip/pip" --quiet --disable-pip-version-check install --no-cache-dir --no-deps --no-index \
    --require-hashes --find-links "$here/wheels" --requirement "$lock" || fail "the wheels cannot be installed"
  mkdir "$target/units"
  sed "s#@ROOT@#$root#g" "$here/$service" >"$target/units/$service"
  cp "$here/install.sh" "$target/install.sh"
  cat >"$target/dermedge" <<END
#!/bin/sh
set -a
. "$settings"
exec "$target/bin/dermedge" "\$@"
END
  chmod 755 "$target/dermedge"
  if [ ! -e "$settings" ]; then
    made_settings=yes
    mkdir -p "$(dirname "$settings")"
    echo "DERMEDGE_PACKS=$data/packs" >"$settings"
  fi

  self_test "$target/dermedge"
  export DERMEDGE_PACKS="$data/packs"
  for pack in "$here"/packs/*/; do
    [ ! -d "$pack" ] || install_pack "${pack%/}"
  done

  point_to "$name"
  mkdir -p "$(dirname "$command")" "$units/multi-user.target.wants"
  ln -sfn "$home/current/dermedge" "$command"
  ln -sfn "$home/current/units/$service" "$units/$service"
  ln -sfn "$home/current/units/$service" "$units/multi-user.target.wants/$service"
  if is_booted; then
    reload
    systemctl restart "$service" || fail "the self-test failed under systemd: journalctl -u $service"
  else
    self_test "$command"
  fi
  finished=yes
  # A program that was started before still runs from the one before; older ones go.
  for old in "$home"/*/; do
    old=$(basename "$old")
    case $old in current | "$name" | "$previous") ;; *) rm -rf "${home:?}/$old" ;; esac
  done
  echo "dermedge $name is installed and answers as it should"
}

if [ "${1:-}" = --uninstall ]; then uninstall; else install; fi
