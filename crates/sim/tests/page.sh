#!/usr/bin/env bash
# Reads the page of a run in headless Chromium, as page.js does. Arguments: the command `sanswarm`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$@" sim --scenario soak --seed 5 --for 20 --html "$folder/run.html" >/dev/null
{ cat "$folder/run.html" && printf '<script>' && cat "$here/page.js" && printf '</script>'; } >"$folder/test.html"
title=$(timeout 60 chromium --headless --no-sandbox --disable-gpu --window-size=1400,900 --user-data-dir="$folder/profile" \
  --allow-file-access-from-files --dump-dom "file://$folder/test.html" 2>/dev/null | sed -n 's/.*<title>\(.*\)<\/title>.*/\1/p')
printf 'page of a run in Chromium: %s\n' "$title"
[ "$title" = passed ]
