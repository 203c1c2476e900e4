// The map: a canvas for each target, all at the same place of their trees.

const HEAD = 15;
const FONT = '11px system-ui, sans-serif';

// The colours, as the legend has them: so they follow the theme, and are what is explained.
const colours = { section: [], change: [], text: '', quiet: '', plain: '', line: '' };

function readColours() {
  const of = (selector) => [...document.querySelectorAll(selector)].map((swatch) => getComputedStyle(swatch).backgroundColor);
  colours.section = of('#legend .section i');
  colours.change = of('#legend .change i');
  const style = (id) => getComputedStyle(document.getElementById(id));
  colours.text = style('legend').color;
  colours.quiet = style('panes').color;
  colours.plain = style('rows').backgroundColor;
  colours.line = style('panes').outlineColor;
}

function colourOf(node) {
  if (state.colour === 'change') {
    const value = ratio(node.base, node.sizes);
    const half = (colours.change.length - 1) / 2;
    // Small changes are seen, too: the steps are those of the square root.
    return colours.change[half + Math.sign(value) * Math.ceil(Math.sqrt(Math.abs(value)) * half - 1e-9)];
  }
  return colours.section[node.kinds.indexOf(Math.max(...node.kinds))];
}

// The children of a node that take bytes, the largest first.
function sorted(node) {
  const key = state.count;
  node.order ??= {};
  node.order[key] ??= [...node.children.values()].filter((below) => below[key] > 0)
    .sort((a, b) => b[key] - a[key] || (a.name < b.name ? -1 : 1));
  return node.order[key];
}

// The rectangles of a node and of what is below it, parents before their children.
function place(node, x, y, w, h, depth, out) {
  const room = depth === 1 ? w > 34 && h > 2 * HEAD : w > 64 && h > 3 * HEAD;
  const head = depth > 0 && node.leaf < 0 && room ? HEAD : 0;
  out.push({ node, x, y, w, h, depth, head });
  if (node.leaf >= 0 || w < 4 || h < 4) return;
  const edge = depth > 0 ? 1 : 0;
  const value = (below) => below[state.count];
  squarify(sorted(node), value, x + edge, y + edge + head, w - 2 * edge, h - 2 * edge - head, (below, ...at) => {
    if (at[2] > 0.6 && at[3] > 0.6) place(below, ...at, depth + 1, out);
  });
}

function fit(canvas, w, h) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(w * scale);
  canvas.height = Math.round(h * scale);
  const context = canvas.getContext('2d');
  context.scale(scale, scale);
  return context;
}

function draw(pane) {
  const { width: w, height: h } = pane.box.getBoundingClientRect();
  if (!w || !h) return;
  const context = fit(pane.canvas, w, h);
  pane.root = descend(pane.binary.tree, state.path);
  pane.rects = [];
  pane.paper = fit(pane.overlay, w, h);
  context.font = FONT;
  context.textBaseline = 'middle';
  if (!pane.root || !pane.root[state.count]) {
    context.fillStyle = colours.quiet;
    context.fillText('Not in this binary.', 12, 20);
    return;
  }
  place(pane.root, 0, 0, w, h, 0, pane.rects);
  for (const rect of pane.rects) paint(context, rect);
  outline(pane);
}

function paint(context, { node, x, y, w, h, depth, head }) {
  if (!depth) return;
  const dim = state.query && !node.hits;
  const gap = w > 3 && h > 3 ? 1 : 0.25;
  context.globalAlpha = dim ? 0.16 : 1;
  if (node.leaf >= 0 || w < 4 || h < 4) {
    context.fillStyle = colourOf(node);
    context.fillRect(x, y, w - gap, h - gap);
    if (w > 30 && h > 12) lines(context, node.label, x + 4, y + Math.min(h / 2, 9), w - 8, h);
  } else {
    context.fillStyle = depth === 1 ? colours.line : colours.plain;
    context.fillRect(x, y, w - gap, h - gap);
    if (head) {
      context.font = depth === 1 ? `600 ${FONT}` : FONT;
      context.fillStyle = colours.text;
      const wide = label(context, node.label, x + 4, y + 8, w - 8);
      context.font = FONT;
      const bytes = short(node[state.count]);
      if (wide && w - wide > 70) {
        context.globalAlpha *= 0.7;
        label(context, bytes, x + w - 5 - context.measureText(bytes).width, y + 8, 66);
      }
    }
  }
  context.globalAlpha = 1;
}

// How many characters of `text` there is room for.
function fitting(context, text, room) {
  let end = Math.min(text.length, Math.ceil(room / 3));
  let width = context.measureText(text.slice(0, end)).width;
  while (end > 0 && width > room) {
    end = Math.min(end - 1, Math.floor((end * room) / width));
    width = context.measureText(text.slice(0, end)).width;
  }
  return end;
}

// Writes as much of `text` as there is room for. Gives its width.
function label(context, text, x, y, room) {
  let shown = text;
  if (fitting(context, text, room) < text.length) {
    const end = fitting(context, text, room - context.measureText('…').width);
    if (end < 2) return 0;
    shown = `${text.slice(0, end)}…`;
  }
  context.fillStyle = colours.text;
  context.fillText(shown, x, y);
  return context.measureText(shown).width;
}

// The same in up to four lines, where there is room below.
function lines(context, text, x, y, room, h) {
  let rest = text;
  for (let left = Math.min(4, Math.floor((h - 5) / 13)); left > 1; left--) {
    const end = fitting(context, rest, room);
    if (end < 4 || end >= rest.length) break;
    label(context, rest.slice(0, end), x, y, room);
    rest = rest.slice(end);
    y += 13;
  }
  label(context, rest, x, y, room);
}

