# SPDX-License-Identifier: MIT
"""tests/system/openapi.py: /static/openapispec.json against what the service really does.

First by hand: every situation that the contract names is brought about, and its status, its type
and its body must stand in the document. Then schemathesis makes up requests from the document and
holds each answer against it: nothing undocumented, and never a 5xx.

ODCSFS_EXAMPLES: how many requests schemathesis makes up (200; scripts/soak: 2000).
"""
import json, os, pathlib, re, shutil, socket, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import *
import pypi

EXAMPLES = int(os.environ.get("ODCSFS_EXAMPLES", "200"))
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,"
          "response_headers_conformance,response_schema_conformance,allow_header_conformance,"
          "unsupported_method")
METHODS = ("get", "head", "options", "post", "patch", "delete")
# most of what is made up would name nothing: two of three names are taken from what there is
HOOKS = """
import os, schemathesis
IDS, PATHS = os.environ["ODCSFS_IDS"].split(), os.environ["ODCSFS_PATHS"].split()

@schemathesis.hook
def map_path_parameters(context, path_parameters):
    for name, known in (("id", IDS), ("path", PATHS)):
        value = str((path_parameters or {}).get(name, ""))
        if sum(value.encode()) % 3:
            path_parameters[name] = known[sum(value.encode()) % len(known)]
    return path_parameters
"""


