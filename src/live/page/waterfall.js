// One trace, opened: its spans by time, what each one was, and why the trace was kept.

const HIGHLIGHTS = [
  "gen_ai.response.model", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
  "tollgate.cost.total_usd", "tollgate.finish_reason", "tollgate.truncated", "tollgate.error.class", "tollgate.error.reason",
];

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function plain(value) {
  if (!value) return "";
  const [kind, held] = Object.entries(value)[0] ?? [];
  if (kind === "arrayValue") return (held.values ?? []).map(plain).join("\n");
  if (kind === "kvlistValue") return (held.values ?? []).map((pair) => `${pair.key}: ${plain(pair.value)}`).join("\n");
  return String(held ?? "");
}

function spansOf(otlp) {
  const spans = [];
  for (const resource of otlp?.resourceSpans ?? []) {
    const service = (resource.resource?.attributes ?? []).find((pair) => pair.key === "service.name");
    for (const scope of resource.scopeSpans ?? []) {
      for (const span of scope.spans ?? []) {
        const attributes = new Map((span.attributes ?? []).map((pair) => [pair.key, plain(pair.value)]));
        spans.push({ ...span, attributes, service: plain(service?.value), start: BigInt(span.startTimeUnixNano ?? 0), end: BigInt(span.endTimeUnixNano ?? 0) });
      }
    }
  }
  return ordered(spans);
}

/** Parents before children, siblings by their start; each with its depth. */
function ordered(spans) {
  const known = new Set(spans.map((span) => span.spanId));
  const children = new Map();
  for (const span of spans) {
    const parent = known.has(span.parentSpanId) ? span.parentSpanId : "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const below = (id, depth) => (children.get(id) ?? []).toSorted((a, b) => (a.start < b.start ? 1 : -1)).map((span) => [span, depth]);
  const out = [];
  const seen = new Set();
  const stack = below("", 0);
  while (stack.length) {
    const [span, depth] = stack.pop();
    if (seen.has(span)) continue;
    seen.add(span);
    out.push(Object.assign(span, { depth }));
    stack.push(...below(span.spanId, depth + 1));
  }
  // Spans that are each other's parents hang on no root.
  return [...out, ...spans.filter((span) => !seen.has(span))];
}

function bar(span, first, length) {
  const svg = document.createElementNS("http" + "://www.w3.org/2000/svg", "svg");
  const rect = document.createElementNS(svg.namespaceURI, "rect");
  const part = (time) => (Number(time) / length) * 100;
  rect.setAttribute("x", `${part(span.start - first)}%`);
  rect.setAttribute("y", "2");
  rect.setAttribute("height", "12");
  rect.setAttribute("width", `${Math.max(part(span.end - span.start), 0.3)}%`);
  const failed = span.status?.code === 2 || span.status?.code === "STATUS_CODE_ERROR";
  rect.setAttribute("class", failed ? "bad" : span.attributes.has("tollgate.usage.role") ? "llm" : "");
  svg.append(rect);
  return svg;
}

function facts(span) {
  const rows = [["span id", span.spanId], ["service", span.service], ["duration", `${Number(span.end - span.start) / 1e6} ms`]];
  if (span.status?.message) rows.push(["status", span.status.message]);
  const keys = [...HIGHLIGHTS.filter((key) => span.attributes.has(key)), ...[...span.attributes.keys()].filter((key) => !HIGHLIGHTS.includes(key))];
  rows.push(...keys.map((key) => [key, span.attributes.get(key)]));
  for (const event of span.events ?? []) rows.push([`event ${event.name}`, (event.attributes ?? []).map((pair) => `${pair.key}: ${plain(pair.value)}`).join("\n")]);
  const line = ([key, value]) => element("tr", {}, element("td", { textContent: key }), element("td", { textContent: value.length > 4000 ? `${value.slice(0, 4000)} …` : value }));
  return element("div", { className: "facts" }, element("table", {}, element("tbody", {}, ...rows.map(line))));
}

/** Fills `into` with the answer of /api/traces/{id}. */
export function show(into, answer) {
  const { trace, otlp, spans_left_out: leftOut } = answer;
  const spans = spansOf(otlp);
  const decided = trace
    ? `${trace.decision === "keep" ? "Kept" : "Dropped"} by ${trace.policy} (${trace.reason}), decided by ${trace.trigger} after ${(trace.wait_ms / 1000).toFixed(1)} s. `
    : "Its decision is forgotten. ";
  // Spans may have come after the decision: where they are here, they are what is summed.
  const calls = spans.filter((span) => span.attributes.get("tollgate.usage.role") === "owner");
  const sum = (key) => calls.reduce((all, span) => all + Number(span.attributes.get(key) ?? 0), 0);
  const used = spans.length
    ? `${calls.length} model calls, ${sum("gen_ai.usage.input_tokens")} + ${sum("gen_ai.usage.output_tokens")} tokens, ${Number(sum("tollgate.cost.total_usd").toPrecision(12))} USD.`
    : `${trace?.llm_calls} model calls, ${trace?.input_tokens} + ${trace?.output_tokens} tokens, ${trace?.cost_usd} USD.`;
  const why = decided + used;
  into.replaceChildren(element("p", { className: "why", textContent: why }));
  if (!spans.length) {
    const text = trace?.decision === "drop" ? "A dropped trace has no spans here." : "Its spans have left; only the decision is remembered.";
    into.append(element("p", { textContent: text }));
    return;
  }
  if (leftOut) into.append(element("p", { className: "warn", textContent: `${leftOut} more spans are not shown.` }));
  const first = spans.reduce((least, span) => (span.start < least ? span.start : least), spans[0].start);
  const last = spans.reduce((most, span) => (span.end > most ? span.end : most), spans[0].end);
  const length = Math.max(Number(last - first), 1);
  const bars = element("div", { className: "bars" });
  for (const span of spans) {
    const model = span.attributes.get("gen_ai.response.model") ?? span.attributes.get("gen_ai.request.model");
    const cost = span.attributes.get("tollgate.cost.total_usd");
    const label = `${"\u2003".repeat(Math.min(span.depth ?? 0, 12))}${span.name}${model ? ` · ${model}` : ""}${cost ? ` · $${Number(cost).toPrecision(3)}` : ""}`;
    const button = element("button", { type: "button", textContent: label, title: span.name, ariaExpanded: "false" });
    const svg = bar(span, first, length);
    button.addEventListener("click", () => {
      const open = svg.nextElementSibling?.className === "facts";
      button.ariaExpanded = String(!open);
      if (open) svg.nextElementSibling.remove();
      else svg.after(facts(span));
    });
    bars.append(button, svg);
  }
  into.append(bars);
}
