// The page has the head of every row as HTML; the rest of a row lies compressed in its chunk until it is opened or searched.
const box = document.getElementById("rows"), find = document.getElementById("find"), order = document.getElementById("order");
const which = document.getElementById("which"), group = document.getElementById("group"), nothing = document.getElementById("nothing");
const MOST_OPEN = 200;
const chunks = [...document.querySelectorAll("script.chunk")];
const rows = [...box.children].map((row, index) => ({
  row, index, number: Number(row.dataset.n), quals: row.dataset.q === "" ? null : Number(row.dataset.q), bad: row.dataset.bad === "1",
  group: row.dataset.group, head: row.querySelector(".head > div").textContent.toLowerCase(), text: null,
}));
const byElement = new Map(rows.map(entry => [entry.row, entry]));

const opened = new Map();
function chunk(index) {
  if (!opened.has(index)) opened.set(index, unpack(chunks[index].textContent));
  return opened.get(index);
}
async function unpack(text) {
  if (!window.DecompressionStream) throw new Error("This browser is too old to open rows: it cannot decompress.");
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
async function data(entry) {
  const { rows, texts } = await chunk(Math.floor(entry.index / CHUNK_ROWS));
  return { ...rows[entry.index % CHUNK_ROWS], texts };
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const percent = logprob => {
  const value = 100 * Math.exp(logprob);
  return `${value < 0.01 ? "under 0.01" : value < 1 ? value.toFixed(2) : value < 99.95 ? value.toFixed(value < 10 ? 1 : 0) : "100"}% (${(Math.min(logprob, 0) || 0).toFixed(2).replace(/^-0.00$/, "0.00")})`;
};
const height = logprob => Math.round(100 * Math.min(Math.max(logprob / FLOOR, 0), 1));

function bars(pair, texts) {
  const readout = make("output", { class: "readout" });
  const tokens = pair.tokens.map((token, place) => {
    const [summary, document] = [pair.summary_logprobs[place], pair.document_logprobs[place]];
    const text = texts[token] ?? String(token);
    const says = `given the summary ${percent(summary)}, given the document ${percent(document)}`;
    const button = make("button", { type: "button", tabindex: "-1", "aria-pressed": "false", title: says, "aria-label": `${text.trim()}: ${says}`,
      style: `--s:${height(summary)};--d:${height(document)}` }, make("span", {}, text));
    button.tell = () => {
      for (const other of tokens) { other.tabIndex = other === button ? 0 : -1; other.setAttribute("aria-pressed", String(other === button)); }
      readout.textContent = `\u201c${text.trim()}\u201d: ${says}`;
    };
    return button;
  });
  const losses = pair.tokens.map((_, place) => pair.document_logprobs[place] - pair.summary_logprobs[place]);
  tokens[losses.indexOf(Math.min(...losses))]?.tell();
  const group = make("div", { class: "bars", role: "toolbar", "aria-label": "Tokens: the arrow keys go from one to the next" }, ...tokens);
  group.addEventListener("click", event => event.target.closest("button")?.tell());
  group.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && tokens[tokens.indexOf(document.activeElement) + step];
    if (next) { event.preventDefault(); next.focus(); next.tell(); }
  });
  return [group, readout];
}

function pairElement(pair, mark, { texts, row }, show) {
  const element = make("div", { class: "pair", dir: "auto" }, make("span", { class: pair.score < MARKED ? "score bad" : "score" }, pair.score.toFixed(3)),
    ` ${pair.question.trim()} → `, make("em", { class: "answer" }, pair.answer.trim()), ...bars(pair, texts));
  if (mark !== null) element.dataset.mark = mark;
  if (pair.document_answer !== undefined) {
    const likely = pair.document_answer_logprob == null ? "" : ` (${Math.exp(pair.document_answer_logprob).toFixed(2)})`;
    const says = pair.document_answer === null ? make("em", {}, "no answer") : make("b", {}, pair.document_answer.trim());
    element.append(make("p", { class: "answered" }, make("span", { class: "soft" }, "summary: "), pair.answer.trim(), make("span", { class: "soft" }, "; document: "), says, likely));
  }
  if (pair.document_sentence) {
    const [start, end] = pair.document_sentence, said = pair.document_answer_span;
    const letters = codes(row.document), text = (from, to) => letters.slice(from, to).join("");
    const look = said ? make("button", { type: "button", class: "look" }, "It answers in: ", text(start, said[0]), make("b", {}, text(...said)), text(said[1], end))
      : make("button", { type: "button", class: "look" }, "Likeliest in: ", text(start, end));
    look.addEventListener("click", () => show(start, true, said));
    element.append(look);
  }
  return element;
}
// Places count characters as Python does, not the halves of JavaScript.
const codes = text => Array.from(text);

