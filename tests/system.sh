#!/bin/sh
# Programs of the system that some tests need: redis-server and chromium. On Debian as root they are installed,
# elsewhere it is said what is missing; where CI is set a missing one is an error. Where there is node, the library with
# which receivers verify webhooks, and the one that judges how accessible a page is, come from npm.
set -eu

# npm brings certificates of its own; a proxy's are known to the system only.
system_certificates=/etc/ssl/certs/ca-certificates.crt
[ ! -e "$system_certificates" ] || export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$system_certificates}"
modules=.tools/node/node_modules
if command -v npm > /dev/null && { [ ! -e $modules/standardwebhooks ] || [ ! -e $modules/axe-core ]; }; then
    npm install --no-audit --no-fund --silent --fetch-retries=1 --fetch-timeout=20000 --prefix .tools/node standardwebhooks@1 axe-core@4 > /dev/null 2>&1 ||
        echo "npm cannot install standardwebhooks and axe-core: tests that need them are skipped" >&2
fi

wanted=""
command -v redis-server > /dev/null || wanted="$wanted redis-server"
command -v chromium > /dev/null || command -v chromium-browser > /dev/null || wanted="$wanted chromium"
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get > /dev/null; then
    # No service may be started by the packages: the tests start servers of their own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod +x "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    install() { apt-get install -y -qq --no-install-recommends $wanted > /dev/null 2>&1; }
    install || { apt-get update -qq > /dev/null 2>&1 && install; } || true
fi

for program in $wanted; do
    command -v "$program" > /dev/null && continue
    echo "$program is missing: tests that need it are skipped (on Debian: apt-get install $program)" >&2
    [ -z "${CI:-}" ] || exit 1
done
