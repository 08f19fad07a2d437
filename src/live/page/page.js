import { parse, sums, growth, total, quantile, usd, share, count } from "./figures.js";
import { element, show } from "./waterfall.js";

const LOOK = 2000; // ms between two looks at the counters
const WINDOW = 60000; // ms that the tiles speak of
const KEPT = 450; // looks that the charts show: 15 minutes
const ROWS = 300; // rows of the table
const SERIES = 6; // lines of a chart; the rest is one more
const COLOURS = ["#3b76e0", "#d9822b", "#2f9e6e", "#b24fc1", "#c94040", "#5b8a99", "#8a8f99"];
const $ = (id) => document.getElementById(id);

let token = sessionStorage.getItem("tollgate-token") ?? "";
let asked; // one question for a token, however many wait for the answer
let refused = () => {};

async function ask(path, accept = "application/json", signal) {
  const headers = { accept, ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(path, { headers, signal });
  if (answer.status === 401) {
    $("token").hidden = false;
    await (asked ??= new Promise((done) => (refused = done)));
    return ask(path, accept, signal);
  }
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

$("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = new FormData(event.target).get("token");
  sessionStorage.setItem("tollgate-token", token);
  $("token").hidden = true;
  asked = undefined;
  refused();
});

function state(text, bad = false) {
  if ($("state").textContent !== text) $("state").textContent = text;
  $("state").classList.toggle("bad", bad);
}

// ---- figures

const looks = [];

const METRICS = {
  cost: (s) => sums(s, "tollgate_llm_cost_usd_total", ["model"]),
  calls: (s) => sums(s, "tollgate_llm_calls_total", ["model"]),
  failed: (s) => sums(s, "tollgate_llm_calls_total", [], (l) => l.outcome === "error"),
  errors: (s) => sums(s, "tollgate_llm_errors_total", ["class", "reason"]),
  truncated: (s) => sums(s, "tollgate_llm_truncated_total"),
  tokens: (s) => sums(s, "tollgate_llm_tokens_total", ["kind"]),
  first: (s) => sums(s, "tollgate_llm_time_to_first_token_seconds_bucket", ["le"]),
  decided: (s) => sums(s, "tollgate_sampling_traces_decided_total", ["decision", "reason"]),
  unpriced: (s) => sums(s, "tollgate_llm_unpriced_calls_total", ["provider", "model", "reason"]),
  refusals: (s) => sums(s, "tollgate_receive_refusals_total", ["reason"]),
  found: (s) => sums(s, "tollgate_redact_findings_total"),
};

async function look() {
  const samples = parse(await (await ask("/metrics", "text/plain")).text());
  const now = { at: Date.now(), samples };
  for (const [name, read] of Object.entries(METRICS)) now[name] = read(samples);
  looks.push(now);
  if (looks.length > KEPT) looks.shift();
  tiles(now);
  charts();
  unpriced(now);
}

function tiles(now) {
  const before = looks.find((of) => of.at >= now.at - WINDOW) ?? now;
  const minutes = Math.max((now.at - before.at) / 60000, 1e-9);
  const grew = (name) => growth(before[name], now[name]);
  const perMinute = (name) => (before === now ? NaN : total(grew(name)) / minutes);
  const value = (name) => total(sums(now.samples, name));
  const tokens = grew("tokens");
  const input = ["input_uncached", "cache_read", "cache_write"].reduce((sum, kind) => sum + (tokens.get(kind) ?? 0), 0);
  const calls = total(grew("calls"));
  const decided = grew("decided");
  const kept = [...decided].filter(([key]) => key.startsWith("keep")).reduce((sum, [, n]) => sum + n, 0);
  const queues = sums(now.samples, "tollgate_forward_queue_bytes", ["destination"]);
  const limits = sums(now.samples, "tollgate_forward_queue_limit_bytes", ["destination"]);
  const fullest = [...queues].map(([key, bytes]) => bytes / (limits.get(key) || Infinity)).reduce((a, b) => Math.max(a, b), 0);
  const memory = value("tollgate_memory_bytes") / Math.max(value("tollgate_memory_limit_bytes"), 1);
  const unaccounted = value("tollgate_unaccounted_spans");
  const first = quantile(0.95, grew("first"));
  const list = [
    ["USD per minute", usd(perMinute("cost"))],
    ["USD since the start", usd(total(now.cost))],
    ["Calls per minute", Number.isFinite(perMinute("calls")) ? count(perMinute("calls")) : "–"],
    ["Failed calls", share(total(grew("failed")), calls), total(grew("failed")) > 0.1 * calls ? "bad" : ""],
    ["Answers cut off", share(total(grew("truncated")), calls), total(grew("truncated")) > 0.05 * calls ? "warn" : ""],
    ["Input read from cache", share(tokens.get("cache_read") ?? 0, input)],
    ["First token, 95 of 100", Number.isFinite(first) ? `${first.toFixed(2)} s` : "–"],
    ["Traces kept", share(kept, total(decided))],
    ["Private values taken out", count(total(now.found))],
    ["Memory", share(memory, 1), memory > 0.9 ? "bad" : memory > 0.7 ? "warn" : ""],
    ["Fullest queue", share(fullest, 1), fullest > 0.5 ? "warn" : ""],
    ["Unaccounted spans", count(unaccounted), unaccounted ? "bad" : ""],
  ];
  const tile = ([name, text, mark]) => element("div", { className: mark ?? "" }, element("dt", { textContent: name }), element("dd", { textContent: text }));
  $("tiles").replaceChildren(...list.map(tile));
}

function unpriced(now) {
  const lines = [...now.unpriced].filter(([, calls]) => calls > 0).sort((a, b) => b[1] - a[1]).slice(0, 10);
  $("unpriced").hidden = !lines.length;
  $("unpriced").querySelector("ul").replaceChildren(...lines.map(([key, calls]) => element("li", { textContent: `${key} (${count(calls)})` })));
}

// ---- charts

const drawn = {};

function chart(id, names, data) {
  const box = $(id);
  const key = names.join("\n");
  if (drawn[id]?.key === key) return drawn[id].plot.setData(data);
  drawn[id]?.plot.destroy();
  const ink = getComputedStyle(document.body).color;
  const axis = { stroke: ink, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8884" } };
  const number = (_, value) => (value == null ? "–" : usd(value));
  const series = names.map((label, i) => ({ label: label || "all", stroke: COLOURS[i % COLOURS.length], width: 1.5, points: { show: false }, value: number }));
  const options = { width: box.clientWidth || 420, height: 170, series: [{}, ...series], axes: [axis, { ...axis, size: 60 }], scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } }, legend: { live: false } };
  drawn[id] = { key, plot: new uPlot(options, data, box) };
}

