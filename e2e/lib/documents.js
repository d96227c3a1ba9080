// What the documentation tells people to type.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './program.js';

/** Fenced blocks of one language: {file, line, text, before}, where `before` is the last line of prose above. */
export function fenced(file, language) {
  const lines = readFileSync(path.join(ROOT, file), 'utf8').split('\n');
  const blocks = [];
  let open = null;
  let prose = '';
  for (const [index, line] of lines.entries()) {
    if (open) {
      if (line.trim() === '```') {
        if (open.language === language) blocks.push({ file, line: open.line, before: open.before, text: open.lines.join('\n') });
        open = null;
      } else open.lines.push(line);
    } else if (line.startsWith('```')) open = { language: line.slice(3).trim(), line: index + 1, before: prose, lines: [] };
    else if (line.trim()) prose = line;
  }
  if (open) throw new Error(`${file}: the block at line ${open.line} has no end`);
  return blocks;
}

/** The commands of a block, one string each: lines that end in \ go on. */
export function commands({ text }) {
  return text
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line && !line.startsWith('#'));
}

/** What stands between single backticks in prose and tables. */
export function inlineCode(file) {
  const text = readFileSync(path.join(ROOT, file), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]);
}
