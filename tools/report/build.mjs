// SPDX-License-Identifier: MIT
// Makes a page: node build.mjs PACKAGES PAGE NAME, where PACKAGES is the folder of node_modules, PAGE the file to write, and NAME
// "report" or "live".
// The result depends on the sources and on package-lock.json alone.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [packages, page] = process.argv.slice(2, 4).map((path) => resolve(path));
const { entry, sheet, connect, without } = {
  report: { entry: "main.js", sheet: "style.css", connect: [],
    without: "This page needs scripts to show the profile. It holds all it needs and asks nothing of any network." },
  live: { entry: "live.js", sheet: "live.css", connect: ["connect-src 'self'"],
    without: "This page needs scripts to show the profile. It asks nothing but the server that it came from." },
}[process.argv[4]];
const source = join(dirname(fileURLToPath(import.meta.url)), "src");
const require = createRequire(join(packages, "package.json"));
const esbuild = require("esbuild");

// Names of classes are kept: d3-flame-graph asks for one.
const common = { bundle: true, write: false, minify: true, keepNames: true, legalComments: "none", target: "es2022",
  absWorkingDir: source, nodePaths: [join(packages, "node_modules")], logLevel: "warning" };
const script = esbuild.buildSync({ ...common, entryPoints: [entry], format: "iife", metafile: true,
  loader: { ".css": "empty" } }); // the library's style sheet is for one theme
const style = esbuild.buildSync({ ...common, entryPoints: [sheet], target: "chrome123" });

// `</script>` in a string of the script would end it.
const texts = {
  SCRIPT: script.outputFiles[0].text.trim().replace(/<(?=\/script|!--|script)/gi, "\\x3c"),
  STYLE: style.outputFiles[0].text.trim(),
  WITHOUT: without,
  LICENCES: escaped(licences(Object.keys(script.metafile.inputs))),
};
texts.POLICY = ["default-src 'none'", `script-src ${hash(texts.SCRIPT)}`, `style-src ${hash(texts.STYLE)}`, "img-src data:",
  ...connect, "base-uri 'none'", "form-action 'none'"].join("; ");

const template = readFileSync(join(source, "index.html"), "utf8");
const made = template.replace(/@(\w+)@/g, (mark, name) => texts[name] ?? mark);
if (made.split("@PROFILE@").length !== 2) {
  throw new Error("the page must have exactly one place for the profile");
}
writeFileSync(page, made);

function hash(text) {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** The notices of what was bundled. */
function licences(inputs) {
  const names = new Set(inputs.flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []));
  return [...names].sort().map((name) => {
    const folder = join(packages, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).sort().find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined || !existsSync(join(folder, file))) {
      throw new Error(`${name} has no licence file`);
    }
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  }).join(`\n${"-".repeat(80)}\n\n`);
}