// Draws the frames of what the pointer and the keyboard are at.
function outline(pane) {
  const context = pane.paper;
  context.clearRect(0, 0, pane.overlay.width, pane.overlay.height);
  const frame = (path, wide) => {
    const node = path && descend(pane.binary.tree, path);
    const rect = node && pane.rects.find((other) => other.node === node);
    if (!rect || !rect.depth) return;
    for (const [colour, width] of [[colours.plain, wide + 2], [colours.text, wide]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect(rect.x + 1, rect.y + 1, Math.max(rect.w - 3, 1), Math.max(rect.h - 3, 1));
    }
  };
  frame(state.hover, 1);
  if (panes.some((other) => other.overlay === document.activeElement)) frame(state.at, 2);
  frame(state.chosen, 2);
}

const panes = [];

function makePane(binary) {
  const box = element('div', { class: 'box' });
  const canvas = element('canvas', { 'aria-hidden': 'true' });
  const overlay = element('canvas', {
    class: 'map', tabindex: '0', role: 'application', 'aria-roledescription': 'treemap',
    'aria-label': `Map of ${binary.name} for ${binary.target}. Arrows move, Enter zooms in, Escape zooms out. The table has the same numbers.`,
  });
  box.append(canvas, overlay);
  const title = element('h2', {}, binary.target);
  const total = element('span', { class: 'total' });
  const head = element('div', { class: 'head' });
  head.append(title, total);
  const figure = element('div', { class: 'pane' });
  figure.append(head, box);
  const pane = { binary, figure, box, canvas, overlay, total, rects: [], root: null, paper: null };
  overlay.addEventListener('click', (event) => {
    const rect = pick(pane, event);
    if (rect) into(pane, below(rect.node), rect.node);
  });
  overlay.addEventListener('pointermove', (event) => {
    const rect = pick(pane, event);
    hover(rect && rect.node, event.clientX, event.clientY);
  });
  overlay.addEventListener('pointerleave', () => hover(null));
  overlay.addEventListener('keydown', (event) => press(pane, event));
  overlay.addEventListener('focus', () => { if (overlay.matches(':focus-visible')) move(pane, here(pane) || first(pane)); panes.forEach(outline); });
  overlay.addEventListener('blur', () => { hover(null); panes.forEach(outline); });
  return pane;
}

// The deepest rectangle under the pointer.
function pick(pane, event) {
  const box = pane.box.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const within = (rect) => rect.depth && x >= rect.x && y >= rect.y && x < rect.x + rect.w && y < rect.y + rect.h;
  return pane.rects.findLast(within);
}

// The ancestor of `node` that is right below what is shown.
function below(node) {
  let at = node;
  for (let up = pathOf(node).length - state.path.length; up > 1; up--) at = at.parent;
  return at;
}

// Zooms to a node; where that is a leaf, or has no leaf but one, chooses it.
function into(pane, node, chosen) {
  if (node.leaf < 0) zoom(pathOf(node));
  else choose(pathOf(chosen.leaf < 0 ? node : chosen));
}

const cells = (pane) => pane.rects.filter((rect) => rect.depth === 1);
const first = (pane) => cells(pane)[0];
const here = (pane) => {
  const node = state.at && descend(pane.binary.tree, state.at);
  return node && cells(pane).find((rect) => rect.node === node);
};

function move(pane, rect) {
  if (!rect) return;
  state.at = pathOf(rect.node);
  panes.forEach(outline);
  const box = pane.box.getBoundingClientRect();
  hover(rect.node, box.left + rect.x + Math.min(rect.w / 2, 60), box.top + rect.y + Math.min(rect.h / 2, 30));
  const { node } = rect;
  const change = pane.binary.changes ? `, ${signed(node.sizes - node.base)}` : '';
  say(`${node.label}, ${grouped(node[state.count])} bytes, ${share(node[state.count], pane.root[state.count])}${change}`);
}

const AHEAD = {
  ArrowLeft: (from, to) => [from.x - (to.x + to.w), Math.abs(from.y - to.y)],
  ArrowRight: (from, to) => [to.x - (from.x + from.w), Math.abs(from.y - to.y)],
  ArrowUp: (from, to) => [from.y - (to.y + to.h), Math.abs(from.x - to.x)],
  ArrowDown: (from, to) => [to.y - (from.y + from.h), Math.abs(from.x - to.x)],
};

function press(pane, event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const at = here(pane) || first(pane);
  if (!at) return;
  if (event.key === 'Enter' || event.key === ' ') {
    into(pane, at.node, at.node);
    if (at.node.leaf < 0) move(pane, first(pane));
  } else if (event.key === 'Home') move(pane, first(pane));
  else if (event.key === 'End') move(pane, cells(pane).at(-1));
  else if (AHEAD[event.key]) {
    let best = null;
    for (const rect of cells(pane)) {
      const [ahead, aside] = AHEAD[event.key](at, rect);
      const cost = ahead + 2 * aside;
      if (rect !== at && ahead > -1 && (!best || cost < best.cost)) best = { rect, cost };
    }
    if (best) move(pane, best.rect);
  } else return;
  event.preventDefault();
}

function hover(node, x, y) {
  const tip = byId('tip');
  state.hover = node ? pathOf(node) : null;
  panes.forEach(outline);
  tip.hidden = !node;
  if (!node) return;
  tip.replaceChildren(...facts(state.hover));
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 14 + width > innerWidth ? Math.max(4, x - width - 14) : x + 14;
  const top = y + 14 + height > innerHeight ? Math.max(4, y - height - 14) : y + 14;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}
