# Read by the examples here: the passloop to use and a home of their own, in a folder that goes away with them.
set -eu
cd "$(dirname "$0")"
PATH="$(cd ../.. && pwd)/.venv/bin:$PATH"
PASSLOOP_HOME="$(mktemp -d)/home"
export PATH PASSLOOP_HOME
trap 'passloop down --now >/dev/null 2>&1; rm -rf "$(dirname "$PASSLOOP_HOME")"' EXIT
