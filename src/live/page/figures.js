// What the page shows in figures is what Prometheus would see: the counters of /metrics, and their growth between two looks.

/** Every sample of the text format, as {name, labels, value}. */
export function parse(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    if (!line || line[0] === "#") continue;
    const open = line.indexOf("{");
    const close = open < 0 ? -1 : line.lastIndexOf("}");
    const name = open < 0 ? line.slice(0, line.indexOf(" ")) : line.slice(0, open);
    const labels = {};
    if (open >= 0) {
      for (const [, key, value] of line.slice(open + 1, close).matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
        labels[key] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
      }
    }
    samples.push({ name, labels, value: Number(line.slice((open < 0 ? name.length : close + 1)).trim()) });
  }
  return samples;
}

/** Sums of one metric by one or more labels, joined by ": "; all samples that `where` holds for. */
export function sums(samples, metric, by = [], where = () => true) {
  const out = new Map();
  for (const { name, labels, value } of samples) {
    if (name !== metric || !where(labels)) continue;
    const key = by.map((label) => labels[label] ?? "").join(": ");
    out.set(key, (out.get(key) ?? 0) + value);
  }
  return out;
}

/** Growth from one look to the next; a counter that fell began anew. */
export function growth(before, after) {
  const out = new Map();
  for (const [key, value] of after) {
    const old = before.get(key) ?? 0;
    out.set(key, value >= old ? value - old : value);
  }
  return out;
}

export const total = (map) => [...map.values()].reduce((sum, value) => sum + value, 0);

/** The quantile of a histogram's growth, by its buckets; NaN where nothing grew. */
export function quantile(q, buckets) {
  const sorted = [...buckets].map(([le, value]) => [le === "+Inf" ? Infinity : Number(le), value]).sort((a, b) => a[0] - b[0]);
  const all = sorted.at(-1)?.[1] ?? 0;
  if (!all) return NaN;
  let [low, below] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= q * all) {
      if (bound === Infinity) return low;
      return low + ((bound - low) * (q * all - below)) / Math.max(count - below, 1e-9);
    }
    [low, below] = [bound, count];
  }
  return low;
}

export function usd(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return value >= 1 ? value.toFixed(2) : value.toPrecision(3);
}

export const share = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "–");
export const count = (value) => (value >= 10000 ? `${(value / 1000).toFixed(0)}k` : `${Math.round(value)}`);
