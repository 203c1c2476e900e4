// The page around the map: what is chosen, tables, changes, releases.

// `path` is what the map shows, `at` where its keyboard is, `chosen` the symbol that is told of.
const state = {
  view: 'map', name: '', count: 'sizes', colour: 'section', query: '',
  path: [], at: null, hover: null, chosen: null, sort: {}, all: {},
};

let data = null;

const byId = (id) => document.getElementById(id);
const say = (text) => { byId('say').textContent = text; };

function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

function button(text, act, attributes = {}) {
  const made = element('button', { type: 'button', ...attributes }, text);
  made.addEventListener('click', act);
  return made;
}

const shown = () => panes.map((pane) => pane.binary);
const compared = () => data.binaries.filter((binary) => binary.changes);

// The first word of each target, where that tells them apart.
function shortTarget(binary) {
  const first = (other) => other.target.split('-')[0];
  const alike = shown().filter((other) => first(other) === first(binary));
  return alike.length > 1 ? binary.target : first(binary);
}

// A table that sorts. A column has a label, a `value` to sort by, and a `cell` or the value as text.
function fill(id, { caption, columns, rows, sort, foot, row = () => ({}) }) {
  const table = byId(id);
  const wanted = state.sort[id] || sort;
  const by = columns.some((other) => other.key === wanted.key) ? wanted : sort;
  const column = columns.find((other) => other.key === by.key) || columns[0];
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  rows.sort((a, b) => (by.down ? -1 : 1) * order(column.value(a), column.value(b)) || order(a.name, b.name));
  table.caption.textContent = caption;
  const heads = columns.map((other) => {
    const down = other === column ? !by.down : other.down;
    const act = () => {
      state.sort[id] = { key: other.key, down };
      render();
      table.querySelector(`[data-key="${other.key}"]`).focus();
    };
    const head = element('th', { scope: 'col' }, button(other.label, act, { 'data-key': other.key, title: other.title || other.label }));
    if (other === column) head.setAttribute('aria-sort', by.down ? 'descending' : 'ascending');
    return head;
  });
  table.tHead.replaceChildren(element('tr', {}, ...heads));
  // Most symbols are asked for by nobody; they are a press away.
  const limit = state.all[id] ? rows.length : 250;
  const body = rows.slice(0, limit).map((item) => line(columns, item, row(item)));
  if (rows.length > limit) {
    const more = button(`Show all ${grouped(rows.length)} rows`, () => { state.all[id] = true; render(); });
    body.push(element('tr', {}, element('td', { colspan: columns.length }, more)));
  }
  table.tBodies[0].replaceChildren(...body);
  if (table.tFoot) table.tFoot.replaceChildren(...(foot ? [line(columns, foot, {})] : []));
}

function line(columns, item, attributes) {
  const cells = columns.map((column, at) => {
    const content = column.cell ? column.cell(item) : column.text(item);
    const cell = element(at ? 'td' : 'th', at ? {} : { scope: 'row' }, content);
    if (column.tone) cell.className = column.tone(item);
    if (column.bar) cell.style.setProperty('--bar', `${Math.min(100, column.bar(item) * 100)}%`);
    return cell;
  });
  return element('tr', attributes, ...cells);
}

// At least 1, so that it divides.
const largest = (items, value) => items.reduce((most, item) => Math.max(most, value(item)), 1);

const tone = (change) => (change > 0 ? 'grown' : change < 0 ? 'shrunk' : 'same');

function cards() {
  const made = data.binaries.map((binary) => {
    const card = element('article', {}, element('h2', {}, `${binary.name} `, element('span', {}, binary.target)));
    const numbers = element('p', { class: 'numbers' }, element('strong', {}, short(binary.size)), ` ${grouped(binary.size)} bytes`);
    const packed = element('p', {}, `compressed ${short(binary.compressed)} · ${grouped(binary.compressed)} bytes`);
    card.append(numbers, packed);
    if (binary.base !== null) {
      const change = binary.size - binary.base;
      const text = change ? `${signed(change)} bytes (${percent(binary.base, binary.size)})` : 'no change';
      card.append(element('p', {}, element('b', { class: tone(change) }, text), ` since ${grouped(binary.base)}`));
    }
    card.append(element('p', { class: 'quiet' }, binary.symbols));
    return card;
  });
  byId('cards').replaceChildren(...made);
}

