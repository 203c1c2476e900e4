// Data, numbers and rectangles: nothing here touches the page.

// The data: base64 of a raw deflate stream of JSON.
async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const data = await new Response(plain).json();
  for (const binary of data.binaries) {
    for (const column of ['krates', 'modules', 'names', 'sections']) {
      let at = 0;
      binary[column] = Int32Array.from(binary[column], (step) => (at += step));
    }
    for (const text of ['name', 'target', 'symbols']) binary[text] = data.texts[binary[text]];
    binary.tree = tree(binary, data.texts);
  }
  data.history = data.history.map(([release, time, name, target, size]) => ({
    release: data.texts[release], time, name: data.texts[name], target: data.texts[target], size,
  }));
  return data;
}

// Nodes have a name that is theirs among their siblings, and sums of what is below them. `kinds` are
// the bytes of each kind of section; a leaf has one kind.
function node(name, label, parent) {
  const sums = { sizes: 0, packed: 0, base: 0, kinds: new Array(KINDS.length).fill(0) };
  return { name, label, parent, children: new Map(), leaf: -1, ...sums, hits: 0, hit: 0, hitPacked: 0 };
}

// The path of names down to a node.
function pathOf(node) {
  const path = [];
  for (let at = node; at.parent; at = at.parent) path.unshift(at.name);
  return path;
}

function descend(root, path) {
  let at = root;
  for (const name of path) at = at && at.children.get(name);
  return at;
}

// Crate, module, symbol. A crate of nothing but its root has its symbols right below it.
function tree(binary, texts) {
  const root = node('', binary.name, null);
  const flat = new Map();
  for (let i = 0; i < binary.krates.length; i++) {
    const krate = binary.krates[i];
    if (texts[binary.modules[i]] !== '') flat.set(krate, false);
    else if (!flat.has(krate)) flat.set(krate, true);
  }
  for (let i = 0; i < binary.krates.length; i++) {
    const module = texts[binary.modules[i]];
    const krate = texts[binary.krates[i]];
    let at = child(root, krate, krate);
    if (!flat.get(binary.krates[i])) at = child(at, module, module || '(crate root)');
    const symbol = texts[binary.names[i]];
    const section = texts[binary.sections[i]];
    const places = [`${krate}::${module}::`, `${krate}::`];
    const place = places.find((start) => symbol.startsWith(start)) || '';
    // One name may be in several sections, or in one several times.
    let name = `${symbol}\n${section}`;
    for (let more = 2; at.children.has(name); more++) name = `${symbol}\n${section}\n${more}`;
    const leaf = child(at, name, symbol.slice(place.length) || symbol);
    leaf.leaf = i;
    leaf.symbol = symbol;
    leaf.section = section;
    leaf.sizes = binary.sizes[i];
    leaf.packed = binary.packed[i];
    leaf.base = binary.changes ? binary.sizes[i] - binary.changes[i] : 0;
    leaf.kinds[kind(section)] = leaf.sizes;
  }
  sum(root);
  return root;
}

function child(parent, name, label) {
  let found = parent.children.get(name);
  if (!found) parent.children.set(name, (found = node(name, label, parent)));
  return found;
}

function sum(at) {
  if (at.leaf >= 0) return;
  for (const below of at.children.values()) {
    sum(below);
    at.sizes += below.sizes;
    at.packed += below.packed;
    at.base += below.base;
    below.kinds.forEach((bytes, kind) => { at.kinds[kind] += bytes; });
  }
}

const KINDS = ['code', 'constants', 'unwinding', 'relocation', 'variables', 'other'];

// What a section is for, by its name.
function kind(section) {
  if (/^\.(text|init$|fini$|plt|iplt)/.test(section)) return 0;
  if (/^\.(rodata|comment|dep-v0|interp|note)/.test(section)) return 1;
  if (/^\.(eh_frame|gcc_except_table|ARM\.ex)/.test(section)) return 2;
  if (/^\.(rela?(\.|$)|relr|dyn|gnu\.|hash|got|data\.rel\.ro|init_array|fini_array)/.test(section)) return 3;
  if (/^\.(data|tdata|bss|tbss|sdata)/.test(section)) return 4;
  return 5;
}

// Marks the leaves that have every word of `query` in one of their names, and sums them upwards.
function search(binary, texts, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  clear(binary.tree);
  if (!words.length) return;
  const found = words.map((word) => {
    const has = texts.lower.map((text) => text.includes(word));
    return (i) => has[binary.names[i]] || has[binary.modules[i]] || has[binary.krates[i]] || has[binary.sections[i]];
  });
  mark(binary.tree, (i) => found.every((has) => has(i)));
}

function clear(at) {
  at.hit = at.hits = at.hitPacked = 0;
  at.children.forEach(clear);
}

function mark(at, matches) {
  if (at.leaf >= 0) {
    if (!matches(at.leaf)) return;
    at.hits = 1;
    at.hit = at.sizes;
    at.hitPacked = at.packed;
    return;
  }
  for (const below of at.children.values()) {
    mark(below, matches);
    at.hits += below.hits;
    at.hit += below.hit;
    at.hitPacked += below.hitPacked;
  }
}

// Squarified treemaps (Bruls, Huizing and van Wijk, 2000): rows along the shorter side, each as long
// as its worst rectangle gets squarer. `items` are sorted, the largest first.
function squarify(items, value, x, y, w, h, place) {
  let left = 0;
  for (const item of items) left += value(item);
  let from = 0;
  while (from < items.length && left > 0 && w > 0 && h > 0) {
    const side = Math.min(w, h);
    const scale = (w * h) / left;
    let to = from;
    let row = 0;
    let worst = Infinity;
    const largest = value(items[from]) * scale;
    while (to < items.length) {
      const area = value(items[to]) * scale;
      const next = row + area;
      const ratio = Math.max((side * side * largest) / (next * next), (next * next) / (side * side * area));
      if (ratio > worst) break;
      worst = ratio;
      row = next;
      to++;
    }
    const thick = row / side;
    let at = 0;
    for (let i = from; i < to; i++) {
      const bytes = value(items[i]);
      const length = row > 0 ? (bytes * scale) / thick : 0;
      if (w >= h) place(items[i], x, y + at, thick, length);
      else place(items[i], x + at, y, length, thick);
      at += length;
      left -= bytes;
    }
    if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
    from = to;
  }
}

const grouped = (n) => String(Math.abs(n)).replace(/\B(?=(\d{3})+$)/g, ',');
const signed = (n) => (n > 0 ? '+' : n < 0 ? '−' : '') + grouped(n);

function short(bytes) {
  const n = Math.abs(bytes);
  if (n < 1e3) return n + ' B';
  if (n < 1e6) return (n / 1e3).toFixed(2) + ' kB';
  return n < 1e9 ? (n / 1e6).toFixed(2) + ' MB' : (n / 1e9).toFixed(2) + ' GB';
}

const share = (part, whole) => (whole ? (part * 100) / whole : 0).toFixed(1) + ' %';

// The change from `base` to `size` in percent of the base.
function percent(base, size) {
  if (base === size) return '0 %';
  if (!base) return 'new';
  if (!size) return 'gone';
  const value = ((size - base) * 100) / base;
  const amount = Math.abs(value);
  const text = amount < 9.95 ? amount.toFixed(2) : amount < 99.95 ? amount.toFixed(1) : grouped(Math.round(amount));
  return `${value < 0 ? '−' : '+'}${text} %`;
}

// From -1 (gone) over 0 (the same) to 1 (new).
const ratio = (base, size) => (base === size ? 0 : (size - base) / Math.max(size, base));
