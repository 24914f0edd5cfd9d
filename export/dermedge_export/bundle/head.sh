#!/bin/sh
sum=@SUM@
{
set -eu
fail() { echo "dermedge: $*" >&2; exit 1; }
found=$( (head -n 1 "$0"; tail -n +3 "$0") | sha256sum) || fail "this file cannot be read: $0";
[ "${found%% *}" = "$sum" ] || fail "this file is damaged or cut short; copy it again. Nothing was changed.";
case "${1:-} $#" in
  "--check 1") echo "dermedge @VERSION@ for @ARCH@: whole"; exit 0 ;;
  " 0" | "--uninstall 1" | "--no-kiosk 1") ;;
  "--pin-file 2") [ -r "$2" ] || fail "the file with the PIN cannot be read: $2" ;;
  *) fail "options: --check, --uninstall, --no-kiosk, or --pin-file FILE; one at most, and not: $*" ;;
esac
[ "$(uname -m)" = @ARCH@ ] || fail "this file is for @ARCH@ and this machine is $(uname -m); take the other file"
root=${DERMEDGE_ROOT:-}
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "only root can install; try: sudo sh $0 $*"
home=$root/opt/dermedge room= made=
trap 'rm -rf "$room"; [ -z "$made" ] || rmdir "$made" 2>/dev/null || :' EXIT
trap 'exit 130' HUP INT TERM
if [ "${1:-}" = --uninstall ]; then
  [ -d "$home" ] || fail "it is not installed"
else
  [ -d "$home" ] || made=$home
  mkdir -p "$home" || fail "$home cannot be written"
fi
exec 9<"$home"
flock -n 9 || { made=; fail "another installation is running"; }
if [ "${1:-}" = --uninstall ]; then
  room=$(mktemp -d) && tail -n +@LINES@ "$0" | tar -x -C "$room" install.sh || fail "no room in ${TMPDIR:-/tmp}"
else
  # What an installation left that was killed; the link never pointed to it.
  for old in "$home"/.incoming.* "$home"/*/; do
    [ -L "${old%/}" ] || [ -e "$old/.tested" ] || rm -rf "$old"
  done
  free=$(df -k --output=avail "$home" | tail -n 1 | tr -d ' ')
  [ "$free" -ge @KB@ ] || fail "$((@KB@ / 1024)) MB are needed in $home and $((free / 1024)) MB are free; make room"
  room=$(mktemp -d "$home/.incoming.XXXXXX") || fail "$home cannot be written"
  tail -n +@LINES@ "$0" | tar -x -C "$room" || fail "unpacking into $home failed; make room. Nothing was changed."
fi
status=0
sh "$room/install.sh" "$@" || status=$?
exit $status
}
