#!/usr/bin/env node
// Starts the program that the package of this platform has.
'use strict';

const { spawn } = require('node:child_process');
const { isatty } = require('node:tty');

const binary = '{binary}';
const main = '{package}';
const version = '{version}';
const platforms = '{platforms}';

function fail(message) {
  process.stderr.write(`${binary}: ${message}\n`);
  process.exit(1);
}

const platform = `${process.platform} ${process.arch}`;
const own = platforms[platform];
if (own === undefined) {
  const known = Object.keys(platforms).join(', ');
  fail(`${main} ${version} has no program for ${platform}; it has programs for ${known}`);
}
let program;
try {
  program = require.resolve(`${own}/bin/${binary}`);
} catch {
  fail(
    `the package ${own} is not installed, an optional dependency of ${main}\n` +
      'hint: install without `--omit=optional` or `--no-optional`; a lock file that was written on a ' +
      'different platform may lack it',
  );
}
// Before the program runs: a signal without a handler would end this script, and leave the program behind.
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCONT']) {
  // A terminal sends these two to the program itself, too.
  const both = isatty(0) && (signal === 'SIGINT' || signal === 'SIGQUIT');
  process.on(signal, () => both || child.kill(signal));
}
const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' });
child.on('error', (error) => fail(error.message));
child.on('exit', (code, signal) => {
  if (signal === null) {
    process.exit(code);
  }
  // It ends as the program did.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
