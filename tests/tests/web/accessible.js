// What keeps somebody out of a page; each finding is a sentence. After WCAG 2.2, levels A and AA.
const wrong = [];
const all = selector => [...document.querySelectorAll(selector)];
const named = element => {
  const by = element.getAttribute('aria-labelledby');
  const other = by && by.split(/\s+/).map(id => document.getElementById(id)?.textContent ?? '').join(' ');
  const title = element.querySelector(':scope > title')?.textContent;
  const labels = element.labels && [...element.labels].map(label => label.textContent).join(' ');
  return (element.getAttribute('aria-label') || other || title || labels || element.textContent || '').trim();
};
const shown = element => element.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true });
const say = (what, element) => wrong.push(`${what}: ${element.outerHTML.slice(0, 120)}`);

// 3.1.1, 2.4.2, 1.3.1: language, title, landmarks.
if (!/^(en|zh-Hans)$/.test(document.documentElement.lang)) wrong.push('no language of the page');
if (!document.title.trim()) wrong.push('no title');
if (all('main').length !== 1) wrong.push(`${all('main').length} main landmarks`);
for (const one of all('nav, form, section')) if (!named(one) || one.matches('nav, form') && !one.getAttribute('aria-label')) say('a landmark without name', one);
for (const one of document.body.children) {
  if (shown(one) && one.textContent.trim() && !one.matches('header, main, footer, nav, .skip, [role=status], script')) say('text outside of landmarks', one);
}

// 1.3.1, 2.4.6: headings, one first and none skipped.
let before = 0;
for (const heading of all('h1, h2, h3, h4, h5, h6')) {
  const level = +heading.tagName[1];
  if (!heading.textContent.trim()) say('an empty heading', heading);
  if (level > before + 1) say(`heading ${level} after ${before}`, heading);
  before = level;
}
if (all('h1').length !== 1) wrong.push(`${all('h1').length} first headings`);

// 4.1.1, 4.1.2, 1.1.1: ids, names of controls, links, pictures.
const ids = all('[id]').map(element => element.id);
for (const id of new Set(ids)) if (ids.filter(other => other === id).length > 1) wrong.push(`the id ${id} twice`);
for (const pointer of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for', 'list']) {
  for (const element of all(`[${pointer}]`)) {
    for (const id of element.getAttribute(pointer).split(/\s+/)) if (!ids.includes(id)) say(`${pointer} points nowhere`, element);
  }
}
for (const control of all('input:not([type=hidden]), select, textarea, button, a[href], summary, meter:not([aria-hidden=true])')) {
  if (!named(control)) say('a control without name', control);
}
for (const field of all('input:not([type=hidden]), select, textarea')) if (!field.labels.length) say('a field without label', field);
for (const picture of all('svg:not([aria-hidden=true])')) {
  if (!picture.getAttribute('role') || !named(picture)) say('a picture without role or name', picture);
}
for (const image of all('img:not([alt])')) say('an image without text', image);
const texts = new Map();
for (const link of all('a[href]')) {
  const name = named(link), there = texts.get(name) ?? new Set();
  texts.set(name, there.add(link.href));
}
for (const [name, there] of texts) if (there.size > 1 && name.length < 2) wrong.push(`links called ${name} lead to ${there.size} places`);

// 1.3.1: tables.
for (const table of all('table')) {
  for (const cell of table.querySelectorAll('th:not([scope])')) say('a header cell without scope', cell);
  for (const row of table.querySelectorAll('tbody tr')) if (!row.querySelector('th[scope=row]')) say('a row without header', row);
  if (!table.querySelector('thead th[scope=col]')) say('a table without column headers', table);
}

// 2.1.1, 2.4.3, 2.4.7: keyboard. What scrolls can be reached, nothing jumps the order, what has the focus shows it.
for (const element of all('[tabindex]')) if (element.tabIndex > 0) say('a place of its own in the order', element);
for (const element of all('*')) {
  const style = getComputedStyle(element);
  const wide = element.scrollWidth > element.clientWidth + 1 && /auto|scroll/.test(style.overflowX);
  if (wide && element !== document.documentElement && element.tabIndex < 0 && !element.querySelector('a[href], button, input')) say('what scrolls cannot be reached', element);
}
for (const element of all('a[href], button, input, select, summary, [tabindex="0"]').filter(one => shown(one) && one.tabIndex >= 0)) {
  element.focus({ focusVisible: true });
  const style = getComputedStyle(element);
  if (document.activeElement !== element) say('cannot have the focus', element);
  else if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) say('the focus does not show', element);
}
document.activeElement?.blur();

// 2.5.8: what is tapped has 24 pixels, but for links within text.
for (const element of all('button, select, input, nav a, .narrowed a, .actions a, summary').filter(shown)) {
  const box = element.getBoundingClientRect();
  if (box.width < 24 || box.height < 24) say(`${Math.round(box.width)} by ${Math.round(box.height)} pixels to tap`, element);
}

// 1.4.3: contrast of text, over what lies behind it; 1.4.11 of marks in drawings.
const parse = colour => {
  const parts = colour.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
  return { r: parts[0], g: parts[1], b: parts[2], a: parts[3] ?? 1 };
};
const over = (top, under) => ({ r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1 });
const luminance = colour => {
  const [r, g, b] = [colour.r, colour.g, colour.b].map(value => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.a > 0) layers.push(colour);
    if (colour.a === 1) break;
  }
  const page = matchMedia('(prefers-color-scheme: dark)').matches ? { r: 18, g: 18, b: 18, a: 1 } : { r: 255, g: 255, b: 255, a: 1 };
  return layers.reverse().reduce((under, top) => over(top, under), page);
};
const ratio = (one, other) => {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
const told = new Set();
for (const element of all('body *')) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  const typed = element.matches('input, select');
  if (!(own || typed) || !shown(element) || element.closest('title, script, datalist')) continue;
  const style = getComputedStyle(element);
  const drawn = element.closest('svg') !== null;
  const ground = behind(element);
  const ink = over(parse(drawn ? style.fill : style.color), ground);
  const size = parseFloat(style.fontSize), bold = +style.fontWeight >= 700;
  const needed = size >= 24 || bold && size >= 18.66 ? 3 : 4.5;
  const found = ratio(ink, ground);
  const key = `${element.tagName}.${element.getAttribute('class')}`;
  if (found < needed && !told.has(key)) {
    told.add(key);
    say(`contrast ${found.toFixed(2)}, ${needed} is needed`, element);
  }
  if (element.placeholder) {
    const faint = ratio(over(parse(getComputedStyle(element, '::placeholder').color), ground), ground);
    if (faint < 4.5) say(`contrast of the example ${faint.toFixed(2)}`, element);
  }
}
for (const element of all('.chart rect[class]:not(.reach), .mark circle, .mark path, .row polyline, .way, .node circle, .ranges-bar .seen')) {
  const style = getComputedStyle(element);
  const ground = behind(element);
  const best = Math.max(...[style.fill, style.stroke].filter(colour => colour !== 'none').map(colour => ratio(over(parse(colour), ground), ground)));
  const key = `${element.tagName}.${element.getAttribute('class')}.${element.parentElement.getAttribute('class')}`;
  if (best < 3 && !told.has(key)) {
    told.add(key);
    say(`contrast of a mark ${best.toFixed(2)}, 3 is needed`, element);
  }
}
return wrong;
