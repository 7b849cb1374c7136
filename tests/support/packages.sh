#!/bin/sh
# packages.sh PACKAGE...: installs those that are missing, as root on Debian; elsewhere says what to install.
# None of their services is started: what the tests need of them, they start themselves.
set -eu

missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Some programs are missing; on Debian 12, please run: apt-get install$missing" >&2
    exit 1
fi
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
echo "Installing$missing."
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 (names of packages hold no spaces)
apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing >/dev/null; }
