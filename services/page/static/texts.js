// In: the table of a language. Out: `t(key, values)`, and the page's fixed words put in place.

const LANGUAGES = ["vi", "en"];
const tables = {};
export let language = LANGUAGES.includes(localStorage.getItem("language"))
  ? localStorage.getItem("language")
  : navigator.language?.startsWith("vi") === false ? "en" : "vi";

export async function loadTexts() {
  const answers = await Promise.all(LANGUAGES.map((name) => fetch(`/static/texts/${name}.json`)));
  const found = await Promise.all(answers.map((answer) => answer.json()));
  LANGUAGES.forEach((name, index) => { tables[name] = found[index]; });
}

export function t(key, values = {}) {
  const text = tables[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function otherLanguage() {
  return LANGUAGES.find((name) => name !== language);
}

export function choose(name) {
  language = name;
  localStorage.setItem("language", name);
}

export function putTexts() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
}