// What is known of the node at `path`, for every binary that is shown.
function facts(path) {
  const found = panes.map((pane) => [pane.binary, descend(pane.binary.tree, path)]);
  const node = found.find(([, at]) => at)?.[1];
  if (!node) return [];
  const name = element('p', { class: 'name' }, element('bdi', {}, node.leaf >= 0 ? node.symbol : node.label));
  const where = [path[0], path.length > 1 && path[1].includes('\n') ? '' : path[1]].filter((part) => part && part !== node.label);
  if (node.leaf >= 0 && node.section) where.push(`in ${node.section}`);
  if (node.leaf < 0) where.push(`${grouped(leaves(node))} entries`);
  const list = element('dl');
  for (const [binary, at] of found) {
    const parts = at ? [`${grouped(at.sizes)} bytes`, `${share(at.sizes, binary.size)}`, `compressed ${grouped(at.packed)}`] : ['not there'];
    if (at && binary.changes) parts.push(at.sizes === at.base ? 'unchanged' : `${signed(at.sizes - at.base)} (${percent(at.base, at.sizes)})`);
    list.append(element('dt', {}, shortTarget(binary)), element('dd', {}, parts.join(' · ')));
  }
  return [name, element('p', { class: 'quiet' }, where.join(' · ')), list];
}

function leaves(node) {
  if (node.leaf >= 0) return 1;
  node.count ??= [...node.children.values()].reduce((all, at) => all + leaves(at), 0);
  return node.count;
}

function zoom(path) {
  state.path = path;
  state.chosen = state.at = null;
  state.all.list = false;
  hover(null);
  render();
  const label = names(path).at(-1) || 'the whole file';
  say(`Now showing ${label}.`);
}

function out() {
  if (!state.path.length) return;
  const from = state.path;
  const busy = document.activeElement?.closest('#rows, #path');
  zoom(from.slice(0, -1));
  state.at = from;
  panes.forEach(outline);
  if (busy) panes[0].overlay.focus();
}

function choose(path) {
  state.chosen = path;
  detail();
  panes.forEach(outline);
}

function detail() {
  const box = byId('detail');
  box.hidden = !state.chosen;
  if (state.chosen) box.replaceChildren(...facts(state.chosen));
}

// The labels along a path.
function names(path) {
  const root = panes.map((pane) => pane.binary.tree).find((tree) => descend(tree, path));
  return path.map((_, at) => (root ? descend(root, path.slice(0, at + 1)).label : path[at]));
}

function crumbs() {
  const labels = [state.name, ...names(state.path)];
  const items = labels.map((text, at) => {
    const last = at === labels.length - 1;
    const link = button(text, () => zoom(state.path.slice(0, at)), last ? { 'aria-current': 'location' } : {});
    return element('li', {}, link);
  });
  byId('path').replaceChildren(...items);
}

// What the map shows, as rows: the children of the node, of all binaries.
function rows() {
  const nodes = panes.map((pane) => descend(pane.binary.tree, state.path));
  const found = new Map();
  nodes.forEach((node, at) => {
    for (const below of node ? node.children.values() : []) {
      if (state.query && !below.hits) continue;
      const item = found.get(below.name) || { name: below.label, node: below, of: [] };
      found.set(below.name, item);
      item.of[at] = below;
    }
  });
  const bytes = (node) => (!node ? 0 : state.query ? (state.count === 'sizes' ? node.hit : node.hitPacked) : node[state.count]);
  const items = [...found.values()].filter((item) => state.colour === 'change' || item.of.some((node) => bytes(node) > 0 || node?.sizes));
  const most = largest(items, (item) => bytes(item.of[0]));
  const open = (item) => button(item.name, () => {
    into(panes[item.of.findIndex(Boolean)], item.node, item.node);
    if (item.node.leaf < 0) byId('rows').querySelector('tbody button')?.focus();
  }, { class: item.node.leaf < 0 ? 'open' : 'leaf' });
  // A symbol's code is the rule; where its other bytes are is told.
  const cell = (item) => {
    const made = item.node ? open(item) : item.name;
    const section = item.node?.section;
    if (section && kind(section) && section !== item.name) made.append(element('span', { class: 'quiet' }, ` ${section}`));
    return made;
  };
  const columns = [{ key: 'name', label: state.path.length ? 'name' : 'crate', value: (item) => item.name, cell }];
  panes.forEach(({ binary }, at) => {
    const value = (item) => (item.node ? bytes(item.of[at]) : item.sums[at]);
    columns.push({ key: `b${at}`, label: shortTarget(binary), title: `bytes for ${binary.target}`, value, text: (item) => grouped(value(item)), down: true, bar: at ? undefined : (item) => (item.node ? value(item) / most : 0) });
    if (state.colour !== 'change' || !binary.changes) return;
    const change = (item) => (item.node ? (item.of[at] ? item.of[at].sizes - item.of[at].base : 0) : item.changes[at]);
    columns.push({ key: `c${at}`, label: 'change', title: `change for ${binary.target}`, value: change, text: (item) => signed(change(item)), tone: (item) => tone(change(item)), down: true });
  });
  byId('split').classList.toggle('wide', columns.length > 3);
  const total = (of) => panes.map((_, at) => items.reduce((all, item) => all + (item.of[at] ? of(item.of[at]) : 0), 0));
  const foot = { name: state.query ? 'all that matches' : 'all', sums: total(bytes), changes: total((node) => node.sizes - node.base) };
  const what = names(state.path).at(-1) || state.name;
  const unit = state.count === 'packed' ? 'Compressed bytes' : 'Bytes';
  fill('list', { caption: `${unit} of ${what}${state.query ? ', of what matches' : ''}`, columns, rows: items, sort: { key: 'b0', down: true }, foot });
}

