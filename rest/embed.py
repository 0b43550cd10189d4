#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rest/embed.py: page.css and page.js as C strings, and the policy that lets exactly these two run.

usage: embed.py CSS JS > page.inc
"""
import base64, hashlib, json, re, sys


def shrunk(path):
    """without comments of whole lines and indentation; what is left is what stands in each page"""
    text = re.sub(r"(?ms)^/\*.*?\*/\n", "", open(path, encoding="ascii").read())
    return "".join(line.strip() + "\n" for line in text.splitlines() if line.strip())


def source(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def define(name, text):
    lines = " \\\n\t".join(json.dumps(line) for line in text.splitlines(keepends=True))
    print(f"#define {name} \\\n\t{lines}")


css, js = (shrunk(path) for path in sys.argv[1:])
define("PAGE_CSS", css)
define("PAGE_JS", js)
define("PAGE_POLICY", f"default-src 'none'; style-src {source(css)}; script-src {source(js)}; "
       "connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
