// The chart of sizes over releases, and the table that equals it.

const SVG = 'http://www.w3.org/2000/svg';

function svg(name, attributes = {}, ...content) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...content);
  return made;
}

// The releases in order, and a line for each binary and target.
function series(history) {
  const times = new Map();
  for (const point of history) if (!times.has(point.release)) times.set(point.release, point.time);
  const order = [...times.keys()];
  // Where a time is unknown, the order that they came in is all there is.
  if ([...times.values()].every(Boolean)) order.sort((a, b) => times.get(a) - times.get(b));
  const lines = new Map();
  for (const point of history) {
    const name = `${point.name} ${point.target}`;
    if (!lines.has(name)) lines.set(name, { name, binary: point.name, target: point.target, at: new Map() });
    lines.get(name).at.set(point.release, point.size);
  }
  return { order, times, lines: [...lines.values()] };
}

// A step of 1, 2 or 5 times a power of ten, so that there are about four.
function step(range) {
  const power = 10 ** Math.floor(Math.log10(range / 4 || 1));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => range / n <= 5) || 10 * power;
}

// `24.00 MB` as `24 MB`.
const axis = (size) => short(size).replace(/\.0+ /, ' ');

function releases(history) {
  const { order, times, lines } = series(history);
  chart(order, lines);
  const day = (time) => (time ? new Date(time * 1000).toISOString().slice(0, 10) : '');
  const before = (one, release) => order.slice(0, order.indexOf(release)).findLast((other) => one.at.has(other));
  const change = (one, release) => {
    const from = one.at.get(before(one, release));
    return from === undefined || !one.at.has(release) ? 0 : one.at.get(release) - from;
  };
  const columns = [
    { key: 'name', label: 'release', value: (row) => row.at, text: (row) => row.name, down: true },
    { key: 'day', label: 'date', value: (row) => times.get(row.name), text: (row) => day(times.get(row.name)), down: true },
  ];
  lines.forEach((one, at) => columns.push(
    { key: `s${at}`, label: one.name, value: (row) => one.at.get(row.name) || 0, text: (row) => (one.at.has(row.name) ? grouped(one.at.get(row.name)) : ''), down: true },
    { key: `c${at}`, label: 'change', value: (row) => change(one, row.name), text: (row) => (one.at.has(row.name) && before(one, row.name) !== undefined ? signed(change(one, row.name)) : ''), tone: (row) => tone(change(one, row.name)), down: true },
  ));
  const rows = order.map((name, at) => ({ name, at }));
  fill('releases', { caption: 'Bytes of each release, the newest first', columns, rows, sort: { key: 'name', down: true } });
}

function chart(order, lines) {
  const box = byId('chart');
  const w = Math.max(300, Math.min(1360, box.clientWidth));
  const narrow = w < 700;
  const h = narrow ? 260 : 340;
  const edge = { top: 14, right: narrow ? 14 : 210, bottom: 34, left: 62 };
  const sizes = lines.flatMap((one) => [...one.at.values()]);
  let low = Math.min(...sizes);
  const high = Math.max(...sizes);
  // From nothing, unless the lines would all be at the top.
  if (low < high * 0.6) low = 0;
  const gap = step(Math.max(high - low, high * 0.02, 1));
  const from = Math.max(0, Math.floor(low / gap - 0.2) * gap);
  const to = Math.max(Math.ceil(high / gap + 0.05) * gap, from + gap);
  const x = (at) => edge.left + ((w - edge.left - edge.right) * (order.length > 1 ? at / (order.length - 1) : 0.5));
  const y = (size) => h - edge.bottom - ((h - edge.top - edge.bottom) * (size - from)) / (to - from);
  const picture = svg('svg', { viewBox: `0 0 ${w} ${h}`, width: w, height: h, role: 'img', 'aria-label': `Sizes of ${order.length} releases; the table below has the same numbers.` });
  for (let size = from; size <= to; size += gap) {
    picture.append(
      svg('line', { class: 'grid', x1: edge.left, x2: w - edge.right, y1: y(size), y2: y(size) }),
      svg('text', { x: edge.left - 8, y: y(size) + 4, 'text-anchor': 'end' }, axis(size)),
    );
  }
  const every = Math.ceil(order.length / Math.max(2, (w - edge.left - edge.right) / 62));
  order.forEach((name, at) => {
    if ((order.length - 1 - at) % every) return;
    picture.append(svg('text', { x: x(at), y: h - 12, 'text-anchor': 'middle' }, name.length > 12 ? `${name.slice(0, 11)}…` : name));
  });
  const ends = [];
  lines.forEach((one, at) => drawLine(picture, one, at, order, x, y, ends));
  if (!narrow) labels(picture, ends, w - edge.right + 14);
  const names = lines.map((one, at) => svg('svg', { width: 34, height: 12, class: `s${at % 6}` }, svg('line', { x1: 0, x2: 34, y1: 6, y2: 6 }), markAt(at, 17, 6)));
  const keys = element('ul', { class: 'keys' }, ...lines.map((one, at) => element('li', {}, names[at], ` ${one.name}`)));
  const note = from > 0 ? [element('p', { class: 'quiet' }, `The axis starts at ${axis(from)}.`)] : [];
  box.replaceChildren(picture, ...(narrow ? [keys] : []), ...note);
}

// Lines differ in colour, in dashes and in the marks on them.
function drawLine(picture, one, at, order, x, y, ends) {
  const points = order.map((name, index) => [name, index]).filter(([name]) => one.at.has(name));
  const group = svg('g', { class: `s${at % 6}` });
  group.append(svg('polyline', { points: points.map(([name, index]) => `${x(index).toFixed(1)},${y(one.at.get(name)).toFixed(1)}`).join(' ') }));
  for (const [name, index] of points) {
    const mark = markAt(at, x(index), y(one.at.get(name)));
    mark.append(svg('title', {}, `${one.name} ${name}: ${grouped(one.at.get(name))} bytes`));
    group.append(mark);
  }
  picture.append(group);
  const last = points.at(-1);
  if (last) ends.push({ one, at, y: y(one.at.get(last[0])), size: one.at.get(last[0]) });
}

function markAt(at, x, y) {
  const shapes = ['M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z', 'M-4-4h8v8h-8z', 'M0-5l5 5l-5 5l-5-5z', 'M0-5l5 9h-10z', 'M0 5l5-9h-10z', 'M-5-2h10v4h-10z'];
  return svg('path', { d: shapes[at % 6], transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
}

// The names at the lines' ends, apart from one another.
function labels(picture, ends, x) {
  ends.sort((a, b) => a.y - b.y);
  let floor = 0;
  for (const { one, at, y, size } of ends) {
    const top = Math.max(y, floor);
    floor = top + 32;
    const name = one.target || one.name;
    picture.append(svg('g', { class: `end s${at % 6}` },
      svg('text', { x, y: top }, name.length > 30 ? `${name.slice(0, 29)}…` : name),
      svg('text', { x, y: top + 14, class: 'quiet' }, `${one.binary} · ${short(size)}`)));
  }
}