function found() {
  const parts = state.query ? panes.map(({ binary }) => {
    const { hits, hit, hitPacked } = binary.tree;
    const bytes = state.count === 'sizes' ? hit : hitPacked;
    return `${shortTarget(binary)}: ${grouped(hits)} found, ${grouped(bytes)} bytes (${short(bytes)})`;
  }) : [];
  byId('found').replaceChildren(...parts.map((text) => element('span', {}, text)));
}

function legend() {
  for (const item of document.querySelectorAll('#legend li')) item.hidden = item.classList.contains('change') !== (state.colour === 'change');
}

function makeLegend() {
  const kinds = KINDS.map((name, at) => element('li', { class: 'section' }, element('i', { class: `k${at}` }), name));
  const steps = Array.from({ length: 9 }, (_, at) => element('i', { class: `d${at}` }));
  const scale = element('li', { class: 'change' }, element('span', {}, 'gone, smaller'), ...steps, element('span', {}, 'larger, new'));
  byId('legend').replaceChildren(...kinds, scale);
}

function changes() {
  const binary = compared()[Number(byId('compared').value)] || compared()[0];
  if (!binary) return;
  const change = (item) => item.size - item.base;
  const pick = (item) => button(item.name, () => { state.krate = item.name; state.all.symbols = false; render(); byId('symbols').querySelector('button')?.focus(); }, { class: 'open' });
  const columns = (items, name, most = largest(items, (item) => Math.abs(change(item)))) => [
    name,
    { key: 'base', label: 'base', value: (item) => item.base, text: (item) => grouped(item.base), down: true },
    { key: 'size', label: 'head', value: (item) => item.size, text: (item) => grouped(item.size), down: true },
    { key: 'change', label: 'change', value: change, text: (item) => signed(change(item)), tone: (item) => tone(change(item)), down: true, bar: (item) => (item.total ? 0 : Math.abs(change(item)) / most) },
    { key: 'percent', label: '%', title: 'change in percent of the base', value: (item) => (item.base ? change(item) / item.base : item.size ? Infinity : 0), text: (item) => percent(item.base, item.size), tone: (item) => tone(change(item)), down: true },
  ];
  const sum = (items) => items.reduce((all, item) => ({ name: 'all', total: true, size: all.size + item.size, base: all.base + item.base }), { size: 0, base: 0 });
  const crates = [...binary.tree.children.values()].map((at) => ({ name: at.label, size: at.sizes, base: at.base, node: at }));
  const total = sum(crates);
  if (!binary.tree.children.has(state.krate)) state.krate = [...crates].sort((a, b) => change(b) - change(a))[0]?.name;
  const name = { key: 'name', label: 'crate', value: (item) => item.name, cell: (item) => (item.total ? item.name : pick(item)) };
  fill('crates', { caption: `Crates of ${binary.name} for ${binary.target}`, columns: columns(crates, name), rows: crates, sort: { key: 'change', down: true }, foot: total, row: (item) => (item.name === state.krate ? { 'aria-current': 'true' } : {}) });
  const same = crates.filter((item) => !change(item)).length;
  byId('changes-sum').replaceChildren(`${grouped(total.base)} → ${grouped(total.size)} bytes, `, element('b', { class: tone(change(total)) }, `${signed(change(total))} (${percent(total.base, total.size)})`), `. ${same} of ${crates.length} crates are as large as before.`);
  // A symbol is one, whatever the sections are that it has bytes in.
  const found = new Map();
  const walk = (at) => {
    if (at.leaf < 0) return at.children.forEach(walk);
    const item = found.get(at.symbol) || { name: at.symbol, size: 0, base: 0 };
    found.set(at.symbol, item);
    item.size += at.sizes;
    item.base += at.base;
  };
  if (state.krate !== undefined) walk(binary.tree.children.get(state.krate));
  const symbols = [...found.values()];
  const changed = symbols.filter(change);
  const unchanged = sum(symbols.filter((item) => !change(item)));
  const symbol = { key: 'name', label: 'symbol', value: (item) => item.name, cell: (item) => element('bdi', { title: item.name.slice(0, 1000) }, item.name) };
  const rest = symbols.length - changed.length;
  const caption = `Symbols of ${state.krate} that changed: ${grouped(changed.length)}. ${rest ? `${grouped(rest)} others with ${grouped(unchanged.size)} bytes did not.` : ''}`;
  fill('symbols', { caption, columns: columns(changed, symbol), rows: changed, sort: { key: 'change', down: true }, foot: { ...sum(changed), name: 'all that changed' } });
}