function charts() {
  for (const [id, metric] of [["cost", "cost"], ["calls", "calls"], ["errors", "errors"], ["decided", "decided"]]) {
    if (looks.length < 2) return;
    const last = looks.at(-1)[metric];
    const names = [...growth(looks[0][metric], last)].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name);
    const shown = names.slice(0, SERIES).sort();
    const rest = new Set(names.slice(SERIES));
    const times = [];
    const lines = [...shown, ...(rest.size ? ["others"] : [])].map(() => []);
    for (let i = 1; i < looks.length; i++) {
      // Over ten seconds: a call lasts longer than the time between two looks.
      const from = looks[Math.max(0, i - 5)];
      const minutes = (looks[i].at - from.at) / 60000;
      const grew = growth(from[metric], looks[i][metric]);
      times.push(looks[i].at / 1000);
      shown.forEach((name, n) => lines[n].push((grew.get(name) ?? 0) / minutes));
      if (rest.size) lines.at(-1).push([...rest].reduce((sum, name) => sum + (grew.get(name) ?? 0), 0) / minutes);
    }
    if (lines.length) chart(id, [...shown, ...(rest.size ? ["others"] : [])], [times, ...lines]);
  }
}

addEventListener("resize", () => Object.entries(drawn).forEach(([id, { plot }]) => plot.setSize({ width: $(id).clientWidth, height: 170 })));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Object.values(drawn).forEach((of) => (of.key = "")));

// ---- decided traces

let rows = [];
let paused = false;
let following = new AbortController();

function query(after) {
  const wanted = new URLSearchParams({ after });
  for (const [name, value] of new FormData($("filter"))) if (value) wanted.set(name, value);
  return wanted;
}