class Document:
    def __init__(self, text):
        self.json = json.loads(text)

    def deref(self, node):
        while "$ref" in node:
            where = node["$ref"].removeprefix("#/").split("/")
            node = self.json
            for part in where:
                node = node[part]
        return node

    def operations(self):
        for path, item in self.json["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def operation(self, method, path):
        """The operation that a real path means; the longest template wins."""
        found = None
        for template, item in self.json["paths"].items():
            pattern = re.escape(template).replace(r"\{id\}", r"\d+").replace(r"\{path\}", ".+")
            if re.fullmatch(pattern, path) and (not found or len(template) > len(found[0])):
                found = template, item
        return found and found[1].get(method.lower())

    def fits(self, schema, value):
        """The part of the schema language that the document uses."""
        schema = self.deref(schema)
        if value is None:
            return schema.get("nullable", False) or not schema
        if "anyOf" in schema:
            return any(self.fits(one, value) for one in schema["anyOf"])
        if "enum" in schema and value not in schema["enum"]:
            return False
        kind = schema.get("type")
        if kind == "object":
            properties = schema.get("properties", {})
            return (isinstance(value, dict) and set(schema.get("required", ())) <= set(value) and
                    (schema.get("additionalProperties", True) or set(value) <= set(properties)) and
                    all(self.fits(properties[name], member) for name, member in value.items()
                        if name in properties))
        if kind == "array":
            return isinstance(value, list) and all(self.fits(schema["items"], e) for e in value)
        return isinstance(value, {"string": str, "integer": int, None: object}[kind])


# ---- the document itself --------------------------------------------------------------------------

def check_document(service):
    answer = service.call("GET", "/static/openapispec.json")
    same((answer.status, answer.headers["Content-Type"], answer.headers["Access-Control-Allow-Origin"]),
         (200, "application/json", "*"), "the document")
    same(service.call("GET", "/static/openapispec.json",
                      headers={"If-None-Match": answer.headers["ETag"]}).status, 304, "its ETag")
    document = Document(answer.body)
    head = document.json
    same((head["openapi"][:4], head["info"]["title"], head["info"]["version"]),
         ("3.0.", "On Demand Compose Service (ODCS)", "v1"), "title and versions")
    schemas = head["components"]["schemas"]
    check({"Compose", "HTTPError", "Meta", "ComposeList", "ComposeDelete"} <= set(schemas), "upstream's schemas")
    same(len(schemas["Compose"]["properties"]), 43, "members of a compose")
    for reference in re.findall(r'"\$ref":"([^"]+)"', answer.body.decode()):
        try:
            document.deref({"$ref": reference})
        except KeyError:
            check(False, f"{reference} leads nowhere")
    ids = [operation["operationId"] for _, _, operation in document.operations()]
    same(len(set(ids)), len(ids), "operations have ids of their own")
    for path, method, operation in document.operations():
        check(operation["summary"] and operation["responses"], f"{method} {path} is described")
    parameters = {p["name"]: p["schema"] for p in head["paths"]["/api/1/composes/"]["get"]["parameters"]}
    same(sorted(parameters), ["compose_type", "koji_task_id", "label", "order_by", "owner", "page", "per_page",
                              "pungi_compose_id", "source", "source_type", "state"], "parameters of the list")
    for key in parameters["order_by"]["enum"]:
        same(service.call("GET", f"/api/1/composes/?order_by={key}").status, 200, f"order_by={key}")
    return document


# ---- every situation ------------------------------------------------------------------------------

def situations(number):
    file = f"/composes/odcs-{number}/compose/Temporary/x86_64/os/repodata/repomd.xml"
    etag = 'W/"no such"'
    yield from ((method, path, None, {}, 200) for method in ("GET", "HEAD", "OPTIONS") for path in (
        "/", f"/compose/{number}", "/favicon.ico", "/api/1/", "/api/1/composes/", f"/api/1/composes/{number}",
        "/api/1/about/", "/api/1/metrics/", "/static/openapispec.json", "/odcs/1/composes", "/odcs/1/composes/",
        f"/odcs/1/composes/{number}", "/composes/", f"/composes/{number}/", file))
    for path in ("/api/1", "/api/1/composes", "/api/1/about", "/api/1/metrics"):
        yield "GET", path, None, {}, 308
        yield "HEAD", path, None, {}, 308
    request = repo_spec(BASE, packages=["apache2"])
    flat = {"source_type": "repo", "source": str(BASE), "packages": ["apache2"]}
    for path in ("/api/1/composes", "/api/1/composes/", "/odcs/1/composes", "/odcs/1/composes/"):
        for body, status in ((request, 200), (flat, 200), ("", 400), ("[", 400), ({"source": 3}, 400),
                             (repo_spec("/nowhere"), 403), ("[" * 9000, 400), ("x" * 1500000, 413)):
            yield "POST", path, body, {}, status
    yield "POST", "/odcs/1/composes", {"id": number}, {}, 200
    yield "POST", "/odcs/1/composes", {"id": 99999999}, {}, 400
    yield "POST", "/api/1/composes/", request, {"Origin": "http://elsewhere"}, 403
    for api in ("/api/1", "/odcs/1"):
        yield "GET", f"{api}/composes/99999999", None, {}, 404
        yield "GET", f"{api}/composes/{number}?wait=1", None, {}, 200
        yield "GET", f"{api}/composes/?per_page=0", None, {}, 200
        yield "GET", f"{api}/composes/?order_by=x", None, {}, 400
        yield "GET", f"{api}/composes/?%zz", None, {}, 400
        yield "GET", f"{api}/composes/?{'a' * 9000}", None, {}, 414
        for slash in ("", "/"):
            yield "PATCH", f"{api}/composes/{number}{slash}", "", {}, 200
            yield "PATCH", f"{api}/composes/{number}{slash}", {"seconds-to-live": "900"}, {}, 200
            yield "PATCH", f"{api}/composes/{number}{slash}", {"sigkeys": 3}, {}, 400
            yield "PATCH", f"{api}/composes/99999999{slash}", "", {}, 404
            yield "DELETE", f"{api}/composes/99999999{slash}", "", {}, 404
    for path, headers, status in (
            (file, {"Range": "bytes=0-9"}, 206), (file, {"Range": "bytes=999999-"}, 416),
            (file, {"If-None-Match": "*"}, 304), (file, {"If-Match": etag}, 412),
            (file[:file.rindex("/")], {}, 301), ("/composes", {}, 301), (f"/composes/{number}/nope", {}, 404),
            (f"/composes/{number}/%zz", {}, 400), (f"/composes/{number}/pungi-stderr.log", {"Range": "bytes=3-"}, 206),
            (f"/composes/{number}/nope", {"Accept": "text/html"}, 404), ("/compose/99999999", {}, 404),
            ("/?order_by=x", {}, 400)):
        yield "GET", path, None, headers, status
        yield "HEAD", path, None, headers, 200 if "Range" in headers else status
    yield "DELETE", f"/api/1/composes/{number}", "", {}, 202


def check_situation(service, document, method, path, body, headers, status):
    what = f"{method} {path[:60]} {str(body)[:40]} {headers}"
    answer = service.call(method, path, body, headers)
    same(answer.status, status, what)
    operation = document.operation(method, path.partition("?")[0])
    if not check(operation, f"{what}: there is no such operation in the document"):
        return
    reply = operation["responses"].get(str(answer.status))
    if not check(reply, f"{what}: {answer.status} is not in the document"):
        return
    reply = document.deref(reply)
    kind = answer.headers["Content-Type"]
    content = reply.get("content", {})
    for header, rule in reply.get("headers", {}).items():
        check(answer.headers[header] is not None or not rule.get("required"), f"{what}: no {header}")
    if method == "HEAD":
        same(answer.body, b"", f"{what}: body")
    elif check(kind in content if kind else not content, f"{what}: type {kind}") and kind == "application/json":
        check(document.fits(content[kind]["schema"], answer.json), f"{what}: {answer.body[:300]}")


def check_events(service, document):
    """A stream does not end: its head, and the first bytes."""
    host, port = service.host.split(":")
    for path in ("/api/1/events", "/api/1/events/"):
        with socket.create_connection((host, int(port)), 10) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            text = link.recv(4096).decode()
        kinds = document.operation("GET", path)["responses"]["200"]["content"]
        check(any(f"\r\nContent-Type: {kind}\r\n" in text for kind in kinds), f"{path}: {text}")


# ---- schemathesis ---------------------------------------------------------------------------------

def check_examples(service, document, numbers, folder):
    venv, reason = pypi.environment("schemathesis-4", "schemathesis>=4,<5", "import schemathesis")
    if not venv:
        print(f"   skipped: no schemathesis: {reason}")
        return
    (folder / "odcsfs_hooks.py").write_text(HOOKS)
    paths = [f"odcs-{n}/{path}" for n in numbers for path in (
        "", "compose", "compose/Temporary/", f"compose/Temporary/odcs-{n}.repo", "pungi-stderr.log",
        "compose/metadata/rpms.json", "compose/Temporary/x86_64/os/repodata/repomd.xml")]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "odcsfs_hooks", "PYTHONPATH": str(folder),
                   "ODCSFS_IDS": " ".join(map(str, numbers)), "ODCSFS_PATHS": " ".join(paths)}
    tested = [(path, item) for path, _, item in document.operations() if "/events" not in path]
    varied = sum(1 for path, item in tested if "{" in path or item.get("parameters") or "requestBody" in item)
    # to the others there is one request only; and some are made up twice
    each = max(1, round((EXAMPLES * 1.15 - len(tested) + varied) / varied))
    result = run(venv / "bin/st", "run", f"{service.url}/static/openapispec.json", "--phases", "fuzzing", "--checks", CHECKS,
                 "--exclude-path-regex", "/api/1/events", "--max-examples", each,
                 "--seed", "1", "--continue-on-failure", "--request-timeout", "60", "--warnings", "off", env=environment, cwd=folder)
    made = re.search(r"(\d+) generated", result.stdout)
    check(result.returncode == 0, f"schemathesis: exit code {result.returncode}\n{result.stdout}{result.stderr}")
    if check(made and int(made[1]) >= EXAMPLES, f"it made up {made and made[1]} requests: {result.stdout[-500:]}"):
        print(f"   schemathesis made up {made[1]} requests to {len(tested)} operations", flush=True)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-openapi-"))
    with Service(f"repo.allowed={UNIVERSE}", mount=False) as service:
        numbers = [service.call("POST", "/api/1/composes/", spec).json["id"] for spec in (
            repo_spec(BASE, packages=["apache2"]), repo_spec(BASE, UPDATES), {"source": {"type": "tag", "source": "f26"}})]
        for number in numbers:
            service.wait_rest(number)
        document = check_document(service)
        print("ok the document", flush=True)
        for situation in situations(numbers[0]):
            check_situation(service, document, *situation)
        check_events(service, document)
        print("ok situations", flush=True)
        check_examples(service, document, numbers[1:], folder)
        answers = [service.call("GET", f"/api/1/composes/?state={state}&per_page=1").json["meta"]["total"]
                   for state in range(5)]
        print(f"   composes in the end: {dict(zip(('wait', 'generating', 'done', 'removed', 'failed'), answers))}")
    shutil.rmtree(folder, ignore_errors=True)
    end()


main()