function matches() {
  for (const { binary } of panes) search(binary, data.texts, state.query);
}

function render() {
  for (const view of ['map', 'changes', 'history']) {
    const tab = byId(`tab-${view}`);
    const here = state.view === view;
    tab.setAttribute('aria-selected', String(here));
    tab.tabIndex = here ? 0 : -1;
    byId(`view-${view}`).hidden = !here;
  }
  for (const id of ['count', 'colour', 'search']) byId(id).closest('search, fieldset').hidden = state.view !== 'map' || (id === 'colour' && !compared().length);
  if (state.view === 'changes') changes();
  if (state.view === 'history') releases(data.history);
  if (state.view !== 'map') return;
  legend();
  readColours();
  crumbs();
  rows();
  found();
  detail();
  for (const pane of panes) {
    const node = descend(pane.binary.tree, state.path);
    const bytes = node ? node[state.count] : 0;
    pane.total.textContent = `${grouped(bytes)} bytes · ${short(bytes)}${state.path.length ? ` · ${share(bytes, pane.binary.tree[state.count])}` : ''}`;
    draw(pane);
  }
}

function showBinary(name) {
  state.name = name;
  panes.splice(0, panes.length, ...data.binaries.filter((binary) => binary.name === name).map(makePane));
  byId('panes').replaceChildren(...panes.map((pane) => pane.figure));
  state.path = [];
  state.chosen = state.at = null;
  matches();
}

function shortcuts(event) {
  const typing = event.target.closest?.('input:not([type=radio]), select');
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  if (event.key === '/' && !typing && state.view === 'map') {
    event.preventDefault();
    byId('search').focus();
  } else if (event.key === 'Escape' && event.target.id === 'search' && state.query) {
    event.target.value = state.query = '';
    matches();
    render();
  } else if (state.view === 'map' && (event.key === 'Escape' || (event.key === 'Backspace' && !typing))) {
    event.preventDefault();
    if (state.chosen) choose(null);
    else out();
  }
}

function listen() {
  const tabs = [...document.querySelectorAll('[role=tab]')];
  const show = (tab) => { state.view = tab.id.replace('tab-', ''); render(); };
  for (const tab of tabs) {
    tab.addEventListener('click', () => show(tab));
    tab.addEventListener('keydown', (event) => {
      const live = tabs.filter((other) => !other.hidden);
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = live[(live.indexOf(tab) + step + live.length) % live.length];
      show(next);
      next.focus();
    });
  }
  for (const name of ['count', 'colour']) byId(name).addEventListener('change', (event) => { state[name] = event.target.value; render(); });
  byId('search').addEventListener('input', (event) => { state.query = event.target.value.trim(); matches(); render(); });
  byId('binary').addEventListener('change', (event) => { showBinary(event.target.value); render(); });
  byId('compared').addEventListener('change', render);
  document.addEventListener('keydown', shortcuts);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const theme = byId('theme');
  const name = () => { theme.textContent = isDark() ? 'Light' : 'Dark'; theme.title = `Show the page ${isDark() ? 'light' : 'dark'}`; };
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? 'dark' : 'light')) === 'dark';
  theme.addEventListener('click', () => { document.documentElement.dataset.theme = isDark() ? 'light' : 'dark'; name(); render(); });
  dark.addEventListener('change', () => { name(); render(); });
  name();
  new ResizeObserver(() => { if (state.view === 'map') panes.forEach(draw); }).observe(byId('panes'));
}

async function start() {
  data = await unpack(byId('data').textContent);
  data.texts.lower = data.texts.map((text) => text.toLowerCase());
  const files = [...new Set(data.binaries.map((binary) => binary.name))];
  byId('binary').replaceChildren(...files.map((name) => element('option', { value: name }, name)));
  byId('binary-label').hidden = files.length < 2;
  byId('compared').replaceChildren(...compared().map((binary, at) => element('option', { value: at }, `${binary.name} for ${binary.target}`)));
  byId('tab-changes').hidden = !compared().length;
  byId('tab-history').hidden = !data.history.length;
  byId('tabs').hidden = !compared().length && !data.history.length;
  makeLegend();
  for (const id of ['app', 'theme']) byId(id).hidden = false;
  document.documentElement.classList.add('live');
  showBinary(files[0] ?? '');
  cards();
  listen();
  render();
}

start().catch((error) => {
  byId('trouble').hidden = false;
  byId('trouble').textContent = `This browser cannot show the map (${error.message}); the tables below say the most.`;
  document.documentElement.classList.remove('live');
  byId('app').hidden = true;
});
