// What a reader does with the page of a run, appended to one by page.sh: moves in time, filters, hides, follows a link. The
// title says how it went.
const fail = text => { throw new Error(text); };
const equal = (got, expected, what) => got === expected || fail(what + ": " + got + " instead of " + expected);
const input = (id, value, kind = "input") => { $(id).value = value; $(id).dispatchEvent(new Event(kind)); };
const bars = () => Number($("canvas").getAttribute("aria-label").match(/(\d+) bars/)[1]);
const heading = name => [...document.querySelectorAll("#now h2")].map(h => h.textContent).find(text => text.startsWith(name)) || fail("no " + name);
const count = name => Number(heading(name).split(": ")[1]);
const pixels = () => { const c = $("canvas"); return c.getContext("2d").getImageData(0, 0, c.width, c.height).data.join(); };

function read() {
  equal($("facts").querySelectorAll("span").length, data.facts.length, "facts");
  equal(count("connections"), 0, "connections at the start");
  const whole = bars();
  whole >= 2 * (data.connections.length + data.streams.length) || fail("only " + whole + " bars");
  const start = pixels();
  new Set(data.hosts === 0 ? [] : start.split(",")).size > 8 || fail("the picture is empty");

  // In time: by the slider, by the keys, by the mouse in the picture.
  input("scrub", 5000);
  equal($("time").textContent, seconds(data.time / 2), "time in the middle");
  const live = data.connections.filter(c => c[3] <= now && (c[4] === null || c[4] > now)).length;
  equal(count("connections"), live, "connections in the middle");
  live > 0 || fail("nobody is connected in the middle");
  start === pixels() && fail("the line of time stands still");
  window.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  equal($("time").textContent, seconds(data.time / 2 + data.time / 200), "time after a key");
  const canvas = $("canvas"), box = canvas.getBoundingClientRect();
  canvas.dispatchEvent(new MouseEvent("mousedown", { clientX: box.left + LABEL + data.time * scale / 4, clientY: box.top + 30 }));
  window.dispatchEvent(new MouseEvent("mouseup"));
  Math.abs(now - data.time / 4) < data.time / 50 || fail("a click a quarter in went to " + now);
  input("scrub", 10000);
  equal($("time").textContent, seconds(data.time), "time at the end");

  // What is shown: some hosts, one kind of fault, not all sorts of bars.
  input("filter", "0, 1");
  equal(rows.join(), "0,1", "rows of two hosts");
  bars() < whole || fail("a filter leaves all bars");
  const kind = data.faults[0][2];
  input("filter", kind);
  equal(rows.join(), [...new Set(data.faults.filter(f => f[2] === kind).flatMap(f => f[3]))].sort((a, b) => a - b).join(), "rows of " + kind);
  input("filter", "");
  for (const id of BOXES) { $(id).checked = false; $(id).dispatchEvent(new Event("change")); }
  equal(bars(), 0, "bars when all are hidden");
  for (const id of BOXES) { $(id).checked = true; $(id).dispatchEvent(new Event("change")); }
  equal(bars(), whole, "bars when all are back");
  const width = parseFloat(canvas.style.width);
  input("zoom", "5", "change");
  equal(parseFloat(canvas.style.width), width * 5, "width at zoom 5");

  // A link to a moment.
  equal(new URLSearchParams(location.hash.slice(1)).get("zoom"), "5", "zoom in the address");
  location.hash = "t=" + data.time / 2000 + "&filter=1&off=faults";
  follow();
  equal([$("time").textContent, rows.join(), $("faults").checked, $("zoom").value].join(), [seconds(data.time / 2), "1", false, "1"].join(), "what a link shows");
}

window.addEventListener("error", e => document.title = "failed: " + e.message);
try { read(); document.title = "passed"; } catch (e) { document.title = "failed: " + e.message; }
