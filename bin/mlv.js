#!/usr/bin/env node
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
const main = new URL('../dist/main.js', import.meta.url);

if (major < 20 || (major === 20 && minor < 19)) {
  fail(`mlv needs Node 20.19 or later, this is ${process.versions.node}`);
} else if (!existsSync(main)) {
  fail('mlv is not built: run "npm run build" in its folder');
} else {
  await import(main.href);
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}
