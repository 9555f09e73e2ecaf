#!/bin/sh
# Makes .venv from the locked, hash-checked dependencies. Needs Python 3.10 to 3.13 with venv and nothing else.
# The stamp is written last: an installation that was cut off is taken up again by the next call.
set -eu
cd "$(dirname "$0")/.."

supported='import sys; raise SystemExit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'

find_python() {
    for candidate in "${PHQC_PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$supported" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c "$supported" >/dev/null 2>&1; then
    python=$(find_python)
    if [ -z "$python" ]; then
        echo '未找到 Python 3.10～3.13。请先安装，例如：apt-get install python3 python3-venv' >&2
        exit 1
    fi
    if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "Python 缺少 venv 模块。请安装软件包 python$version-venv（Debian/Ubuntu：apt-get install python$version-venv），再运行一次。" >&2
        exit 1
    fi
    rm -rf .venv
    "$python" -m venv .venv
fi

echo '正在安装依赖（仅第一次需要，约一两分钟）……'
# The lock is complete, so pip resolves nothing; every file is checked against its hash.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/lock.txt
# PYTHONDONTWRITEBYTECODE etc. do not matter here: an editable install, so that rules/ and dbt_project/ are the checkout's.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch .venv/.phqc-installed
