# make nightly   set-up, then the whole pipeline for the newest delivery (demonstration extracts if there is none)
# make test      set-up, then the whole test suite
# make lock      (developers) resolve the dependencies anew; needs uv

SHELL := /bin/sh
.DEFAULT_GOAL := help
STAMP := .venv/.phqc-installed

.PHONY: help setup nightly test lint lock

help:
	@echo 'make nightly   安装依赖并运行一夜质控（没有数据时先生成演示数据）'
	@echo 'make test      安装依赖并运行全部测试'

# The stamp is newer than what it was made from, so a second call installs nothing.
$(STAMP): requirements/lock.txt pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh

setup: $(STAMP)

nightly: $(STAMP)
	@.venv/bin/phqc nightly --demo

test: $(STAMP)
	@.venv/bin/python -m pytest

lint: $(STAMP)
	@.venv/bin/python -m pytest tests/test_code_quality.py

lock:
	uv pip compile --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' --group dev --quiet pyproject.toml -o requirements/lock.txt