function cell(text, className = "") {
  return element("td", { textContent: text, className, title: className === "name" ? text : "" });
}

function line(trace) {
  const errors = Object.entries(trace.errors).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`);
  const notes = [...errors.map((text) => element("span", { className: "bad", textContent: `${text} ` }))];
  if (trace.truncated) notes.push(element("span", { className: "warn", textContent: "cut off " }));
  if (trace.unpriced) notes.push(element("span", { className: "warn", textContent: "unpriced " }));
  if (trace.trigger === "keep_early") notes.push(element("span", { className: "soft", textContent: "sums so far ", title: "kept before all its spans were here" }));
  if (trace.partial) notes.push(element("span", { className: "warn", textContent: "partial" }));
  const open = element("button", { type: "button", textContent: trace.trace_id.slice(0, 12), title: trace.trace_id });
  open.addEventListener("click", () => opened(trace.trace_id));
  const row = element("tr", {}, cell(new Date(trace.at_ms).toLocaleTimeString()), element("td", {}, open), cell(trace.decision, trace.decision),
    cell(`${trace.policy} (${trace.reason})`), cell(trace.name ?? "", "name"), cell((trace.models ?? []).join(", "), "name"), cell(trace.spans, "number"),
    cell(trace.llm_calls, "number"), cell(count(trace.input_tokens + trace.output_tokens), "number"), cell(trace.llm_calls ? usd(Number(trace.cost_usd)) : "", "number"), element("td", {}, ...notes));
  row.dataset.trace = trace.trace_id;
  return row;
}

function take(traces) {
  rows = [...traces, ...rows].slice(0, ROWS);
  if (paused) return;
  const body = $("traces").tBodies[0];
  body.prepend(...traces.slice(0, ROWS).map(line));
  while (body.rows.length > ROWS) body.deleteRow(-1);
  $("none").hidden = body.rows.length > 0;
  for (const [list, member] of [["services", "services"], ["models", "models"], ["users", "users"]]) {
    const names = [...new Set(rows.flatMap((row) => row[member] ?? []))].sort().slice(0, 100);
    if ($(list).childElementCount !== names.length) $(list).replaceChildren(...names.map((value) => element("option", { value })));
  }
}

async function follow() {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  rows = [];
  $("traces").tBodies[0].replaceChildren();
  $("none").hidden = false;
  let after = 0;
  while (!signal.aborted) {
    try {
      if (!after) {
        const first = await (await ask(`/api/traces?${query(0)}`, "application/json", signal)).json();
        take(first.traces);
        after = first.newest;
      }
      const stream = (await ask(`/api/traces?${query(after)}`, "text/event-stream", signal)).body.pipeThrough(new TextDecoderStream()).getReader();
      for (let held = ""; ; ) {
        const { value, done } = await stream.read();
        if (done) break;
        held += value;
        for (let end; (end = held.indexOf("\n\n")) >= 0; held = held.slice(end + 2)) {
          const data = held.slice(0, end).split("\n").filter((text) => text.startsWith("data:")).map((text) => text.slice(5)).join("\n");
          if (!data) continue;
          const news = JSON.parse(data);
          after = news.newest;
          take(news.traces);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
    }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

async function opened(id) {
  $("trace-title").textContent = `Trace ${id}`;
  $("trace-body").replaceChildren(element("p", { textContent: "loading" }));
  $("trace").showModal();
  try {
    show($("trace-body"), await (await ask(`/api/traces/${id}`)).json());
  } catch {
    $("trace-body").replaceChildren(element("p", { textContent: "Nothing of this trace is here any more." }));
  }
}

$("close").addEventListener("click", () => $("trace").close());
$("filter").addEventListener("change", follow);
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").ariaPressed = String(paused);
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused) {
    $("traces").tBodies[0].replaceChildren();
    const held = rows;
    rows = [];
    take(held);
  }
});

async function every() {
  for (;;) {
    try {
      await look();
      state(`live, ${new Date().toLocaleTimeString()}`);
    } catch {
      state("no answer from Tollgate; asking again", true);
    }
    await new Promise((done) => setTimeout(done, LOOK));
  }
}

addEventListener("load", () => {
  every();
  follow();
});
