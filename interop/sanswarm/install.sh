#!/usr/bin/env bash
# Builds the command that listen and dial call.
set -eu
cd "$(dirname "$0")/../.."
cargo build --release -p sanswarm-cli
