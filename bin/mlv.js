#!/usr/bin/env node
'use strict';
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const [major, minor] = process.versions.node.split('.').map(Number);
const main = join(__dirname, '../dist/main.js');

if (major < 20 || (major === 20 && minor < 19)) {
  fail(`mlv needs Node 20.19 or later, this is ${process.versions.node}`);
} else if (!existsSync(main)) {
  fail('mlv is not built: run "npm run build" in its folder');
} else {
  require(main);
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}
