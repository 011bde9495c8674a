#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that a reviewer would repeat: check.py NAME SOURCE BUILD. One finding a line; exits 1 when there is one."""
import os
import re
import subprocess
import sys
import tempfile

name, source, build = sys.argv[1:4]
FLOOR = {"base": 0, "kernels": 1, "solve": 1, "graph": 2, "ops": 3, "onnx": 3, "exec": 4, "quant": 4, "data": 4,
         "pass": 5, "recipe": 5, "report": 6, "search": 7, "cli": 8}


def files(*folders, ends=(".c", ".h", ".cc")):
    for folder in folders:
        for place, _, names in os.walk(os.path.join(source, folder)):
            for file in sorted(names):
                if file.endswith(ends):
                    path = os.path.join(place, file)
                    yield os.path.relpath(path, source), open(path, encoding="utf-8").read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)


def lines(text):
    return enumerate(without_comments(text).split("\n"), 1)


def headers():
    """Each installed header compiles alone, as C and as C++."""
    packages = subprocess.check_output(["pkg-config", "--cflags", "gio-2.0", "gmodule-2.0", "json-glib-1.0"], text=True)
    for path, _ in files("include/halftone", ends=(".h",)):
        for compiler, suffix in ((["cc", "-std=gnu11"], ".c"), (["c++", "-std=c++17"], ".cc")):
            with tempfile.NamedTemporaryFile("w", suffix=suffix) as unit:
                unit.write(f"#include <halftone/{os.path.basename(path)}>\nint main (void) {{ return 0; }}\n")
                unit.flush()
                run = subprocess.run(compiler + ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{source}/include",
                                                 f"-I{build}/include"] + packages.split() + [unit.name],
                                     capture_output=True, text=True)
                if run.returncode:
                    yield f"{path} does not compile alone with {compiler[0]}: {run.stderr.strip().splitlines()[0]}"


def exports():
    """The library exports what the headers declare, and nothing else."""
    listed = subprocess.check_output(["nm", "-D", "--defined-only", f"{build}/core/libhalftone-1.so"], text=True)
    exported = {line.split()[-1] for line in listed.splitlines()}
    declared = set()
    for _, text in list(files("include/halftone", ends=(".h",))) + [
            ("enums.h", open(f"{build}/include/halftone/enums.h", encoding="utf-8").read())]:
        bare = without_comments(text)
        declared |= set(re.findall(r"HT_API[^;(]*?\b(ht_\w+)\s*\(", bare))
        for c_name in re.findall(r"G_DECLARE_(?:\w+_TYPE|INTERFACE) \(\w+, (ht_\w+),", bare):
            declared.add(f"{c_name}_get_type")
    yield from (f"'{symbol}' is exported but no header declares it" for symbol in sorted(exported - declared))
    yield from (f"'{symbol}' is declared but not exported" for symbol in sorted(declared - exported))


def plugins():
    """A plugin module exports its query function alone."""
    for place, _, names in os.walk(f"{build}/plugins"):
        for file in names:
            if file.startswith("halftone-") and file.endswith(".so"):
                listed = subprocess.check_output(["nm", "-D", "--defined-only", os.path.join(place, file)], text=True)
                exported = [line.split()[-1] for line in listed.splitlines()]
                if exported != ["ht_plugin_query"]:
                    yield f"{file} exports {exported}"
    for path, text in files("plugins"):
        for n, line in lines(text):
            own = re.match(r'\s*#\s*include\s*"([^"/]*)"', line)
            if own and os.path.exists(os.path.join(os.path.dirname(os.path.join(source, path)), own[1])):
                continue
            if re.match(r'\s*#\s*include\s*"', line) or re.match(r"\s*#\s*include\s*<(?!halftone/|glib|gio|math|string|stdlib)", line):
                yield f"{path}:{n}: includes more than the installed headers: {line.strip()}"


def arrows():
    """Includes point downwards; the command line sees include/ only."""
    for path, text in files("core"):
        room = path.split("/")[1]
        for n, line in lines(text):
            found = re.match(r'\s*#\s*include\s*"(\w+)/', line)
            other = found.group(1) if found else None
            if room == "cli" and other in FLOOR and other != "cli":
                yield f"{path}:{n}: the command line includes core/{other}"
            elif other in FLOOR and FLOOR[other] > FLOOR[room]:
                yield f"{path}:{n}: core/{room} includes core/{other}, a floor above it"


def silence():
    """The library and the plugins never print and never exit."""
    for path, text in files("core", "plugins"):
        if path.startswith("core/cli/"):
            continue
        for n, line in lines(text):
            if re.search(r"(?<![\w.>])(g_print|g_printerr|printf|puts|putchar|exit|_exit|abort|g_error)\s*\(", line):
                yield f"{path}:{n}: {line.strip()}"


def licence():
    """Each source file names its licence on the first line."""
    for path, text in files("core", "plugins", "include", "tests", "recipes", ends=(".c", ".h", ".cc", ".py", ".sh", ".build")):
        if not re.search(r"SPDX-License-Identifier: MIT", "\n".join(text.split("\n")[:3])):
            yield f"{path}: no SPDX line"


def environment():
    """Each environment variable that the code reads is described in docs/environment.md."""
    page = open(os.path.join(source, "docs/environment.md"), encoding="utf-8").read()
    for path, text in files("core", "plugins"):
        for n, line in lines(text):
            for variable in re.findall(r'getenv\s*\(\s*"(\w+)"', line):
                if f"`{variable}`" not in page:
                    yield f"{path}:{n}: '{variable}' is not in docs/environment.md"


findings = list(globals()[name]())
print("\n".join(findings) if findings else f"{name}: nothing found")
sys.exit(1 if findings else 0)
