# SPDX-License-Identifier: MIT
"""heapprof serve --print-config: every path that a scraper makes of it is answered, and Prometheus scrapes with it."""
import json
import re
import socket
import subprocess
import unittest

from cli.test_serve import Prometheus, ServeCase
from harness import tools
from harness.case import cases, timeout
from harness.server import Server
from harness.states import wait_until

try:
    import yaml
except ImportError:
    yaml = None

# What Parca and Alloy ask for if nothing is said of it (their references, of 2024 and 2026).
PARCA = {"memory": "/debug/pprof/allocs", "block": "/debug/pprof/block", "goroutine": "/debug/pprof/goroutine",
         "mutex": "/debug/pprof/mutex", "process_cpu": "/debug/pprof/profile"}
ALLOY = PARCA
# What Alloy takes where: fields of Arguments, ProfilingConfig and ProfilingTarget in its component pyroscope.scrape, of Arguments and
# EndpointOptions in pyroscope.write, and of its HTTPClientConfig (grafana/alloy, internal/component, August 2026).
TARGETS = {f"profile.{name}" for name in ALLOY}
ALLOY_KEYS = {None: {"pyroscope.scrape", "pyroscope.write"}, "pyroscope.write": {"endpoint"}, "endpoint": {"url"}, "profiling_config": TARGETS,
              "pyroscope.scrape": {"targets", "forward_to", "scrape_interval", "bearer_token_file", "profiling_config"},
              **{target: {"enabled", "path"} for target in TARGETS}}


def need_yaml():
    if yaml is None:
        raise unittest.SkipTest("python3-yaml is not there")


