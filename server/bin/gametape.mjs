#!/usr/bin/env node
import { existsSync } from 'node:fs';

// In syntax that older versions understand too, so that they get a message instead of a syntax error.
const main = new URL('../dist/cli/main.js', import.meta.url);
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  stop(`gametape needs Node.js 20.19 or newer; this is ${process.versions.node} (${process.execPath}).`);
} else if (!existsSync(main)) {
  stop('gametape is not built yet. In its repository, run: npm run setup');
} else {
  import(main.href);
}

function stop(message) {
  console.error(message);
  process.exitCode = 1;
}
