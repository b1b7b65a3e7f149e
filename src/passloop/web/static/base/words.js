// A command line into words as a shell would split it: quotes and backslashes, nothing more. Nothing is expanded.

/** `{words, wrong}`: `wrong` says what keeps the text from being words. */
export function splitWords(text) {
  const words = [];
  let word = null;
  let quote = "";
  for (let place = 0; place < text.length; place += 1) {
    const letter = text[place];
    if (quote) {
      if (letter === quote) quote = "";
      else if (letter === "\\" && quote === '"' && '"\\$`'.includes(text[place + 1] ?? "")) word += text[(place += 1)];
      else word += letter;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      word ??= "";
    } else if (letter === "\\" && place + 1 < text.length) {
      place += 1;
      if (text[place] !== "\n") word = (word ?? "") + text[place];
    } else if (/\s/.test(letter)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? "") + letter;
    }
  }
  if (word !== null) words.push(word);
  return { words, wrong: quote ? `a ${quote === "'" ? "single" : "double"} quote is open` : "" };
}

/** Signs that a shell would act on, and that are plain text here. */
export const shellSigns = (words) => words.filter((word) => /^(\||\|\||&&|;|>|>>|<|&)$/.test(word));