function documentElement(row) {
  const element = make("div", { class: "document", dir: "auto", tabindex: "0", role: "region", "aria-label": "Document" });
  const places = new Map(row.pairs.filter(pair => pair.document_sentence).map(pair => pair.document_sentence));
  const letters = codes(row.document);
  const said = new Map(row.pairs.filter(pair => pair.document_answer_span).map(pair => [pair.document_answer_span.join(), pair.document_answer_span]));
  const answers = [...said.values()].sort((a, b) => a[0] - b[0]);
  let position = 0;
  for (const [start, end] of [...places].sort((a, b) => a[0] - b[0])) {
    if (start < position) continue;
    const sentence = make("span", { class: "sentence", "data-start": start });
    let at = start;
    for (const [from, to] of answers.filter(([from, to]) => start <= from && to <= end)) {
      if (from < at) continue;
      sentence.append(letters.slice(at, from).join(""), make("b", { class: "said", "data-span": `${from},${to}` }, letters.slice(from, to).join("")));
      at = to;
    }
    sentence.append(letters.slice(at, end).join(""));
    element.append(letters.slice(position, start).join(""), sentence);
    position = end;
  }
  element.append(letters.slice(position).join(""));
  return element;
}

function bodyElement(content) {
  const { row, marks } = content;
  const text = documentElement(row);
  const show = (start, scroll, said) => {
    for (const answer of text.querySelectorAll(".said")) answer.classList.toggle("shown", answer.dataset.span === said?.join());
    for (const sentence of text.querySelectorAll(".sentence")) {
      const shown = sentence.dataset.start === String(start);
      sentence.classList.toggle("shown", shown);
      if (shown && scroll) sentence.scrollIntoView({ block: "nearest" });
    }
  };
  const pairs = row.pairs.map((pair, place) => ({ pair, mark: marks[place] })).sort((a, b) => a.pair.score - b.pair.score);
  const element = ({ pair, mark }) => pairElement(pair, mark, content, show);
  const told = pairs.filter(({ pair, mark }) => pair.score < MARKED || mark !== null), rest = pairs.filter(entry => !told.includes(entry));
  const questions = make("div", { class: "questions" }, ...told.map(element));
  if (!told.length) questions.append(...rest.map(element));
  else if (rest.length) {
    const named = `${rest.length} more ${rest.length === 1 ? "question" : "questions"}, not marked`;
    questions.append(make("details", { class: "rest" }, make("summary", {}, named), ...rest.map(element)));
  }
  if (!pairs.length) questions.append(make("p", { class: "soft" }, "No pair was kept, so there is no score."));
  if (pairs[0]?.pair.document_sentence) show(pairs[0].pair.document_sentence[0], false, pairs[0].pair.document_answer_span);
  return make("div", { class: "body" }, questions, text);
}

async function open(row, wanted) {
  row.querySelector(".toggle").setAttribute("aria-expanded", String(wanted));
  let body = row.querySelector(".body");
  if (wanted && !body) {
    row.dataset.opening = "1";
    let made;
    try { made = bodyElement(await data(byElement.get(row))); } catch (error) { made = make("p", { class: "note body" }, error.message); }
    body = row.querySelector(".body");  // two calls may have waited for the same chunk
    if (!body) row.append(body = made);
    delete row.dataset.opening;
  }
  if (body) body.hidden = row.querySelector(".toggle").getAttribute("aria-expanded") === "false";
}
const isOpen = row => row.querySelector(".toggle").getAttribute("aria-expanded") === "true";

async function point(mark) {
  const row = mark.closest(".row");
  await open(row, true);
  const pairs = [...row.querySelectorAll(".pair")];
  for (const pair of pairs) pair.classList.toggle("pointed", pair.dataset.mark === mark.dataset.mark);
  const first = pairs.find(pair => pair.dataset.mark === mark.dataset.mark);
  first?.scrollIntoView({ block: "nearest" });
}