class Config(ServeCase):
    def text(self, kind, *arguments, **options):
        return self.tool("serve", "--print-config", kind, *arguments, **options).stdout

    def parca_paths(self, text):
        """What its scraper asks for: (address, path)."""
        for job in yaml.safe_load(text)["scrape_configs"]:
            profiling = job["profiling_config"]
            self.assertLessEqual(set(job), {"job_name", "scrape_interval", "static_configs", "authorization", "profiling_config"})
            self.assertLessEqual(set(profiling), {"path_prefix", "pprof_config"})
            for name, path in PARCA.items():
                one = profiling["pprof_config"].get(name, {})
                if one.get("enabled", True):
                    yield job["static_configs"][0]["targets"][0], profiling.get("path_prefix", "") + one.get("path", path)

    def pyroscope_paths(self, text):
        for job in yaml.safe_load(text)["scrape-configs"]:
            self.assertLessEqual(set(job), {"job-name", "scrape-interval", "scrape-timeout", "enabled-profiles", "profiles", "static-configs",
                                            "authorization"})
            for group in job["static-configs"]:
                for name in job["enabled-profiles"]:
                    yield group["targets"][0], job["profiles"][name]["path"]

    def alloy_paths(self, text):
        blocks = dict(re.findall(r"profile\.(\w+) \{\n([^}]*)\}", text))
        for target in re.findall(r"\{(\"__address__\"[^}]*)\},\n", text):
            labels = json.loads("{" + target.replace('" = "', '": "') + "}")
            self.assertEqual(set(labels) - {"__profile_path_prefix__"}, {"__address__", "service_name"})
            for name, path in ALLOY.items():
                block = blocks.get(name, "")
                if "enabled = false" not in block:
                    given = re.search(r'path = "(.*)"', block)
                    yield labels["__address__"], labels.get("__profile_path_prefix__", "") + (given[1] if given else path)

    @cases(*((kind, which) for kind in ("parca", "alloy", "pyroscope") for which in ("nobody", "name", "number", "both")))
    def test_what_is_asked_for_is_there(self, kind, which):
        if kind != "alloy":
            need_yaml()
        with self.holder() as program:
            operands = {"nobody": [], "name": ["holds"], "number": [program.pid], "both": ["holds", program.pid]}[which]
            with Server(self, program.pid) as server:
                address = f"127.0.0.1:{server.port}"
                text = self.text(kind, "--listen", address, *operands)
                asked = list(getattr(self, f"{kind}_paths")(text))
                self.assertEqual([path for _, path in asked],
                                 [f"{prefix}/debug/pprof/heap" for prefix in ([f"/{one}" for one in operands] or [""])])
                for where, path in asked:
                    self.assertEqual(where, address)
                    self.assertEqual(server.profile(path).comment_values()["pid"], program.pid)

    @cases("parca", "pyroscope", "prometheus")
    def test_token(self, kind):
        """With its type. Seen to fail: the agent in Pyroscope 1.0, which reads Parca's, sent the token without one."""
        need_yaml()
        text = self.text(kind, "--token-file", '/etc/a "t\u00f6ken"\\', "app")
        jobs, = yaml.safe_load(text).values()
        self.assertEqual([job["authorization"] for job in jobs], [{"type": "Bearer", "credentials_file": '/etc/a "t\u00f6ken"\\'}])

    @cases("parca", "alloy", "pyroscope", "prometheus")
    def test_a_token_is_found_from_anywhere(self, kind):
        """Seen to fail: the path was printed as it was given, and scrapers look for it beside their configuration, or where they run."""
        for given in ("token", "./token", "../{}/token".format(self.dir.name)):
            text = self.text(kind, "--token-file", given, "app", cwd=self.dir)
            self.assertIn(f'_file{" =" if kind == "alloy" else ":"} "{self.dir / "token"}"\n', text)

    def test_alloy_reads_the_comments(self):
        """It has // and /* */. Seen to fail: with # it refused the whole configuration, as the agent in its flow mode did."""
        for line in self.text("alloy", "app").splitlines():
            self.assertNotRegex(line, r"^\s*#")
        self.assertRegex(self.text("alloy", "app"), r"\A// For config.alloy")

    def test_alloy_knows_every_key(self):
        """Each is in a block that has it, and each block ends."""
        blocks, seen = [None], set()
        for line in self.text("alloy", "--token-file", "/etc/token", "app", "other").splitlines():
            line = line.split("//")[0].strip() if line.startswith("//") else line.strip()
            if found := re.fullmatch(r'([\w.]+)(?: "\w+")? \{', line) or re.fullmatch(r"(\w+)\s+= .+", line):
                self.assertIn(found[1], ALLOY_KEYS[blocks[-1]])
                seen.add(found[1])
                blocks += [found[1]] if line.endswith(" {") else []
            elif line == "}":
                blocks.pop()
            else:
                self.assertRegex(line, r'\A(|\]|\{("\w+" = "[^"]*"(, )?)+\},)\Z')
        self.assertEqual((blocks, seen), ([None], set.union(*ALLOY_KEYS.values())))

    def test_token_for_alloy(self):
        self.assertIn('\n  bearer_token_file = "/etc/token"\n', self.text("alloy", "--token-file", "/etc/token", "app"))

    @cases(":6060", "0.0.0.0:6060", "[::]:6060")
    def test_all_addresses(self, listen):
        """Of a machine that can be asked under its name."""
        self.assertIn(f'["{socket.gethostname()}:6060"]', self.text("prometheus", "--listen", listen))

    @timeout(200)
    def test_prometheus(self):
        tools.need("prometheus", "promtool")
        with self.holder() as program, Server(self, program.pid) as server:
            text = self.text("prometheus", "--listen", f"127.0.0.1:{server.port}")
            path = self.out_dir / "prometheus.yml"
            path.write_text(text)
            checked = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            with Prometheus(self, config=text.replace("15s", "1s")) as prometheus:
                found = wait_until(lambda: prometheus.query("heapprof_in_use_bytes"), "it has scraped")
        self.assertEqual([one["metric"]["pid"] for one in found], [str(program.pid)])

    @cases((["wrong"], "'wrong'"), (["parca", "--listen", "unix:socket"], "unix:socket"), (["parca", "--listen", "127.0.0.1:0"], "127.0.0.1:0"),
           (["parca", "a b"], "'a b'"), (["alloy", 'a"b'], "a\"b"), (["parca", ".."], "'..'"), (["pyroscope", "a/b"], "'a/b'"))
    def test_refuses(self, arguments, words):
        done = self.tool("serve", "--print-config", *arguments, expect=2)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")
