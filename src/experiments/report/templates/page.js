"use strict";
// What a model wrote reaches the page as text nodes only, never as markup.
const unpacked = {};

async function unpack(id) {
  if (!unpacked[id]) {
    const packed = atob(document.getElementById(id).textContent.trim());
    const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    unpacked[id] = JSON.parse(await new Response(stream).text());
  }
  return unpacked[id];
}

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function terms(pairs) {
  const list = element("dl");
  for (const [term, text] of pairs) {
    const value = element("dd");
    value.append(element("code", text));
    list.append(element("dt", term), value);
  }
  return list;
}

function card(data, attempts, chosen) {
  const [, , kind, program, failure, passed, total, format, left] = attempts[0];
  const runs = attempts.map(([run, sample]) => "#" + (run + 1) + " " + data.runs[run] + (data.samples ? " · sample " + (sample + 1) : ""));
  const made = element("section", undefined, attempts.some(([run]) => run === chosen) ? "card chosen" : "card");
  made.append(element("h3", runs.join(", ")));
  const line = element("p");
  line.append(element("span", data.kinds[kind].replaceAll("_", " "), "badge k-" + data.kinds[kind]));
  line.append((left ? " at least " : " ") + passed + " of " + total + " tests" + (format === 0 ? ", format lost" : ""));
  made.append(line);
  if (failure >= 0) {
    const [call, expected, actual] = data.failures[failure];
    const told = [["call", call], ["expected", expected], ["got", actual]];
    made.append(terms(told.filter(([, text]) => text)));
  }
  const none = program < 0; // then it is the model's text
  if (none) made.append(element("p", "No program was found. The model wrote:", "soft"));
  made.append(element("pre", data.programs[none ? -1 - program : program], none ? "wrap" : ""));
  return made;
}

async function open(id, row, chosen) {
  const dialog = document.querySelector("dialog");
  const title = dialog.querySelector("h2");
  const body = dialog.querySelector("main");
  body.replaceChildren(element("p", "…"));
  if (!dialog.open) dialog.showModal();
  let data;
  try {
    data = await unpack(id);
  } catch (error) {
    body.replaceChildren(element("p", "This browser cannot unpack the programs: " + error));
    return;
  }
  const problem = data.problems[row];
  title.textContent = problem.title ? problem.title + " · " + problem.id : problem.id;
  const about = [problem.difficulty, ...problem.topics].filter(Boolean).join(" · ");
  body.replaceChildren(element("p", about, "soft"));
  if (problem.prompt) {
    const statement = element("details");
    statement.open = window.innerWidth > 700;
    statement.append(element("summary", "The problem"), element("pre", problem.prompt));
    body.append(statement);
  }
  const same = new Map();
  for (const attempt of data.cells[row]) {
    const key = attempt.slice(2).join();
    same.set(key, [...(same.get(key) || []), attempt]);
  }
  const groups = [...same.values()];
  const first = (group) => (group.some(([run]) => run === chosen) ? -1 : group[0][2]);
  groups.sort((a, b) => first(a) - first(b));
  const cards = element("div", undefined, "cards");
  cards.append(...groups.map((group) => card(data, group, chosen)));
  body.append(cards);
  body.parentElement.scrollTop = 0;
}

document.addEventListener("click", (event) => {
  const target = event.target;
  if (target.closest("dialog header button") || target.tagName === "DIALOG") {
    document.querySelector("dialog").close();
    return;
  }
  const cell = target.closest(".map tbody td, .map tbody button");
  if (!cell) return;
  const row = cell.closest("tr");
  const chosen = cell.tagName === "TD" ? cell.cellIndex - 1 : -1;
  open(row.closest(".map").dataset.programs, row.sectionRowIndex, chosen);
});