let searches = 0;
async function filter() {
  const search = ++searches;
  const words = find.value.trim().toLowerCase();
  if (words && rows.some(entry => entry.text === null)) await index();
  if (search !== searches) return;  // another letter was typed meanwhile
  let shown = 0;
  for (const entry of rows) {
    const { row, quals, bad } = entry;
    const wanted = { all: true, bad, good: quals !== null && !bad, none: quals === null }[which.value]
      && (!group || group.value === "*" || group.value === `=${entry.group}`) && (!words || entry.head.includes(words) || entry.text.includes(words));
    row.hidden = !wanted;
    shown += wanted;
  }
  document.getElementById("count").textContent = `${shown} of ${rows.length}`;
  nothing.hidden = shown > 0;
  nothing.textContent = rows.length === 0 ? "There are no rows." : `Nothing fits${words ? ` \u201c${find.value.trim()}\u201d` : ""}. Search looks into summaries, ids, questions, answers and documents of the rows that the lists above allow.`;
}
async function index() {
  try {
    await Promise.all(chunks.map(async (_, place) => {
      const { rows: own } = await chunk(place);
      own.forEach(({ row }, offset) => {
        rows.byIndex[place * CHUNK_ROWS + offset].text = [row.document, ...row.pairs.flatMap(pair => [pair.question, pair.answer])].join("\n").toLowerCase();
      });
    }));
  } catch { for (const entry of rows) entry.text ??= ""; }  // an old browser: heads alone
}
rows.byIndex = [...rows];

function sort() {
  const key = ({ number, quals }) => order.value === "input" ? number : quals === null ? Infinity : order.value === "worst" ? quals : -quals;
  rows.sort((a, b) => key(a) - key(b) || a.number - b.number);
  const all = document.createDocumentFragment();
  for (const { row } of rows) all.append(row);
  box.append(all);
}

const filtered = () => rows.filter(({ row }) => !row.hidden);
function save(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
async function jsonl() {
  const own = await Promise.all(filtered().map(data));
  return own.map(({ row }) => JSON.stringify(row) + "\n").join("");
}
async function csv() {
  // Quoted, and a text that a spreadsheet would take for a formula is kept from being one.
  const cell = value => { const text = value == null ? "" : String(value); return `"${(typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`; };
  const lines = [["id", "summary_index", "quals", "num_pairs", "summary", "worst_question", "worst_answer", "worst_score", "document"]];
  for (const { row } of await Promise.all(filtered().map(data))) {
    const worst = row.pairs.reduce((low, pair) => !low || pair.score < low.score ? pair : low, null);
    const id = typeof row.id === "string" ? row.id : JSON.stringify(row.id);
    lines.push([id, row.summary_index, row.quals, row.num_pairs, row.summary, worst?.question, worst?.answer, worst?.score, row.document]);
  }
  return "\ufeff" + lines.map(line => line.map(cell).join(",") + "\r\n").join("");
}

find.addEventListener("input", filter);
which.addEventListener("input", filter);
group?.addEventListener("input", filter);
order.addEventListener("input", sort);
document.getElementById("tools").addEventListener("submit", event => event.preventDefault());
document.getElementById("jsonl").addEventListener("click", async () => save("quals-rows.jsonl", "application/jsonl", await jsonl()));
document.getElementById("csv").addEventListener("click", async () => save("quals-rows.csv", "text/csv", await csv()));
document.getElementById("open").addEventListener("click", async event => {
  const button = event.currentTarget, own = filtered().slice(0, MOST_OPEN).map(({ row }) => row), wanted = button.textContent.startsWith("Open");
  await Promise.all((wanted ? own : rows.map(({ row }) => row).filter(isOpen)).map(row => open(row, wanted)));
  button.textContent = wanted ? "Close all" : "Open all";
  const all = filtered().length;
  if (wanted && all > MOST_OPEN) document.getElementById("count").textContent = `the first ${MOST_OPEN} of ${all} are open`;
});
for (const button of document.querySelectorAll("button[data-group]"))
  button.addEventListener("click", () => { group.value = `=${button.dataset.group}`; filter(); document.getElementById("tools").scrollIntoView(); });
box.addEventListener("click", event => {
  const mark = event.target.closest("mark"), head = event.target.closest(".head");
  if (mark) point(mark);
  else if (head && !String(getSelection())) open(head.closest(".row"), !isOpen(head.closest(".row")));
});
box.addEventListener("keydown", event => {
  if (event.target.tagName === "MARK" && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); point(event.target); }
});
addEventListener("beforeprint", () => { for (const rest of document.querySelectorAll(".rest")) rest.open = true; });
if (matchMedia("(max-width: 48rem)").matches) document.querySelector(".help").open = false;
sort();
filter();
